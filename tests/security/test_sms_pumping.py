"""SMS pumping: somebody asks for text messages to earn by them. It doesn't pay here, and people go on signing in."""

import itertools
import math
import os
import random
from collections import Counter as Tally
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from passwordless_auth.flows import notices, pumping
from passwordless_auth.models import Counter, Delivery, Event, Identity
from passwordless_auth.requester import Operator, Requester
from passwordless_auth.testing import outbox
from tests.conftest import Browser

from .conftest import error_code

pytestmark = pytest.mark.django_db

PREFIX = "+4915123"
PAUSED = "No text messages go there at the moment. Please sign in with your e-mail address or a passkey."


@pytest.fixture(autouse=True)
def on(sms, clock):
    """Sign-in by phone; nothing is looked at but when a test says so."""


def network():
    """An IP address of a network that nobody has asked from, for as long as a test runs."""
    number = next(_networks)
    return f"{20 + number // 60000}.{number // 250 % 240}.{number % 250}.7"


_networks = itertools.count()


def ask(number, *, ip=None):
    """A browser that nobody knows asks for a message."""
    browser = Browser(REMOTE_ADDR=ip or network())
    browser.cookies["csrftoken"] = "a" * 32  # it has seen a page before
    return browser.start(number)


def numbers(prefix):
    """Numbers of one block, one after the other."""
    return (f"{prefix}{number:06}" for number in itertools.count(100000))


def refused(response):
    return (response.status_code, error_code(response))


# -- budgets


def test_a_block_of_numbers_gets_twenty_an_hour_wherever_they_are_asked_for_from(clock):
    asked = [ask(number).status_code for number in itertools.islice(numbers(PREFIX), 21)]

    assert asked == [303] * 20 + [429]
    assert ask("+4915124999999").status_code == 303
    clock.shift(3601)
    assert ask(f"{PREFIX}999999").status_code == 303


def test_the_refusal_says_that_another_way_is_open(clock):
    for number in itertools.islice(numbers(PREFIX), 20):
        ask(number)

    response = ask(f"{PREFIX}999999")

    assert refused(response) == (429, "too_many_requests")
    assert PAUSED in response.content.decode()
    assert Browser().start("ada@example.com").status_code == 303


def test_one_ip_address_gets_ten_an_hour_and_its_neighbourhood_fifty():
    from_one = [ask(f"+49151{block:02}100001", ip="203.0.113.9").status_code for block in range(10, 21)]
    assert from_one == [303] * 10 + [429]

    from_neighbours = [
        ask(f"+49151{block:02}{last:06}", ip=f"203.0.113.{last - 300000}").status_code
        for block, last in zip(itertools.cycle(range(10, 90)), range(300010, 300060), strict=False)
    ]
    assert from_neighbours.count(303) == 40
    assert refused(ask("+4917612345678", ip="203.0.113.200")) == (429, "too_many_requests")
    assert ask("+4917612345678", ip="203.0.114.200").status_code == 303


def test_all_strangers_together_have_a_budget_a_day(settings, clock):
    settings.PASSWORDLESS_AUTH_SMS_LIMIT_TOTAL = "3/d"
    asked = [ask(f"+49151{block}100001").status_code for block in range(10, 14)]
    assert asked == [303, 303, 303, 429]


def test_the_days_money_is_a_ceiling_and_dearer_countries_use_it_up_sooner(settings):
    settings.PASSWORDLESS_AUTH_SMS_PRICES = {"DE": "0.08", "*": "0.25"}
    settings.PASSWORDLESS_AUTH_SMS_CEILING_PER_DAY = "1.00"  # 0.75 of it for strangers

    assert ask("+4915110100001").status_code == 303  # 0.08
    assert ask("+436641234567").status_code == 303  # 0.33
    assert ask("+436641234568").status_code == 303  # 0.58
    assert ask("+436641234569").status_code == 429  # 0.83
    assert ask("+4915111100001").status_code == 303  # 0.66
    assert ask("+4915112100001").status_code == 303  # 0.74
    assert ask("+4915113100001").status_code == 429


def test_a_resent_message_costs_as_much_as_another(settings, clock, browser):
    settings.PASSWORDLESS_AUTH_SMS_CEILING_PER_DAY = "0.28"  # 0.21 for strangers
    browser.start("+4915110100001")
    clock.shift(61)
    assert browser.submit("/login/resend/").status_code == 303
    clock.shift(61)

    assert refused(browser.submit("/login/resend/")) == (429, "too_many_requests")


def test_a_known_browser_has_its_share_when_strangers_have_spent_theirs(settings, clock):
    known = Browser()
    known.sign_in("+4915110100001")
    known.submit("/logout/")
    clock.shift(61)
    settings.PASSWORDLESS_AUTH_SMS_CEILING_PER_DAY = "0.40"  # 0.30 and 0.10
    settings.PASSWORDLESS_AUTH_SMS_LIMIT_PER_PREFIX = "1/h"
    assert ask("+4915111100001").status_code == 303
    assert ask("+4915112100001").status_code == 303
    assert ask("+4915113100001").status_code == 429

    assert known.start("+4915110100001").status_code == 303
    clock.shift(61)
    assert refused(known.start("+4915110100001")) == (429, "too_many_requests")


def test_known_and_unknown_numbers_are_refused_alike(settings, clock):
    Browser().sign_in("+4915110100001")
    clock.shift(61)
    settings.PASSWORDLESS_AUTH_SMS_LIMIT_PER_PREFIX = "1/h"
    ask("+4915110100003")

    answers = [ask(number) for number in ("+4915110100001", "+4915110100002")]

    assert [refused(answer) for answer in answers] == [(429, "too_many_requests")] * 2
    assert answers[0].content.replace(b"+4915110100001", b"") == answers[1].content.replace(b"+4915110100002", b"")


def test_notices_to_a_number_have_a_budget_and_count_as_money(sms, settings, clock):
    """Who pumps would sign up once, and then change the account back and forth."""
    settings.PASSWORDLESS_AUTH_SMS_LIMIT_NOTICES = "3/h"
    settings.PASSWORDLESS_AUTH_SMS_CEILING_PER_DAY = "1.00"
    browser = Browser()
    browser.sign_in("+4915110100001")
    user = Identity.objects.get().user
    sent = len(sms())

    for _ in range(5):
        with transaction.atomic():
            notices.tell(user, "recovery_codes_made", requester=Requester(), count=10, now=timezone.now())

    assert len(sms()) == sent + 3
    assert Counter.objects.get(action="sms_money").count == 400
    Identity.objects.create(user=user, kind="email", canonical="ada@example.com", proven_at=timezone.now())
    told = notices.tell(user, "recovery_codes_made", requester=Requester(), count=10, now=timezone.now())
    assert [delivery.canonical for delivery in told.deliveries.all()] == ["ada@example.com"]


def test_e_mail_counts_in_none_of_it(browser):
    browser.sign_in("ada@example.com")

    assert not Counter.objects.filter(action__startswith="sms_").exists()


@pytest.mark.redis
@pytest.mark.skipif("CACHE_URL" not in os.environ, reason="needs Redis in CACHE_URL")
def test_in_redis_it_is_the_same(in_redis, settings):
    settings.PASSWORDLESS_AUTH_SMS_CEILING_PER_DAY = "0.28"
    asked = [ask(f"+49151{block}100001").status_code for block in range(10, 14)]
    assert asked == [303, 303, 429, 429]
    assert not Counter.objects.exists()


# -- the breaker


def let_codes_run_out(clock):
    clock.shift(601)


def test_where_hardly_any_code_is_typed_messages_are_paused_and_elsewhere_not(clock):
    for number in itertools.islice(numbers(PREFIX), 15):
        ask(number)
    let_codes_run_out(clock)

    pumping.look()

    assert refused(ask(f"{PREFIX}999999")) == (429, "too_many_requests")
    assert ask("+4915124999999").status_code == 303
    (event,) = Event.objects.filter(kind="sms_paused")
    assert event.data == {"what": "prefix", "where": PREFIX, "sent": 15, "used": 0}
    clock.shift(3601)
    assert ask(f"{PREFIX}999999").status_code == 303


def test_a_country_is_paused_when_the_numbers_are_of_many_blocks(clock):
    for block in range(10, 30):
        ask(f"+49151{block}100001")
    let_codes_run_out(clock)

    pumping.look()

    assert refused(ask("+4917612345678")) == (429, "too_many_requests")
    assert ask("+436641234567").status_code == 303
    assert Event.objects.get(kind="sms_paused").data == {"what": "country", "where": "DE", "sent": 20, "used": 0}


def test_an_attack_on_one_block_does_not_stop_its_country(clock):
    for number in itertools.islice(numbers(PREFIX), 18):
        ask(number)
    for block in range(30, 40):
        browser = Browser(REMOTE_ADDR=network())
        browser.sign_in(f"+49151{block}100001")
    let_codes_run_out(clock)

    pumping.look()

    assert [event.data["where"] for event in Event.objects.filter(kind="sms_paused")] == [PREFIX]


def test_people_who_type_their_codes_pause_nothing_and_neither_do_a_few(clock):
    for number in itertools.islice(numbers(PREFIX), 14):
        ask(number)
    for number in itertools.islice(numbers("+4915124"), 12):
        Browser(REMOTE_ADDR=network()).sign_in(number)
    for number in itertools.islice(numbers("+4915124"), 12, 18):
        ask(number)
    let_codes_run_out(clock)

    assert pumping.look() == []
    assert not Event.objects.filter(kind="sms_paused").exists()


def test_codes_that_may_still_be_typed_are_not_counted_as_unused(clock):
    for number in itertools.islice(numbers(PREFIX), 18):
        ask(number)

    assert pumping.look() == []


def test_a_pause_is_one_event_however_often_is_looked(clock):
    for number in itertools.islice(numbers(PREFIX), 18):
        ask(number)
    let_codes_run_out(clock)

    assert len(pumping.look()) == 1
    assert pumping.look() == []
    assert Event.objects.filter(kind="sms_paused").count() == 1


def test_a_known_browser_is_not_paused(clock):
    known = Browser()
    known.sign_in(f"{PREFIX}777777")
    known.submit("/logout/")
    for number in itertools.islice(numbers(PREFIX), 18):
        ask(number)
    let_codes_run_out(clock)
    pumping.look()

    assert known.start(f"{PREFIX}777777").status_code == 303


def test_resending_is_paused_too(clock, browser):
    for number in itertools.islice(numbers(PREFIX), 18):
        ask(number)
    clock.shift(400)
    browser.start(f"{PREFIX}777777")
    clock.shift(250)
    pumping.look()

    assert refused(browser.submit("/login/resend/")) == (429, "too_many_requests")


def test_an_administrator_can_let_them_go_again(clock):
    for number in itertools.islice(numbers(PREFIX), 18):
        ask(number)
    let_codes_run_out(clock)
    pumping.look()
    clock.shift(3000)  # the block has its twenty an hour again, and is paused for some minutes yet

    pumping.resume("prefix", PREFIX, operator=Operator("root (1)", "a campaign of ours"), requester=Requester())

    assert ask(f"{PREFIX}999999").status_code == 303
    told = Event.objects.get(kind="sms_resumed").data
    assert told == {"what": "prefix", "where": PREFIX, "operator": "root (1)", "reason": "a campaign of ours"}


def test_the_sender_looks_once_a_minute(clock, monkeypatch, django_capture_on_commit_callbacks):
    for number in itertools.islice(numbers(PREFIX), 18):
        ask(number)
    outbox.send_queued()
    let_codes_run_out(clock)
    monkeypatch.setattr(pumping, "_looked_at", -math.inf)

    with django_capture_on_commit_callbacks(execute=True):
        ask("+4915124999999")
        outbox.send_queued()

    assert Event.objects.filter(kind="sms_paused").count() == 1


# -- a day of attack, beside a day of people


class Day:
    """Some hours: people sign in by phone, and somebody pumps. A minute is a step."""

    HOURS = 3
    #: People an hour who sign in for the first time here, or in a new browser; and who come back in a known one.
    NEW, BACK = 30, 12

    def __init__(self, clock, attack):
        self.clock = clock
        self.attack = attack
        self.random = random.Random(4711)
        self.met = Tally()
        self.regulars = []
        self.people = (f"+49{block}{number:07}" for number in itertools.count(1000000, 7) for block in BLOCKS)

    def meet_regulars(self):
        for number in itertools.islice(self.people, self.BACK):
            browser = Browser(REMOTE_ADDR=network())
            browser.sign_in(number)
            browser.submit("/logout/")
            self.regulars.append((number, browser))
        self.clock.shift(3601)

    def pass_by(self):
        for minute in range(60 * self.HOURS):
            if minute % (60 // self.NEW) == 0:
                self.sign_in("new", next(self.people), Browser(REMOTE_ADDR=network()))
            if minute % (60 // self.BACK) == 0:
                self.sign_in("back", *self.regulars[minute // (60 // self.BACK) % self.BACK])
            for number in self.attack(minute):
                self.met["attack", ask(number).status_code] += 1
            outbox.send_queued()
            pumping.look()
            self.clock.shift(60)

    def sign_in(self, who, number, browser):
        answer = browser.start(number)
        self.met[who, answer.status_code] += 1
        # One in ten looks for the phone, and doesn't find it.
        if answer.status_code == 303 and self.random.random() < 0.9:
            assert browser.submit("/login/wait/", {"code": outbox.last_code(number)}).status_code == 303
            browser.submit("/logout/")

    @property
    def spent(self):
        """What the day's messages cost."""
        return sum(
            pumping.price_of(delivery.identifier.country) for delivery in Delivery.objects.filter(state="handed_over")
        )


BLOCKS = ("1511", "1520", "1573", "1590", "1601", "1623", "1701", "1721", "1760", "1791")


def one_block(_minute):
    """Three a minute to numbers of one block, each from a network of its own."""
    return itertools.islice(_one_block, 3)


_one_block = numbers(PREFIX)


def whole_country(minute):
    """Three a minute, to numbers all over a country where nobody of this site's people lives."""
    return [f"+43664{minute:04}{number:03}" for number in range(3)]


@pytest.mark.parametrize("attack", [one_block, whole_country])
def test_a_day_of_pumping_costs_little_and_keeps_nobody_out(attack, clock):
    day = Day(clock, attack)
    day.meet_regulars()

    day.pass_by()

    assert day.met["new", 429] == day.met["back", 429] == 0
    assert day.met["new", 303] == day.NEW * day.HOURS
    assert day.met["attack", 303] < 0.15 * 180 * day.HOURS
    assert day.spent < Decimal(50)
    assert Event.objects.filter(kind="sms_paused").exists()
