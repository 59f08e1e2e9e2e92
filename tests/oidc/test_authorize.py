"""The authorization endpoint, from the chairs of a Client and of the person."""

import json
import time
from html import unescape
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User

from passwordless_auth.oidc.models import Authorization, AuthorizationRequest, ClientSettings, Consent
from passwordless_auth.testing import outbox
from tests.conftest import Browser

from .relying_party import CALLBACK, RelyingParty, make_client, query_of

pytestmark = pytest.mark.django_db


def go_on(browser, response):
    """Follow the ways of our own site until there is a page, or somebody else's site."""
    while response.status_code == 303 and response.url.startswith("/"):
        response = browser.get(response.url)
    return response


def sign_in_on_the_way(browser, response, address="ada@example.com"):
    """From the redirect to the sign-in page on: sign in there, and go where that leads."""
    onward = query_of(response.url)["next"]
    signed = browser.sign_in(address, next=onward)
    return go_on(browser, signed)


# -- the person is signed in


def test_a_person_who_is_signed_in_sees_no_page(signed_in):
    answer = signed_in.answer(signed_in.ask())

    assert set(answer) == {"code", "state", "iss"}
    assert not AuthorizationRequest.objects.exists()


def test_what_a_code_stands_for_is_kept_by_digest(signed_in):
    code = signed_in.code()

    row = Authorization.objects.get()
    assert code not in json.dumps({name: str(value) for name, value in vars(row).items()})
    assert row.code_digest
    assert (row.acr, row.amr) == ("single", ["otp"])


# -- nobody is signed in


def test_a_stranger_signs_in_and_is_back_with_a_code(app, browser):
    response = app.ask()
    assert response.url.startswith("/login/?next=")

    page = browser.get(response.url)
    assert "Sign in to The App" in unescape(page.content.decode())

    answer = app.answer(sign_in_on_the_way(browser, response))
    assert app.redeem(answer["code"]).status_code == 200


def test_the_sign_in_page_lets_the_form_lead_on_to_the_client(app, browser):
    """Browsers hold every redirect after a form to form-action."""
    response = browser.get(app.ask().url)

    assert "form-action 'self' https://app.example;" in response["Content-Security-Policy"]
    assert response["Cross-Origin-Opener-Policy"] == "unsafe-none"
    plain = browser.get("/login/")
    assert "form-action 'self';" in plain["Content-Security-Policy"]
    assert plain["Cross-Origin-Opener-Policy"] == "same-origin"


def test_login_hint_is_filled_in(app, browser):
    page = browser.get(app.ask(login_hint="ada@example.com").url)

    assert 'value="ada@example.com"' in page.content.decode()


def test_ui_locales(app, browser):
    response = app.ask(ui_locales="tlh de-AT en")

    page = browser.get(response.url)

    assert '<html lang="de"' in page.content.decode()


def test_the_client_s_own_rules_of_the_code_hold(app, browser):
    ClientSettings.objects.update(code_length=8)
    onward = query_of(app.ask().url)["next"]

    browser.start("ada@example.com", next=onward)

    assert len(outbox.last_code("ada@example.com")) == 8


def test_a_client_without_e_mail_takes_no_e_mail(app, browser, sms):
    ClientSettings.objects.update(connections=["sms"])
    onward = query_of(app.ask().url)["next"]

    page = browser.start("ada@example.com", next=onward)

    assert page.status_code == 400
    assert "mobile phone number" in page.content.decode()


# -- errors


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?a=b"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": CALLBACK + "#x"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://app.example/callback"},
        {"redirect_uri": "https://app.example:443/callback"},
        {"redirect_uri": "https://user@app.example/callback"},
        {"redirect_uri": "https://app.example/./callback"},
        {"redirect_uri": "https://app.example/%63allback"},
        {"redirect_uri": "//app.example/callback"},
        {"redirect_uri": "https://app.example\\callback"},
        {"client_id": "a\0b"},
        pytest.param({"client_id": "x" * 3000}, id="long id"),
    ],
    ids=str,
)
def test_what_cannot_be_trusted_is_told_to_the_person_and_leads_nowhere(signed_in, changes):
    response = signed_in.ask(**changes)

    assert response.status_code == 400
    assert 'data-page="error"' in response.content.decode()
    assert "Location" not in response


def test_a_parameter_that_comes_twice_is_refused(signed_in, browser):
    query = urlencode(signed_in.params())

    response = browser.get(f"/openid/authorize?{query}&scope=email")

    assert response.status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "toke"}, "unsupported_response_type"),
        ({"response_type": "code toke"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unauthorized_client"),
        ({"response_type": "id_token token"}, "unauthorized_client"),
        ({"response_type": "code token"}, "unauthorized_client"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "of_nobody"}, "invalid_scope"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"userinfo": []}'}, "invalid_request"),
        pytest.param({"claims": "[" * 1500}, "invalid_request", id="deep claims"),
        ({"response_mode": "carrier_pigeon"}, "invalid_request"),
    ],
    ids=str,
)
def test_what_the_client_got_wrong_is_told_to_the_client(signed_in, changes, error):
    answer = signed_in.answer(signed_in.ask(**changes))

    assert answer["error"] == error
    assert "code" not in answer
    assert not Authorization.objects.exists()


def test_unknown_parameters_and_scopes_are_ignored(signed_in):
    code = signed_in.code(extra="foobar", scope="openid of_nobody")

    assert signed_in.redeem(code).json()["scope"] == "openid"


def test_a_post_is_as_good_as_a_get(signed_in, browser):
    response = browser.post("/openid/authorize", signed_in.params())

    assert "code" in signed_in.answer(browser.get(response.url))


def test_the_query_of_a_redirect_uri_stays(browser):
    uri = CALLBACK + "?to=a%2Fb"
    make_client(redirect_uris=uri)
    browser.sign_in()
    app = RelyingParty(browser, redirect_uri=uri)

    response = app.ask()

    assert response.url.startswith(uri + "&code=")


def test_an_app_on_this_device_may_use_any_port(browser):
    make_client(public=True, kind="native", redirect_uris="http://127.0.0.1/cb com.example.app:/cb")
    browser.sign_in()

    for uri in ("http://127.0.0.1:51234/cb", "com.example.app:/cb"):
        app = RelyingParty(browser, secret=None, redirect_uri=uri)
        page = go_on(browser, app.ask())  # it is asked for: see test_attacks.py
        assert (">127.0.0.1<" if uri.startswith("http") else ">com.example.app<") in page.content.decode()
        answer = app.answer(go_on(browser, press(browser, page, "allow")))
        assert app.redeem(answer["code"]).status_code == 200
    by_name = RelyingParty(browser, secret=None, redirect_uri="http://localhost:51234/cb")
    assert by_name.ask().status_code == 400


# -- prompt


def test_prompt_none_never_shows_a_page(app, browser):
    assert app.answer(app.ask(prompt="none"))["error"] == "login_required"

    browser.sign_in()
    assert "code" in app.answer(app.ask(prompt="none"))


def test_prompt_none_without_consent(app, browser):
    make_client("foreign", first_party=False)
    browser.sign_in()
    foreign = RelyingParty(browser, "foreign")

    assert foreign.answer(foreign.ask(prompt="none"))["error"] == "consent_required"
    assert foreign.answer(foreign.ask(prompt="none", max_age="0"))["error"] == "login_required"
    assert foreign.answer(foreign.ask(prompt="none", acr_values="phr"))["error"] == "consent_required"


def confirm_by_code(browser, response, address="ada@example.com"):
    """On the step-up page: ask for a code, type it, and go where that leads."""
    page = browser.get(response.url)
    assert 'data-page="step_up"' in page.content.decode()
    browser.submit("/login/step-up/", {"action": "message", **query_of(response.url)})
    answer = browser.submit("/login/wait/", {"code": outbox.last_code(address)})
    return go_on(browser, answer)


def test_prompt_login_asks_for_a_new_proof(signed_in, browser):
    first = signed_in.claims(signed_in.tokens()["id_token"])["auth_time"]
    time.sleep(1.1)

    response = signed_in.ask(prompt="login")
    assert response.url.startswith("/login/step-up/?")
    answer = signed_in.answer(confirm_by_code(browser, response))

    claims = signed_in.claims(signed_in.redeem(answer["code"]).json()["id_token"])
    assert claims["auth_time"] > first


def test_prompt_login_is_not_walked_around_by_opening_next(signed_in, browser):
    response = signed_in.ask(prompt="login")
    onward = query_of(response.url)["next"]

    again = browser.get(onward)

    assert again.url.startswith("/login/step-up/?")
    assert not Authorization.objects.exists()


def test_max_age(signed_in, browser, clock):
    browser.sign_in()
    clock.shift(100)

    assert "code" in signed_in.answer(signed_in.ask(max_age="200"))
    response = signed_in.ask(max_age="50")
    assert response.url.startswith("/login/step-up/?")
    clock.shift(1)
    assert "code" in signed_in.answer(confirm_by_code(browser, response))


def test_a_request_goes_on_in_its_own_browser_alone(app, browser, other_browser):
    onward = query_of(app.ask().url)["next"]
    other_browser.sign_in("eve@example.com")

    assert other_browser.get(onward).status_code == 410
    assert browser.get(onward).status_code == 303


def test_a_request_is_answered_once(app, browser):
    response = app.ask()
    onward = query_of(response.url)["next"]
    app.answer(sign_in_on_the_way(browser, response))

    assert browser.get(onward).status_code == 410
    assert Authorization.objects.count() == 1


def test_a_request_waits_for_an_hour(app, browser, clock):
    onward = query_of(app.ask().url)["next"]
    clock.shift(3601)

    assert browser.get(onward).status_code == 410


# -- who


def test_id_token_hint(signed_in, browser):
    hint = signed_in.tokens()["id_token"]
    assert "code" in signed_in.answer(signed_in.ask(id_token_hint=hint, prompt="none"))

    browser.submit("/logout/")
    browser.sign_in("eve@example.com")

    assert signed_in.answer(signed_in.ask(id_token_hint=hint, prompt="none"))["error"] == "login_required"
    assert signed_in.answer(signed_in.ask(id_token_hint="not.a.token"))["error"] == "login_required"


def test_select_account(signed_in, browser):
    browser.sign_in("eve@example.com")  # the same browser, another person

    page = go_on(browser, signed_in.ask(prompt="select_account"))
    text = unescape(page.content.decode())
    assert 'data-page="select_account"' in text
    assert "eve@example.com" in text  # who is signed in
    assert "ada@example.com" not in text  # who is not, masked
    assert "a•" in text

    eve = User.objects.get(email="eve@example.com").passwordless_profile.handle
    chosen = browser.submit(page.request["PATH_INFO"], {"account": eve})
    assert "code" in signed_in.answer(go_on(browser, chosen))


def test_choosing_another_account_is_signing_in_as_it(signed_in, browser):
    page = go_on(browser, signed_in.ask(prompt="select_account"))
    onward = page.request["PATH_INFO"]

    chosen = browser.submit(onward, {"account": ""})
    assert chosen.url.startswith("/login/?next=")
    assert go_on(browser, browser.get(onward)).status_code == 200  # nobody has signed in: it is asked again
    time.sleep(0.01)
    answer = signed_in.answer(go_on(browser, browser.sign_in("eve@example.com", next=onward)))

    assert signed_in.redeem(answer["code"]).status_code == 200
    assert Authorization.objects.get().user.email == "eve@example.com"


# -- consent


@pytest.fixture
def foreign(signed_in, browser):
    make_client("foreign", first_party=False)
    return RelyingParty(browser, "foreign")


def test_a_foreign_client_is_allowed_once(foreign, browser):
    page = go_on(browser, foreign.ask(scope="openid email"))
    text = unescape(page.content.decode())
    assert 'data-page="consent"' in text
    assert "The App" in text
    assert "Your e-mail address" in text
    assert "app.example" in text
    assert "form-action 'self' https://app.example;" in page["Content-Security-Policy"]

    pressed = press(browser, page, "allow")
    assert "code" in foreign.answer(go_on(browser, pressed))
    assert Consent.objects.get().scope == "email openid"

    assert "code" in foreign.answer(foreign.ask(scope="openid email"))
    assert go_on(browser, foreign.ask(scope="openid email phone")).status_code == 200


def press(browser, page, button):
    person = page.content.decode().partition('name="person" value="')[2].partition('"')[0]
    return browser.submit(page.request["PATH_INFO"], {button: "1", "person": person})


def test_a_person_may_say_no(foreign, browser):
    page = go_on(browser, foreign.ask())

    answer = foreign.answer(press(browser, page, "deny"))

    assert answer["error"] == "access_denied"
    assert not Consent.objects.exists()
    assert browser.get(page.request["PATH_INFO"]).status_code == 410


def test_prompt_consent_asks_again(foreign, browser):
    press(browser, go_on(browser, foreign.ask()), "allow")

    page = go_on(browser, foreign.ask(prompt="consent"))

    assert 'data-page="consent"' in page.content.decode()
    assert "code" in foreign.answer(go_on(browser, press(browser, page, "allow")))


def test_what_claims_names_is_asked_for_too(foreign, browser):
    page = go_on(browser, foreign.ask(claims=json.dumps({"userinfo": {"phone_number": None}})))

    assert "Your phone number" in page.content.decode()


def test_consent_needs_the_page_s_own_token(foreign, browser):
    page = go_on(browser, foreign.ask())

    response = browser.post(page.request["PATH_INFO"], {"allow": "1"})

    assert response.status_code == 403
    assert not Consent.objects.exists()


def test_consent_counts_for_the_person_who_saw_the_page(foreign, browser):
    """In another tab somebody else has signed in since."""
    page = go_on(browser, foreign.ask())
    browser.sign_in("eve@example.com")

    press(browser, page, "allow")

    assert not Consent.objects.exists()


# -- how the answer travels


def test_form_post(signed_in):
    response = signed_in.ask(response_mode="form_post")

    text = unescape(response.content.decode())
    assert response.status_code == 200
    assert f'action="{CALLBACK}"' in text
    assert f'name="state" value="{signed_in.state}"' in text
    assert 'name="code"' in text
    assert "form-action https://app.example;" in response["Content-Security-Policy"]


def test_web_message_is_for_the_origin_of_the_redirect_uri_alone(signed_in):
    response = signed_in.ask(response_mode="web_message", prompt="none")

    text = unescape(response.content.decode())
    assert 'data-target="https://app.example"' in text
    assert signed_in.state in text
    assert "frame-ancestors https://app.example;" in response["Content-Security-Policy"]
    assert "X-Frame-Options" not in response


def test_web_message_carries_errors_too(app):
    response = app.ask(response_mode="web_message", prompt="none")

    assert "login_required" in response.content.decode()


@pytest.mark.parametrize("response_type", ["code id_token", "id_token code", "code token", "code id_token token"])
def test_hybrid(browser, response_type):
    make_client(response_types=["code id_token", "code token", "code id_token token"])
    browser.sign_in()
    app = RelyingParty(browser)

    response = app.ask(response_type=response_type)

    assert response.url.startswith(CALLBACK + "#")
    answer = app.answer(response)
    assert {"code"} | set(
        response_type.replace("token", "access_token").replace("id_access_token", "id_token").split()
    ) <= set(answer)
    if "id_token" in answer:
        claims = app.claims(answer["id_token"])
        assert claims["nonce"] == app.nonce
        assert claims["c_hash"]
        assert ("at_hash" in claims) == ("access_token" in answer)
    assert app.redeem(answer["code"]).status_code == 200
    assert Authorization.objects.count() == 1


@pytest.mark.parametrize("response_type", ["id_token", "token id_token"])
def test_implicit(browser, response_type):
    make_client(response_types=["id_token", "id_token token"])
    browser.sign_in()
    app = RelyingParty(browser)

    answer = app.answer(
        app.ask(response_type=response_type, code_challenge=None, code_challenge_method=None, scope="openid email")
    )

    claims = app.claims(answer["id_token"])
    assert claims["nonce"] == app.nonce
    if "token" in response_type.split():
        assert app.userinfo(answer["access_token"]).json()["email"] == "ada@example.com"
        assert "email" not in claims
    else:
        assert claims["email"] == "ada@example.com"
    assert "code" not in answer


def test_response_type_none(browser):
    make_client(response_types=["none"])
    browser.sign_in()
    app = RelyingParty(browser)

    assert set(app.answer(app.ask(response_type="none", code_challenge=None, code_challenge_method=None))) == {
        "state",
        "iss",
    }


def test_tokens_never_go_into_the_query(browser):
    make_client(response_types=["id_token"])
    browser.sign_in()
    app = RelyingParty(browser)

    response = app.ask(response_type="id_token", response_mode="query")

    assert app.answer(response)["error"] == "invalid_request"
    assert "#" in response.url


# -- levels


def test_a_client_may_ask_for_a_level(signed_in, browser):
    ClientSettings.objects.update(minimum_level="phr")

    response = signed_in.ask()

    assert response.url.startswith("/login/step-up/?")
    assert query_of(response.url)["level"] == "phr"
    assert signed_in.answer(signed_in.ask(prompt="none"))["error"] == "interaction_required"


def test_acr_values_are_a_wish_and_essential_acr_is_not(signed_in, browser):
    """She has no passkey: the wish can't be met, and is let go."""
    assert "code" in signed_in.answer(signed_in.ask(acr_values="phr"))

    claims = json.dumps({"id_token": {"acr": {"essential": True, "values": ["phr"]}}})
    assert signed_in.ask(claims=claims).url.startswith("/login/step-up/?")


def test_somebody_with_a_password_of_the_host_may_sign_in_too(app, browser):
    User.objects.create_user("bob", "bob@example.com", "hunter2hunter2")
    assert browser.login(username="bob", password="hunter2hunter2")

    claims = app.claims(app.tokens()["id_token"])

    assert "acr" not in claims
    assert "amr" not in claims


def test_other_people_s_browsers_stay_out():
    assert Browser().get("/openid/authorize/AAAAAAAAAAAAAAAAAAAAAA").status_code == 410
    assert Browser().get("/openid/authorize/" + "A" * 3000).status_code == 410
