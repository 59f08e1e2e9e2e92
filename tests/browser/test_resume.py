"""A form that was sent too late is sent again by itself, once its sender has confirmed who they are."""

from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from .authenticators import VirtualAuthenticator
from .people import path
from .site import address
from .states import send_form
from .test_passkeys import add_passkey

pytestmark = pytest.mark.browser


@pytest.fixture
def strong(people, site):
    """Somebody who has just signed in with a passkey."""
    person = people()
    VirtualAuthenticator(person.page)
    add_passkey(person, address())
    person.context.clear_cookies()
    person.opens("/login/")
    person.sees("account")
    return person


def sent(person, to):
    """Expect the browser to send a form there."""
    return person.page.expect_request(lambda request: request.method == "POST" and request.url.endswith(to))


def test_a_press_that_came_too_late_is_done_after_the_confirmation(strong, site):
    strong.opens("/account/passkeys/", "passkeys")
    strong.follows("Remove")
    expect(strong.page.get_by_role("heading", name="Remove this passkey?")).to_be_visible()
    site.age_session(strong.session_key, 3600)
    strong.presses("Remove it")
    strong.sees("step_up")
    expect(strong.page).to_have_url(path("/login/step-up/"))

    with sent(strong, "/account/passkeys/") as again:
        strong.presses("Use a passkey")

    expect(strong.page.get_by_text("The passkey was removed.")).to_be_visible()
    assert parse_qs(again.value.post_data)["action"] == ["remove"]


@pytest.mark.parametrize("name", ["requestSubmit", "submit", "method", "action"])
def test_whatever_its_fields_are_called(strong, site, name):
    """A field hides what its form has under the same name."""
    strong.opens("/members/recent/")
    site.age_session(strong.session_key, 3600)
    send_form(strong, "/members/recent/", {name: "x"})
    strong.sees("step_up")

    with sent(strong, "/members/recent/") as again:
        strong.presses("Use a passkey")

    expect(strong.page).to_have_url(path("/members/recent/"))
    assert parse_qs(again.value.post_data)[name] == ["x"]
