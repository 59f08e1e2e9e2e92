"""Two accounts of one person become one, by two proofs; and two again."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from passwordless_auth import policies, signals
from passwordless_auth.models import Challenge, Event, Identity, Passkey, Profile, RecoveryCode, SignIn
from passwordless_auth.testing.factories import IdentityFactory, PasskeyFactory, UserFactory
from tests.conftest import Browser
from tests.identities import (
    PAGE,
    adds,
    asks_to_add,
    change,
    identity,
    links,
    notices,
    proves,
    reports,
    says_link,
)
from tests.passkeys import sign_in as sign_in_by_passkey
from tests.passkeys import with_passkey
from tests.recovery import make_codes

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA, WORK, DESK = "ada@example.com", "ada@work.example", "desk@work.example"


@pytest.fixture
def work(other_browser, clock):
    """Ada's account at work, with two addresses, where she is signed in in another browser."""
    other_browser.sign_in(WORK)
    user = User.objects.get(email=WORK)
    IdentityFactory(user=user, canonical=DESK)
    return user


@pytest.fixture
def ada(browser, work, clock):
    clock.shift(61)
    browser.sign_in(ADA)
    return User.objects.get(email=ADA)


@pytest.fixture
def owner():
    return Browser(HTTP_USER_AGENT="Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18 Safari/605.1.15")


@pytest.fixture
def heard():
    told = []

    def linked(sender, user, other, **_kwargs):
        told.append(("linked", user.pk, other.pk))

    def unlinked(sender, user, other, **_kwargs):
        told.append(("unlinked", user.pk, other.pk))

    signals.accounts_linked.connect(linked)
    signals.accounts_unlinked.connect(unlinked)
    yield told
    signals.accounts_linked.disconnect(linked)
    signals.accounts_unlinked.disconnect(unlinked)


# -- the offer


def test_the_addresses_of_the_account_that_stays_come_before_those_that_were_linked(browser, clock, sms):
    """Though the other account was there first, and its number is a main one, too: there is no other number."""
    other = Browser()
    other.sign_in("+4915123456789")
    clock.shift(61)
    browser.sign_in(ADA)
    asks_to_add(browser, "+4915123456789")
    proves(browser, "+4915123456789")
    page = links(browser)
    assert page.words.index(ADA) < page.words.index("+49 1512")

    clock.shift(3600)
    page = Page(browser.submit("/login/step-up/", {"next": "/recent/"}, follow=True))
    assert ADA in page.words


def test_nothing_tells_whether_an_address_has_an_account_before_it_is_proven(browser, ada):
    """EN-01, for who is signed in: the same answer, the same waiting page, the same message."""
    known = asks_to_add(browser, WORK)
    waits = visit(browser, known["Location"])
    unknown = asks_to_add(browser, "nobody@work.example")
    waits_too = visit(browser, unknown["Location"])

    assert (known.status_code, set(known.cookies)) == (unknown.status_code, set(unknown.cookies))
    assert known["Location"].split("=")[0] == unknown["Location"].split("=")[0]
    assert waits.words.replace(WORK, "") == waits_too.words.replace("nobody@work.example", "")
    rows = Challenge.objects.filter(purpose="add_identity").order_by("pk")
    assert len({(row.user, row.identity, row.accepts_code, row.from_known_browser) for row in rows}) == 1
    assert len({delivery.kind for row in rows for delivery in row.deliveries.all()}) == 1


def test_a_proven_address_of_another_account_is_offered_and_nothing_moves_yet(browser, ada, work):
    page = adds(browser, WORK)

    assert "This address has an account of its own" in page.words
    assert {"Link the accounts", "Leave them apart"} <= set(page.next_steps)
    assert DESK not in page.words
    assert identity(WORK).user == work
    assert not notices("were linked")


def test_the_offer_can_be_declined(browser, ada, work):
    page = adds(browser, WORK).press(browser, "Leave them apart")

    assert "Nothing was linked" in page.words
    assert "This address has an account of its own" not in page.words
    assert identity(WORK).user == work


def test_the_offer_ends_after_ten_minutes(browser, ada, work, clock):
    page = adds(browser, WORK)
    clock.shift(601)
    adds_again = visit(browser, PAGE)

    assert "This address has an account of its own" not in adds_again.words
    answer = browser.submit(PAGE, {**page.form("Link the accounts").fields, "action": "link"})
    assert answer.status_code in {303, 410}
    assert identity(WORK).user == work


# -- linking


def test_linking_takes_over_all_addresses_and_the_account_keeps_its_id(
    browser, ada, work, heard, django_capture_on_commit_callbacks
):
    handle, pk = Profile.objects.get(user=ada).handle, ada.pk
    before = browser.who()["user"]["id"]
    adds(browser, WORK)
    with django_capture_on_commit_callbacks(execute=True):
        page = links(browser)

    assert "The accounts are linked." in page.words
    assert {row.canonical: row.user_id for row in Identity.objects.all()} == {ADA: pk, WORK: pk, DESK: pk}
    assert [row.canonical for row in Identity.objects.filter(is_primary=True)] == [ADA]
    assert Profile.objects.get(user=ada).handle == handle
    assert browser.who()["user"] == {"id": before, "name": ADA, "email": ADA}
    assert heard == [("linked", ada.pk, work.pk)]


def test_who_was_signed_in_to_the_other_account_is_out_and_comes_back_as_one(browser, other_browser, ada, work, clock):
    adds(browser, WORK)
    links(browser)

    assert not other_browser.who()["authenticated"]
    assert set(SignIn.objects.filter(user=work).values_list("end_reason", flat=True)) == {"linked"}
    clock.shift(61)
    for address in (WORK, DESK):
        other_browser.sign_in(address)
        assert other_browser.who()["user"]["email"] == ADA


def test_the_other_account_opens_no_more(browser, other_browser, ada, work):
    make_codes(other_browser)
    adds(browser, WORK)
    links(browser)

    work.refresh_from_db()
    assert (work.is_active, work.email) == (False, "")
    assert not RecoveryCode.objects.filter(user=work).exists()


def test_everybody_is_told(browser, ada, work):
    """AL-06."""
    adds(browser, WORK)
    links(browser)

    told = notices("Two accounts at Testserver were linked")
    assert set(told) == {ADA, WORK, DESK}
    assert all(says_link(message) for message in told.values())
    event = Event.objects.get(kind="accounts_linked")
    assert (event.user, event.data["addresses"], event.data["other"]) == (ada, 2, str(work.pk))
    assert WORK not in str(event.data) + event.masked


def test_what_is_on_its_way_to_the_other_account_opens_nothing(browser, other_browser, ada, work, clock):
    other_browser.submit("/logout/")
    clock.shift(61)
    other_browser.start(DESK)
    adds(browser, WORK)
    links(browser)

    assert not Challenge.objects.filter(canonical=DESK, state="open").exists()


def test_what_nobody_proved_does_not_come_along(browser, ada, work):
    Identity.objects.create(user=work, kind="email", canonical="typo@work.example", origin="host")
    adds(browser, WORK)
    links(browser)

    assert not Identity.objects.filter(canonical="typo@work.example").exists()


def test_an_old_session_confirms_first(browser, ada, work, clock):
    """AL-06: recent step-up. What was pressed comes back with it."""
    clock.shift(400)
    page = adds(browser, WORK)
    clock.shift(201)

    response = browser.submit(PAGE, {**page.form("Link the accounts").fields, "action": "link"})

    assert response["Location"].startswith("/login/step-up/")
    assert identity(WORK).user == work


def test_it_takes_a_token(browser, ada, work):
    page = adds(browser, WORK)
    fields = {**page.form("Link the accounts").fields, "action": "link"}
    del fields["csrfmiddlewaretoken"]

    assert browser.post(PAGE, fields).status_code == 403
    assert identity(WORK).user == work


def test_the_proof_counts_in_no_other_session(browser, other_browser, ada, work):
    page = adds(browser, WORK)
    fields = page.form("Link the accounts").fields
    other_browser.submit("/logout/")
    other_browser.sign_in("eve@example.com")

    response = other_browser.submit(PAGE, {"challenge": fields["challenge"], "action": "link"})

    assert (response.status_code, Page(response).code) == (410, "expired")
    browser.submit("/logout/")
    assert identity(WORK).user == work


# -- what can't be linked


def refused(browser):
    asks_to_add(browser, WORK)
    page = Page(proves(browser, WORK))
    assert (page.status, page.name, page.code) == (409, "error", "identity_taken")
    assert "This address is taken" in page.words
    assert page.press(browser, "Back to your addresses").name == "identities"
    assert not Challenge.objects.filter(purpose="link_accounts").exists()


def test_an_account_that_a_passkey_guards_is_linked_only_from_its_own_side(browser, ada, work):
    """MF-01: whoever reads the mailbox must not get around the passkey."""
    PasskeyFactory(user=work)
    refused(browser)
    assert identity(WORK).user == work


def test_not_even_one_whose_passkeys_are_blocked(browser, ada, work):
    PasskeyFactory(user=work, confirmed=False, blocked_at=timezone.now())
    refused(browser)


def test_an_account_that_asks_for_more_is_not_linked(browser, ada, work):
    Profile.objects.filter(user=work).update(minimum_level="multi")
    refused(browser)


@pytest.mark.parametrize("right", ["is_staff", "is_superuser"])
def test_an_account_of_staff_is_not_linked(browser, ada, work, right, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "single"
    User.objects.filter(pk=work.pk).update(**{right: True})
    refused(browser)


def test_a_deactivated_account_is_not_linked(browser, ada, work):
    work.is_active = False
    work.save()
    refused(browser)


def test_an_address_that_does_not_sign_in_links_nothing(browser, ada, work):
    Identity.objects.filter(canonical=WORK).update(for_sign_in=False)
    refused(browser)


def test_an_account_whose_changes_are_stopped_is_not_linked(browser, ada, work, clock):
    later = timezone.now() + timezone.timedelta(days=1)
    Profile.objects.filter(user=work).update(frozen_at=timezone.now(), frozen_until=later)
    refused(browser)


class Never(policies.Policy):
    def may_link(self, user, identity, sign_in):
        assert (user.email, identity.canonical, sign_in.user) == (ADA, WORK, user)
        return False


def test_the_policy_decides(browser, ada, work, settings):
    settings.PASSWORDLESS_AUTH_POLICY = "tests.views.test_linking.Never"
    refused(browser)


def test_what_has_changed_since_the_offer_counts(browser, ada, work):
    page = adds(browser, WORK)
    PasskeyFactory(user=work)

    answer = page.press(browser, "Link the accounts")

    assert (answer.status, answer.code) == (409, "identity_taken")
    assert identity(WORK).user == work


def test_a_guarded_account_links_one_that_is_not(browser, other_browser, work, clock):
    """From the other side: signed in with the passkey, the mailbox of the other is enough."""
    clock.shift(61)
    authenticator = with_passkey(browser)
    clock.shift(61)
    sign_in_by_passkey(browser, authenticator)
    adds(browser, WORK)
    links(browser)

    assert set(Identity.objects.values_list("user__email", flat=True)) == {ADA}


# -- an account that somebody else made with the person's address (AL-01)


def test_an_address_that_was_never_proven_is_cleared_of_what_its_registrar_left(browser, other_browser, clock):
    """The attacker registered with Ada's address; she proves it while she adds it to her own account."""
    attacker = UserFactory(email=WORK, proven=False, password="known")
    PasskeyFactory(user=attacker)
    other_browser.force_login(attacker, backend="django.contrib.auth.backends.ModelBackend")
    browser.sign_in(ADA)

    adds(browser, WORK)

    attacker.refresh_from_db()
    assert not attacker.has_usable_password()
    assert not Passkey.objects.filter(user=attacker).exists()
    assert other_browser.get("/members/").status_code == 302
    links(browser)
    assert identity(WORK).user.email == ADA


def test_a_user_who_was_not_imported_is_found_by_user_email(browser, clock):
    old = User.objects.create_user("old", WORK)
    Identity.objects.filter(user=old).delete()
    browser.sign_in(ADA)

    assert "This address has an account of its own" in adds(browser, WORK).words
    links(browser)
    assert identity(WORK).linked_from == old


# -- unlinking


@pytest.fixture
def linked(browser, ada, work):
    adds(browser, WORK)
    links(browser)
    return work


def test_unlinking_makes_an_account_of_its_own_again(
    browser, other_browser, ada, linked, heard, clock, django_capture_on_commit_callbacks
):
    clock.shift(61)
    handle = Profile.objects.get(user=linked).handle
    page = visit(browser, f"{PAGE}change/?identity={identity(DESK).public_id}")
    assert "1 other address goes with it" in page.words
    with django_capture_on_commit_callbacks(execute=True):
        page = page.press(browser, "Separate the accounts")

    assert "The accounts are separate again." in page.words
    linked.refresh_from_db()
    assert (linked.is_active, linked.email, Profile.objects.get(user=linked).handle) == (True, WORK, handle)
    assert {row.canonical: row.user for row in Identity.objects.all()} == {ADA: ada, WORK: linked, DESK: linked}
    assert {row.canonical for row in Identity.objects.filter(is_primary=True)} == {ADA, WORK}
    assert heard == [("unlinked", ada.pk, linked.pk)]
    other_browser.sign_in(DESK)
    assert other_browser.who()["user"]["email"] == WORK


def test_both_are_told_and_only_the_one_that_did_it_can_object(browser, ada, linked, clock):
    change(browser, WORK, "unlink")

    told = notices("are separate again")
    assert {to: says_link(message) for to, message in told.items()} == {ADA: True, WORK: False, DESK: False}


def test_the_main_address_goes_with_it_and_another_takes_its_place(browser, ada, linked):
    change(browser, WORK, "primary")
    change(browser, WORK, "unlink")

    ada.refresh_from_db()
    linked.refresh_from_db()
    assert (ada.email, linked.email) == (ADA, WORK)


def test_a_way_in_has_to_stay(browser, ada, linked):
    change(browser, WORK, "primary")
    change(browser, ADA, "remove")

    page = change(browser, WORK, "unlink")

    assert (page.status, page.code) == (409, "last_way_in")
    assert identity(WORK).user == ada


def test_where_the_other_user_was_deleted_the_address_stays(browser, ada, linked):
    linked.delete()

    assert identity(WORK).user == ada
    assert "From a linked account" not in visit(browser, PAGE).words
    change(browser, WORK, "unlink")
    assert identity(WORK).user == ada


def test_an_address_that_was_removed_can_begin_anew(browser, other_browser, ada, linked, clock):
    change(browser, WORK, "remove")
    clock.shift(61)

    other_browser.sign_in(WORK)

    assert other_browser.who()["user"]["email"] == WORK
    assert identity(WORK).user not in {ada, linked}


# -- "this wasn't me"


def test_who_reads_one_mailbox_of_an_account_does_not_keep_it(browser, owner, ada, work, clock):
    """SECURITY: a thief who reads the mailbox at work links Ada's account to their own; her other address hears of it."""
    adds(browser, WORK)
    links(browser)
    change(browser, DESK, "remove")
    page = reports(owner, notices("were linked")[DESK])

    assert "With its own account again" in page.words
    work.refresh_from_db()
    assert (work.is_active, work.email) == (True, WORK)
    assert {row.canonical: row.user for row in Identity.objects.all()} == {ADA: ada, WORK: work, DESK: work}
    assert not browser.who()["authenticated"]
    assert Profile.objects.get(user=work).frozen_until
    assert Profile.objects.get(user=ada).frozen_until
    clock.shift(61)
    owner.sign_in(DESK)
    assert owner.who()["user"]["email"] == WORK


def test_three_accounts_come_apart_in_the_right_places(browser, ada, linked, owner, clock):
    """What was linked to the other account before stays with that."""
    clock.shift(61)
    third = Browser()
    third.sign_in("ada@club.example")
    club = User.objects.get(email="ada@club.example")
    clock.shift(61)
    adds(browser, "ada@club.example")
    links(browser)
    change(browser, WORK, "unlink")

    club.refresh_from_db()
    assert identity("ada@club.example").user == ada
    assert identity("ada@club.example").linked_from == club
    assert not club.is_active
