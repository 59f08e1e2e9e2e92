"""Every page in every state that it has: how a person gets there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Browser, expect

from tests.totp import code_of

from .authenticators import VirtualAuthenticator
from .people import Person, another_code
from .site import Site, address, number

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
WINDOWS_HELLO = "08987058-cadc-4b81-b6e1-30de50dcbe96"
#: Names that people gave, and the AAGUIDs of those who keep the passkeys.
KEEPERS = {
    "My phone": "fbfc3007-154e-4ecc-8c0b-6e020557d7bd",
    "The laptop at work, with a name that is rather long": WINDOWS_HELLO,
}


@dataclass
class Stage:
    """Where a state is brought about. ``strict`` says what ``strict_site`` is in conftest.py."""

    chromium: Browser
    site: Site
    strict: Site
    german: bool
    people: list[Person]

    def person(self, at: Site | None = None, **options: object) -> Person:
        if self.german:
            options = {"locale": "de-DE", **options}
        self.people.append(Person(self.chromium, at or self.site, **options))
        return self.people[-1]

    def guest_of(self, host: Person, at: Site | None = None) -> Person:
        """The same browser profile at another site."""
        return self.person(at, storage_state=host.context.storage_state())


@dataclass(frozen=True)
class State:
    name: str
    go: Callable[[Stage], Person]
    page: str = ""
    code: str = ""
    german: bool = False

    def __str__(self) -> str:
        return f"{self.name}_in_german" if self.german else self.name


STATES: list[State] = []


def state(page: str = "", code: str = "", *, german: bool = False) -> Callable:
    """A state of the page whose hook is ``page``, looked at in English, or in German as well: words are longer."""

    def keep(go: Callable[[Stage], Person]) -> Callable[[Stage], Person]:
        STATES.append(State(go.__name__, go, page, code))
        if german:
            STATES.append(State(go.__name__, go, page, code, german=True))
        return go

    return keep


# -- asking


@state("login", german=True)
def login(stage):
    person = stage.person()
    person.opens("/login/")
    return person


@state("login", "invalid_identifier", german=True)
def login_with_an_error(stage):
    person = stage.person()
    person.opens("/login/")
    person.page.locator("#identifier").fill("ada at example")
    person.page.keyboard.press("Enter")
    return person


@state("login", "invalid_identifier", german=True)
def login_country_asked_for(stage):
    """A number of a country that is not the language's, dialled as at home."""
    person = stage.person()
    person.opens("/login/")
    person.page.locator("#identifier").fill("079 123 45 67" if not stage.german else "0664 1234567")
    person.page.locator("#country").evaluate("select => { select.disabled = true; select.parentElement.hidden = true }")
    person.page.keyboard.press("Enter")
    return person


@state("login")
def login_number_typed(stage):
    person = stage.person()
    person.opens("/login/")
    person.page.locator("#identifier").press_sequentially("0151 2345")
    expect(person.page.locator("#country")).to_be_visible()
    return person


@state("login")
def login_signed_in(stage):
    person = _signed_in(stage)
    person.opens("/login/?next=/members/")
    return person


# -- waiting


@state("wait", german=True)
def wait_handed_over(stage):
    person, _ada = _waiting(stage)
    return person


@state("wait", german=True)
def wait_for_a_text_message(stage):
    person = stage.person()
    ada = number()
    person.asks(ada)
    stage.site.message(ada)
    person.page.reload()
    return person


@state("wait")
def wait_queued(stage):
    person, ada = _waiting(stage)
    stage.site.set_delivery(ada, "queued")
    person.page.reload()
    return person


@state("wait", german=True)
def wait_failed(stage):
    person, ada = _waiting(stage)
    stage.site.set_delivery(ada, "failed")
    stage.site.forget_limits()
    person.page.reload()
    return person


@state("wait", german=True)
def wait_delivered(stage):
    person, ada = _waiting(stage)
    stage.site.set_delivery(ada, "delivered")
    person.page.reload()
    return person


@state("wait", german=True)
def wait_come_back(stage):
    person, ada = _waiting(stage)
    stage.site.set_delivery(ada, "bounced")
    person.page.reload()
    return person


@state("wait", german=True)
def wait_for_a_marked_address(stage):
    person, ada = _waiting(stage)
    stage.site.mark(ada)
    person.page.reload()
    return person


@state("wait", "invalid_code", german=True)
def wait_with_a_wrong_code(stage):
    person, ada = _waiting(stage)
    person.code_field.fill(another_code(stage.site.message(ada)["code"]))
    person.page.keyboard.press("Enter")
    return person


@state("wait")
def wait_with_a_webmail(stage):
    return _waiting(stage, domain="gmail.com")[0]


@state("wait", german=True)
def wait_for_the_link_only(stage):
    person, ada = _waiting(stage, domain="gmail.com")
    stage.site.change_challenge(ada, accepts_code=False)
    person.page.reload()
    return person


@state("wait")
def wait_for_a_code_of_letters(stage):
    host, ada = _ada(stage)
    person = stage.guest_of(host, stage.strict)
    person.asks(ada)
    return person


@state("wait", german=True)
def wait_after_resend(stage):
    person, ada = _waiting(stage)
    stage.site.forget_limits()
    person.page.reload()
    person.page.locator("[data-resend]").click()
    stage.site.message(ada, 2)
    return person


@state("wait")
def wait_for_a_step_up(stage):
    person = step_up(stage)
    person.page.locator("main form button").first.click()
    return person


@state("wait")
def wait_with_a_long_address(stage):
    person, _ = _waiting(stage, name="a.very.long.name.that.somebody.really.has", domain="mail.department.example.org")
    return person


# -- the link


@state("link", german=True)
def link(stage):
    person, ada = _waiting(stage)
    public_id = stage.site.change_challenge(ada)
    # As after going back: the page does not go on by itself a second time.
    person.context.add_init_script(f"sessionStorage.setItem('passwordless-link:{public_id}', '1')")
    person.opens(stage.site.message(ada)["link"])
    return person


@state("link")
def link_that_no_browser_asked_for(stage):
    _asking, ada = _waiting(stage)
    stage.site.change_challenge(ada, browser_digest="")
    person = stage.person()
    person.opens(stage.site.message(ada)["link"])
    return person


@state("link_elsewhere", german=True)
def link_elsewhere(stage):
    return _elsewhere(stage)[0]


@state("link_elsewhere", "invalid_identifier", german=True)
def link_elsewhere_with_another_address(stage):
    person, _ada = _elsewhere(stage)
    person.page.locator("#identifier").fill("grace@example.com")
    person.page.locator("button[value=sign_in]").click()
    return person


@state("link_elsewhere")
def link_elsewhere_without_a_code(stage):
    person, ada = _elsewhere(stage)
    stage.site.change_challenge(ada, accepts_code=False)
    person.page.reload()
    return person


@state("link_elsewhere")
def link_elsewhere_of_a_step_up(stage):
    wait_for_a_step_up(stage)
    ada = stage.site.sql("SELECT canonical FROM passwordless_auth_challenge ORDER BY id DESC LIMIT 1")[0][0]
    person = stage.person(stage.strict)
    person.opens(stage.strict.message(ada, 2)["link"])
    return person


@state("denied", german=True)
def denied(stage):
    person, ada = _elsewhere(stage)
    person.page.locator("#identifier").fill(ada)
    person.page.locator("button[value=deny]").click()
    return person


# -- signed in


@state("account", german=True)
def account(stage):
    person = _signed_in(stage)
    person.opens("/account/")
    return person


@state("account")
def account_without_an_address(stage):
    host, ada = _ada(stage)
    stage.site.delete_identity(ada)
    host.opens("/account/")
    return host


@state("sessions")
def sessions_one(stage):
    person = _signed_in(stage)
    person.opens("/account/sessions/")
    return person


@state("sessions", german=True)
def sessions_many(stage):
    ada = address()
    for agent in (FIREFOX, IPHONE, "curl/8.14"):
        stage.person(user_agent=agent).comes_signed_in(ada)
        stage.site.forget_limits()
    return _opens_sessions(stage, ada)


def _opens_sessions(stage, ada):
    person = stage.person()
    person.comes_signed_in(ada)
    person.opens("/account/sessions/")
    return person


@state("step_up", german=True)
def step_up(stage):
    person = _stale(stage, _signed_in(stage))
    person.opens("/members/recent/")
    return person


# -- recovering


@state("recovery", german=True)
def recovery(stage):
    person = stage.person()
    person.opens("/login/recovery/?next=/members/")
    return person


@state("recovery", "invalid_code", german=True)
def recovery_with_a_wrong_code(stage):
    person = recovery(stage)
    _types_recovery_code(person, address(), "AAAA-BBBB-CCCC-DDDD")
    return person


@state("recovery")
def recovery_signed_in(stage):
    person = _signed_in(stage)
    person.opens("/login/recovery/")
    return person


@state("wait", german=True)
def wait_for_a_recovery(stage):
    ada = _ada(stage)[1]
    person = stage.person()
    person.opens("/login/recovery/")
    person.page.locator("#identifier").fill(ada)
    person.page.locator("button[value=send]").click()
    return person


@state("recovery_codes", german=True)
def recovery_codes(stage):
    person = _signed_in(stage)
    person.opens("/account/recovery-codes/")
    return person


@state("recovery_codes", german=True)
def recovery_codes_shown(stage):
    person = recovery_codes(stage)
    person.page.locator("button[value=make]").click()
    person.page.locator("[data-code]").first.wait_for()
    return person


@state("recovery_codes", german=True)
def recovery_codes_few(stage):
    person = recovery_codes_shown(stage)
    stage.site.sql(
        "UPDATE passwordless_auth_recoverycode SET used_at = created_at WHERE id NOT IN "
        "(SELECT id FROM passwordless_auth_recoverycode ORDER BY id DESC LIMIT 2)"
    )
    person.opens("/account/recovery-codes/")
    return person


@state("recovery_codes", german=True)
def recovery_codes_after_a_stale_proof(stage):
    person = _stale(stage, recovery_codes_few(stage))
    person.opens("/account/recovery-codes/")
    return person


@state("account", german=True)
def account_with_few_codes(stage):
    person = recovery_codes_few(stage)
    person.opens("/account/")
    return person


@state("passkeys", german=True)
def passkeys_recovered(stage):
    return _recovered(stage)


@state("login", german=True)
def login_recovered(stage):
    person = _recovered(stage)
    person.opens("/members/")
    return person


@state("account", german=True)
def account_recovered(stage):
    person = _recovered(stage)
    person.opens("/account/")
    return person


@state("passkeys", german=True)
def passkeys_recovered_and_added(stage):
    person = _recovered(stage)
    VirtualAuthenticator(person.page)
    person.page.locator("[data-passkey-add] button").click()
    person.page.locator("[data-step-up]").wait_for()
    return person


@state("error", "step_up_required")
def error_recovered(stage):
    person = _recovered(stage)
    person.opens("/account/sessions/")
    return person


def _recovered(stage: Stage) -> Person:
    host, ada = _ada(stage)
    host.opens("/account/recovery-codes/")
    host.page.locator("button[value=make]").click()
    code = host.page.locator("[data-code]").first.inner_text()
    person = stage.person()
    person.opens("/login/recovery/")
    _types_recovery_code(person, ada, code)
    person.sees("passkeys")
    return person


def _types_recovery_code(person: Person, ada: str, code: str) -> None:
    person.page.locator("#identifier").fill(ada)
    person.page.locator("#code").fill(code)
    person.page.keyboard.press("Enter")


# -- stepping up


def _with_app(stage):
    """Who has just set up an app, and their address."""
    person, ada = _ada(stage)
    person.opens("/account/totp/", "totp")
    person.page.locator("button[value=begin]").click()
    person.code_field.fill(code_of(key_in(person)))
    person.page.keyboard.press("Enter")
    expect(person.page.locator("a[href$='/totp/remove/']")).to_be_visible()
    return person, ada


def key_in(person):
    """The key behind the link beside the QR code."""
    uri = person.page.locator("a[href^='otpauth:']").get_attribute("href")
    return parse_qs(urlsplit(uri).query)["secret"][0]


@state("step_up", german=True)
def step_up_with_everything(stage):
    """A passkey, or the code of an app."""
    host, _address = _with_app(stage)
    VirtualAuthenticator(host.page)
    host.opens("/account/passkeys/", "passkeys")
    host.page.locator("[data-passkey-add] button").click()
    expect(host.page.locator("li.pa-card")).to_be_visible()
    person = _stale(stage, host)
    person.opens("/login/step-up/?level=multi&next=/members/")
    return person


@state("step_up", german=True)
def step_up_with_two_addresses(stage):
    person = _stale(stage, _ada_with_two(stage)[0])
    person.opens("/members/recent/")
    return person


@state("step_up", german=True)
def step_up_of_a_sign_in_that_waits(stage):
    _host, ada = _with_app(stage)
    stage.site.forget_limits()
    person = stage.person()
    person.asks(ada)
    person.types_code(stage.site.message(ada)["code"])
    return person


@state("step_up", "invalid_code")
def step_up_with_a_wrong_code(stage):
    person = step_up_of_a_sign_in_that_waits(stage)
    person.code_field.fill("000000")
    person.page.keyboard.press("Enter")
    return person


@state("step_up")
def step_up_to_a_first_passkey(stage):
    """The account asks for a passkey, and may add it while its sign-in waits."""
    ada = address()
    stage.person().comes_signed_in(ada)
    stage.site.sql(
        "UPDATE passwordless_auth_profile SET minimum_level = 'phr' WHERE user_id = (SELECT MAX(id) FROM auth_user)"
    )
    stage.site.forget_limits()
    person = stage.person()
    person.asks(ada)
    person.types_code(stage.site.message(ada)["code"])
    return person


@state("error", "expired")
def step_up_too_late(stage):
    person = step_up_of_a_sign_in_that_waits(stage)
    stage.site.sql("UPDATE passwordless_auth_signin SET pending_until = '2026-01-01' WHERE pending_until IS NOT NULL")
    person.page.reload()
    return person


@state("resume")
def resume(stage):
    """As long as its script has not come: then it is gone."""
    person, url = _form_that_waits(stage, {"note": "x"})
    person.page.route("**/resume.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
    person.opens(url)
    return person


@state("resume")
def resume_of_what_was_too_much(stage):
    person, url = _form_that_waits(stage, {"note": "x" * 70_000})
    person.opens(url)
    return person


def _form_that_waits(stage, fields):
    """Who sent a form and has to confirm that it is them, and where it is kept."""
    person = _stale(stage, _signed_in(stage))
    person.opens("/members/recent/", "step_up")
    send_form(person, "/members/recent/", fields)
    person.page.wait_for_url("**/login/step-up/*resume*")
    return person, parse_qs(urlsplit(person.page.url).query)["next"][0]


def send_form(person, path, fields):
    """Send a form of the site's own, which the example has none of."""
    person.page.evaluate(
        """([path, fields]) => {
          const form = Object.assign(document.createElement("form"), { method: "post", action: path });
          const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
          for (const [name, value] of Object.entries({ ...fields, csrfmiddlewaretoken: token })) {
            form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
          }
          document.body.append(form);
          HTMLFormElement.prototype.submit.call(form);
        }""",
        [path, fields],
    )


@state("totp", german=True)
def totp(stage):
    person = _signed_in(stage)
    person.opens("/account/totp/")
    return person


@state("totp", german=True)
def totp_setup(stage):
    person = totp(stage)
    person.page.locator("button[value=begin]").click()
    expect(person.page.locator(".pa-qr")).to_be_visible()
    return person


@state("totp", "invalid_code")
def totp_setup_with_a_wrong_code(stage):
    person = totp_setup(stage)
    person.code_field.fill("000000")
    person.page.keyboard.press("Enter")
    return person


@state("totp")
def totp_added(stage):
    person = totp_setup(stage)
    person.code_field.fill(code_of(key_in(person)))
    person.page.keyboard.press("Enter")
    expect(person.page.locator("a[href$='/totp/remove/']")).to_be_visible()
    return person


@state("totp", german=True)
def totp_remove(stage):
    person = totp_added(stage)
    person.page.locator("a[href$='/totp/remove/']").click()
    expect(person.page.locator("button[value=remove]")).to_be_visible()
    return person


@state("logout_confirm", german=True)
def logout_confirm(stage):
    person = _signed_in(stage)
    person.opens("/logout/")
    return person


@state("signed_out", german=True)
def signed_out(stage):
    person = logout_confirm(stage)
    person.page.locator("button[name=allow]").click()
    return person


@state("signed_out")
def signed_out_everywhere(stage):
    person = sessions_one(stage)
    person.page.locator("button[value=everywhere]").click()
    return person


# -- passkeys


@state("login", german=True)
def login_with_a_passkey_refused(stage):
    person = stage.person()
    person.opens("/login/")
    person.page.locator("#identifier").fill("ada@example")
    person.page.locator("[data-passkey-button]").click()
    expect(person.page.get_by_role("alert")).to_be_visible()
    return person


@state("login")
def login_after_a_dialog_was_stopped(stage):
    person = stage.person()
    VirtualAuthenticator(person.page, isUserVerified=False)
    person.opens("/login/")
    person.page.locator("[data-passkey-button]").click()
    expect(person.page.locator("[data-passkey-said]")).not_to_be_empty()
    return person


@state("enrol", german=True)
def offer_to_a_new_account(stage):
    return _offered(stage)[0]


@state("enrol")
def offer_after_a_sign_in(stage):
    person, _device = _offered(stage)
    person.opens("/account/passkeys/offer/")
    return person


@state("enrol")
def offer_whose_dialog_was_stopped(stage):
    person, device = _offered(stage)
    device.recognises(False)
    person.page.locator("[data-passkey-button]").click()
    expect(person.page.locator("[data-passkey-said]")).not_to_be_empty()
    return person


@state("passkeys", german=True)
def passkeys_none(stage):
    person, _device = _offered(stage)
    person.opens("/account/passkeys/")
    return person


@state("passkeys")
def passkeys_none_and_too_late(stage):
    person, _device = _offered(stage)
    stage.site.age_session(person.session_key, 601)
    person.opens("/account/passkeys/")
    return person


@state("passkeys")
def passkeys_of_a_session_by_code(stage):
    person, _device = _with_a_passkey(stage)
    person.opens("/account/passkeys/")
    return person


@state("passkeys", german=True)
def passkeys_many(stage):
    person, device = _strong(stage)
    for name, keeper in KEEPERS.items():
        device.remove()
        synced = keeper != WINDOWS_HELLO
        device = VirtualAuthenticator(person.page, defaultBackupEligibility=synced, defaultBackupState=synced)
        person.opens("/account/passkeys/", "passkeys")
        person.page.locator("[data-passkey-add] button").click()
        expect(person.page.locator("main > [role=status]")).to_be_visible()
        stage.site.sql(
            "UPDATE passwordless_auth_passkey SET aaguid = ?, name = ? "
            "WHERE id = (SELECT MAX(id) FROM passwordless_auth_passkey)",
            keeper,
            name,
        )
    person.opens("/account/passkeys/")
    person.page.locator("a[href*='action=block']").last.click()
    person.page.locator("button[value=block]").click()
    return person


@state("passkeys")
def passkeys_all_blocked(stage):
    person, _device = _with_a_passkey(stage)
    stage.site.sql("UPDATE passwordless_auth_passkey SET confirmed = 0, blocked_at = created_at")
    person.opens("/account/passkeys/")
    return person


@state("passkeys", "last_way_in", german=True)
def passkeys_last_way_in(stage):
    person, _device = _strong(stage)
    stage.site.delete_identity(stage.site.newest_user())
    person.opens("/account/passkeys/")
    person.page.locator("a[href*='action=remove']").click()
    person.page.locator("button[value=remove]").click()
    return person


@state("error", "unknown_credential")
def error_unknown_credential(stage):
    person, _device = _strong(stage)
    person.opens("/account/passkeys/change/?action=remove&passkey=nothing")
    return person


@state("passkeys", german=True)
def passkey_rename(stage):
    person, _device = _strong(stage)
    person.opens("/account/passkeys/")
    person.page.locator("a[href*='action=rename']").click()
    expect(person.page.locator("#name")).to_be_visible()
    return person


@state("passkeys", german=True)
def passkey_block(stage):
    person, _device = _strong(stage)
    person.opens("/account/passkeys/")
    person.page.locator("a[href*='action=block']").click()
    expect(person.page.locator("button[value=block]")).to_be_visible()
    return person


@state("passkeys")
def passkey_remove(stage):
    person, _device = _strong(stage)
    person.opens("/account/passkeys/")
    person.page.locator("a[href*='action=remove']").click()
    expect(person.page.locator("button[value=remove]")).to_be_visible()
    return person


@state("step_up", german=True)
def step_up_by_a_passkey(stage):
    person, _device = _with_a_passkey(stage)
    person.opens("/account/passkeys/")
    person.page.locator("a[href*='action=remove']").click()
    return person


# -- another device


@state("other_device", german=True)
def other_device(stage):
    person, _device = _strong(stage)
    person.opens("/account/passkeys/other-device/")
    return person


@state("other_device", german=True)
def other_device_shown(stage):
    return _shows_code(stage)[0]


@state("other_device", german=True)
def other_device_claimed(stage):
    person, phone = _claimed(stage)
    expect(person.page.locator("#number")).to_be_visible()
    phone.page.close()
    return person


@state("other_device", "invalid_code", german=True)
def other_device_with_a_wrong_number(stage):
    person, phone = _claimed(stage)
    number = phone.page.locator(".pa-number").inner_text()
    person.page.locator("#number").fill(another_code(number))
    person.page.keyboard.press("Enter")
    return person


@state("other_device")
def other_device_approved(stage):
    return _approved(stage)[0]


@state("other_device")
def other_device_added(stage):
    person, _phone = _added(stage)
    person.page.reload()
    return person


@state("other_device", german=True)
def other_device_stopped(stage):
    person, _phone = _claimed(stage)
    person.page.locator("button[value=deny]").click()
    expect(person.page.locator("form [role=status]")).to_be_visible()
    return person


@state("enrol", german=True)
def enrol(stage):
    return _scans(stage)[1]


@state("enrol")
def enrol_of_somebody_who_is_signed_in_as_another(stage):
    _person, link = _shows_code(stage)
    other = _signed_in(stage)
    other.opens(link)
    return other


@state("enrol", german=True)
def enrol_claimed(stage):
    return _claimed(stage)[1]


@state("enrol", german=True)
def enrol_approved(stage):
    return _approved(stage)[1]


@state("enrol", german=True)
def enrol_added(stage):
    return _added(stage)[1]


@state("error", "wrong_browser")
def error_same_browser(stage):
    person, link = _shows_code(stage)
    person.opens(link)
    return person


# -- this wasn't me


@state("report", german=True)
def report(stage):
    _strong(stage)
    reader = stage.person(user_agent=IPHONE)
    added = "Passkey" if stage.german else "A passkey was added"
    reader.opens(stage.site.message(stage.site.newest_user(), about=added)["link"])
    return reader


@state("report", german=True)
def report_done(stage):
    reader = report(stage)
    reader.page.locator("main form button").click()
    expect(reader.page.locator("main [role=status]")).to_be_visible()
    return reader


# -- addresses


@state("identities", german=True)
def identities(stage):
    person, _ada = _ada_with_two(stage)
    return person


@state("identities", "invalid_identifier")
def identities_with_an_error(stage):
    person = _signed_in(stage)
    person.opens("/account/identities/")
    person.page.locator("#identifier").fill("ada at work")
    person.page.keyboard.press("Enter")
    return person


@state("wait", german=True)
def wait_for_an_address(stage):
    person = _signed_in(stage)
    _asks_to_add(person, address("work"))
    return person


@state("link_elsewhere")
def link_elsewhere_of_an_address(stage):
    person = _signed_in(stage)
    work = address("work")
    _asks_to_add(person, work)
    stranger = stage.person()
    stranger.opens(stage.site.message(work)["link"])
    return stranger


@state("identities", german=True)
def identities_offering_to_link(stage):
    return _offers_to_link(stage)


@state("identities")
def identities_linked(stage):
    person = _offers_to_link(stage)
    person.page.locator("button[value=link]").click()
    expect(person.page.locator("[data-offer]")).to_have_count(0)
    return person


@state("identities", german=True)
def identity_change(stage):
    person, _ada = _ada_with_two(stage)
    person.page.locator("a[href*='change/']").last.click()
    expect(person.page.locator("button[value=remove]")).to_be_visible()
    return person


@state("identities", german=True)
def identity_change_of_a_linked_one(stage):
    person = identities_linked(stage)
    person.page.locator("a[href*='change/']").last.click()
    expect(person.page.locator("button[value=unlink]")).to_be_visible()
    return person


@state("identities")
def identity_change_of_the_main_one(stage):
    person, _ada = _ada_with_two(stage)
    person.page.locator("a[href*='change/']").first.click()
    expect(person.page.locator("button[value=uses]")).to_be_visible()
    return person


@state("error", "primary_identity")
def error_primary_identity(stage):
    person, _ada = _ada_with_two(stage)
    person.page.locator("a[href*='change/']").first.click()
    named = person.page.locator("[name=identity]").first.input_value()
    person.opens("/account/identities/")
    person.page.locator("main form").last.evaluate(
        """(form, named) => {
          form.identifier.value = "a@example.com";
          form.insertAdjacentHTML("beforeend", `<input name="identity" value="${named}"><button name="action" value="remove">`);
          form.lastElementChild.click();
        }""",
        named,
    )
    return person


@state("error", "identity_taken", german=True)
def error_identity_taken(stage):
    other, _device = _strong(stage)
    guarded = stage.site.newest_user()
    other.close()
    stage.people.remove(other)
    person = _signed_in(stage)
    _asks_to_add(person, guarded)
    about = "hinzu" if stage.german else "adds this address"
    person.types_code(stage.site.message(guarded, about=about)["code"])
    return person


@state("report", german=True)
def report_of_an_address(stage):
    _person, ada = _ada_with_two(stage)
    about = "eine Adresse hinzugefügt" if stage.german else "An address was added"
    reader = stage.person(user_agent=IPHONE)
    reader.opens(stage.site.message(ada, about=about)["link"])
    return reader


@state("report", german=True)
def report_of_an_address_done(stage):
    reader = report_of_an_address(stage)
    reader.page.locator("main form button").click()
    expect(reader.page.locator("main [role=status]")).to_be_visible()
    return reader


# -- refusals


@state("error", "invalid_code")
def error_invalid_code(stage):
    person = stage.person()
    person.opens("/login/link/not-a-link/")
    return person


@state("error", "expired", german=True)
def error_expired(stage):
    person, ada = _waiting(stage)
    stage.site.expire(ada)
    person.page.reload()
    return person


@state("error", "spent")
def error_spent(stage):
    asking, ada = _waiting(stage)
    person = stage.guest_of(asking)
    asking.code_field.fill(stage.site.message(ada)["code"])
    asking.page.keyboard.press("Enter")
    asking.sees("account")
    person.opens(stage.site.message(ada)["link"])
    return person


@state("error", "superseded")
def error_superseded(stage):
    person, ada = _waiting(stage)
    old = person.page.url
    stage.site.forget_limits()
    person.asks(ada)
    person.opens(old)
    return person


@state("error", "too_many_tries")
def error_too_many_tries(stage):
    person, ada = _waiting(stage)
    for left in (2, 1, 0):
        person.code_field.fill(another_code(stage.site.message(ada)["code"]))
        person.page.keyboard.press("Enter")
        if left:
            expect(person.page.get_by_text(f"{left} tr")).to_be_visible()
    return person


@state("error", "too_many_requests", german=True)
def error_too_many_requests(stage):
    person, ada = _waiting(stage)
    person.opens("/login/")
    person.page.locator("#identifier").fill(ada)
    person.page.keyboard.press("Enter")
    return person


@state("error", "too_many_requests")
def error_too_many_requests_for_hours(stage):
    _asking, ada = _waiting(stage)
    later = datetime.now(UTC) + timedelta(hours=7)
    stage.site.sql(
        "UPDATE passwordless_auth_counter SET count = 10, resets_at = ? WHERE period = 86400",
        f"{later:%Y-%m-%d %H:%M:%S}",
    )
    person = stage.person()
    person.opens("/login/")
    person.page.locator("#identifier").fill(ada)
    person.page.keyboard.press("Enter")
    person.sees("error")
    stage.site.forget_limits()
    return person


@state("error", "wrong_browser")
def error_wrong_browser(stage):
    asking, _ada = _waiting(stage)
    person = stage.person()
    person.opens(asking.page.url)
    return person


@state("error", "wrong_browser")
def error_no_link(stage):
    person = stage.person()
    person.opens("/login/link/")
    return person


@state("error", "stale_page", german=True)
def error_stale_page(stage):
    person, _grace = _waiting(stage)
    # In another tab somebody signs in, which gives this browser another token.
    person.context.clear_cookies(name="csrftoken")
    person.code_field.fill("000000")
    person.page.keyboard.press("Enter")
    return person


@state("error", "sign_up_closed")
def error_sign_up_closed(stage):
    asking, ada = _waiting(stage)
    public_id = stage.site.change_challenge(ada)
    person = stage.guest_of(asking, stage.strict)
    person.opens(f"/login/wait/?challenge={public_id}")
    person.code_field.fill(stage.site.message(ada)["code"])
    person.page.keyboard.press("Enter")
    return person


@state("error", "disabled")
def error_disabled(stage):
    person, ada = _ada(stage)
    stage.site.forget_limits()
    person.asks(ada)
    code = stage.site.message(ada, 2)["code"]
    stage.site.sql("UPDATE auth_user SET is_active = 0 WHERE email = ?", ada)
    person.code_field.fill(code)
    person.page.keyboard.press("Enter")
    return person


@state("step_up", "step_up_required")
def step_up_with_nothing_to_confirm_with(stage):
    person, ada = _ada(stage)
    stage.site.delete_identity(ada)
    stage.site.age_session(person.session_key, 3600)
    person.opens("/login/step-up/?next=/members/recent/")
    return person


# -- the example's own pages


@state(german=True)
def example_home(stage):
    person = stage.person()
    person.opens("/")
    return person


@state()
def example_home_signed_in(stage):
    person = _signed_in(stage)
    person.opens("/")
    return person


@state()
def example_members(stage):
    person = _signed_in(stage)
    person.opens("/members/")
    return person


@state()
def example_recent(stage):
    person = _signed_in(stage)
    person.opens("/members/recent/")
    return person


@state()
def example_inbox(stage):
    person, _ada = _waiting(stage)
    person.opens("/inbox/")
    return person


@state()
def example_inbox_message(stage):
    person, ada = _waiting(stage)
    person.opens(f"/inbox/{stage.site.message(ada)['id']}/")
    return person


@state()
def example_inbox_empty(stage):
    person = stage.person()
    person.opens("/inbox/?to=nobody@example.com")
    return person


@state()
def example_not_found(stage):
    person = stage.person()
    person.opens("/nothing/")
    return person


@state("error", "no_access")
def example_not_for_you(stage):
    person = _signed_in(stage)
    person.opens("/admin/login/")
    return person


# -- how they begin


def _waiting(stage: Stage, *, name: str = "ada", domain: str = "example.com") -> tuple[Person, str]:
    person, ada = stage.person(), address(name, domain)
    person.opens("/login/")
    person.page.locator("#identifier").fill(ada)
    person.page.keyboard.press("Enter")
    person.sees("wait")
    stage.site.message(ada)
    person.page.reload()  # which says what has become of the message
    expect(person.page.locator("[data-delivery]")).to_have_attribute("data-state", "handed_over")
    return person, ada


def _ada(stage: Stage) -> tuple[Person, str]:
    person, ada = stage.person(), address("ada")
    person.comes_signed_in(ada)
    stage.site.forget_limits()
    return person, ada


def _asks_to_add(person: Person, added: str) -> None:
    person.opens("/account/identities/")
    person.page.locator("#identifier").fill(added)
    person.page.keyboard.press("Enter")
    person.sees("wait")


def _ada_with_two(stage: Stage) -> tuple[Person, str]:
    """Somebody who has just added a second address."""
    person, ada = _ada(stage)
    work = address("work")
    _asks_to_add(person, work)
    person.types_code(stage.site.message(work)["code"])
    person.sees("identities")
    return person, ada


def _offers_to_link(stage: Stage) -> Person:
    """Somebody who has two accounts, and has proven the address of one while signed in to the other."""
    other, ada = _ada(stage)
    other.close()
    stage.people.remove(other)
    person, _second = _ada(stage)
    _asks_to_add(person, ada)
    person.types_code(stage.site.message(ada, 2)["code"])
    person.sees("identities")
    expect(person.page.locator("[data-offer]")).to_be_visible()
    return person


def _signed_in(stage: Stage) -> Person:
    return _ada(stage)[0]


def _stale(stage: Stage, host: Person) -> Person:
    """The same person at the strict site, where what they proved is by now too old."""
    stage.site.age_session(host.session_key, 60)
    return stage.guest_of(host, stage.strict)


def _offered(stage: Stage) -> tuple[Person, VirtualAuthenticator]:
    """Somebody who has just signed up, at a browser that can make passkeys, and is offered one."""
    person, ada = stage.person(), address()
    device = VirtualAuthenticator(person.page)
    person.opens("/login/")
    person.page.locator("#identifier").fill(ada)
    person.page.keyboard.press("Enter")
    person.sees("wait")
    person.types_code(stage.site.message(ada)["code"])
    person.sees("enrol")
    return person, device


def _with_a_passkey(stage: Stage) -> tuple[Person, VirtualAuthenticator]:
    person = _signed_in(stage)
    device = VirtualAuthenticator(person.page)
    person.opens("/account/passkeys/offer/", "enrol")
    person.page.locator("[data-passkey-button]").click()
    person.sees("account")
    return person, device


def _strong(stage: Stage) -> tuple[Person, VirtualAuthenticator]:
    """Somebody who has just signed in with a passkey."""
    person, device = _with_a_passkey(stage)
    person.context.clear_cookies()
    person.opens("/login/")
    person.sees("account")
    return person, device


def _shows_code(stage: Stage) -> tuple[Person, str]:
    """Somebody who shows the code for another device, and the link that is in it."""
    person, _device = _strong(stage)
    person.opens("/account/passkeys/other-device/")
    person.page.locator("button[value=start]").click()
    return person, person.page.locator("#link").input_value()


def _scans(stage: Stage) -> tuple[Person, Person]:
    person, link = _shows_code(stage)
    phone = stage.person(user_agent=IPHONE)
    phone.opens(link)
    return person, phone


def _claimed(stage: Stage) -> tuple[Person, Person]:
    person, phone = _scans(stage)
    phone.page.locator("main form button").click()
    expect(phone.page.locator(".pa-number")).to_be_visible()
    return person, phone


def _approved(stage: Stage) -> tuple[Person, Person]:
    person, phone = _claimed(stage)
    number = phone.page.locator(".pa-number").inner_text()
    person.page.locator("#number").fill(number)
    person.page.keyboard.press("Enter")
    expect(phone.page.locator("[data-passkey-add]")).to_be_visible()
    return person, phone


def _added(stage: Stage) -> tuple[Person, Person]:
    person, phone = _approved(stage)
    VirtualAuthenticator(phone.page)
    phone.page.locator("[data-passkey-button]").click()
    expect(phone.page.locator("[data-passkey-sign-in]")).to_be_visible()
    return person, phone


def _elsewhere(stage: Stage) -> tuple[Person, str]:
    _asking, ada = _waiting(stage)
    person = stage.person()
    person.opens(stage.site.message(ada)["link"])
    return person, ada


# -- applications


def _client(stage, name, *more):
    """An application of that name, at the site itself. Returns where its people are sent to sign in, and to sign out."""
    home = f"{stage.site.url}/members/"
    client_id = name.lower().replace(" ", "-")
    addresses = ("--redirect-uri", home, "--post-logout-redirect-uri", home)
    stage.site.manage("create_oidc_client", "--client-id", client_id, "--name", name, *addresses, "--no-pkce", *more)
    query = {"client_id": client_id, "redirect_uri": home, "response_type": "code"}
    out = {"client_id": client_id, "post_logout_redirect_uri": home}
    return f"/openid/authorize?{urlencode(query)}", f"/openid/logout?{urlencode(out)}"


@state("applications")
def applications_none(stage):
    person = _signed_in(stage)
    person.opens("/account/applications/")
    return person


@state("applications", german=True)
def applications_many(stage):
    person = _signed_in(stage)
    for name, scope in (
        ("Calendar", "openid"),
        ("The library of the town with a name that is rather long", "openid profile email phone offline_access"),
    ):
        sign_in, _sign_out = _client(stage, name)
        person.opens(f"{sign_in}&{urlencode({'scope': scope})}", "consent")
        person.page.locator("button[name=allow]").click()
        person.page.wait_for_url("**/members/**")
    person.opens("/account/applications/")
    return person


@state("logout_confirm", german=True)
def logout_for_an_application(stage):
    _sign_in, sign_out = _client(stage, "Calendar")
    person = _signed_in(stage)
    person.opens(sign_out)
    return person


@state("logout_confirm", german=True)
def logout_for_an_application_that_asks_wrongly(stage):
    person = _signed_in(stage)
    person.opens("/openid/logout?post_logout_redirect_uri=https%3A%2F%2Felsewhere.example%2F")
    return person


# -- signing in for an application


@state("login", german=True)
def login_for_an_application(stage):
    sign_in, _sign_out = _client(stage, "Calendar")
    person = stage.person()
    person.opens(f"{sign_in}&scope=openid")
    return person


@state("consent", german=True)
def consent(stage):
    sign_in, _sign_out = _client(stage, "Calendar")
    person = _signed_in(stage)
    person.opens(f"{sign_in}&{urlencode({'scope': 'openid profile email phone address avatar offline_access'})}")
    return person


@state("consent")
def consent_to_nothing_but_the_name(stage):
    sign_in, _sign_out = _client(stage, "The library of the town with a name that is rather long")
    person = _signed_in(stage)
    person.opens(f"{sign_in}&scope=openid")
    return person


@state("step_up")
def step_up_for_an_application(stage):
    sign_in, _sign_out = _client(stage, "Calendar")
    person = _signed_in(stage)
    person.opens(f"{sign_in}&{urlencode({'scope': 'openid', 'prompt': 'login'})}")
    return person


@state("select_account", german=True)
def select_account(stage):
    sign_in, _sign_out = _client(stage, "Calendar")
    person = _signed_in(stage)
    person.comes_signed_in(address("somebody-else-with-a-long-name"))
    person.opens(f"{sign_in}&{urlencode({'scope': 'openid', 'prompt': 'select_account'})}")
    return person


@state("error", german=True)
def error_of_an_application(stage):
    person = stage.person()
    person.opens("/openid/authorize?client_id=nobody")
    return person
