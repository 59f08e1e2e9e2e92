"""A Client on another site sends somebody to sign out, in a browser that keeps its cookies as browsers do."""

import base64
import json
import urllib.request
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from .site import address

pytestmark = pytest.mark.browser

CLIENT = "https://app.example"
SECRET = "a-secret-of-the-browser-tests"
AFTER = f"{CLIENT}/signed-out"


class App:
    """The Client: its pages are what ``page`` says."""

    def __init__(self, person):
        self.person, self.site = person, person.site
        self.html = "<title>The app</title>"
        self.site.manage(
            *("create_oidc_client", "--client-id", "browser-app", "--client-secret", SECRET, "--name", "The app"),
            *("--redirect-uri", f"{CLIENT}/callback", "--post-logout-redirect-uri", AFTER),
            *("--first-party", "--no-pkce"),
        )
        person.context.route(
            f"{CLIENT}/**", lambda route: route.fulfill(content_type="text/html", body=self.html, status=200)
        )

    def id_token(self):
        """Sign the person in over there, and redeem the code."""
        redirect_uri = f"{CLIENT}/callback"
        query = {"client_id": "browser-app", "redirect_uri": redirect_uri, "response_type": "code", "scope": "openid"}
        answer = self.person.context.request.get(f"/openid/authorize?{urlencode(query)}", max_redirects=0)
        (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
        body = urlencode({"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}).encode()
        pair = base64.b64encode(f"browser-app:{SECRET}".encode()).decode()
        request = urllib.request.Request(f"{self.site.inside}/openid/token", body, {"Authorization": f"Basic {pair}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["id_token"]

    def posts(self, **fields):
        """Press a button on the Client's own page, whose form goes to us."""
        inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
        self.html = f'<title>The app</title><form method="post" action="{self.site.url}/openid/logout">{inputs}<button>Out</button></form>'
        self.person.page.goto(f"{CLIENT}/")
        self.person.presses("Out")


@pytest.fixture
def app(person):
    person.comes_signed_in(address())
    yield App(person)
    person.noticed.elsewhere.clear()  # the Client's pages are elsewhere


def test_who_confirms_is_sent_back_to_the_client(app, person):
    query = {"client_id": "browser-app", "post_logout_redirect_uri": AFTER, "state": "a b"}
    person.opens(f"/openid/logout?{urlencode(query)}", "logout_confirm")

    person.presses("Sign out")

    expect(person.page).to_have_url(f"{AFTER}?state=a+b")
    person.is_signed_out()


def test_who_does_not_confirm_stays(app, person):
    person.opens("/openid/logout?client_id=browser-app", "logout_confirm")

    person.presses("Stay signed in")

    person.sees("account")
    assert person.session()["authenticated"]


def test_a_form_of_the_client_with_an_id_token_of_this_session_signs_out(app, person):
    app.posts(id_token_hint=app.id_token(), post_logout_redirect_uri=AFTER, state="x")

    expect(person.page).to_have_url(f"{AFTER}?state=x")
    person.is_signed_out()


def test_a_form_of_anybody_only_asks(app, person):
    app.posts(client_id="browser-app", post_logout_redirect_uri=AFTER)

    person.sees("logout_confirm")
    assert person.session()["authenticated"]


def test_nobody_presses_our_buttons_from_elsewhere(app, person):
    app.posts(id_token_hint=app.id_token(), post_logout_redirect_uri=AFTER, allow="1")

    person.sees("error", "stale_page")
    assert person.session()["authenticated"]
