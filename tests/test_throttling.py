"""Limits: how they are written, counted, refused and given back."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.utils import timezone

from passwordless_auth import throttling
from passwordless_auth.exceptions import TooManyRequests
from passwordless_auth.models import Challenge, Counter, Event
from passwordless_auth.models.counter import Window
from passwordless_auth.requester import Requester
from passwordless_auth.testing import outbox
from passwordless_auth.throttling import Bucket, Limit

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

needs_redis = [
    pytest.mark.redis,
    pytest.mark.skipif("CACHE_URL" not in os.environ, reason="needs Redis in CACHE_URL"),
]


def two_per_minute(key="ada"):
    return Bucket("knocks", key, throttling.parse("2/60s"))


@pytest.fixture(params=["database", pytest.param("redis", marks=needs_redis)])
def store(request):
    if request.param == "redis":
        request.getfixturevalue("in_redis")
    return request.param


@pytest.fixture
def broken_store(settings):
    """A cache whose server is down."""
    settings.CACHES = {
        **settings.CACHES,
        "down": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        },
    }
    settings.PASSWORDLESS_AUTH_LIMIT_STORE = "down"


# -- writing


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", ()),
        ("  ", ()),
        ("5/15m", (Limit(5, 900),)),
        ("1/60s,5/15m,10/d", (Limit(1, 60), Limit(5, 900), Limit(10, 86400))),
        (" 1 / 60 s , 50/h ", (Limit(1, 60), Limit(50, 3600))),
        ("3/2d,", (Limit(3, 172800),)),
    ],
)
def test_a_limit_is_a_list_of_counts_over_windows(text, limits):
    assert throttling.parse(text) == limits


@pytest.mark.parametrize("text", ["1/h,5/h", "1/60s,2/m"])
def test_a_window_that_is_named_twice_is_refused(text):
    with pytest.raises(ImproperlyConfigured, match="names one window twice"):
        throttling.parse(text)


@pytest.mark.parametrize("text", ["5", "5/", "/h", "5/w", "0/h", "5/0m", "-1/h", "5/h/d", "many/h", "1.5/h"])
def test_what_is_no_limit_is_refused_and_never_read_as_unlimited(text):
    with pytest.raises(ImproperlyConfigured, match="is not a limit"):
        throttling.parse(text)


# -- counting


def test_what_fits_is_counted_and_what_does_not_is_refused_with_the_time_to_wait(store):
    now = timezone.now()
    throttling.hit([two_per_minute()], now=now)
    throttling.hit([two_per_minute()], now=now)

    with pytest.raises(TooManyRequests) as refused, transaction.atomic():
        throttling.hit([two_per_minute()], now=now)

    assert refused.value.scope == "knocks"
    assert 1 <= refused.value.retry_after <= 60
    throttling.hit([two_per_minute("bob")], now=now)


def test_what_was_refused_does_not_count(store):
    now = timezone.now()
    wide = Bucket("knocks", "ada", throttling.parse("2/60s,4/h"))
    for _ in range(2):
        throttling.hit([wide], now=now)
    for _ in range(10):
        with pytest.raises(TooManyRequests), transaction.atomic():
            throttling.hit([wide], now=now)

    assert throttling._read([Window("knocks", "ada", 3600)], now=now)[Window("knocks", "ada", 3600)][0] == 2


def test_several_buckets_are_counted_together_and_the_longest_wait_is_told(store):
    now = timezone.now()
    short = Bucket("short", "ada", throttling.parse("1/10s"))
    long = Bucket("long", "ada", throttling.parse("1/h"))
    throttling.hit([short, long], now=now)

    with pytest.raises(TooManyRequests) as refused, transaction.atomic():
        throttling.hit([short, long], now=now)

    assert refused.value.scope == "long"


def test_asking_whether_a_limit_is_reached_counts_nothing(store):
    now = timezone.now()
    assert throttling.used_up([two_per_minute()], now=now) == {}
    throttling.hit([two_per_minute()], now=now)
    assert throttling.used_up([two_per_minute()], now=now) == {}
    throttling.hit([two_per_minute()], now=now)

    for _ in range(3):
        (wait,) = throttling.used_up([two_per_minute()], now=now).values()
        assert 1 <= wait <= 60


def test_a_limit_that_is_off_neither_counts_nor_asks(store, django_assert_num_queries):
    off = Bucket("knocks", "ada", throttling.parse(""))

    with django_assert_num_queries(0):
        throttling.hit([off], now=NOW)
        throttling.hit([off], now=NOW)
        assert throttling.used_up([off], now=NOW) == {}


def test_a_window_begins_with_its_first_action_and_ends_after_its_period():
    throttling.hit([two_per_minute()], now=NOW)
    throttling.hit([two_per_minute()], now=NOW + timedelta(seconds=59))
    with pytest.raises(TooManyRequests) as refused, transaction.atomic():
        throttling.hit([two_per_minute()], now=NOW + timedelta(seconds=59))
    assert refused.value.retry_after == 1

    throttling.hit([two_per_minute()], now=NOW + timedelta(seconds=60))

    row = Counter.objects.get()
    assert (row.count, row.resets_at) == (1, NOW + timedelta(seconds=120))


def test_many_windows_are_counted_by_one_statement(django_assert_num_queries):
    """Two on MariaDB and MySQL, which can't return what they have counted."""
    buckets = [Bucket("a", "ada", throttling.parse("1/60s,5/15m,10/d")), Bucket("b", "::1", throttling.parse("50/h"))]

    with django_assert_num_queries(2 if connection.vendor == "mysql" else 1):
        throttling.hit(buckets, now=NOW)
    assert Counter.objects.count() == 4


def test_a_rollback_takes_the_counts_back():
    with transaction.atomic():
        throttling.hit([two_per_minute()], now=NOW)
        assert Counter.objects.get().count == 1
        transaction.set_rollback(True)

    assert not Counter.objects.exists()


def test_requesters_without_an_address_share_one_bucket():
    """Behind a Unix socket nobody has one: no limit may be off because of it."""
    assert throttling.starts(Requester()).key == throttling.failures_of_network(Requester()).key == "unknown"
    assert throttling.starts(Requester(ip="2001:db8::5")).key == "2001:db8::/64"


# -- the cache that counts


@pytest.mark.redis
@pytest.mark.skipif("CACHE_URL" not in os.environ, reason="needs Redis in CACHE_URL")
def test_a_window_in_the_cache_is_named_in_its_key_and_outlived_by_it(in_redis, time_machine):
    time_machine.move_to(NOW, tick=False)
    throttling.hit([two_per_minute()], now=NOW)
    throttling.hit([two_per_minute()], now=NOW)

    with pytest.raises(TooManyRequests) as refused:
        throttling.hit([two_per_minute()], now=NOW)
    assert refused.value.retry_after == 60  # NOW is on the minute

    key = throttling._cache_key(Window("knocks", "ada", 60))
    assert 60 < caches["redis"]._cache.get_client(key).ttl(caches["redis"].make_key(key)) <= 120
    time_machine.shift(60)
    throttling.hit([two_per_minute()], now=timezone.now())


def test_when_the_cache_is_down_the_database_counts(broken_store, caplog):
    throttling.hit([two_per_minute()], now=NOW)
    throttling.hit([two_per_minute()], now=NOW)
    with pytest.raises(TooManyRequests), transaction.atomic():
        throttling.hit([two_per_minute()], now=NOW)

    assert throttling.used_up([two_per_minute()], now=NOW) == {"knocks": 60}
    assert Counter.objects.get().count == 2
    assert "The cache that counts limits does not answer; the database counts" in caplog.text


def test_a_person_signs_in_while_the_cache_is_down(browser, broken_store):
    browser.sign_in()

    assert browser.who()["authenticated"]
    assert browser.start().status_code == 303  # known by now: a budget of its own
    assert browser.start().status_code == 429


# -- the trace of what was refused


def test_refusals_are_numbered_on_the_counter_and_tell_one_event_a_window(browser):
    browser.start()
    for _ in range(5):
        assert browser.start().status_code == 429

    row = Counter.objects.get(action="sends", period=60)
    assert (row.count, row.refused) == (1, 5)
    event = Event.objects.get()
    assert (event.kind, event.masked, event.data) == ("limit_reached", "a•••@e•••.com", {"scope": "sends"})
    assert Challenge.objects.count() == 1
    assert outbox.send_queued() == 1


def test_a_window_that_begins_anew_has_refused_nobody(browser, time_machine):
    time_machine.move_to(NOW, tick=False)
    for _ in range(3):
        browser.start()
    assert Counter.objects.get(action="sends", period=60).refused == 2
    time_machine.shift(60)
    browser.start()
    assert Counter.objects.get(action="sends", period=60).refused == 0
    browser.start()

    assert Event.objects.filter(kind="limit_reached").count() == 2


def test_a_refusal_is_noted_by_two_statements_at_most(browser, django_assert_max_num_queries):
    windows = [Window("sends", "ada", period) for period in (60, 900, 86400)]
    Counter.objects.add(dict.fromkeys(windows, 1), now=NOW)

    for first in (True, False):
        with django_assert_max_num_queries(2):
            assert Counter.objects.note_refusal(windows, now=NOW) is first
    assert set(Counter.objects.values_list("refused", flat=True)) == {2}


@pytest.mark.parametrize(
    ("settings_name", "masked"), [("LIMIT_SENDS_PER_KNOWN_BROWSER", "a•••@e•••.com"), ("LIMIT_STARTS_PER_IP", "")]
)
def test_the_event_names_an_address_where_the_limit_is_one_of_an_address(browser, settings, settings_name, masked):
    if masked:
        browser.sign_in()
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    setattr(settings, f"PASSWORDLESS_AUTH_{settings_name}", "1/h")
    assert [browser.start().status_code for _ in range(2)] == [303, 429]

    assert Event.objects.get().masked == masked


def test_a_budget_of_sends_is_freed_by_time(browser, time_machine):
    time_machine.move_to(NOW, tick=False)
    browser.start()

    response = browser.start()
    assert response.status_code == 429
    assert response["Retry-After"] == "60"

    time_machine.shift(60)
    assert browser.start().status_code == 303


def test_starts_are_limited_by_network_over_all_addresses(browser, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = "3/h"
    for number in range(3):
        assert browser.start(f"person{number}@example.com").status_code == 303

    assert browser.start("person4@example.com").status_code == 429
    assert Challenge.objects.count() == 3
    elsewhere = browser.submit("/login/", {"identifier": "person4@example.com"}, REMOTE_ADDR="192.0.2.9")
    assert elsewhere.status_code == 303


def test_wrong_codes_are_limited_by_network(browser, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP = "2/10m"
    browser.start()
    right = outbox.last_code("ada@example.com")
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for _ in range(2):
        assert browser.submit("/login/wait/", {"code": wrong}).status_code == 400

    response = browser.submit("/login/wait/", {"code": right})

    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 600
    assert b'data-code="too_many_requests"' in response.content
    assert Challenge.objects.get().tries == 2  # what was not compared is not counted


def test_when_an_account_is_guessed_out_its_messages_carry_the_link_only(browser, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_ACCOUNT = "2/h"
    browser.start()
    wrong = f"{(int(outbox.last_code('ada@example.com')) + 1) % 10**6:06}"
    for _ in range(2):
        browser.submit("/login/wait/", {"code": wrong})

    browser.start()

    challenge = Challenge.objects.latest("pk")
    assert (challenge.accepts_code, challenge.accepts_link) == (False, True)
    message = outbox.last_message("ada@example.com")
    assert message.subject == "Your sign-in link for Testserver"
    page = browser.get("/login/wait/").content.decode()
    assert 'name="code"' not in page
    assert "Open the link in the message, in this browser." in page
    assert browser.get(outbox.last_link("ada@example.com"), follow=True).status_code == 200
    response = browser.submit("/login/link/", {"challenge": challenge.public_id, "action": "sign_in"})
    assert response.status_code == 303
    assert browser.who()["authenticated"]
