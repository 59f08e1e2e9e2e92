"""Whatever ends a sign-in, other apps learn it in the same transaction."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from passwordless_auth import sessions, signals
from passwordless_auth.flows import enrolment, operator, sign_out
from passwordless_auth.models import Identity, Passkey, SignIn
from passwordless_auth.requester import Operator, Requester
from passwordless_auth.testing import outbox
from passwordless_auth.testing.enrolment import add_passkey
from tests.views.pages import Page

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


@pytest.fixture
def ended():
    """What receivers were told: (pks, reason)."""
    told = []

    def receiver(pks, reason, **_):
        assert connection.in_atomic_block
        told.append((set(pks), reason))

    signals.sign_ins_ending.connect(receiver)
    yield told
    signals.sign_ins_ending.disconnect(receiver)


@pytest.fixture
def closed():
    told = []

    def receiver(user, reason, **_):
        told.append((user, reason))

    signals.access_ending.connect(receiver)
    yield told
    signals.access_ending.disconnect(receiver)


@pytest.fixture(autouse=True)
def as_often_as_one_likes(settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = ""


@pytest.fixture
def ada(browser):
    browser.sign_in(ADA)
    return User.objects.get()


def run_out(days=1):
    SignIn.objects.update(last_seen_at=timezone.now() - timedelta(days=days))
    call_command("passwordless_purge")


def by_operator(work, *args):
    work(*args, operator=Operator(name="root", reason="asked by phone"), requester=Requester())


ENDS = {
    "signed_out": lambda browser, ada: browser.submit("/logout/"),
    "ended_by_user": lambda browser, ada: sign_out.end_one(ada, SignIn.objects.get().public_id),
    "everywhere": lambda browser, ada: browser.submit("/account/sessions/", {"scope": "everywhere"}),
    "replaced": lambda browser, ada: browser.sign_in("bob@example.com"),
    "run_out": lambda browser, ada: run_out(),
    "ended_by_operator": lambda browser, ada: by_operator(operator.end_sessions, ada),
    "factors_reset": lambda browser, ada: by_operator(operator.reset_factors, ada),
    "level_raised": lambda browser, ada: by_operator(operator.set_minimum_level, ada, "phr"),
}


@pytest.mark.parametrize("reason", ENDS)
def test_every_way_to_end_is_told_of(browser, ada, ended, reason):
    pk = SignIn.objects.get().pk

    ENDS[reason](browser, ada)

    assert ended == [({pk}, reason)]


def test_who_is_deactivated_or_deleted_ends(browser, ada, ended, closed):
    pk = SignIn.objects.get().pk
    ada.is_active = False
    ada.save()
    assert (ended, closed) == ([({pk}, "deactivated")], [(ada, "deactivated")])

    ada.is_active = True
    ada.save()
    browser.sign_in(ADA)
    pk = SignIn.objects.latest("pk").pk
    ada.delete()
    assert ended[1:] == [({pk}, "deleted")]


def test_who_was_deactivated_behind_our_back_ends_at_the_next_request(browser, ada, ended):
    User.objects.update(is_active=False)

    browser.get("/account/")

    assert ended == [({SignIn.objects.get().pk}, "deactivated")]


def test_the_first_proof_of_an_address_closes_what_was_opened_before(browser, ada, ended, closed):
    identity = Identity.objects.get()
    Identity.objects.update(proven_at=None, origin=Identity.Origin.HOST)
    pk = SignIn.objects.get().pk
    other = type(browser)()

    other.sign_in(ADA)

    assert identity.user == ada
    assert ended == [({pk}, "first_proof")]
    assert closed == [(ada, "first_proof")]


def test_what_is_refused_later_ends_what_ran_out_by_itself(browser, ada, ended):
    add_passkey(ada)
    passkey = Passkey.objects.get()
    row = SignIn.objects.get()
    SignIn.objects.update(otp_device_id=passkey.persistent_id)
    run_out()
    ended.clear()

    with transaction.atomic():
        enrolment.enforce_block(passkey, requester=Requester(), now=timezone.now())

    assert ended == [({row.pk}, "passkey_blocked")]
    assert SignIn.objects.get().end_reason == "passkey_blocked"


def test_this_was_not_me_ends_what_ran_out_by_itself(browser, ada, ended):
    proven = {"origin": Identity.Origin.OWNER, "proven_at": timezone.now()}
    Identity.objects.create(user=ada, kind="email", canonical="ada@work.example", **proven)
    thief = type(browser)(HTTP_USER_AGENT="Thief/1.0")
    thief.sign_in(ADA)
    theirs = SignIn.objects.latest("pk")
    link = outbox.last_link("ada@work.example")
    run_out()
    ended.clear()

    owner = type(browser)()
    page = Page(owner.get(link, follow=True))
    owner.submit("/login/report/", page.forms[0].fields)

    assert ended == [({theirs.pk}, "reported")]
    theirs.refresh_from_db()
    assert theirs.end_reason == "reported"


def test_a_sign_in_that_was_ended_is_not_ended_again(browser, ada, ended):
    sign_out.end_everywhere(ada)
    ended.clear()

    sign_out.end_everywhere(ada)
    sessions.end(SignIn.objects.all(), reason="again")

    assert not ended
    assert SignIn.objects.get().end_reason == "everywhere"


@pytest.mark.django_db(transaction=True)
def test_what_a_receiver_raises_undoes_the_end(browser, ada):
    def broken(**_):
        raise DatabaseError

    signals.sign_ins_ending.connect(broken)
    try:
        with pytest.raises(DatabaseError):
            sign_out.end_everywhere(ada)
    finally:
        signals.sign_ins_ending.disconnect(broken)

    assert SignIn.objects.live().count() == 1
    assert browser.who()["authenticated"]
