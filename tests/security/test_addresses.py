"""One mailbox is one spelling is one account, and an address gives an account away only once its owner came (ID, AL)."""

import io
import json

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core import mail
from django.core.management import call_command
from django.db import IntegrityError, transaction

from passwordless_auth.models import Challenge, Delivery, Event, Identity, KnownBrowser, Passkey, RecoveryCode, SignIn
from passwordless_auth.testing import outbox
from tests.conftest import Browser
from tests.passkeys import register
from tests.passkeys import sign_in as sign_in_with_passkey

from .conftest import error_code, guess, member, newest, open_link, press, stranger

pytestmark = pytest.mark.django_db

User = get_user_model()
ADA = "ada@example.com"


# -- ID-01: one address, or nothing is sent

LISTS = [
    "victim@example.com,attacker@evil.example",
    "victim@example.com, attacker@evil.example",
    "victim@example.com;attacker@evil.example",
    "victim@example.com attacker@evil.example",
    "victim@example.com\tattacker@evil.example",
    "victim@example.com\nattacker@evil.example",
    "victim@example.com\r\nBcc: attacker@evil.example",
    "victim@example.com%0aBcc:attacker@evil.example",
    "victim@example.com\x00attacker@evil.example",
    "victim@example.com\x00",
    "victim@example.com\u2028attacker@evil.example",
    "victim@example.com\u200battacker@evil.example",
    "victim@example.com\uff0cattacker@evil.example",  # a comma, full width
    "victim@example.com\uff1battacker@evil.example",
    "victim@example.com|attacker@evil.example",
    "victim@example.com:attacker@evil.example",
    "victim@example.com@evil.example",
    "victim@example.com,",
    ",victim@example.com",
    "<victim@example.com>",
    "Victim <victim@example.com>",
    "victim@example.com (comment)",
    "group: victim@example.com, attacker@evil.example;",
    '"victim@example.com"@evil.example',
    '"victim,attacker"@example.com',
    '"a b"@example.com',
    "mailto:victim@example.com",
    "['victim@example.com']",
    '["victim@example.com", "attacker@evil.example"]',
    "@evil.example:victim@example.com",
    "victim@[127.0.0.1]",
    "victim@127.0.0.1",
    "victim@localhost",
    "victim@example",
    "victim@.example.com",
    "victim@example..com",
    ".victim@example.com",
    "victim.@example.com",
    "vic..tim@example.com",
    "victim@-example.com",
    "victim@exam_ple.com",
    "victim@ex ample.com",
    "victim",
    "@example.com",
    "victim@",
    "",
    " ",
    "\u0475ictim@example.com",  # a Cyrillic letter
    "v\u0131ctim@example.com",  # a dotless i: some mail servers fold it
    "v\u00edctim@example.com",
    "\u202evictim@example.com",
    f"victim@{'e' * 64}.com",
    f"{'v' * 60}@{'.'.join(['example'] * 30)}.com",
    "v" * 5000,
]


@pytest.mark.parametrize("typed", LISTS)
def test_what_is_not_one_address_is_refused_and_nothing_is_sent(browser, typed):
    """ID-01"""
    answer = browser.start(typed)
    outbox.send_queued()

    assert answer.status_code == 400
    assert error_code(answer) == "invalid_identifier"
    assert Challenge.objects.count() == Delivery.objects.count() == 0
    assert mail.outbox == []


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"identifier": "victim@example.com"}),
        json.dumps({"identifier": ["victim@example.com", "attacker@evil.example"]}),
        json.dumps(["victim@example.com", "attacker@evil.example"]),
        json.dumps({"identifier": {"$ne": ""}}),
    ],
)
def test_a_list_in_json_is_no_form(browser, body):
    """ID-01"""
    browser.get("/login/")
    token = browser.cookies["csrftoken"].value
    answer = browser.post("/login/", body, content_type="application/json", HTTP_X_CSRFTOKEN=token)

    assert answer.status_code == 400
    assert Challenge.objects.count() == 0


@pytest.mark.parametrize(
    "names", [("identifier", "identifier"), ("identifier", "identifier[]"), ("identifier[]", "identifier")]
)
def test_a_field_given_twice_reaches_one_mailbox_which_is_the_one_that_is_proven(browser, names):
    """ID-01"""
    browser.get("/login/")
    body = f"{names[0]}=victim%40example.com&{names[1]}=attacker%40evil.example"
    browser.post(
        "/login/",
        body,
        content_type="application/x-www-form-urlencoded",
        HTTP_X_CSRFTOKEN=browser.cookies["csrftoken"].value,
    )
    outbox.send_queued()

    (message,) = mail.outbox
    assert message.recipients() == [Challenge.objects.get().canonical]
    browser.submit("/login/wait/", {"code": Challenge.objects.get().code()})
    assert browser.who()["user"]["email"] == message.recipients()[0]


def test_one_address_is_sent_to_and_to_nobody_else(browser):
    """ID-01, the twin"""
    assert browser.start(ADA).status_code == 303
    outbox.send_queued()

    (message,) = mail.outbox
    assert (message.to, message.cc, message.bcc) == ([ADA], [], [])


# -- ID-06: spellings

SPELLINGS = [
    "user@example.com",
    "User@Example.COM",
    "USER@EXAMPLE.COM",
    "  user@example.com\t",
    "user@EXAMPLE.com",
    "\uff55\uff53\uff45\uff52\uff20\uff45xample\uff0e\uff43om",  # a keyboard in full-width mode
]


@pytest.mark.parametrize("typed", SPELLINGS)
def test_every_spelling_of_an_address_signs_in_to_the_same_account(browser, other_browser, clock, typed):
    """ID-06"""
    other_browser.sign_in("user@example.com")
    clock.shift(61)
    browser.start(typed)
    outbox.send_queued()
    message = mail.outbox[-1]

    assert message.to == ["user@example.com"]  # the stored address, not what was typed
    assert guess(browser, newest("user@example.com").code(), "user@example.com").status_code == 303
    assert browser.who()["user"]["id"] == other_browser.who()["user"]["id"]
    assert User.objects.count() == Identity.objects.count() == 1


def test_domains_in_other_scripts_have_one_spelling(clock):
    """ID-06"""
    first, second = stranger("192.0.2.1"), stranger("192.0.2.2")
    first.sign_in("post@xn--mller-kva.example")
    clock.shift(61)
    second.start("post@M\u00dcLLER.example")
    guess(second, newest("post@xn--mller-kva.example").code(), "post@xn--mller-kva.example")

    assert first.who()["user"]["id"] == second.who()["user"]["id"]


@pytest.mark.parametrize("other", ["user+tag@example.com", "u.ser@example.com", "user@mail.example.com"])
def test_addresses_that_are_two_mailboxes_for_most_providers_are_two_accounts(browser, other_browser, other):
    """ID-06, the twin: folding what a provider keeps apart would hand one person's account to another."""
    browser.sign_in("user@example.com")
    other_browser.sign_in(other)

    assert browser.who()["user"]["id"] != other_browser.who()["user"]["id"]


def test_the_canonical_address_is_unique_in_the_database():
    """ID-06"""
    member(ADA)
    other = User.objects.create_user("other")

    with pytest.raises(IntegrityError), transaction.atomic():
        Identity.objects.create(user=other, kind="email", canonical=ADA)


# -- AL-01: the first proof of an address that somebody else entered


def entered(address=ADA, *, password="the attacker's", **fields):
    """An account that the victim knows nothing of: with a password, by the host's own code or an admin."""
    return User.objects.create_user("mallory", email=address, password=password, **fields)


def signed_in_with_password(username="mallory", password="the attacker's"):
    intruder = Browser()
    assert intruder.login(username=username, password=password)
    assert intruder.get("/members/").status_code == 200
    return intruder


def signed_in_by_another_address(user, address="mallory@evil.example"):
    """The attacker's own, proven address on the same account."""
    Identity.objects.create(user=user, kind="email", canonical=address, origin=Identity.Origin.SIGN_UP)
    intruder = stranger("192.0.2.66")
    intruder.sign_in(address)
    assert intruder.get("/members/").content.decode() == f"hello {user.username}"
    return intruder


@pytest.mark.parametrize("door", ["code", "link", "link elsewhere"])
def test_the_first_proof_of_an_entered_address_puts_everybody_else_out(browser, other_browser, clock, door):
    """AL-01: the attacker's sessions, password, addresses, browsers and open attempts are gone."""
    user = entered()
    by_password = signed_in_with_password()
    by_address = signed_in_by_another_address(user)
    intruders_passkey, added = register(by_address)
    assert added.status_code == 200
    RecoveryCode.objects.create(user=user, digest="d" * 64, key_id="k1")
    clock.shift(700)
    by_address.submit("/login/step-up/")
    waiting = stranger("192.0.2.67")
    waiting.start("mallory@evil.example")
    open_attempt = newest("mallory@evil.example")
    clock.shift(61)

    victim = browser
    victim.start(ADA)
    if door == "code":
        assert guess(victim, newest(ADA).code()).status_code == 303
    else:
        victim = other_browser if door == "link elsewhere" else browser
        open_link(victim)
        assert press(victim).status_code == 303

    assert victim.get("/members/").content.decode() == "hello mallory"
    assert by_password.get("/members/").status_code == 302
    assert by_address.get("/members/").status_code == 302
    assert not Browser().login(username="mallory", password="the attacker's")
    assert list(Identity.objects.filter(user=user).values_list("canonical", flat=True)) == [ADA]
    late = waiting.submit("/login/wait/", {"code": open_attempt.code(), "challenge": open_attempt.public_id})
    assert (late.status_code, error_code(late)) == (410, "superseded")
    assert SignIn.objects.live().filter(user=user).count() == 1
    assert KnownBrowser.objects.filter(user=user).count() == 1
    assert Event.objects.filter(kind="first_proof_cleared_account", user=user).count() == 1
    assert sign_in_with_passkey(Browser(), intruders_passkey).json()["error"] == "unknown_credential"
    assert not Passkey.objects.exists()
    assert not RecoveryCode.objects.exists()
    # The attacker's address leads to an account of its own from now on.
    clock.shift(61)
    by_address.sign_in("mallory@evil.example")
    assert by_address.who()["user"]["id"] != victim.who()["user"]["id"]


def test_the_second_proof_takes_nothing(browser, other_browser, clock):
    """AL-01, the twin: it is the first proof that clears, and only that."""
    user = entered()
    browser.sign_in()
    user.refresh_from_db()
    user.set_password("the owner's")
    user.save()
    browser.sign_in("bob@example.com")
    clock.shift(61)
    browser.sign_in()
    clock.shift(61)
    other_browser.sign_in()

    assert browser.who()["authenticated"]
    assert Browser().login(username="mallory", password="the owner's")
    assert Event.objects.filter(kind="first_proof_cleared_account").count() == 1


def test_an_imported_address_takes_nothing_from_its_account(browser):
    """AL-01, the twin: the host has let these people in by these addresses until now."""
    User.objects.bulk_create([User(username="from-before", email=ADA, password=entered("x@example.com").password)])
    call_command("passwordless_import_identities", stdout=io.StringIO())
    theirs = signed_in_with_password("from-before")
    browser.sign_in()

    assert browser.get("/members/").content.decode() == "hello from-before"
    assert theirs.get("/members/").status_code == 200
    assert Browser().login(username="from-before", password="the attacker's")
    assert Identity.objects.get(canonical=ADA).proven_at is not None
    assert not Event.objects.filter(kind="first_proof_cleared_account").exists()


def test_an_address_that_an_admin_changes_is_unproven_again(browser, clock):
    """AL-01: the new address' owner may be somebody else, and the old one opens nothing any more."""
    browser.sign_in("old@example.com")
    user = User.objects.get()
    waiting = stranger()
    clock.shift(61)
    waiting.start("old@example.com")
    user.email = "new@example.com"
    user.save()

    assert guess(waiting, newest("old@example.com").code(), "old@example.com").status_code == 410
    newcomer = stranger("192.0.2.9")
    newcomer.sign_in("new@example.com")
    assert newcomer.get("/members/").content.decode() == f"hello {user.username}"
    assert browser.get("/members/").status_code == 302


# -- users who were there before, and were not imported


def from_before(username="from-before", email=ADA, **fields):
    """bulk_create sends no signals: as rows that are older than the app."""
    user = User(username=username, email=email, **fields)
    user.set_password("theirs")
    User.objects.bulk_create([user])
    return User.objects.get(username=username)


def test_a_user_who_was_not_imported_is_found_by_the_address_and_cleared(browser):
    """AL-01: nobody had proven the address."""
    user = from_before()
    intruder = signed_in_with_password("from-before", "theirs")
    browser.sign_in()

    assert browser.get("/members/").content.decode() == "hello from-before"
    assert User.objects.count() == 1
    assert intruder.get("/members/").status_code == 302
    assert not Browser().login(username="from-before", password="theirs")
    assert Identity.objects.get(user=user).origin == Identity.Origin.HOST


@pytest.mark.parametrize("case", ["two users", "staff", "has another primary address", "inactive"])
def test_who_is_not_adopted_is_refused_and_gets_no_second_account(browser, case):
    """AL-01: nobody is signed in to an account that may be another's."""
    user = from_before(is_staff=case == "staff", is_active=case != "inactive")
    if case == "two users":
        from_before("namesake")
    if case == "has another primary address":
        Identity.objects.create(user=user, kind="email", canonical="other@example.com", is_primary=True)
    users = User.objects.count()
    browser.start()
    answer = guess(browser, newest().code())

    assert (answer.status_code, error_code(answer)) == (403, "disabled")
    assert not browser.who()["authenticated"]
    assert User.objects.count() == users
    assert not Identity.objects.filter(canonical=ADA, proven_at__isnull=False).exists()
    assert User.objects.get(pk=user.pk).check_password("theirs")
    again = guess(browser, newest().code())
    assert (again.status_code, error_code(again)) == (410, "spent")


def test_the_address_of_one_user_never_becomes_anothers(browser, clock):
    """AL-01: the host gives a second user the address that a first has proven."""
    browser.sign_in()
    owner = User.objects.get()
    thief = User.objects.create_user("thief", email=ADA, password="the thief's")

    assert list(Identity.objects.filter(canonical=ADA).values_list("user_id", flat=True)) == [owner.pk]
    assert Event.objects.filter(kind="address_conflict", user=thief).exists()
    clock.shift(61)
    other = stranger()
    other.sign_in()
    assert other.get("/members/").content.decode() == f"hello {owner.username}"


def test_nobody_is_signed_in_by_credentials(settings):
    """AL-01: the backend of our sessions takes none, not even right ones."""
    settings.AUTHENTICATION_BACKENDS = ["passwordless_auth.backends.SignInBackend"]
    user = member(ADA)
    user.set_password("theirs")
    user.save()

    assert authenticate(None, username=user.username, password="theirs") is None
    assert authenticate(None, email=ADA) is None
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    assert authenticate(None, username=user.username, password="theirs") == user
