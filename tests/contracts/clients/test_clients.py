"""Client libraries that people use, each through a whole visit: sign-in by our pages, userinfo, new tokens, sign-out."""

import pytest

from tests.contracts.oidc.agent import Landing

from .conftest import CLIENTS, SECRET, at

pytestmark = pytest.mark.contracts

ADA = "ada@example.com"


def told(provider, name, **more):
    """What every client is configured with."""
    client = CLIENTS[name]
    return {
        "issuer": provider.issuer,
        "client_id": client.client_id,
        "client_secret": client.secret,
        "redirect_uri": client.redirect_uri,
        "post_logout_redirect_uri": client.post_logout_redirect_uri,
        **more,
    }


def comes_back(agent, url):
    """The person goes there, and does what is asked until the client gets its answer."""
    landing = agent.does_all(agent.open(url))
    assert isinstance(landing, Landing), landing.text
    return landing


def allows_nothing_more(answer):
    return answer.get("after") == "invalid_grant"


def test_openid_client(provider, agent, run):
    program = run("openid-client.mjs")
    program.tell(**told(provider, "openid-client"))
    landing = comes_back(agent, program.hear()["url"])
    assert landing.params.keys() == {"code", "state", "iss"}
    program.tell(url=landing.url)

    answer = program.hear()
    assert answer["userinfo"]["email"] == ADA
    assert answer["again"] == answer["userinfo"]
    assert answer["claims"]["sub"] == answer["userinfo"]["sub"] == answer["refreshed"]["sub"]
    assert answer["claims"]["auth_time"] == answer["refreshed"]["auth_time"]
    assert answer["introspected"]["active"] is True

    gone = comes_back(agent, program.hear()["url"])
    assert gone == Landing(CLIENTS["openid-client"].post_logout_redirect_uri, "query", {"state": "out"})
    assert not agent.is_signed_in()
    program.tell()
    assert program.hear() == {"after": "invalid_grant"}


def test_oauth4webapi(provider, agent, run):
    program = run("oauth4webapi.mjs")
    program.tell(**told(provider, "oauth4webapi"))
    landing = comes_back(agent, program.hear()["url"])
    assert landing.via == "form_post"
    program.tell(form=landing.params)

    answer = program.hear()
    assert answer["userinfo"]["email"] == ADA
    assert answer["again"] == answer["userinfo"]
    assert answer["claims"]["sub"] == answer["refreshed"]["sub"]

    leaving = program.hear()
    assert leaving["after"] == 401
    assert comes_back(agent, leaving["url"]).params == {"state": "out"}
    assert not agent.is_signed_in()


def test_express_openid_connect(provider, agent, run):
    site = at("express")
    program = run("express-openid-connect.mjs")
    program.tell(**told(provider, "express", url=site, port=int(site.rpartition(":")[2])))
    assert program.hear() == {"listening": True}

    profile = agent.does_all(agent.open(f"{site}/profile")).json()
    assert profile["userinfo"]["email"] == ADA
    assert profile["claims"]["sub"] == profile["userinfo"]["sub"]
    assert agent.open(f"{site}/refresh").json()["access_token"] != profile["access_token"]
    assert agent.open(f"{site}/profile").json()["userinfo"] == profile["userinfo"]

    assert agent.open(f"{site}/logout").json() == {"signedIn": False}
    assert not agent.is_signed_in()


@pytest.mark.parametrize("basic", [True, False], ids=["basic", "post"])
def test_mozilla_django_oidc(provider, agent, run, tmp_path, basic):
    site = at("mozilla")
    program = run("tests.contracts.clients.mozilla_site")
    program.tell(
        **told(provider, "mozilla", url=site, port=int(site.rpartition(":")[2])),
        metadata=provider.metadata(),
        database=str(tmp_path / "site.sqlite3"),
        basic=basic,
    )
    assert program.hear() == {"listening": True}

    assert agent.does_all(agent.open(f"{site}/oidc/authenticate/")).json() == {"email": ADA}
    # After a while it asks again, and nobody notices.
    agent.open(f"{site}/expire/")
    agent.seen.clear()
    assert agent.open(f"{site}/").json() == {"email": ADA}
    assert agent.seen == [""]

    assert agent.open(f"{site}/leave/", {}).json() == {"signed out": True}
    assert not agent.is_signed_in()


def test_authlib(provider, agent, run):
    """The demo's other site is made with it."""
    site = at("authlib")
    program = run(
        "example_project.manage",
        "serve_client",
        *("--port", site.rpartition(":")[2]),
        CLIENT_URL=site,
        SITE_URL=provider.url,
        DJANGO_SETTINGS_MODULE="example_project.relying_party.settings",
    )
    assert program.line().strip() == site

    page = agent.open(f"{site}/")
    page = agent.does_all(agent.submit(page.form("/sign-in/")))
    assert page.url == f"{site}/"
    assert "Hello, Ada Lovelace" in page.text
    assert ADA in page.text

    page = agent.submit(page.form("/refresh/"))
    assert "It was refreshed once." in page.text

    page = agent.submit(page.form("/sign-out/"))
    assert page.url.startswith(f"{site}/?state=")
    assert "Nobody is signed in here" in page.text
    assert not agent.is_signed_in()


def test_a_wrong_secret_helps_nobody(provider, agent, run):
    """The twin: what is encoded is compared, too."""
    program = run("openid-client.mjs")
    program.tell(**told(provider, "openid-client") | {"client_secret": SECRET.replace("%41", "A")})
    landing = comes_back(agent, program.hear()["url"])
    program.tell(url=landing.url)

    with pytest.raises(AssertionError, match="WWWAuthenticateChallengeError"):
        program.hear()


# -- a page that runs in the browser


@pytest.fixture
def window(provider, spa):
    """A window of Chromium, at the page of oidc-client-ts."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import ARGUMENTS, CHROMIUM

    trust = f"--ignore-certificate-errors-spki-list={provider.certificate.fingerprint}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, trust])
        page = browser.new_page(locale="en-GB")
        page.set_default_timeout(20_000)
        page.goto(spa)
        yield page
        browser.close()


def sign_in_at(window, provider):
    """The person at the pages of ours, until they are back."""
    before = len(provider.inbox(ADA))
    window.locator("#identifier").fill(ADA)
    window.locator("main form button").first.click()
    window.locator("#code").wait_for()
    provider.message(ADA, before + 1)
    window.locator("#code").fill(provider.inbox(ADA)[0]["code"])
    window.locator("form:has(#code) button").click()
    window.wait_for_selector("body[data-page=consent], script[src*='oidc-client-ts']", state="attached")


def begins(window, provider, **settings):
    client = CLIENTS["spa"]
    chosen = {"authority": provider.issuer, "client_id": client.client_id, "scope": "openid profile email", **settings}
    window.evaluate("chosen => { rp.begin(chosen) }", chosen)


def comes_home(window, provider):
    window.wait_for_url(lambda url: not url.startswith(at("spa")) or "state=" in url)
    if window.locator("#identifier").count():
        sign_in_at(window, provider)
    if window.locator("button[name=allow]").count():
        window.locator("button[name=allow]").click()
    window.wait_for_url(f"{at('spa')}/?*")
    return window.evaluate("rp.finish()")


@pytest.mark.parametrize("scope", ["openid profile email", "openid profile email offline_access"])
def test_oidc_client_ts(provider, window, scope):
    """Renewed silently in a frame, by ``prompt=none``; and where it was given one, by a refresh token."""
    begins(window, provider, scope=scope)
    user = comes_home(window, provider)
    assert user["profile"]["email"] == ADA
    assert bool(user["refresh_token"]) is ("offline_access" in scope)

    renewed = window.evaluate("rp.renew()")
    assert renewed["access_token"] != user["access_token"]
    assert renewed["profile"]["sub"] == user["profile"]["sub"]
    assert renewed["profile"]["auth_time"] == user["profile"]["auth_time"]

    window.evaluate("() => { rp.leave() }")
    window.wait_for_selector("script[src*='oidc-client-ts']", state="attached")
    assert window.url.startswith(at("spa"))
    window.goto(f"{provider.url}/login/session.json")
    assert '"authenticated": false' in window.inner_text("body")
