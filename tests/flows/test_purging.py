"""``passwordless_purge``: rows that only age leave in time."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from passwordless_auth.flows import purging
from passwordless_auth.models import (
    AddressMark,
    Challenge,
    Counter,
    Delivery,
    Event,
    Identity,
    KnownBrowser,
    Profile,
    SignIn,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def challenge(expires_at, **fields):
    return Challenge.objects.create(
        purpose="sign_in",
        kind="email",
        canonical="ada@example.com",
        key_id="k1",
        code_length=6,
        code_alphabet="digits",
        max_tries=3,
        code_expires_at=expires_at,
        link_expires_at=expires_at,
        expires_at=expires_at,
        **fields,
    )


def delivery(expires_at, **fields):
    return Delivery.objects.create(kind="sign_in", canonical="ada@example.com", expires_at=expires_at, **fields)


def counter(resets_at, key):
    return Counter.objects.create(action="sends", key=key, period=60, count=1, resets_at=resets_at)


@pytest.fixture
def user():
    return User.objects.create_user("ada", "ada@example.com")


def sign_in(user, **fields):
    return SignIn.objects.create(
        user=user,
        level="single",
        **{"created_at": NOW, "last_seen_at": NOW, "ip": "192.0.2.1", "user_agent": "x", **fields},
    )


def event(created_at, **fields):
    return Event.objects.create(kind="x", created_at=created_at, **{"ip": "192.0.2.1", "user_agent": "x", **fields})


def purge(**options):
    return {name: number for name, number in purging.purge(now=NOW, **options).items() if number}


def test_challenges_and_their_deliveries_stay_for_a_day_after_they_ran_out():
    for made in (challenge, delivery):
        made(NOW - DAY - SECOND)
        made(NOW - DAY)
        made(NOW + DAY)

    assert purge() == {"challenges": 1, "deliveries": 1}
    assert min(Challenge.objects.values_list("expires_at", flat=True)) == NOW - DAY
    assert min(Delivery.objects.values_list("expires_at", flat=True)) == NOW - DAY


def test_marks_of_addresses_stay_for_ninety_days():
    for number in range(2):
        AddressMark.objects.create(
            canonical=f"{number}@example.com", reason="bounced", marked_at=NOW - 90 * DAY - number * SECOND
        )

    assert purge() == {"address_marks": 1}
    assert AddressMark.objects.get().canonical == "0@example.com"


def test_counters_go_when_their_window_is_over():
    counter(NOW - SECOND, "old")
    counter(NOW + SECOND, "running")

    assert purge() == {"counters": 1}
    assert str(Counter.objects.get()) == "sends running"


def test_sessions_that_nobody_came_back_to_are_ended(user):
    idle = sign_in(user, last_seen_at=NOW - timedelta(hours=12, minutes=11))
    old = sign_in(user, created_at=NOW - 30 * DAY - SECOND)
    young = sign_in(user, created_at=NOW - 29 * DAY, last_seen_at=NOW - timedelta(hours=12, minutes=9))

    assert purge() == {"sign_ins_ended": 2}
    for row in (idle, old, young):
        row.refresh_from_db()
    assert (idle.ended_at, idle.end_reason) == (NOW, "run_out")
    assert old.end_reason == "run_out"
    assert young.ended_at is None


def test_ended_sign_ins_stay_for_ninety_days(user):
    sign_in(user, ended_at=NOW - 90 * DAY - SECOND)
    kept = sign_in(user, ended_at=NOW - 90 * DAY)
    challenge(NOW + DAY, sign_in=kept)

    assert purge() == {"sign_ins": 1}
    assert SignIn.objects.get() == kept
    assert Challenge.objects.exists()


def test_browsers_are_known_for_four_hundred_days(user):
    KnownBrowser.objects.create(user=user, browser_digest="a", last_used_at=NOW - 400 * DAY - SECOND)
    KnownBrowser.objects.create(user=user, browser_digest="b", last_used_at=NOW - 400 * DAY)

    assert purge() == {"known_browsers": 1}
    assert KnownBrowser.objects.get().browser_digest == "b"


def test_events_stay_for_a_year_and_who_asked_for_ninety_days(user):
    event(NOW - 365 * DAY - SECOND)
    old = event(NOW - 91 * DAY)
    old_without = event(NOW - 91 * DAY, ip=None, user_agent="")
    young = event(NOW - 89 * DAY)

    assert purge() == {"events": 1, "requesters": 1}
    assert set(Event.objects.values_list("pk", "ip", "user_agent")) == {
        (old.pk, None, ""),
        (old_without.pk, None, ""),
        (young.pk, "192.0.2.1", "x"),
    }
    assert purge() == {}


def test_who_signed_in_from_where_is_forgotten_even_while_the_session_lives(user, settings):
    settings.PASSWORDLESS_AUTH_SESSION_LIFETIME = 365 * 86400
    row = sign_in(user, created_at=NOW - 91 * DAY)

    assert purge() == {"requesters": 1}
    row.refresh_from_db()
    assert (row.ip, row.user_agent, row.ended_at) == (None, "", None)


def test_the_settings_say_how_long(user, settings):
    settings.PASSWORDLESS_AUTH_RETENTION_CHALLENGES = 60
    settings.PASSWORDLESS_AUTH_RETENTION_REQUESTERS = 60
    settings.PASSWORDLESS_AUTH_RETENTION_EVENTS = 60
    settings.PASSWORDLESS_AUTH_RETENTION_KNOWN_BROWSERS = 60
    before = NOW - timedelta(seconds=61)
    challenge(before)
    sign_in(user, ended_at=before)
    event(before)
    KnownBrowser.objects.create(user=user, browser_digest="a", last_used_at=before)

    assert purge() == {"challenges": 1, "sign_ins": 1, "events": 1, "known_browsers": 1}


def test_people_and_their_addresses_never_age(user):
    Profile.objects.of(user)
    Identity.objects.update(created_at=NOW - 5000 * DAY)
    Profile.objects.update(created_at=NOW - 5000 * DAY)

    assert purge() == {}
    assert (Identity.objects.count(), Profile.objects.count()) == (1, 1)


def test_the_work_is_done_in_batches(monkeypatch):
    for _ in range(25):
        challenge(NOW - 2 * DAY)
    sizes = []
    real = type(Challenge.objects.all()).delete

    def delete(rows):
        sizes.append(len(rows))
        return real(rows)

    monkeypatch.setattr(type(Challenge.objects.all()), "delete", delete)

    assert purge(batch=10) == {"challenges": 25}
    assert sizes == [10, 10, 5]


def test_the_command_tells_what_it_did(user):
    challenge(timezone.now() - 2 * DAY)
    out = io.StringIO()
    call_command("passwordless_purge", batch=100, stdout=out)

    assert "challenges: 1" in out.getvalue().splitlines()
    assert "events: 0" in out.getvalue().splitlines()
    assert not Challenge.objects.exists()


def test_a_session_that_was_purged_away_is_dead_in_the_browser_too(browser, clock):
    browser.sign_in()
    clock.shift(13 * 3600)
    call_command("passwordless_purge", stdout=io.StringIO())

    assert SignIn.objects.get().end_reason == "run_out"
    assert not browser.who()["authenticated"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plans")
def test_what_has_aged_is_found_by_an_index():
    """Whatever has piled up: no statement reads a table from its beginning."""
    with CaptureQueriesContext(connection) as queries:
        purge()
    selects = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    # Access tokens go by their key: django-oauth-toolkit has no index of their age. There are few signing keys.
    without_age = ("oauth2_provider_accesstoken", "passwordless_auth_oidc_signingkey")
    selects = [select for select in selects if not any(f'FROM "{table}"' in select for table in without_age)]
    assert len(selects) == 15
    with connection.cursor() as cursor:
        for select in selects:
            cursor.execute(f"EXPLAIN QUERY PLAN {select}")
            plan = [row[3] for row in cursor.fetchall()]
            assert not [step for step in plan if step.startswith("SCAN")], (select, plan)
            assert any("INDEX" in step for step in plan), (select, plan)
