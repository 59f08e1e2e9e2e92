"""The other site of the demo: people sign in there with the example."""

import re

from .test_demo import sign_in

COOKIE = "other_site_csrf"


def come_signed_in(site, visitor, address="ada@example.com"):
    """From the other site's button to its page that says who is there."""
    visitor.get(f"{site.client_url}/")
    page = visitor.post(f"{site.client_url}/sign-in/", cookie=COOKIE)
    assert page.url.startswith(f"{site.url}/login/?next="), page.text
    before = len(site.messages(address))
    onward = re.search(r'name="next" value="([^"]+)"', page.text)[1]
    visitor.post("/login/", identifier=address, next=onward)
    page = visitor.post("/login/wait/", code=site.message(address, before + 1)["code"], next=onward)
    assert 'data-page="consent"' in page.text
    return consent(visitor, page, allow="1")


def consent(visitor, page, **button):
    person = re.search(r'name="person" value="([^"]+)"', page.text)[1]
    return visitor.post(page.url, person=person, **button)


def test_a_person_signs_in_refreshes_and_signs_out(site):
    visitor = site.visitor()
    assert "Nobody is signed in here" in visitor.get(f"{site.client_url}/").text

    page = come_signed_in(site, visitor)

    assert page.url == f"{site.client_url}/"
    assert "Hello, Ada Lovelace" in page.text
    assert "<dd>ada@example.com</dd>" in page.text
    assert "<dd>[&quot;otp&quot;]</dd>" in page.text

    refreshed = visitor.post(f"{site.client_url}/refresh/", cookie=COOKIE)
    assert "It was refreshed once." in refreshed.text

    gone = visitor.post(f"{site.client_url}/sign-out/", cookie=COOKIE)
    assert gone.url.startswith(f"{site.client_url}/?state=")
    assert "Nobody is signed in here" in gone.text
    assert visitor.get("/login/session.json").json()["authenticated"] is False


def test_who_is_signed_in_at_the_example_only_allows_it(site):
    visitor = site.visitor()
    sign_in(site, visitor, "grace@example.com")
    visitor.get(f"{site.client_url}/")

    page = visitor.post(f"{site.client_url}/sign-in/", cookie=COOKIE)
    assert "Paper Boat" in page.text
    denied = consent(visitor, page, deny="1")
    assert "You did not allow it." in denied.text

    page = visitor.post(f"{site.client_url}/sign-in/", cookie=COOKIE)
    assert "Hello, Grace Hopper" in consent(visitor, page, allow="1").text


def test_what_is_taken_back_there_is_over_here(site):
    visitor = site.visitor()
    come_signed_in(site, visitor, "alan@example.com")
    site.sql("UPDATE passwordless_auth_oidc_authorization SET revoked_at = '2026-01-01 00:00:00'")

    page = visitor.post(f"{site.client_url}/refresh/", cookie=COOKIE)

    assert "The example said no: invalid_grant" in page.text
    assert "Nobody is signed in here" in page.text


def test_a_callback_that_nobody_asked_for_signs_nobody_in(site):
    visitor = site.visitor()

    page = visitor.get(f"{site.client_url}/callback/?code=x&state=y")

    assert "The example said no" in page.text
    assert "Nobody is signed in here" in page.text


def test_it_speaks_german_and_nobody_may_frame_it(site):
    page = site.visitor(language="de").get(f"{site.client_url}/")

    assert "Hier ist niemand angemeldet" in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert not re.search(r"<script|\sstyle=|<style|\son\w+=", page.text)
