"""A Client sends a person to sign out (RP-Initiated Logout 1.0): who is asked, and where they are sent."""

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.utils import timezone
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from passwordless_auth.models import SignIn
from passwordless_auth.oidc import keys, tokens
from tests.conftest import Browser
from tests.views.pages import Page

from .relying_party import RelyingParty, b64, make_client

pytestmark = pytest.mark.django_db

LOGOUT = "/openid/logout"
AFTER = "https://app.example/signed-out"
AFTER_WITH_QUERY = "https://app.example/signed-out?from=here"
SIGNED_OUT = "/logout/done/"


@pytest.fixture
def app(browser, db):
    make_client(post_logout_redirect_uris=f"{AFTER} {AFTER_WITH_QUERY} com.example.app:/bye")
    return RelyingParty(browser)


@pytest.fixture
def hint(signed_in):
    """An ID token of the session that this browser has now."""
    return signed_in.tokens()["id_token"]


def params(hint=None, uri=AFTER, state="s +/&ü", **more):
    given = {"id_token_hint": hint, "post_logout_redirect_uri": uri, "state": state, **more}
    return {name: value for name, value in given.items() if value is not None}


def send(browser, **given):
    """What the browser gets that a Client sends here."""
    return browser.get(f"{LOGOUT}?{urlencode(given)}" if given else LOGOUT)


def asks(browser, response):
    """The confirmation page: nothing has happened yet, and nothing leads away."""
    page = Page(response)
    assert (page.status, page.name) == (200, "logout_confirm")
    assert browser.who()["authenticated"]
    return page


def press(browser, page, button, **changed):
    """Press a button of the confirmation page, as a browser does."""
    fields = {**page.forms[0].fields, **changed}
    fields = {name: value for name, value in fields.items() if name not in {"allow", "deny"}}
    return browser.submit(LOGOUT, {**fields, button: "1"})


def leads_to(response, url):
    assert (response.status_code, response["Location"]) == (303, url), response.content


def is_out(app):
    """As a Client finds out: nobody is signed in for a silent request."""
    assert not app.browser.who()["authenticated"]
    assert app.answer(app.ask(prompt="none"))["error"] == "login_required"
    assert not SignIn.objects.live().exists()
    return True


def signed_by_others(token, alg="RS256", **changes):
    """The same claims (but for ``changes``), and our own ``kid``, under a key that somebody else made."""
    head, body, _signature = token.split(".")
    claims = {**json.loads(tokens._decoded(body)), **changes}
    key = JWK.generate(kty="RSA", size=2048)
    jws = JWS(json.dumps(claims))
    jws.add_signature(key, None, json.dumps({**json.loads(tokens._decoded(head)), "alg": alg}))
    return jws.serialize(compact=True)


def with_alg_none(token):
    head, body, _signature = token.split(".")
    return f"{b64(json.dumps({**json.loads(tokens._decoded(head)), 'alg': 'none'}).encode())}.{body}."


# -- the modules of the conformance suite, oidcc-rp-initiated-logout


def test_discovery_announces_the_endpoint(client):
    metadata = client.get("/.well-known/openid-configuration").json()

    assert metadata["end_session_endpoint"] == "http://testserver/openid/logout"


def test_the_hint_of_this_session_signs_out_and_leads_back_with_state(signed_in, browser, hint):
    leads_to(send(browser, **params(hint)), f"{AFTER}?state=s+%2B%2F%26%C3%BC")

    assert is_out(signed_in)
    assert SignIn.objects.get().end_reason == "signed_out"


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/", "https://app.example/", "https://app.example/signed-out/", f"{AFTER}/../x", f"{AFTER}#",
        "https://app.example:443/signed-out", "HTTPS://app.example/signed-out", "https://APP.example/signed-out",
        "https://app.example/signed-out ", f"{AFTER} {AFTER_WITH_QUERY}", "//app.example/signed-out", "/signed-out",
        "https://app.example@evil.example/signed-out", "javascript:alert(1)", "https://app.example%2Fsigned-out", f"{AFTER}%00",
        "https://app.example/signed-out\r\nX: y", "https://app.example/callback", "app.example",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_an_address_that_is_not_registered(signed_in, browser, hint, uri):
    page = asks(browser, send(browser, **params(hint, uri)))
    assert "did not ask as it should" in page.words

    leads_to(press(browser, page, "allow"), SIGNED_OUT)
    assert is_out(signed_in)
    leads_to(send(browser, **params(hint, uri)), SIGNED_OUT)


def test_a_hint_that_was_changed_to_alg_none_proves_nothing(signed_in, browser, hint):
    page = asks(browser, send(browser, **params(with_alg_none(hint))))

    leads_to(press(browser, page, "allow"), SIGNED_OUT)


def test_a_hint_that_others_have_signed_proves_nothing(signed_in, browser, hint):
    page = asks(browser, send(browser, **params(signed_by_others(hint))))

    leads_to(press(browser, page, "allow"), SIGNED_OUT)


def test_who_names_a_client_beside_a_bad_hint_is_not_sent_back_to_it(signed_in, browser, hint):
    page = asks(browser, send(browser, **params(signed_by_others(hint), client_id="app")))
    assert "did not ask as it should" in page.words

    leads_to(press(browser, page, "allow"), SIGNED_OUT)


def test_without_a_hint_the_person_is_asked(signed_in, browser):
    page = asks(browser, send(browser, **params()))

    leads_to(press(browser, page, "allow"), SIGNED_OUT)
    assert is_out(signed_in)


def test_without_any_parameter_the_person_is_asked(signed_in, browser):
    page = asks(browser, send(browser))

    leads_to(press(browser, page, "allow"), SIGNED_OUT)
    assert is_out(signed_in)


def test_a_hint_alone_signs_out_and_stays_here(signed_in, browser, hint):
    leads_to(send(browser, id_token_hint=hint), SIGNED_OUT)

    assert Page(browser.get(SIGNED_OUT)).name == "signed_out"
    assert is_out(signed_in)


def test_without_state_there_is_none_on_the_way_back(signed_in, browser, hint):
    leads_to(send(browser, **params(hint, state=None)), AFTER)

    assert is_out(signed_in)


def test_a_state_alone_leads_nowhere(signed_in, browser):
    page = asks(browser, send(browser, state="x"))

    leads_to(press(browser, page, "allow"), SIGNED_OUT)


def test_a_query_that_was_added_to_a_registered_address_makes_it_another(signed_in, browser, hint):
    page = asks(browser, send(browser, **params(hint, f"{AFTER}?foo=bar")))

    leads_to(press(browser, page, "allow"), SIGNED_OUT)


# -- what proves


def test_the_registered_query_is_part_of_the_address(signed_in, browser, hint):
    leads_to(send(browser, **params(hint, AFTER_WITH_QUERY, "x")), f"{AFTER_WITH_QUERY}&state=x")


def test_a_native_app_gets_its_people_back(signed_in, browser, hint):
    leads_to(send(browser, **params(hint, "com.example.app:/bye", "x")), "com.example.app:/bye?state=x")


def test_a_hint_that_has_run_out_still_proves(signed_in, browser, hint, time_machine):
    time_machine.move_to(timezone.now() + timedelta(hours=2))

    leads_to(send(browser, **params(hint, state=None)), AFTER)
    assert is_out(signed_in)


def test_the_hint_of_another_session_of_the_same_person_asks(signed_in, browser, hint, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = ""
    other = Browser()
    other.sign_in("ada@example.com")

    page = asks(other, send(other, **params(hint)))

    leads_to(press(other, page, "allow"), f"{AFTER}?state=s+%2B%2F%26%C3%BC")
    assert browser.who()["authenticated"]


def test_the_hint_of_another_person_asks(signed_in, browser, hint):
    other = Browser()
    other.sign_in("bob@example.com")

    page = asks(other, send(other, **params(hint)))

    assert "bob@example.com" in page.words
    leads_to(press(other, page, "deny"), "/account/")
    assert other.who()["authenticated"]
    assert browser.who()["authenticated"]


def test_a_logout_token_or_an_access_token_is_no_hint(signed_in, browser, hint):
    sid = SignIn.objects.get().public_id
    logout_token = tokens.logout_token(subject="", client_id="app", sid=sid, alg="RS256")

    for token in (logout_token, signed_in.tokens()["access_token"], "x", "a.b.c", "é.é.é", "." * 40, hint + "x"):
        asks(browser, send(browser, **params(token)))


def test_a_token_without_a_session_proves_nothing(signed_in, browser, hint):
    claims = tokens.read(hint)
    for changed in ({"sid": ""}, {"sid": None}, {"sid": "x" * 22}):
        token = tokens.sign(
            {name: value for name, value in {**claims, **changed}.items() if value is not None}, alg="RS256"
        )
        asks(browser, send(browser, **params(token)))


def test_who_was_signed_in_by_other_code_is_asked(app, browser, django_user_model):
    user = django_user_model.objects.create_user("eve", "eve@example.com")
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    hint = app.tokens()["id_token"]

    asks(browser, send(browser, **params(hint)))


def test_client_id_must_be_the_hints(signed_in, browser, hint):
    make_client("other", post_logout_redirect_uris=AFTER)

    for client_id in ("other", "nobody", "APP", "app "):
        page = asks(browser, send(browser, **params(hint, client_id=client_id)))
        leads_to(press(browser, page, "deny"), "/account/")
    leads_to(send(browser, **params(hint, state=None, client_id="app")), AFTER)


def test_another_clients_address_is_nobody_elses(signed_in, browser, hint):
    make_client("other", post_logout_redirect_uris="https://other.example/bye")

    asks(browser, send(browser, **params(hint, "https://other.example/bye")))


def test_a_client_that_names_itself_gets_people_back_once_they_said_yes(signed_in, browser):
    page = asks(browser, send(browser, **params(client_id="app")))
    assert "The App asks whether you want to sign out of Testserver, too." in page.words

    leads_to(press(browser, page, "allow"), f"{AFTER}?state=s+%2B%2F%26%C3%BC")
    assert is_out(signed_in)


def test_the_form_may_lead_on_to_the_client_and_nowhere_else(signed_in, browser):
    wanted = send(browser, **params(client_id="app"))
    unwanted = send(browser, **params(uri="https://evil.example/", client_id="app"))

    assert "form-action 'self' https://app.example;" in wanted["Content-Security-Policy"]
    assert "form-action 'self';" in unwanted["Content-Security-Policy"]


def test_an_answer_is_weighed_anew(signed_in, browser):
    page = asks(browser, send(browser, **params(client_id="app")))

    leads_to(press(browser, page, "allow", post_logout_redirect_uri="https://evil.example/"), SIGNED_OUT)


# -- nobody is signed in


def test_twice_is_once(signed_in, browser, hint):
    for _time in range(3):
        leads_to(send(browser, **params(hint, state=None)), AFTER)
    assert is_out(signed_in)


@pytest.mark.parametrize("given", [{}, params(), params(client_id="app"), params("x"), {"state": "x"}])
def test_a_visitor_stays_here_unless_a_hint_says_who_sent_them(app, browser, given):
    leads_to(send(browser, **given), SIGNED_OUT)


# -- POST


def test_a_post_from_a_client_goes_on_by_get_where_our_cookies_come_along(signed_in, browser, hint):
    elsewhere = Browser()  # a browser keeps our cookies back from another site's POST (SameSite=Lax)

    response = elsewhere.post(LOGOUT, params(hint, state="x", logout_hint="ada", unknown="1"))

    assert response.status_code == 303
    assert browser.who()["authenticated"]
    leads_to(browser.get(response["Location"]), f"{AFTER}?state=x")
    assert is_out(signed_in)


def test_a_post_without_proof_only_asks(signed_in, browser):
    response = browser.post(LOGOUT, params(client_id="app"))

    assert response.status_code == 303
    asks(browser, browser.get(response["Location"]))
    asks(browser, browser.get(browser.post(LOGOUT)["Location"]))


@pytest.mark.parametrize("button", ["allow", "deny"])
def test_the_buttons_of_our_page_cannot_be_pressed_from_elsewhere(signed_in, browser, hint, button):
    response = browser.post(LOGOUT, params(hint, **{button: "1"}))

    assert response.status_code == 403
    assert browser.who()["authenticated"]


def test_what_is_too_long_for_an_address_is_asked_about_here(signed_in, browser, hint):
    elsewhere = Browser()
    page = Page(elsewhere.post(LOGOUT, params(hint, state="x" * 8000)))
    assert (page.status, page.name) == (200, "logout_confirm")

    leads_to(press(browser, page, "allow"), f"{AFTER}?state={'x' * 8000}")
    assert is_out(signed_in)


# -- what comes with it


@pytest.mark.parametrize("name", ["id_token_hint", "post_logout_redirect_uri", "state", "client_id", "ui_locales", "x"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_nothing_may_come_twice(signed_in, browser, hint, name, method):
    pairs = [*params(hint).items(), (name, "a"), (name, "b")]
    if method == "get":
        response = browser.get(f"{LOGOUT}?{urlencode(pairs)}")
    else:
        response = browser.post(LOGOUT, urlencode(pairs), content_type="application/x-www-form-urlencoded")

    page = Page(response)
    assert (page.status, page.name) == (400, "error")
    assert browser.who()["authenticated"]


def test_the_page_speaks_the_language_that_was_asked_for(signed_in, browser):
    page = asks(browser, send(browser, **params(ui_locales="xx-YY fr de-CH en")))

    assert "Abmelden" in page.words
    assert "de" in page.response.content.decode()[:200]
    assert "Sign out" in asks(browser, send(browser, ui_locales="xx \x7f 中文 " + "a" * 500)).words


def test_hints_and_unknown_parameters_break_nothing(signed_in, browser, hint):
    leads_to(send(browser, **params(hint, state=None, logout_hint="somebody@else.example", foo="bar")), AFTER)


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_hints_of_every_algorithm(app, browser, alg):
    make_client("signed", id_token_alg=alg, post_logout_redirect_uris=AFTER)
    browser.sign_in("ada@example.com")
    app.client_id = "signed"

    leads_to(send(browser, **params(app.tokens()["id_token"], state=None)), AFTER)


def test_a_hint_by_a_key_that_was_withdrawn_only_asks(signed_in, browser, hint, settings):
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = [JWK.generate(kty="RSA", size=2048).export(as_dict=True)]
    keys.forget()

    asks(browser, send(browser, **params(hint)))
