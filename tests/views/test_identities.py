"""The page of a person's addresses: adding, choosing, removing, and the way back."""

import pytest
from django.contrib.auth.models import User
from django.core import mail

from passwordless_auth import signals
from passwordless_auth.exceptions import Superseded
from passwordless_auth.flows import sign_in
from passwordless_auth.models import Challenge, Event, Identity, Passkey, SignIn
from passwordless_auth.requester import Requester
from passwordless_auth.testing import add_recovery_codes, outbox
from passwordless_auth.testing.factories import PasskeyFactory, UserFactory
from tests.conftest import Browser
from tests.identities import (
    PAGE,
    adds,
    asks_to_add,
    change,
    identity,
    notices,
    proves,
    reports,
    says_link,
)
from tests.passkeys import sign_in as sign_in_by_passkey
from tests.passkeys import with_passkey
from tests.recovery import make_codes, recover

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA, WORK, HOME = "ada@example.com", "ada@work.example", "ada@home.example"
DAY = 86400


@pytest.fixture
def ada(browser, clock):
    """Ada has just signed in; her mailbox is all that guards her account."""
    browser.sign_in(ADA)
    return User.objects.get()


@pytest.fixture
def guarded(browser, clock):
    """Ada has a passkey, and has signed in with it."""
    authenticator = with_passkey(browser)
    clock.shift(61)
    sign_in_by_passkey(browser, authenticator)
    return authenticator


@pytest.fixture
def owner():
    return Browser(HTTP_USER_AGENT="Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18 Safari/605.1.15")


@pytest.fixture
def heard():
    """What receivers are told of addresses."""
    told = []

    def added(sender, user, identity, **_kwargs):
        told.append(("added", identity.canonical, user.pk))

    def removed(sender, user, identity, **_kwargs):
        told.append(("removed", identity.canonical, user.pk))

    signals.identity_added.connect(added)
    signals.identity_removed.connect(removed)
    yield told
    signals.identity_added.disconnect(added)
    signals.identity_removed.disconnect(removed)


# -- the page


def test_it_lists_the_addresses_and_leads_back(browser, ada):
    page = visit(browser, "/account/").press(browser, "Add, change or remove addresses")

    assert (page.status, page.name, page.code) == (200, "identities", "")
    assert ADA in page.words
    assert "Main address" in page.words
    assert "Signs in · May recover the account · Gets notices" in page.words
    assert page.press(browser, "Back to your account").name == "account"


def test_visitors_sign_in_first(browser):
    assert browser.get(PAGE)["Location"] == f"/login/?next={PAGE}"


def test_its_list_costs_the_same_for_any_number(browser, ada, django_assert_max_num_queries):
    for n in range(20):
        Identity.objects.create(user=ada, kind="email", canonical=f"a{n}@example.com", proven_at="2026-01-01T00:00Z")
    with django_assert_max_num_queries(9):
        assert browser.get(PAGE).content.count(b"pa-who") == 21


# -- adding


def test_an_address_is_added_by_its_code(browser, ada, heard, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        page = adds(browser, WORK)

    assert "The address was added to your account." in page.words
    row = identity(WORK)
    assert (row.user, row.origin, row.is_primary, row.proven_at is not None) == (ada, "owner", False, True)
    assert heard == [("added", WORK, ada.pk)]
    assert Event.objects.filter(kind="identity_added", user=ada).count() == 1
    ada.refresh_from_db()
    assert ada.email == ADA


def test_it_signs_in_from_then_on(browser, other_browser, ada, clock):
    adds(browser, WORK)
    clock.shift(61)

    other_browser.sign_in(WORK)
    assert other_browser.who()["user"]["email"] == ADA
    assert User.objects.count() == 1


def test_an_address_is_added_by_its_link(browser, ada):
    asks_to_add(browser, WORK)
    browser.get(outbox.last_link(WORK))
    page = visit(browser, "/login/link/")
    assert "Add this address" in page.words

    assert "The address was added" in page.press(browser, "Add it").words
    assert identity(WORK).user == ada


def test_the_message_says_what_it_is_for(browser, ada):
    asks_to_add(browser, WORK)
    message = outbox.last_message(WORK)

    assert message.subject == f"{outbox.last_code(WORK)} adds this address at Testserver"
    assert "wants to add this address to their account" in message.body
    assert ADA not in message.body


def test_the_old_addresses_are_told_and_the_new_one_is_not(browser, ada):
    adds(browser, WORK)

    told = notices("An address was added")
    assert set(told) == {ADA}
    assert "a•••@w•••.example" in told[ADA].body
    assert says_link(told[ADA])


def test_an_address_that_is_theirs_is_not_asked_again(browser, ada):
    mail.outbox.clear()
    page = visit(browser, asks_to_add(browser, ADA)["Location"])

    assert "You have this address already" in page.words
    assert not Challenge.objects.filter(purpose="add_identity").exists()


def test_an_address_that_was_only_entered_is_confirmed(browser, ada):
    Identity.objects.create(user=ada, kind="email", canonical=WORK, origin="host")
    page = visit(browser, PAGE)
    assert "Not confirmed yet" in page.words

    page = page.press(browser, "Confirm")
    assert page.name == "wait"
    response = proves(browser, WORK)
    assert response["Location"] == f"{PAGE}?notice=added"
    assert identity(WORK).proven_at
    assert SignIn.objects.live().filter(user=ada).exists()


def test_what_is_no_address_is_said_so(browser, ada):
    page = Page(asks_to_add(browser, "ada at work"))

    assert (page.status, page.name, page.code) == (400, "identities", "invalid_identifier")
    assert page.inputs["identifier"]["value"] == "ada at work"


def test_a_wrong_code_adds_nothing(browser, ada):
    asks_to_add(browser, WORK)
    wrong = f"{(int(outbox.last_code(WORK)) + 1) % 10**6:06}"

    page = Page(browser.submit("/login/wait/", {"code": wrong}))

    assert (page.status, page.code) == (400, "invalid_code")
    assert not Identity.objects.filter(canonical=WORK).exists()


def test_the_waiting_page_is_about_the_address_and_offers_no_passkey(browser, ada):
    page = visit(browser, asks_to_add(browser, WORK)["Location"])

    assert "Add this address" in page.next_steps
    assert page.press(browser, "Cancel").name == "identities"
    assert "passkey" not in page.words


def test_when_its_time_is_over_one_press_sends_a_new_message(browser, ada, clock):
    asks_to_add(browser, WORK)
    clock.shift(301)
    page = visit(browser, "/login/wait/")
    assert (page.status, page.code) == (410, "expired")

    page = page.press(browser, "Send a new message")
    assert page.name == "wait"
    proves(browser, WORK)
    assert identity(WORK).user == ada


def test_it_can_be_sent_once_more(browser, ada, clock):
    asks_to_add(browser, WORK)
    clock.shift(61)
    page = visit(browser, "/login/wait/").press(browser, "Send it again")

    assert "Here comes the message once more." in page.words
    outbox.send_queued()
    assert len([message for message in mail.outbox if message.to == [WORK]]) == 2


# -- in which browser and which session


def test_another_browser_can_only_stop_it(browser, other_browser, ada):
    asks_to_add(browser, WORK)
    other_browser.get(outbox.last_link(WORK))
    page = visit(other_browser, "/login/link/")
    assert "Did you ask to add this address?" in page.words
    assert "Sign in here instead" not in page.next_steps

    form = {**page.forms[0].fields, "identifier": WORK}
    response = other_browser.submit("/login/link/", {**form, "action": "sign_in"})
    assert (response.status_code, Page(response).code) == (403, "wrong_browser")
    assert not other_browser.who()["authenticated"]
    page.press(other_browser, "This wasn’t me", identifier=WORK)
    assert proves(browser, WORK).status_code == 410


def test_it_counts_only_in_the_session_that_asked(browser, ada, clock):
    """Whoever comes next to a shared computer, with an account of their own."""
    asks_to_add(browser, WORK)
    code = outbox.last_code(WORK)
    challenge = Challenge.objects.latest("pk").public_id
    browser.submit("/logout/")

    for who in ("nobody", "eve@example.com"):
        if "@" in who:
            browser.sign_in(who)
        page = Page(browser.submit("/login/wait/", {"challenge": challenge, "code": code}))
        assert (page.status, page.code) == (403, "wrong_browser")
        assert "You have signed out, or in again" in page.words
    assert not Identity.objects.filter(canonical=WORK).exists()


def test_its_code_signs_nobody_in(browser, ada):
    """The purpose is a part of what is derived, and of the row."""
    asks_to_add(browser, WORK)
    code = outbox.last_code(WORK)
    browser.submit("/logout/")
    browser.submit("/login/wait/", {"code": code})

    assert not browser.who()["authenticated"]


def test_nor_at_a_door_that_another_app_has_made(browser, ada):
    asks_to_add(browser, WORK)
    challenge = Challenge.objects.latest("pk")
    asker = Requester(browser_key=browser.cookies["passwordless_browser"].value)

    with pytest.raises(Superseded):
        sign_in.verify(
            challenge, challenge.code(), method="one_time_code", requester=asker, establish=lambda _made: None
        )
    assert Challenge.objects.get(pk=challenge.pk).state == "open"


def test_a_report_cancels_what_is_on_its_way(browser, owner, ada):
    adds(browser, WORK)
    asks_to_add(browser, HOME)
    reports(owner, notices("An address was added")[ADA])

    assert Challenge.objects.get(canonical=HOME).state == "cancelled"
    assert proves(browser, HOME).status_code == 403  # and its session has ended
    assert not Identity.objects.filter(canonical=HOME).exists()


# -- who may


def test_an_old_session_confirms_first_and_what_it_sent_comes_back(browser, ada, clock):
    clock.shift(601)
    response = asks_to_add(browser, WORK)
    assert response["Location"].startswith("/login/step-up/")
    step_up = visit(browser, response["Location"])
    page = step_up.press(browser, "Send me the code")
    page = page.press(browser, "Confirm", code=outbox.last_code(ADA))
    assert page.name == "resume"

    page = page.press(browser, "Continue")
    assert page.name == "wait"
    proves(browser, WORK)
    assert identity(WORK).user == ada


def test_what_a_passkey_guards_takes_the_passkey(browser, other_browser, guarded, clock):
    """MF-01: a message of this minute is not enough."""
    clock.shift(61)
    other_browser.sign_in(ADA)

    response = asks_to_add(other_browser, WORK)

    assert response["Location"].startswith("/login/step-up/")
    assert "level=multi" in response["Location"]
    assert asks_to_add(browser, WORK)["Location"].startswith("/login/wait/")


@pytest.mark.parametrize("action", ["primary", "uses", "remove", "unlink"])
def test_every_change_takes_it(browser, other_browser, guarded, clock, action):
    adds(browser, WORK)
    clock.shift(61)
    other_browser.sign_in(ADA)
    before = list(Identity.objects.order_by("pk").values())

    response = other_browser.submit(PAGE, {"action": action, "identity": identity(WORK).public_id})

    assert response["Location"].startswith("/login/step-up/")
    assert list(Identity.objects.order_by("pk").values()) == before


def test_a_recovered_session_may_not(browser, ada, other_browser):
    codes = make_codes(browser)
    recover(other_browser, codes[0])

    assert other_browser.get(PAGE).status_code in {302, 403}
    assert asks_to_add(other_browser, WORK).status_code in {302, 403}
    assert not Challenge.objects.filter(purpose="add_identity").exists()


def test_while_changes_are_stopped_nothing_changes(browser, owner, ada, clock):
    adds(browser, WORK)
    reports(owner, notices("An address was added")[ADA])
    clock.shift(61)
    owner.sign_in(ADA)

    page = Page(asks_to_add(owner, HOME))

    assert (page.status, page.code) == (403, "step_up_required")
    assert "Changes to this account are stopped" in page.words
    assert "A stronger proof is needed" not in page.words


def test_while_changes_are_stopped_the_page_says_so_and_what_may_change_them(browser, owner, ada, clock):
    adds(browser, WORK)
    reports(owner, notices("An address was added")[ADA])
    clock.shift(61)
    owner.sign_in(ADA)

    page = visit(owner, PAGE)
    assert "Changes to this account are stopped" in page.words
    assert "Otherwise wait until" in page.words
    assert "asked to confirm" not in page.words
    assert page.next_steps[1:] == ["Back to your account"]  # there is no passkey, and no recovery code

    add_recovery_codes(ada)
    PasskeyFactory(user=ada)
    for page in (visit(owner, PAGE), Page(asks_to_add(owner, HOME))):
        assert {"Use a passkey", "Use a recovery code"} <= set(page.next_steps)
        assert page.press(owner, "Use a recovery code").name == "recovery"
        assert page.press(owner, "Use a passkey").name == "step_up"


def test_it_takes_a_token(browser, ada):
    for data in ({"action": "add", "identifier": WORK}, {"action": "remove", "identity": identity(ADA).public_id}):
        assert browser.post(PAGE, data).status_code == 403
    assert Identity.objects.count() == 1


# -- the main address


def test_another_one_becomes_the_main_address_and_user_email_follows(browser, ada):
    adds(browser, WORK)
    page = visit(browser, f"{PAGE}change/?identity={identity(WORK).public_id}")
    page = page.press(browser, "Make it my main address")

    assert "Your main address was changed." in page.words
    ada.refresh_from_db()
    assert ada.email == WORK
    assert [row.canonical for row in Identity.objects.filter(is_primary=True)] == [WORK]
    assert set(notices("The main address of your account")) == {ADA, WORK}


def test_an_address_that_nobody_has_proven_does_not(browser, ada):
    Identity.objects.create(user=ada, kind="email", canonical=WORK, origin="host")
    change(browser, WORK, "primary")

    ada.refresh_from_db()
    assert ada.email == ADA


def test_the_former_one_comes_back_by_its_notice(browser, owner, ada):
    adds(browser, WORK)
    change(browser, WORK, "primary")
    page = reports(owner, notices("The main address of your account")[ADA])

    assert "As before" in page.words
    ada.refresh_from_db()
    assert ada.email == ADA
    assert identity(ADA).is_primary
    assert not identity(WORK).is_primary
    assert not browser.who()["authenticated"]


# -- what an address is for


def test_an_address_can_be_for_notices_alone(browser, other_browser, ada, clock):
    adds(browser, WORK)
    page = change(browser, WORK, "uses", use=["notices"])

    assert "Does not sign in · Does not recover the account · Gets notices" in page.words
    assert set(notices("What an address of your account")) == {ADA, WORK}
    clock.shift(61)
    other_browser.start(WORK)
    assert outbox.last_message(WORK).subject == "This address does not sign in to Testserver"


def test_nothing_is_told_where_nothing_has_changed(browser, ada):
    adds(browser, WORK)
    change(browser, WORK, "uses", use=["sign_in", "recovery", "notices"])

    assert not notices("What an address of your account")


def test_an_address_can_be_left_out_of_notices_but_never_of_those_about_addresses(browser, ada, clock):
    adds(browser, WORK)
    change(browser, WORK, "uses", use=["sign_in"])
    mail.outbox.clear()

    make_codes(browser)
    adds(browser, HOME)

    assert set(notices("recovery codes")) == {ADA}
    assert set(notices("An address was added")) == {ADA, WORK}


def test_the_main_address_always_gets_notices(browser, ada):
    adds(browser, WORK)
    change(browser, ADA, "uses", use=["sign_in"])

    assert identity(ADA).for_notices


def test_the_last_one_that_signs_in_stays_one(browser, ada):
    page = change(browser, ADA, "uses", use=["notices"])

    assert (page.status, page.code) == (409, "last_way_in")
    assert page.press(browser, "Back to your addresses").name == "identities"
    assert identity(ADA).for_sign_in
    assert not notices("What an address of your account")


def test_with_a_passkey_no_address_has_to_sign_in(browser, guarded):
    change(browser, ADA, "uses", use=["notices"])

    assert not identity(ADA).for_sign_in


def test_what_was_chosen_comes_back_by_the_notice(browser, owner, ada):
    adds(browser, WORK)
    change(browser, WORK, "uses", use=[])
    reports(owner, notices("What an address of your account")[WORK])

    row = identity(WORK)
    assert (row.for_sign_in, row.for_recovery, row.for_notices) == (True, True, True)


# -- removing


def test_an_address_is_removed_and_all_are_told_itself_too(
    browser, other_browser, ada, heard, clock, django_capture_on_commit_callbacks
):
    adds(browser, WORK)
    clock.shift(8 * DAY)
    again(browser, clock)
    heard.clear()
    with django_capture_on_commit_callbacks(execute=True):
        page = change(browser, WORK, "remove")

    assert "The address was removed." in page.words
    assert not Identity.objects.filter(canonical=WORK).exists()
    assert heard == [("removed", WORK, ada.pk)]
    told = notices("An address was removed")
    assert set(told) == {ADA, WORK}
    assert all(says_link(message) for message in told.values())
    other_browser.sign_in(WORK)
    assert User.objects.count() == 2


def again(browser, clock):
    """Sign in anew: sessions of last week are over, or too old for changes."""
    browser.submit("/logout/")
    browser.sign_in(ADA)


def test_what_was_sent_to_it_opens_nothing_any_more(browser, other_browser, ada, clock):
    adds(browser, WORK)
    clock.shift(61)
    other_browser.start(WORK)
    code = outbox.last_code(WORK)
    change(browser, WORK, "remove")

    assert other_browser.submit("/login/wait/", {"code": code}).status_code == 410


def test_the_main_address_is_not_removed(browser, ada):
    adds(browser, WORK)
    assert "Remove it" not in visit(browser, f"{PAGE}change/?identity={identity(ADA).public_id}").next_steps

    page = change(browser, ADA, "remove")

    assert (page.status, page.code) == (409, "primary_identity")
    assert identity(ADA).user == ada
    assert not notices("An address was removed")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (ADA, "To remove it, add another e-mail address first, and make that your main one."),
        ("+4915123456789", "To remove it, add an e-mail address first."),
    ],
)
def test_the_page_of_the_only_address_says_what_comes_before_its_removal(browser, sms, clock, address, said):
    browser.sign_in(address)
    page = visit(browser, f"{PAGE}change/?identity={identity(address).public_id}")

    assert said in page.words
    assert "Remove it" not in page.next_steps


def test_the_page_says_what_a_removal_means_and_how_long_there_is_a_way_back(browser, ada):
    adds(browser, WORK)
    page = visit(browser, f"{PAGE}change/?identity={identity(WORK).public_id}")
    assert "Once it is removed, it no longer signs you in, and gets no messages about your account." in page.words
    assert (
        "We tell all your addresses, this one too. For 7 days, the link in that message brings it back." in page.words
    )

    Identity.objects.filter(canonical=WORK).update(proven_at=None)
    page = visit(browser, f"{PAGE}change/?identity={identity(WORK).public_id}")
    assert "It was never confirmed, and signs nobody in." in page.words
    assert "this one too" not in page.words


def test_the_last_way_in_is_not_removed(browser, ada):
    """Its main address signs nobody in: what does is the other one."""
    adds(browser, WORK)
    change(browser, ADA, "uses", use=["notices"])

    assert change(browser, WORK, "remove").code == "last_way_in"
    assert identity(WORK).user == ada


def test_a_removed_address_comes_back_by_its_own_notice(browser, owner, ada, clock):
    adds(browser, WORK)
    clock.shift(8 * DAY)
    again(browser, clock)
    change(browser, WORK, "remove")
    message = notices("An address was removed")[WORK]
    clock.shift(6 * DAY)

    page = reports(owner, message)

    assert "As before" in page.words
    row = identity(WORK)
    assert (row.user, row.for_sign_in, row.restored_at is not None) == (ada, True, True)
    assert not browser.who()["authenticated"]


def test_after_seven_days_it_does_not(browser, owner, ada, clock):
    adds(browser, WORK)
    clock.shift(8 * DAY)
    again(browser, clock)
    change(browser, WORK, "remove")
    message = notices("An address was removed")[WORK]
    clock.shift(7 * DAY + 1)

    link = next(word for word in message.body.split() if "/login/report/" in word)
    assert visit(owner, link).code == "expired"
    assert not Identity.objects.filter(canonical=WORK).exists()


def test_a_thiefs_address_does_not_come_back_when_its_owner_throws_it_out(browser, ada, clock):
    """SECURITY: it was there for less than a week. It is told, and that is all; the owner's own may bring it back."""
    adds(browser, WORK)
    change(browser, WORK, "remove")

    told = notices("An address was removed")
    assert says_link(told[ADA])
    assert not says_link(told[WORK])


def test_an_address_comes_back_by_itself_once(browser, owner, ada, clock):
    """SECURITY: whoever reads the mailbox that its owner gave up because of that."""
    codes = make_codes(browser)
    adds(browser, WORK)
    clock.shift(8 * DAY)
    again(browser, clock)
    change(browser, WORK, "remove")
    reports(owner, notices("An address was removed")[WORK])
    clock.shift(DAY + 1)
    again(browser, clock)
    mail.outbox.clear()

    change(browser, WORK, "remove")

    told = notices("An address was removed")
    assert (says_link(told[ADA]), says_link(told[WORK])) == (True, False)
    assert codes


def test_one_that_somebody_else_has_by_now_stays_theirs(browser, other_browser, owner, ada, clock):
    adds(browser, WORK)
    clock.shift(8 * DAY)
    again(browser, clock)
    change(browser, WORK, "remove")
    other_browser.sign_in(WORK)

    page = reports(owner, notices("An address was removed")[ADA])

    assert "As before" not in page.words
    assert identity(WORK).user != ada


# -- "this wasn't me"


def test_what_a_thief_added_goes_and_so_do_those_who_came_by_it(browser, other_browser, owner, ada, clock):
    adds(browser, WORK)
    clock.shift(61)
    other_browser.sign_in(WORK)
    page = reports(owner, notices("An address was added")[ADA])

    assert "Removed" in page.words
    assert not Identity.objects.filter(canonical=WORK).exists()
    assert not browser.who()["authenticated"]
    assert not other_browser.who()["authenticated"]
    assert Event.objects.filter(kind="identity_removed_by_report", user=ada).count() == 1


def test_all_that_the_thief_changed_since_is_taken_back_in_order(browser, owner, ada, clock):
    """The thief adds an address, makes it the main one, and throws the owner's out."""
    adds(browser, WORK)
    told = notices("An address was added")[ADA]
    change(browser, WORK, "primary")
    change(browser, ADA, "remove")
    ada.refresh_from_db()
    assert (ada.email, Identity.objects.count()) == (WORK, 1)

    reports(owner, told)

    ada.refresh_from_db()
    assert ada.email == ADA
    assert [row.canonical for row in Identity.objects.filter(user=ada)] == [ADA]
    assert identity(ADA).is_primary


def test_the_owners_passkey_outlives_it(browser, owner, guarded):
    adds(browser, WORK)
    reports(owner, notices("An address was added")[ADA])

    assert not Passkey.objects.get().is_blocked
    assert sign_in_by_passkey(owner, guarded).status_code == 200


def test_the_report_page_says_what_a_press_does(browser, owner, ada):
    adds(browser, WORK)
    message = notices("An address was added")[ADA]
    page = visit(owner, next(word for word in message.body.split() if "/login/report/" in word))

    assert "The new address is removed" in page.words
    assert "a•••@w•••.example" in page.words
    assert WORK not in page.words


def test_nobody_elses_address_is_touched(browser, ada):
    bob = UserFactory(email="bob@example.com")
    theirs = bob.passwordless_identities.get()
    for action in ("primary", "uses", "remove", "unlink"):
        response = browser.submit(PAGE, {"action": action, "identity": theirs.public_id})
        assert (response.status_code, response["Location"]) == (303, PAGE)
    assert browser.get(f"{PAGE}change/?identity={theirs.public_id}")["Location"] == PAGE

    theirs.refresh_from_db()
    assert (theirs.user, theirs.is_primary, theirs.for_sign_in) == (bob, True, True)


@pytest.mark.parametrize("text", ["", "x", "\x00", "a" * 22, "🙂", "a" * 3000])
def test_what_is_no_id_changes_nothing(browser, ada, text):
    for action in ("primary", "uses", "remove", "unlink", "link", "decline", text):
        data = {"action": action, "identity": text, "challenge": text}
        assert browser.submit(PAGE, data).status_code in {303, 400, 410}
    assert browser.get(f"{PAGE}change/", {"identity": text}).status_code in {303, 400}
    assert Identity.objects.count() == 1


# -- phone numbers

PHONE, OTHER_PHONE = "+4915123456789", "+4915123456780"


def adds_another(browser, clock, address):
    clock.shift(61)
    return adds(browser, address)


def test_a_phone_number_is_added_beside_the_e_mail_address(browser, other_browser, sms, ada, clock):
    page = adds(browser, PHONE)

    assert "+49 1512 3456789" in page.words
    row = identity(PHONE)
    assert (row.kind, row.user, row.is_primary) == ("phone", ada, True)  # the first of its kind
    ada.refresh_from_db()
    assert ada.email == ADA
    assert set(notices("A phone number was added")) == {ADA}
    clock.shift(61)
    other_browser.sign_in(PHONE)
    assert other_browser.who()["user"]["email"] == ADA


def test_the_text_message_says_what_it_is_for(browser, sms, ada):
    asks_to_add(browser, PHONE)

    text = outbox.last_message(PHONE).text
    assert "adds this number to your account" in text
    assert text.splitlines()[-1] == f"@testserver #{outbox.last_code(PHONE)}"


def test_an_e_mail_address_beside_a_phone_number_is_that_of_the_user(browser, sms, clock):
    browser.sign_in(PHONE)
    adds(browser, WORK)

    user = User.objects.get()
    assert user.email == WORK
    assert identity(WORK).is_primary


def test_a_number_is_called_a_number(browser, sms, ada, clock):
    assert "Add this number" in visit(browser, asks_to_add(browser, PHONE)["Location"]).next_steps

    page = adds_another(browser, clock, PHONE)
    assert "The number was added to your account." in page.words
    assert (page.words.count("Main address"), page.words.count("Main number")) == (1, 1)
    account = visit(browser, "/account/").words
    assert (account.count("Main address"), account.count("Main number")) == (1, 1)

    adds_another(browser, clock, OTHER_PHONE)
    assert "A phone number was added to your account" in outbox.last_message(PHONE).text
    page = visit(browser, f"{PAGE}change/?identity={identity(OTHER_PHONE).public_id}")
    assert "Change this number" in page.words
    assert "this address" not in page.words
    page = page.press(browser, "Make it my main number")
    assert "Your main number was changed." in page.words
    assert "The main phone number of your account" in outbox.last_message(PHONE).text
    assert "The main phone number of your account is +49•••80 now." in outbox.last_message(ADA).body
    page = change(browser, PHONE, "remove")
    assert "The number was removed." in page.words
    assert "The phone number +49•••89 no longer signs in" in outbox.last_message(ADA).body


def test_the_only_number_can_be_removed(browser, sms, ada):
    adds(browser, PHONE)
    page = change(browser, PHONE, "remove")

    assert "The number was removed." in page.words
    assert not Identity.objects.filter(canonical=PHONE).exists()


def test_of_two_numbers_the_main_one_stays(browser, sms, ada, clock):
    adds(browser, PHONE)
    adds(browser, "+4915123456780")

    assert change(browser, PHONE, "remove").code == "primary_identity"
    change(browser, "+4915123456780", "primary")
    assert "The number was removed." in change(browser, PHONE, "remove").words
    ada.refresh_from_db()
    assert ada.email == ADA


def test_the_only_e_mail_address_can_go_where_a_number_stays(browser, sms, ada):
    adds(browser, PHONE)
    change(browser, ADA, "remove")

    ada.refresh_from_db()
    assert ada.email == ""
    assert browser.who()["authenticated"]


def test_the_last_address_of_all_stays_even_with_a_passkey(browser, guarded):
    assert change(browser, ADA, "remove").code == "primary_identity"
