"""A form of a page that was opened before the last sign-in, sign-out or loss of cookies."""

import pytest

from passwordless_auth.models import Challenge
from passwordless_auth.testing import outbox

from .pages import Page

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_second_of_two_tabs_is_told_how_to_go_on(browser):
    browser.start("ada@example.com")
    browser.start("grace@example.com")
    of_second_tab = browser.cookies["csrftoken"].value
    ada, grace = Challenge.objects.order_by("pk")
    of_ada = {"challenge": ada.public_id, "code": outbox.last_code("ada@example.com")}
    assert browser.submit("/login/wait/", of_ada).status_code == 303

    code = outbox.last_code("grace@example.com")
    stale = {"challenge": grace.public_id, "code": code, "csrfmiddlewaretoken": of_second_tab}
    page = Page(browser.post("/login/wait/", stale))

    assert (page.status, page.name, page.code) == (403, "error", "stale_page")
    assert browser.who()["user"]["email"] == "ada@example.com"
    assert page.links["Show the page again"] == f"/login/wait/?challenge={grace.public_id}"
    browser.get(page.links["Show the page again"])
    assert browser.submit("/login/wait/", {"challenge": grace.public_id, "code": code}).status_code == 303
    assert browser.who()["user"]["email"] == "grace@example.com"


def test_nothing_happens_without_the_token(browser):
    browser.start()
    browser.get("/login/")
    response = browser.post("/login/wait/", {"code": outbox.last_code("ada@example.com")})

    assert response.status_code == 403
    assert Challenge.objects.get().state == Challenge.State.OPEN
    assert Challenge.objects.get().tries == 0


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/login/", "/login/?next=%2Fmembers%2F"),
        ("/login/resend/", "/login/wait/?next=%2Fmembers%2F"),
        ("/logout/", "/logout/?next=%2Fmembers%2F"),
        ("/login/link/", "/login/link/?next=%2Fmembers%2F"),
        ("/account/sessions/", "/account/sessions/?next=%2Fmembers%2F"),
    ],
)
def test_every_form_is_shown_anew(browser, path, there):
    page = Page(browser.post(path, {"next": "/members/", "challenge": "<nonsense>"}))

    assert (page.status, page.code) == (403, "stale_page")
    assert page.links["Show the page again"] == there


def test_a_host_without_the_middleware_is_protected_as_well(browser, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]

    assert browser.post("/login/", {"identifier": "ada@example.com"}).status_code == 403
    assert browser.start().status_code == 303
