"""Guesses and messages are limited, and limits can't be walked around (BF)."""

import pytest
from django.db import connection

from passwordless_auth.models import Challenge, Counter
from passwordless_auth.testing import outbox

from .conftest import error_code, guess, member, messages_to, newest, open_link, press, stranger, wrong_code

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


# -- BF-01: three tries a message


def test_three_wrong_codes_kill_the_message_and_the_right_code_no_longer_works(browser):
    """BF-01"""
    browser.start()
    answers = [guess(browser, wrong_code(number=n)) for n in (1, 2, 3)]

    assert [(a.status_code, error_code(a)) for a in answers] == [
        (400, "invalid_code"),
        (400, "invalid_code"),
        (410, "too_many_tries"),
    ]
    late = guess(browser, newest().code())
    assert (late.status_code, error_code(late)) == (410, "too_many_tries")
    assert not browser.who()["authenticated"]


def test_the_link_of_a_message_dies_with_its_code(browser):
    """BF-01"""
    browser.start()
    for number in (1, 2, 3):
        guess(browser, wrong_code(number=number))

    page_behind_link = open_link(browser)
    assert (page_behind_link.status_code, error_code(page_behind_link)) == (410, "too_many_tries")
    assert press(browser).status_code == 410
    assert not browser.who()["authenticated"]


def test_the_right_code_works_on_the_last_try(browser):
    """BF-01, the twin"""
    browser.start()
    guess(browser, wrong_code(number=1))
    guess(browser, wrong_code(number=2))

    assert guess(browser, newest().code()).status_code == 303
    assert browser.who()["authenticated"]


def test_what_a_dead_message_answers_does_not_tell_right_from_wrong(browser):
    """BF-01"""
    browser.start()
    right, wrong = newest().code(), wrong_code(number=4)
    for number in (1, 2, 3):
        guess(browser, wrong_code(number=number))

    def without_token(answer):
        token = browser.cookies["csrftoken"].value
        assert token not in answer.content.decode()  # the form's is masked afresh each time
        return [line for line in answer.content.decode().splitlines() if "csrfmiddlewaretoken" not in line]

    first, second = guess(browser, right), guess(browser, wrong)
    assert first.status_code == second.status_code == 410
    assert without_token(first) == without_token(second)


def test_the_same_message_again_brings_no_new_tries(browser, clock):
    """BF-01"""
    browser.start()
    code = newest().code()
    guess(browser, wrong_code(number=1))
    guess(browser, wrong_code(number=2))
    clock.shift(61)
    assert browser.submit("/login/resend/", {"challenge": newest().public_id}).status_code == 303
    assert newest().code() == code

    assert error_code(guess(browser, wrong_code(number=3))) == "too_many_tries"
    assert guess(browser, code).status_code == 410


def test_text_that_can_not_be_the_code_costs_no_try(browser):
    """BF-01: a slip of the finger is no guess, and no guess is free."""
    browser.start()
    for slip in ("", "1", "12345", "1234567", "ada@example.com", "x" * 64, "x" * 65, "\u0661" * 5):
        assert guess(browser, slip).status_code == 400

    assert newest().tries == 0
    guess(browser, wrong_code())
    assert newest().tries == 1


@pytest.mark.django_db(transaction=True)
def test_tries_count_under_atomic_requests(browser, monkeypatch):
    """BF-01: a host's ATOMIC_REQUESTS must not roll a counted try back."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    browser.start()
    for number in (1, 2, 3):
        guess(browser, wrong_code(number=number))

    assert newest().tries == 3
    assert guess(browser, newest().code()).status_code == 410

    other = stranger()
    assert other.start("bob@example.com").status_code == 303
    assert guess(other, newest("bob@example.com").code(), "bob@example.com").status_code == 303


# -- wrong codes per account and per network


def guesses_of_strangers(address, number, clock):
    """So many wrong codes, each message from a new network, each network guessing three times."""
    made = 0
    network = 0
    while made < number:
        network += 1
        attacker = stranger(f"198.51.100.{network}")
        if attacker.start(address).status_code != 303:
            clock.shift(301)
            continue
        for _try in range(min(3, number - made)):
            guess(attacker, wrong_code(address), address)
            made += 1
        clock.shift(61)
    return made


@pytest.mark.parametrize("known", [True, False])
def test_after_ten_wrong_codes_of_strangers_messages_carry_the_link_only(clock, known):
    """BF-01, BF-09: no code is left to guess, and the owner of the mailbox still gets in by the link."""
    if known:
        member(ADA)
    guesses_of_strangers(ADA, 10, clock)
    clock.shift(301)
    victim = stranger("192.0.2.77")
    assert victim.start(ADA).status_code == 303
    message = outbox.last_message(ADA)

    assert not newest().accepts_code
    assert newest().code() not in message.body + message.subject + str(message.alternatives)
    refused = guess(victim, newest().code())
    assert (refused.status_code, error_code(refused)) == (429, "too_many_requests")
    assert int(refused["Retry-After"]) > 0
    assert not victim.who()["authenticated"]

    open_link(victim)
    assert press(victim).status_code == 303
    assert victim.who()["authenticated"]


def test_codes_come_back_when_the_window_is_over(clock):
    """BF-01, the twin"""
    guesses_of_strangers(ADA, 10, clock)
    clock.shift(3601)
    victim = stranger("192.0.2.77")
    victim.start(ADA)

    assert newest().accepts_code
    assert guess(victim, newest().code()).status_code == 303


def test_a_right_code_under_a_spent_budget_is_refused_like_a_wrong_one(clock):
    """BF-01: a message that was on its way before the budget ran out is no way around it."""
    early = stranger("192.0.2.77")
    early.start(ADA)
    code = newest(ADA)
    for number in range(1, 5):
        clock.shift(61)
        attacker = stranger(f"198.51.100.{number}")
        assert attacker.start(ADA).status_code == 303
        for _try in range(3):
            guess(attacker, wrong_code(ADA), ADA)

    answers = [
        early.submit("/login/wait/", {"code": answer, "challenge": code.public_id})
        for answer in (code.code(), wrong_code(ADA))
    ]
    assert [answer.status_code for answer in answers] == [429, 429]
    code.refresh_from_db()
    assert code.tries == 0


def test_twenty_wrong_codes_from_one_network_stop_it_for_all_accounts(clock):
    """BF-01: spraying one code over many accounts."""
    sprayed = 0
    for number in range(7):
        sprayer = stranger("198.51.100.7")
        address = f"person{number}@example.com"
        assert sprayer.start(address).status_code == 303
        for _try in range(3 if number < 6 else 2):
            guess(sprayer, wrong_code(address), address)
            sprayed += 1
    assert sprayed == 20

    for ip, status in (("198.51.100.7", 429), ("198.51.100.8", 303)):
        last = stranger(ip)
        last.start(f"last{status}@example.com")
        answer = guess(last, newest(f"last{status}@example.com").code(), f"last{status}@example.com")
        assert answer.status_code == status
        assert ("Retry-After" in answer) == (status == 429)

    clock.shift(601)
    again = stranger("198.51.100.7")
    again.start("later@example.com")
    assert guess(again, newest("later@example.com").code(), "later@example.com").status_code == 303


# -- BF-03: messages to one address


@pytest.mark.parametrize("known", [True, False])
def test_one_address_gets_five_messages_in_fifteen_minutes(clock, known):
    """BF-03: from whichever browser and network, in whichever spelling."""
    if known:
        member(ADA)
    answers = []
    for number in range(9):
        spelling = ADA.upper() if number % 2 else ADA
        answers.append(stranger(f"198.51.100.{number}").start(spelling))
        outbox.send_queued()
        clock.shift(100)

    assert [answer.status_code for answer in answers] == [303] * 5 + [429] * 4
    assert len(messages_to(ADA)) == 5
    assert [error_code(answer) for answer in answers[5:]] == ["too_many_requests"] * 4
    assert [int(answer["Retry-After"]) for answer in answers[5:]] == [400, 300, 200, 100]

    assert stranger("198.51.100.10").start(ADA).status_code == 303
    assert stranger("198.51.100.10").start("bob@example.com").status_code == 303


def test_a_message_can_be_asked_for_once_a_minute(browser, clock):
    """BF-03"""
    assert browser.start().status_code == 303
    clock.shift(59)
    assert browser.start().status_code == 429
    assert browser.submit("/login/resend/", {"challenge": newest().public_id}).status_code == 429
    clock.shift(2)
    assert browser.submit("/login/resend/", {"challenge": newest().public_id}).status_code == 303
    assert browser.start().status_code == 429
    outbox.send_queued()
    assert len(messages_to(ADA)) == 2


def test_one_address_gets_ten_messages_a_day(clock):
    """BF-03"""
    answers = []
    for number in range(14):
        answers.append(stranger(f"198.51.100.{number}").start(ADA).status_code)
        clock.shift(3600)

    assert answers == [303] * 10 + [429] * 4
    clock.shift(11 * 3600)
    assert stranger().start(ADA).status_code == 303


def test_sending_again_counts_like_asking_again(browser, clock):
    """BF-03"""
    browser.start()
    answers = []
    for _turn in range(4):
        clock.shift(61)
        answers.append(browser.submit("/login/resend/", {"challenge": newest().public_id}).status_code)
    assert answers == [303, 303, 303, 303]

    clock.shift(50)  # the message still counts for a few seconds
    assert browser.submit("/login/resend/", {"challenge": newest().public_id}).status_code == 429
    assert stranger().start(ADA).status_code == 429


def test_what_is_refused_is_not_counted_and_leaves_nothing_behind(browser, clock):
    """BF-03: or hammering would keep the door shut for ever."""
    browser.start()
    before = Challenge.objects.count()
    for _turn in range(30):
        assert browser.start().status_code == 429
    clock.shift(61)

    assert Challenge.objects.count() == before
    assert browser.start().status_code == 303
    assert Counter.objects.get(action="sends", period=86400).count == 2


# -- BF-06: starts from one network


def test_the_fifty_first_start_from_one_address_is_refused(clock):
    """BF-06"""
    answers = [stranger("198.51.100.7").start(f"p{number}@example.com") for number in range(51)]

    assert [answer.status_code for answer in answers] == [303] * 50 + [429]
    assert int(answers[-1]["Retry-After"]) == 3600
    assert stranger("198.51.100.8").start("p51@example.com").status_code == 303
    clock.shift(3601)
    assert stranger("198.51.100.7").start("p51@example.com").status_code == 303


FORWARDING = ["X-Forwarded-For", "Auth0-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Forwarded"]


@pytest.mark.parametrize("header", FORWARDING)
def test_a_header_of_the_sender_does_not_change_who_is_counted(settings, header):
    """BF-06"""
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = "3/h"
    name = f"HTTP_{header.upper().replace('-', '_')}"
    answers = []
    for number in range(4):
        value = f"for=192.0.2.{number}" if header == "Forwarded" else f"192.0.2.{number}"
        answers.append(stranger().submit("/login/", {"identifier": f"p{number}@example.com"}, **{name: value}))

    assert [answer.status_code for answer in answers] == [303, 303, 303, 429]
    assert set(Challenge.objects.values_list("ip", flat=True)) == {"203.0.113.9"}


@pytest.mark.parametrize(
    ("header", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("10.9.8.7, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("10.9.8.7, not an address", "203.0.113.9"),
        ("10.9.8.7,", "203.0.113.9"),
        ("", "203.0.113.9"),
        ("1" * 5000, "203.0.113.9"),
    ],
)
def test_behind_one_proxy_its_entry_counts_and_what_can_not_be_read_skips_no_rule(settings, header, counted):
    """BF-06"""
    settings.PASSWORDLESS_AUTH_TRUSTED_PROXY_COUNT = 1
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = "2/h"
    answers = [
        stranger().submit("/login/", {"identifier": f"p{number}@example.com"}, HTTP_X_FORWARDED_FOR=header).status_code
        for number in range(3)
    ]

    assert answers == [303, 303, 429]
    assert set(Challenge.objects.values_list("ip", flat=True)) == {counted}


def test_with_two_proxies_a_short_header_falls_back_to_the_connection(settings):
    """BF-06"""
    settings.PASSWORDLESS_AUTH_TRUSTED_PROXY_COUNT = 2
    stranger().submit("/login/", {"identifier": ADA}, HTTP_X_FORWARDED_FOR="192.0.2.1")
    assert newest().ip == "203.0.113.9"
    stranger().submit("/login/", {"identifier": "bob@example.com"}, HTTP_X_FORWARDED_FOR="6.6.6.6, 192.0.2.1, 10.0.0.1")
    assert newest("bob@example.com").ip == "192.0.2.1"


def test_an_ipv6_network_counts_as_one(settings):
    """BF-06: one customer has 2^64 addresses."""
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = "3/h"
    answers = [stranger(f"2001:db8:1:2::{n:x}").start(f"p{n}@example.com").status_code for n in range(1, 5)]

    assert answers == [303, 303, 303, 429]
    assert stranger("2001:db8:1:3::1").start("p9@example.com").status_code == 303


def test_all_doors_share_the_budget_of_a_network(settings, clock):
    """BF-06: asking, asking again and confirming that it is you."""
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = "2/h"
    first = stranger()
    first.start(ADA)
    clock.shift(61)
    assert first.submit("/login/resend/", {"challenge": newest().public_id}).status_code == 303

    clock.shift(61)
    assert first.submit("/login/resend/", {"challenge": newest().public_id}).status_code == 429
    assert stranger().start("bob@example.com").status_code == 429


# -- BF-09: guesses of others don't spend what is mine


def test_guesses_from_another_browser_do_not_spend_the_victims_message(browser):
    """BF-09"""
    browser.start()
    challenge = newest()
    for number in range(30):
        attacker = stranger(f"198.51.100.{number % 10}")
        answer = attacker.submit(
            "/login/wait/", {"code": wrong_code(number=number + 1), "challenge": challenge.public_id}
        )
        assert (answer.status_code, error_code(answer)) == (403, "wrong_browser")

    challenge.refresh_from_db()
    assert (challenge.tries, challenge.state) == (0, "open")
    assert guess(browser, challenge.code()).status_code == 303
    assert browser.who()["authenticated"]


def test_an_attackers_own_attempts_do_not_replace_the_victims(browser, clock):
    """BF-09"""
    browser.start()
    mine = newest()
    clock.shift(61)
    attacker = stranger()
    attacker.start()
    for number in (1, 2, 3):
        guess(attacker, wrong_code(number=number))

    assert browser.submit("/login/wait/", {"code": mine.code(), "challenge": mine.public_id}).status_code == 303
    assert browser.who()["authenticated"]
