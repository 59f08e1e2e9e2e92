"""One right code, many times at one moment (RC-01), and what the wrong ones cost (BF-01)."""

from functools import partial

import pytest
from django.contrib.sessions.models import Session

from passwordless_auth.models import Challenge, Counter, Event, SignIn
from passwordless_auth.testing import outbox
from tests.conftest import Browser

from .together import ready, signed_in, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"


def wrong_codes(number):
    """Codes that the newest message does not carry."""
    right = outbox.last_code(ADDRESS)
    return [code for code in (f"{n:06}" for n in range(number + 1)) if code != right][:number]


def guess(tab, code):
    return tab.submit("/login/wait/", {"code": code})


def test_twenty_right_codes_at_one_moment_make_one_session(browser, again):
    browser.start(ADDRESS)
    code = outbox.last_code(ADDRESS)

    answers = together(partial(guess, tab, code) for tab in tabs(browser, 20))

    refused = [answer.status_code for answer in answers if answer.status_code != 303]
    assert refused == [410] * 19
    assert len(signed_in(answers)) == 1
    assert SignIn.objects.count() == 1
    assert Session.objects.count() == 1
    assert Challenge.objects.get().state == Challenge.State.SPENT


def guess_two_hundred_times(browser, *, right_at):
    """200 guesses by 20 tabs; the right code is the guess of this number. The answers."""
    guesses = wrong_codes(199)
    guesses.insert(right_at, outbox.last_code(ADDRESS))

    def work(tab, mine):
        return [guess(tab, code) for code in mine]

    rows = together(partial(work, tab, guesses[n::20]) for n, tab in enumerate(tabs(browser, 20)))
    return [answer for row in rows for answer in row]


def told_wrong(answers):
    """How often an answer told that a guess was wrong and asked to try again."""
    return [answer.status_code for answer in answers].count(400)


def test_two_hundred_guesses_at_one_moment_get_three_answers_and_count_three_times(browser, again):
    browser.start(ADDRESS)

    # By then, this tab alone has been wrong seven times.
    answers = guess_two_hundred_times(browser, right_at=150)

    challenge = Challenge.objects.get()
    assert challenge.tries == 3
    assert told_wrong(answers) == 2
    assert Event.objects.filter(kind="too_many_tries").count() == 1
    counted = Counter.objects.filter(action__in=["failures", "failures_account"])
    assert sorted(counted.values_list("action", "count")) == [
        ("failures", 3),
        ("failures_account", 3),  # in the hour
        ("failures_account", 3),  # in the day
    ]
    assert {answer.status_code for answer in answers} <= {400, 410, 429}
    assert not SignIn.objects.exists()
    assert not Session.objects.exists()


def test_a_right_code_among_two_hundred_guesses_wins_only_within_the_three_tries(browser, again):
    browser.start(ADDRESS)

    answers = guess_two_hundred_times(browser, right_at=9)

    challenge = Challenge.objects.get()
    won = challenge.state == Challenge.State.SPENT
    assert challenge.tries <= (2 if won else 3)
    assert told_wrong(answers) == min(challenge.tries, 2)
    assert {answer.status_code for answer in answers} <= {303, 400, 410, 429}
    assert len(signed_in(answers)) == SignIn.objects.count() == Session.objects.count() == won


def wrong_guesses_by_strangers(addresses):
    """One wrong guess at each message of twenty strangers, at one moment: how many were told what."""
    strangers = [ready(Browser()) for _ in range(20)]
    guesses = []
    for number, stranger in enumerate(strangers):
        assert stranger.start(addresses(number)).status_code == 303
        code = Challenge.objects.latest("pk").code()
        guesses.append(partial(guess, stranger, f"{(int(code) + 1) % 1_000_000:06}"))
    statuses = [answer.status_code for answer in together(guesses)]
    return {status: statuses.count(status) for status in set(statuses)}


def test_guesses_at_many_messages_to_one_address_share_its_limit(settings, again):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_ACCOUNT = "10/h"

    assert wrong_guesses_by_strangers(lambda number: ADDRESS) == {400: 10, 429: 10}

    assert Counter.objects.get(action="failures_account").count == 10
    assert sum(Challenge.objects.values_list("tries", flat=True)) == 10


def test_guesses_from_one_ip_address_share_its_limit_whomever_they_are_at(settings, again):
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP = "10/h"

    assert wrong_guesses_by_strangers(lambda number: f"{number}@example.com") == {400: 10, 429: 10}

    assert Counter.objects.get(action="failures").count == 10


def test_right_codes_at_one_moment_use_up_no_guesses(settings, again):
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP = "1/h"
    people = [ready(Browser()) for _ in range(10)]
    signing_in = []
    for number, person in enumerate(people):
        person.start(f"{number}@example.com")
        signing_in.append(partial(guess, person, outbox.last_code(f"{number}@example.com")))

    answers = together(signing_in)

    assert [answer.status_code for answer in answers] == [303] * 10
    assert not Counter.objects.filter(action__startswith="failures", count__gt=0).exists()


def test_guesses_of_another_browser_at_the_same_moment_cost_the_owner_nothing(browser, other_browser, again):
    browser.start(ADDRESS)
    code = outbox.last_code(ADDRESS)
    challenge = Challenge.objects.get()
    other_browser.get("/login/")

    def attack(tab):
        return tab.submit("/login/wait/", {"code": "000000", "challenge": challenge.public_id})

    *attacks, answer = together(
        [*(partial(attack, tab) for tab in tabs(other_browser, 19)), partial(guess, ready(browser), code)]
    )

    assert {attacked.status_code for attacked in attacks} == {403}
    assert answer.status_code == 303
    challenge.refresh_from_db()
    assert challenge.tries == 0
