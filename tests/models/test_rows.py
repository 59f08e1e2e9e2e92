"""Identity, KnownBrowser, Profile, SignIn, Event."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction

from passwordless_auth import signals
from passwordless_auth.models import Challenge, Delivery, Event, Identity, KnownBrowser, Profile, Proof, SignIn
from passwordless_auth.models.event import announce, record
from passwordless_auth.requester import Requester

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def ada():
    return User.objects.create_user("ada", "ada@example.com")


# -- identity


def test_an_address_belongs_to_one_user(ada):
    bob = User.objects.create_user("bob")

    with pytest.raises(IntegrityError), transaction.atomic():
        Identity.objects.create(user=bob, kind="email", canonical="ada@example.com")


def test_an_address_is_proven_for_the_first_time_once(ada):
    identity = Identity.objects.get()

    assert Identity.objects.prove(identity, now=NOW)
    assert not Identity.objects.prove(identity, now=NOW + timedelta(days=1))
    identity.refresh_from_db()
    assert identity.proven_at == NOW


# -- known browser


def test_a_browser_is_remembered_by_one_statement_new_or_not(ada, django_assert_num_queries):
    for days in (0, 1):
        with django_assert_num_queries(1):
            KnownBrowser.objects.remember(user_id=ada.pk, browser_digest="d" * 64, now=NOW + timedelta(days=days))

    row = KnownBrowser.objects.get()
    assert (row.created_at, row.last_used_at) == (NOW, NOW + timedelta(days=1))


# -- profile


def test_a_profile_is_made_once_and_then_costs_nothing(ada, django_assert_num_queries):
    profile = Profile.objects.of(ada)
    assert Profile.objects.of(User.objects.get()) == profile

    user = User.objects.select_related("passwordless_profile").get()
    with django_assert_num_queries(0):
        assert Profile.objects.of(user).handle == profile.handle


def test_handles_say_nothing_of_the_person(ada):
    handle = Profile.objects.of(ada).handle

    assert len(handle) == 32
    assert int(handle, 16)
    assert handle != Profile.objects.of(User.objects.create_user("bob")).handle


# -- sign-in


def test_proofs_come_back_as_they_went_in(ada):
    proofs = [Proof("magic_link", ("otp",), 1), Proof("one_time_code", ("otp",), 2), Proof("magic_link", ("otp",), 3)]
    sign_in = SignIn(user=ada, level="single")
    sign_in.set_proofs(proofs)
    sign_in.save()
    sign_in = SignIn.objects.get()

    assert sign_in.all_proofs() == proofs
    assert sign_in.methods == ["magic_link", "one_time_code"]
    assert sign_in.summary() == {
        "level": "single",
        "methods": ["magic_link", "one_time_code"],
        "auth_time": sign_in.auth_time,
    }


def test_a_session_key_is_kept_sealed_for_its_own_row(ada):
    one, other = SignIn(user=ada, level="single"), SignIn(user=ada, level="single")
    assert one.session_key() is None
    one.remember_session("a-session-key")
    other.session_key_sealed = one.session_key_sealed

    assert "a-session-key" not in one.session_key_sealed
    assert one.session_key() == "a-session-key"
    assert other.session_key() is None


def test_a_sign_in_ends_once(ada):
    row = SignIn.objects.create(user=ada, level="single")

    assert SignIn.objects.end(row.pk, now=NOW, reason="signed_out")
    assert not SignIn.objects.end(row.pk, now=NOW, reason="again")
    assert SignIn.objects.get().end_reason == "signed_out"
    assert not SignIn.objects.live().exists()


# -- event


def test_what_is_written_down_is_told_to_the_log_and_to_receivers_once_it_is_committed(
    ada, caplog, django_capture_on_commit_callbacks
):
    caplog.set_level(logging.INFO, "passwordless_auth.events")
    heard = []

    def receive(sender, *, kind, user, data, **_kwargs):
        heard.append((kind, user, data))

    signals.security_event.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            record("something", user=ada, masked="a•••", requester=Requester(ip="192.0.2.1"), now=NOW, why="because")
            announce("something_else")
            assert heard == []
    finally:
        signals.security_event.disconnect(receive)

    assert heard == [("something", ada, {"why": "because"}), ("something_else", None, {})]
    event = Event.objects.get()
    assert (str(event), event.ip, event.data, event.created_at) == ("something", "192.0.2.1", {"why": "because"}, NOW)
    first, second = caplog.records
    assert (first.getMessage(), first.event, first.user_id, first.ip) == (
        "something a•••",
        "something",
        str(ada.pk),
        "192.0.2.1",
    )
    assert second.getMessage() == "something_else -"


def test_a_receiver_that_fails_takes_nothing_with_it(ada, django_capture_on_commit_callbacks):
    def receive(sender, **_kwargs):
        raise RuntimeError

    signals.security_event.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            record("something", user=ada)
    finally:
        signals.security_event.disconnect(receive)

    assert Event.objects.get().user == ada


# -- indexes


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only there has Django a second index for LIKE")
@pytest.mark.parametrize("model", [Challenge, Delivery, SignIn])
def test_no_column_that_every_sign_in_writes_has_an_index_for_like(model):
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s", [model._meta.db_table])
        indexes = [definition for (definition,) in cursor.fetchall()]

    assert any("(public_id)" in index for index in indexes)
    assert not [index for index in indexes if "_pattern_ops" in index]
