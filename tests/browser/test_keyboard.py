"""Every flow by keyboard alone. A person presses Tab until they see where they want to be; so each stop on the way is
seen, and the way leads down the page as the eye does."""

import pytest
from playwright.sync_api import Locator, Page, expect

from .people import Person, path
from .site import address

pytestmark = pytest.mark.browser

#: Where the focus is, and whether it can be seen there.
FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const { top, bottom, left } = element.getBoundingClientRect();
  return {
    name: element.outerHTML.slice(0, 120),
    seen: element.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    on_screen: top >= 0 && bottom <= innerHeight,
    top: top + scrollY,
    bottom: bottom + scrollY,
    left,
  };
}"""

#: Whether an element stands before the one that has the focus.
PRECEDES = "element => element.compareDocumentPosition(document.activeElement) & Node.DOCUMENT_POSITION_FOLLOWING"


class Typist(Person):
    """A person who has no mouse."""

    def tabs_to(self, wanted: Locator) -> None:
        self._settles()
        before = self.page.evaluate(FOCUS)
        if before and self._is_at(wanted):
            return
        back = bool(before) and wanted.evaluate(PRECEDES)
        for _ in range(40):
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
            focus = self.page.evaluate(FOCUS)
            assert focus is not None, f"The focus has left the page on its way to {wanted}"
            assert focus["seen"], f"It can't be seen that the focus is at {focus['name']}"
            assert focus["on_screen"], f"The focus is out of sight at {focus['name']}"
            if before:
                upper, lower = (focus, before) if back else (before, focus)
                in_order = lower["top"] >= upper["bottom"] - 2 or lower["left"] >= upper["left"]
                assert in_order, f"The focus jumps from {before['name']} to {focus['name']}"
            before = focus
            if self._is_at(wanted):
                return
        raise AssertionError(f"No way to {wanted} by Tab")

    def _settles(self) -> None:
        """Wait until the page is there, and the focus where the page puts it."""
        self.page.wait_for_load_state()
        if self.page.locator("[autofocus]").count():
            self.page.wait_for_function("document.activeElement !== document.body")

    def _is_at(self, wanted: Locator) -> bool:
        return wanted.evaluate("element => element === document.activeElement")

    def types_at_once(self, text: str) -> None:
        """Type into the field that has the focus, and press Enter."""
        self._settles()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def presses(self, name: str, *, key: str = "Enter") -> None:
        self.tabs_to(self.page.get_by_role("button", name=name, exact=True))
        self.page.keyboard.press(key)

    def follows(self, name: str) -> None:
        self.tabs_to(self.page.get_by_role("link", name=name))
        self.page.keyboard.press("Enter")

    def types(self, text: str, *, into: str) -> None:
        self.tabs_to(self.page.get_by_label(into, exact=True))
        self.page.keyboard.type(text)

    def asks(self, address: str, *, next_url: str = "") -> Page:
        self.opens(f"/login/?next={next_url}", "login")
        before = len(self.site.messages(address))
        self.types(address, into="E-mail address or mobile number")
        self.page.keyboard.press("Enter")
        self.sees("wait")
        self.site.message(address, before + 1)
        return self.page

    def types_code(self, code: str) -> None:
        self.types(code, into="Code")
        self.page.keyboard.press("Enter")


@pytest.fixture
def typists(chromium, site):
    made = []

    def make(at=site, **options):
        made.append(Typist(chromium, at, **options))
        return made[-1]

    yield make
    for person in made:
        person.close()


@pytest.fixture
def typist(typists):
    return typists()


def test_the_fields_of_a_sign_in_are_ready_to_type(site, typist):
    """Address, Enter, code, Enter: no Tab is needed."""
    ada = address()
    typist.opens("/login/", "login")
    typist.types_at_once(ada)
    typist.sees("wait")
    typist.types_at_once(site.message(ada)["code"])

    typist.sees("account")
    typist.is_signed_in_as(ada)


def test_the_buttons_can_be_pressed_instead_of_enter(site, typist):
    ada = address()
    typist.opens("/login/", "login")
    typist.types(ada, into="E-mail address or mobile number")
    typist.presses("Send me the message", key="Space")
    typist.sees("wait")
    typist.types(site.message(ada)["code"], into="Code")
    typist.presses("Sign in", key="Space")

    typist.sees("account")


def test_a_slip_in_the_address_is_mended(site, typist):
    ada = address()
    typist.opens("/login/", "login")
    typist.types_at_once("ada@")
    typist.sees("login", "invalid_identifier")
    expect(typist.page.get_by_label("E-mail address")).to_be_focused()
    typist.page.keyboard.press("ControlOrMeta+a")
    typist.types_at_once(ada)

    typist.sees("wait")


def test_a_slip_in_the_code_is_mended(site, typist):
    ada = address()
    typist.asks(ada)
    typist.types_at_once("12")
    typist.sees("wait", "invalid_code")
    expect(typist.code_field).to_be_focused()
    typist.types_at_once(site.message(ada)["code"])

    typist.sees("account")


def test_the_whole_waiting_page_can_be_walked(typist):
    typist.asks(address(domain="gmail.com"))
    typist.page.reload()
    typist.tabs_to(typist.page.get_by_role("link", name="Open Gmail"))
    typist.tabs_to(typist.page.get_by_role("link", name="Change the address"))
    typist.tabs_to(typist.code_field)
    typist.tabs_to(typist.page.get_by_role("button", name="Sign in", exact=True))
    typist.tabs_to(typist.page.get_by_role("link", name="Read the messages in the inbox"))


def test_the_message_is_sent_again(site, typist):
    ada = address()
    typist.asks(ada)
    site.forget_limits()
    typist.page.reload()
    typist.presses("Send it again")
    typist.sees("wait")

    assert site.message(ada, 2)


def test_the_address_is_changed(typist):
    typist.asks(address("slip"))
    typist.follows("Change the address")
    typist.sees("login")


def test_a_refusal_offers_the_next_step(site, typist):
    ada = address()
    typist.asks(ada)
    typist.opens("/login/", "login")
    typist.types_at_once(ada)
    typist.sees("error", "too_many_requests")
    typist.follows("Enter the code that was sent")
    typist.sees("wait")
    typist.types_at_once(site.message(ada)["code"])

    typist.sees("account")


def test_a_link_elsewhere_signs_in_here(site, typists):
    ada = address()
    typists().asks(ada)
    typist = typists()
    typist.opens(site.message(ada)["link"], "link_elsewhere")
    typist.types(ada, into="Your complete e-mail address or mobile number")
    typist.presses("Sign in here instead")

    typist.sees("account")


def test_enter_in_the_address_field_of_a_link_elsewhere_signs_in_and_does_not_deny(site, typists):
    ada = address()
    typists().asks(ada)
    typist = typists()
    typist.opens(site.message(ada)["link"], "link_elsewhere")
    typist.types(ada, into="Your complete e-mail address or mobile number")
    typist.page.keyboard.press("Enter")

    typist.sees("account")


def test_a_link_elsewhere_is_denied(site, typists):
    ada = address()
    typists().asks(ada)
    typist = typists()
    typist.opens(site.message(ada)["link"], "link_elsewhere")
    typist.types(ada, into="Your complete e-mail address or mobile number")
    typist.presses("This wasn’t me")

    typist.sees("denied")


def test_a_link_without_a_script_takes_one_press(site, typists):
    ada = address()
    typists().asks(ada)
    site.change_challenge(ada, browser_digest="")
    typist = typists()
    typist.opens(site.message(ada)["link"], "link")
    typist.presses("Sign in")

    typist.sees("account")


def test_the_account_leads_to_the_sessions_and_out(typist):
    typist.signs_in(address())
    typist.follows("Everywhere you are signed in")
    typist.sees("sessions")
    typist.follows("Back to your account")
    typist.sees("account")
    typist.presses("Sign out")
    typist.sees("signed_out")
    typist.is_signed_out()
    typist.follows("Sign in again")

    typist.sees("login")


def test_sessions_are_ended(typists):
    ada = address()
    here, there, third = typists(), typists(), typists()
    for typist in (there, third, here):
        typist.comes_signed_in(ada)
        typist.site.forget_limits()
    here.opens("/account/sessions/", "sessions")
    here.tabs_to(here.page.get_by_role("listitem").nth(1).get_by_role("button", name="End"))
    here.page.keyboard.press("Enter")
    expect(here.page.get_by_role("listitem")).to_have_count(2)
    here.presses("Sign out everywhere else")
    expect(here.page.get_by_role("listitem")).to_have_count(1)
    here.presses("Sign out everywhere")

    here.sees("signed_out")
    for typist in (there, third, here):
        typist.is_signed_out()


def test_signing_out_is_confirmed_or_not(typist):
    ada = address()
    typist.comes_signed_in(ada)
    typist.opens("/logout/", "logout_confirm")
    typist.follows("Stay signed in")
    typist.sees("account")
    typist.opens("/logout/", "logout_confirm")
    typist.presses("Sign out")

    typist.sees("signed_out")


def test_a_stale_proof_is_renewed(site, strict_site, typists):
    ada = address()
    before = typists()
    before.comes_signed_in(ada)
    site.age_session(before.session_key, 60)
    site.forget_limits()
    typist = typists(strict_site, storage_state=before.context.storage_state())
    typist.opens("/login/step-up/?next=/members/", "step_up")
    typist.presses("Send me the code")
    typist.sees("wait")
    typist.types_at_once(site.message(ada, 2)["code"])

    expect(typist.page).to_have_url(path("/members/"))
