"""What a notice calls "this wasn't me": its link, its page, and what one press does."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from passwordless_auth import signals
from passwordless_auth.flows import notices, operator
from passwordless_auth.models import Challenge, Delivery, Event, Identity, Passkey, Profile, RecoveryCode, SignIn, Totp
from passwordless_auth.requester import Requester
from passwordless_auth.testing import add_recovery_codes, outbox
from passwordless_auth.testing.authenticator import Authenticator
from tests.conftest import Browser
from tests.passkeys import asked_to_register, register, sign_in, with_passkey

from .pages import Page

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
REPORT = "/login/report/"
DAY = 86400


def last_change(to):
    """The newest notice that tells of a change, and not of a sign-in with a new browser, as thieves make them, too."""
    outbox.send_queued()
    mails = [message for message in mail.outbox if to in message.to]
    return [message for message in mails if not message.subject.startswith("New sign-in")][-1]


def report_link(to=ADA):
    """The path of the link in the newest notice, of those that tell of a change."""
    found = re.search(r"^http://testserver(/login/report/\S+)$", last_change(to).body, re.M)
    assert found, last_change(to).body
    return found[1]


def opens(browser, link):
    response = browser.get(link)
    assert (response.status_code, response["Location"]) == (303, REPORT), response.content
    return Page(browser.get(REPORT))


def presses(browser, page):
    """Press the button of the page; returns the page that follows."""
    response = browser.submit(REPORT, page.forms[0].fields)
    assert response.status_code == 303, response.content
    return Page(browser.get(response["Location"]))


def reports(browser, link):
    return presses(browser, opens(browser, link))


@pytest.fixture
def owner():
    """A third browser: where the owner reads mail."""
    return Browser(HTTP_USER_AGENT="Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18 Safari/605.1.15")


@pytest.fixture
def thief(other_browser):
    return other_browser


@pytest.fixture
def ada(browser):
    """Ada has a passkey, which is on her authenticator, and is signed in with it."""
    authenticator = with_passkey(browser)
    assert sign_in(browser, authenticator).status_code == 200
    return authenticator


def steals_session(thief, victim):
    thief.cookies["sessionid"] = victim.cookies["sessionid"].value
    assert thief.who()["authenticated"]


@pytest.fixture
def stolen(browser, thief, ada):
    """With Ada's session, a thief has added a passkey, and signed in with it. The thief's authenticator."""
    steals_session(thief, browser)
    authenticator, response = register(thief, Authenticator(), query="?name=Mine")
    assert response.status_code == 200, response.content
    thief.cookies.clear()
    assert sign_in(thief, authenticator).status_code == 200
    return authenticator


# -- the page


def test_the_page_says_what_changed_from_where_and_what_a_press_does(owner, stolen):
    page = opens(owner, report_link())

    assert (page.status, page.name, page.code) == (200, "report", "")
    assert "A passkey was added to your account at Testserver" in page.words
    assert "Mine" in page.words
    assert "Firefox on Linux" in page.words
    assert "a•••@" in page.words
    assert ADA not in page.words
    assert "This passkey is blocked" in page.words
    assert "For 24 hours" in page.words


def test_opening_it_changes_nothing(owner, stolen):
    """Mail scanners open links, and follow them."""
    before = [list(model.objects.values()) for model in (Challenge, Passkey, SignIn, Profile)]
    link = report_link()

    for _ in range(3):
        assert opens(owner, link).status == 200
        assert owner.head(REPORT).status_code == 200

    assert [list(model.objects.values()) for model in (Challenge, Passkey, SignIn, Profile)] == before


def test_the_token_leaves_the_address_bar(owner, stolen):
    link = report_link()
    hop = owner.get(link)

    cookie = hop.cookies["passwordless_report"]
    assert cookie.value in link
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (REPORT, True, "Lax")
    page = owner.get(REPORT)
    assert cookie.value not in page.content.decode()
    for response in (hop, page):
        assert response["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
        assert "no-store" in response["Cache-Control"]


# -- the press


def test_one_press_refuses_the_passkey_and_ends_its_sessions(owner, thief, stolen):
    page = reports(owner, report_link())

    assert (page.status, page.name) == (200, "report")
    assert "Changes are stopped" in page.words
    assert "Passkey “Mine”" in page.words
    assert Passkey.objects.get(name="Mine").is_blocked
    assert not thief.who()["authenticated"]
    assert sign_in(thief, stolen).json()["error"] == "credential_blocked"


def test_it_ends_the_session_that_added_it_and_leaves_the_owners_own_way_in(owner, browser, ada, stolen):
    reports(owner, report_link())

    assert not browser.who()["authenticated"], "the stolen session is this one"
    assert sign_in(browser, ada).status_code == 200


@pytest.mark.parametrize(
    ("passkey", "codes", "said", "offered"),
    [
        (True, True, "Sign in with a passkey of yours, or with a recovery code.", {"passkey", "code"}),
        (True, False, "Sign in with a passkey of yours. Until", {"passkey"}),
        (False, True, "Sign in with a recovery code. Until", {"code", "sign_in"}),
        (False, False, "Your account has no passkey that works, and no recovery code.", {"sign_in"}),
    ],
)
def test_the_page_after_it_leads_to_what_the_account_has(owner, stolen, passkey, codes, said, offered):
    Passkey.objects.exclude(name="Mine").update(confirmed=passkey, blocked_at=None if passkey else timezone.now())
    if codes:  # older than what was reported, which takes younger ones with it
        add_recovery_codes(User.objects.get())
        RecoveryCode.objects.update(created_at=timezone.now() - timedelta(days=1))
    page = reports(owner, report_link())

    assert said in page.words
    labels = {"passkey": "Sign in with a passkey", "code": "Use a recovery code", "sign_in": "Go to sign-in"}
    assert {name for name, label in labels.items() if label in page.next_steps} == offered


def test_other_sessions_go_on(owner, ada, stolen):
    laptop = Browser()
    assert sign_in(laptop, ada).status_code == 200

    reports(owner, report_link())

    assert laptop.who()["authenticated"]


def test_what_the_thief_added_with_it_goes_too(owner, thief, stolen):
    link = report_link()
    second, response = register(thief, Authenticator(), query="?name=Second")
    assert response.status_code == 200, response.content
    thief.cookies.clear()
    sign_in(thief, second)

    reports(owner, link)

    assert {row.name for row in Passkey.objects.filter(confirmed=False)} == {"Mine", "Second"}
    assert not thief.who()["authenticated"]


def test_what_the_owner_added_before_in_the_same_session_stays(clock, owner, browser, thief, ada):
    _mine, response = register(browser, Authenticator(), query="?name=Own")
    assert response.status_code == 200
    clock.shift(60)
    steals_session(thief, browser)
    register(thief, Authenticator(), query="?name=Mine")

    reports(owner, report_link())

    assert {row.name for row in Passkey.objects.filter(confirmed=False)} == {"Mine"}


def test_a_passkey_that_is_the_last_way_in_is_blocked_all_the_same(owner, browser):
    with_passkey(browser)
    link = report_link()
    Identity.objects.update(for_sign_in=False)

    page = reports(owner, link)

    assert page.status == 200
    assert Passkey.objects.get().is_blocked
    assert not browser.who()["authenticated"]


def test_who_presses_in_the_reported_session_is_signed_out(browser, ada):
    register(browser, Authenticator())

    page = reports(browser, report_link())

    assert "Changes are stopped" in page.words
    assert not browser.who()["authenticated"]


def test_somebody_else_who_is_signed_in_stays_so(stolen):
    eve = Browser()
    eve.sign_in("eve@example.com")

    reports(eve, report_link())

    assert eve.who()["user"]["email"] == "eve@example.com"
    assert Profile.objects.get(user__email="eve@example.com").frozen_at is None
    assert Passkey.objects.get(name="Mine").is_blocked


def test_every_proven_address_is_told(owner, stolen):
    ada = User.objects.get()
    proven = {"user": ada, "kind": "email", "proven_at": timezone.now()}
    Identity.objects.create(canonical="ada@work.example", **proven)
    Identity.objects.create(canonical="not@proven.example", user=ada, kind="email")
    link = report_link()

    reports(owner, link)
    outbox.send_queued()

    stopped = [message for message in mail.outbox if "are stopped" in message.subject]
    assert {to for message in stopped for to in message.to} == {ADA, "ada@work.example"}
    assert "“Mine” is blocked" in stopped[0].body
    assert "24 hours" in stopped[0].body
    assert "Safari on macOS" in stopped[0].body
    assert "/login/report/" not in stopped[0].body + str(stopped[0].alternatives)


def test_it_is_written_down_and_told_to_receivers(owner, stolen, django_capture_on_commit_callbacks):
    told = []

    def receive(sender, authenticator, **kwargs):
        told.append(authenticator.name)

    signals.authenticator_blocked.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            reports(owner, report_link())
    finally:
        signals.authenticator_blocked.disconnect(receive)

    event = Event.objects.get(kind="changes_stopped")
    assert event.user.email == ADA
    assert event.data["reported"] == "passkey_added"
    assert event.masked != ADA
    assert Event.objects.filter(kind="passkey_blocked").count() == 1
    assert told == ["Mine"]


# -- used once


def test_a_second_press_is_harmless_and_says_so(owner, thief, stolen):
    link = report_link()
    first = opens(owner, link)
    presses(owner, first)
    sent = Delivery.objects.count()
    frozen_at = Profile.objects.get().frozen_at

    again = presses(owner, first)

    assert "Pressing again has changed nothing" in again.words
    assert (again.status, again.name) == (200, "report")
    assert Delivery.objects.count() == sent
    assert Profile.objects.get().frozen_at == frozen_at
    assert Event.objects.filter(kind="changes_stopped").count() == 1


def test_the_used_link_shows_in_any_browser_what_was_done(owner, thief, stolen):
    link = report_link()
    reports(owner, link)

    page = opens(Browser(), link)

    assert "Changes are stopped" in page.words
    assert not page.forms


def test_a_passkey_that_was_unblocked_later_is_not_blocked_again_by_the_old_message(owner, stolen):
    link = report_link()
    page = opens(owner, link)
    presses(owner, page)
    Passkey.objects.unblock()

    presses(owner, page)

    assert not Passkey.objects.get(name="Mine").is_blocked


def test_each_message_has_a_report_of_its_own(owner, browser, ada):
    register(browser, Authenticator(), query="?name=One")
    first = report_link()
    register(browser, Authenticator(), query="?name=Two")
    second = report_link()

    reports(owner, second)
    assert not Passkey.objects.get(name="One").is_blocked
    reports(owner, first)
    assert Passkey.objects.get(name="One").is_blocked


def test_a_page_for_another_message_is_shown_again_before_anything_happens(owner, browser, ada):
    register(browser, Authenticator(), query="?name=One")
    page = opens(owner, report_link())
    register(browser, Authenticator(), query="?name=Two")
    opens(owner, report_link())

    shown = Page(owner.submit(REPORT, page.forms[0].fields))

    assert "Two" in shown.words
    assert shown.forms
    assert not Passkey.objects.filter(confirmed=False).exists()


# -- freeze


def test_changes_are_stopped_for_who_was_there_before(owner, ada, stolen):
    laptop = Browser()
    assert sign_in(laptop, ada).status_code == 200
    reports(owner, report_link())
    row = Passkey.objects.get(name="Mine")

    page = Page(laptop.submit("/account/passkeys/", {"passkey": row.public_id, "action": "unblock"}))

    assert page.code == "step_up_required"
    assert Passkey.objects.get(name="Mine").is_blocked
    response = laptop.post("/account/passkeys/options/", "{}", content_type="application/json")
    assert (response.status_code, response.json()["error"]) == (403, "step_up_required")
    assert "are stopped" in response.json()["detail"]


def test_a_passkey_used_since_opens_changes_again(clock, owner, ada, stolen):
    reports(owner, report_link())
    clock.shift(1)
    laptop = Browser()
    assert sign_in(laptop, ada).status_code == 200

    row = Passkey.objects.get(name="Mine")
    response = laptop.submit("/account/passkeys/", {"passkey": row.public_id, "action": "remove"})

    assert response.status_code == 303
    assert not Passkey.objects.filter(name="Mine").exists()


def test_a_mailbox_alone_opens_no_change(clock, owner, stolen):
    """Who reads the mailbox, too, must not come back by it."""
    reports(owner, report_link())
    Passkey.objects.all().delete()  # so that a first passkey is to be had
    clock.shift(120)
    mailbox = Browser()
    mailbox.sign_in(ADA)

    response = mailbox.post("/account/passkeys/options/", "{}", content_type="application/json")

    assert (response.status_code, response.json()["error"]) == (403, "step_up_required")
    clock.shift(DAY)
    later = Browser()
    later.sign_in(ADA)
    assert asked_to_register(later)["challenge"]


def test_what_was_on_its_way_is_cancelled_but_for_other_reports(clock, owner, browser, thief, ada):
    steals_session(thief, browser)
    challenge = asked_to_register(thief)
    register(browser, Authenticator(), query="?name=One")
    link = report_link()
    register(browser, Authenticator(), query="?name=Two")
    other = report_link()
    clock.shift(60)
    waiting = Browser()
    waiting.start(ADA)
    code = outbox.last_code(ADA)

    reports(owner, link)

    assert Page(waiting.submit("/login/wait/", {"code": code})).code == "superseded"
    assert challenge["challenge"]
    assert not Challenge.objects.filter(state="open").exclude(purpose="report").exists()
    assert opens(owner, other).forms


# -- other changes


def test_a_removal_that_was_not_theirs_ends_the_session_that_did_it(owner, browser, thief, ada):
    register(browser, Authenticator(), query="?name=Spare")
    steals_session(thief, browser)
    row = Passkey.objects.get(name="Spare")
    thief.submit("/account/passkeys/", {"passkey": row.public_id, "action": "remove"})

    page = opens(owner, report_link())
    assert "was removed" in page.words
    assert "This passkey is blocked" not in page.words
    presses(owner, page)

    assert not thief.who()["authenticated"]
    assert not Passkey.objects.filter(confirmed=False).exists()
    assert Profile.objects.get().frozen_until > timezone.now()


def test_a_block_that_was_not_theirs_ends_the_session_and_leaves_the_block(owner, browser, thief, ada):
    register(browser, Authenticator(), query="?name=Spare")
    steals_session(thief, browser)
    row = Passkey.objects.get(name="Spare")
    thief.submit("/account/passkeys/", {"passkey": row.public_id, "action": "block"})

    reports(owner, report_link())

    assert not thief.who()["authenticated"]
    assert not Passkey.objects.exclude(name="Spare").get().is_blocked


def test_an_unblocking_that_was_not_theirs_is_blocked_again(owner, browser, thief, ada):
    lost, _response = register(browser, Authenticator(), query="?name=Lost")
    row = Passkey.objects.get(name="Lost")
    browser.submit("/account/passkeys/", {"passkey": row.public_id, "action": "block"})
    steals_session(thief, browser)
    thief.submit("/account/passkeys/", {"passkey": row.public_id, "action": "unblock"})
    assert sign_in(Browser(), lost).status_code == 200

    reports(owner, report_link())

    assert sign_in(Browser(), lost).json()["error"] == "credential_blocked"


def test_codes_and_apps_that_came_since_are_void(clock, owner, browser, stolen):
    """As good as keys: a thief could come back with them."""
    ada, link = User.objects.get(), report_link()
    old = RecoveryCode.objects.create(
        user=ada, digest="0" * 64, key_id="k1", created_at=timezone.now() - timedelta(days=1)
    )
    RecoveryCode.objects.create(user=ada, digest="1" * 64, key_id="k1")
    Totp.objects.create(user=ada, name="App", key_sealed="x", confirmed=True)
    Profile.objects.update(has_totp=True)

    page = reports(owner, link)

    assert list(RecoveryCode.objects.all()) == [old]
    assert not Totp.objects.get().confirmed
    assert not Profile.objects.get().has_totp
    assert "Recovery codes" in page.words
    assert "Authenticator app" in page.words


def test_a_change_by_a_session_of_other_code_ends_all_that_can_be_ended(client, owner, browser):
    """It signed in with a password, most likely: nobody can tell which session it was."""
    browser.sign_in(ADA)
    user = User.objects.get()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    thief = Browser()
    thief.cookies["sessionid"] = client.cookies["sessionid"].value
    _authenticator, response = register(thief)
    assert response.status_code == 200, response.content

    reports(owner, report_link())

    assert not thief.who()["authenticated"]
    assert not browser.who()["authenticated"]


def test_whoever_signed_in_with_a_password_is_told_to_change_it(owner, browser):
    browser.sign_in(ADA)
    user = User.objects.get()
    user.set_password("correct horse")
    user.save()
    thief = Browser()
    assert thief.login(username=user.username, password="correct horse")
    register(thief)

    assert "Change the password of your account" in reports(owner, report_link()).words


# -- links that don't work


@pytest.mark.parametrize("token", ["x", "x" * 65, "%00" * 30, "é" * 65])
def test_a_link_of_nobody(owner, token):
    response = owner.get(f"/login/report/{token}/", follow=True)

    assert response.status_code in {400, 410}
    page = Page(response)
    assert (page.name, page.code in {"invalid_code", "expired"}) == ("error", True)


def test_a_wrong_token_of_a_report_that_exists(owner, stolen):
    token = report_link().split("/")[-2]
    wrong = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]

    page = Page(owner.get(f"/login/report/{wrong}/", follow=True))

    assert (page.status, page.code) == (400, "invalid_code")


def test_a_message_that_is_too_old(clock, owner, stolen):
    link = report_link()
    clock.shift(7 * DAY)

    page = Page(owner.get(link, follow=True))

    assert (page.status, page.code) == (410, "expired")
    assert "Sign in, and look" in page.words
    owner.get("/login/")
    refused = Page(owner.submit(REPORT, {"challenge": link.split("/")[-2][:22]}))
    assert refused.code == "expired"
    assert not Passkey.objects.filter(confirmed=False).exists()


def test_a_message_works_for_a_week(clock, owner, stolen):
    link = report_link()
    clock.shift(7 * DAY - 5)

    assert "Changes are stopped" in reports(owner, link).words


def test_without_the_cookie_the_message_has_to_be_opened_again(owner):
    page = Page(owner.get(REPORT))

    assert (page.status, page.code) == (403, "wrong_browser")


def test_without_the_token_of_the_form_nothing_happens(owner, stolen):
    page = opens(owner, report_link())

    refused = Page(owner.post(REPORT, {"challenge": page.forms[0].fields["challenge"]}))

    assert (refused.status, refused.code) == (403, "stale_page")
    assert not Passkey.objects.filter(confirmed=False).exists()
    presses(owner, page)
    assert Passkey.objects.get(name="Mine").is_blocked


@pytest.mark.parametrize("data", [{}, {"challenge": ""}, {"challenge": "x" * 22}, {"challenge": "\0"}])
def test_a_press_that_names_no_message_shows_the_page_again(owner, stolen, data):
    opens(owner, report_link())

    page = Page(owner.submit(REPORT, data))

    assert (page.status, page.name) == (200, "report")
    assert page.forms
    assert not Passkey.objects.filter(confirmed=False).exists()


def test_a_report_signs_nobody_in(owner, stolen):
    """SECURITY: its link works for days, and is a proof of nothing."""
    token = report_link().split("/")[-2]
    owner.get(f"/login/link/{token}/")

    for page in (
        Page(owner.get("/login/link/")),
        Page(owner.submit("/login/link/", {"challenge": token[:22], "action": "sign_in", "identifier": ADA})),
        Page(owner.submit("/login/wait/", {"challenge": token[:22], "code": "123456"})),
    ):
        assert page.code in {"expired", "superseded"}
    assert not owner.who()["authenticated"]


def test_a_sign_in_link_reports_nothing(clock, owner, stolen):
    clock.shift(60)
    Browser().start(ADA)
    token = outbox.last_link(ADA).split("/")[-2]

    page = Page(owner.get(f"/login/report/{token}/", follow=True))

    assert (page.name, page.code) == ("error", "expired")


# -- notices


def test_signing_out_everywhere_keeps_reports(owner, browser, ada):
    register(browser, Authenticator(), query="?name=Mine")
    link = report_link()
    browser.submit("/account/sessions/", {"scope": "everywhere"})

    reports(owner, link)

    assert Passkey.objects.get(name="Mine").is_blocked


def test_a_deactivated_account_keeps_reports(owner, stolen):
    link = report_link()
    user = User.objects.get()
    user.is_active = False
    user.save()

    reports(owner, link)

    assert Passkey.objects.get(name="Mine").is_blocked


def test_notices_speak_the_language_of_their_reader(browser, ada):
    Profile.objects.update(language="de")
    register(browser, Authenticator())
    outbox.send_queued()

    assert Delivery.objects.latest("pk").language == "de"


def test_nothing_of_a_deleted_account_is_left(owner, stolen):
    link = report_link()
    User.objects.all().delete()

    assert not Challenge.objects.exclude(user=None, canonical="").exists()
    assert not Delivery.objects.exists()
    assert Page(owner.get(link, follow=True)).code == "expired"


def test_the_purge_leaves_reports_that_still_work(clock, owner, stolen):
    link = report_link()
    clock.shift(6 * DAY)
    call_command("passwordless_purge", verbosity=0)
    assert opens(owner, link).forms

    clock.shift(3 * DAY)
    call_command("passwordless_purge", verbosity=0)
    assert not Challenge.objects.filter(purpose="report").exists()
    assert Page(owner.get(link, follow=True)).code == "expired"


# -- what others than a thief's passkey may have done


def test_a_recovery_that_was_not_theirs_ends_and_the_paper_is_void(clock, owner, ada):
    """Who used one code has the whole paper, and the codes are older than the notice."""
    laptop = Browser()
    sign_in(laptop, ada)
    codes = codes_on(laptop)
    clock.shift(60)
    thief = Browser()
    thief.submit("/login/recovery/", {"identifier": ADA, "code": codes[0]})
    assert thief.who()["level"] == "recovered"
    mine, response = register(thief)
    assert response.status_code == 200, response.content
    link = link_about("A recovery code of your account")

    page = reports(owner, link)

    assert not thief.who()["authenticated"]
    assert sign_in(Browser(), mine).json()["error"] == "credential_blocked"
    assert not RecoveryCode.objects.unused(User.objects.get()).exists()
    assert "Recovery codes" in page.words
    again = Browser()
    again.submit("/login/recovery/", {"identifier": ADA, "code": codes[1]})
    assert not again.who()["authenticated"]
    assert sign_in(Browser(), ada).status_code == 200


def codes_on(browser):
    """New recovery codes, from the page that shows them once."""
    response = browser.submit("/account/recovery-codes/", {"action": "make"}, follow=True)
    found = re.findall(r"\b[A-Z2-7]{4}(?:[ -][A-Z2-7]{4}){3}\b", response.content.decode())
    assert len(found) >= 10, Page(response).words
    return found


def link_about(words):
    """The path of the report in the newest message whose subject says this."""
    outbox.send_queued()
    message = next(message for message in reversed(mail.outbox) if words in message.subject)
    return re.search(r"^http://testserver(/login/report/\S+)$", message.body, re.M)[1]


def test_codes_that_were_made_by_somebody_else_are_void(clock, owner, browser, thief, ada):
    steals_session(thief, browser)
    codes = codes_on(thief)

    reports(owner, link_about("recovery codes"))

    again = Browser()
    again.submit("/login/recovery/", {"identifier": ADA, "code": codes[0]})
    assert not again.who()["authenticated"]
    assert not thief.who()["authenticated"]


def test_who_recovered_by_an_address_does_not_again(clock, owner, ada):
    clock.shift(120)
    thief = Browser()
    thief.submit("/login/recovery/", {"identifier": ADA, "action": "send"})
    thief.submit("/login/wait/", {"code": outbox.last_code(ADA)})
    assert thief.who()["level"] == "recovered"

    page = reports(owner, link_about("was recovered"))

    assert not thief.who()["authenticated"]
    assert not Identity.objects.filter(for_recovery=True).exists()
    assert "choose again" in page.words


def test_an_app_that_was_not_theirs_ends_the_session_that_it_confirmed(
    owner, browser, thief, ada, django_capture_on_commit_callbacks
):
    steals_session(thief, browser)
    sign_in_id = SignIn.objects.filter(ended_at=None).latest("pk").pk
    user = User.objects.get()
    app = Totp.objects.create(user=user, name="App", key_sealed="x", confirmed=True)
    with_app = SignIn.objects.create(
        user=user,
        level="multi",
        proofs=[{"method": "totp", "amr": ["otp"], "at": 0, "authenticator": app.public_id}],
    )
    told = []

    def receive(sender, authenticator, **kwargs):
        told.append((sender, authenticator.pk))

    notices.tell(user, "totp_added", requester=Requester(), now=app.created_at, sign_in_id=sign_in_id)
    signals.authenticator_blocked.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            reports(owner, report_link())
    finally:
        signals.authenticator_blocked.disconnect(receive)

    app.refresh_from_db()
    with_app.refresh_from_db()
    assert (app.confirmed, app.blocked_at is None) == (False, False)
    assert with_app.ended_at is not None
    assert told == [(Totp, app.pk)]
    assert not Profile.objects.get().has_totp


def test_what_the_operators_did_can_be_reported_too(owner, browser, ada):
    """Whoever asked them may have been somebody else. No word of a password, which had no part in it."""
    user = User.objects.get()
    user.set_password("correct horse")
    user.save()
    row = Passkey.objects.get()
    operator.block_passkeys([row], operator=operator.named(user), requester=Requester())

    page = opens(owner, report_link())
    assert "The people who run this site" in page.words
    page = presses(owner, page)

    assert "Change the password of your account" not in page.words
    assert Profile.objects.get().frozen_until is not None
