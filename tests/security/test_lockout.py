"""Nobody can lock another person out (BF-09, ASVS 6.1.1): an attacker plays for a week."""

from collections import Counter as Tally

import pytest

from passwordless_auth.models import Challenge, Event, SignIn
from passwordless_auth.testing import outbox
from tests.conftest import Browser

from .conftest import error_code, guess, link_of, newest, open_link, press, stranger, wrong_code

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
HOME = "192.0.2.10"
WEEK = 7 * 24


@pytest.fixture
def small_budgets(settings):
    """Less for the attacker to do until all is used up; what is counted apart from what is the same."""
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = "1/h"
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP = "1/50m"
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_ACCOUNT = "4/h,8/d"
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "1/60s,3/15m,6/d"
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = "1/60s,3/15m,6/d"


class Attacker:
    """Knows the victim's address, has many networks, and a desk in the victim's own."""

    def __init__(self):
        self.browser = stranger()
        self.hour = 0
        self.met = Tally()

    def play(self, clock):
        """Spend all budgets: messages and guesses for the victim's address, and what the victim's network has."""
        self.hour += 1
        foreign = f"198.51.{self.hour // 250}.{self.hour % 250 + 1}"
        for _turn in range(2):
            answer = self._post("asked", "/login/", {"identifier": ADA}, foreign)
        if answer.status_code == 429 and newest(ADA).state == "open":
            self._guess("guessed", foreign)
        clock.shift(61)
        self._post("asked", "/login/", {"identifier": ADA}, HOME)
        for number in range(2):
            self._post("asked for others", "/login/", {"identifier": f"other{self.hour}-{number}@example.com"}, HOME)
        self._guess("guessed at home", HOME)

    def _guess(self, what, ip):
        for number in range(2):
            self._post(what, "/login/wait/", {"code": f"{number:06}"}, ip)

    def _post(self, what, path, data, ip):
        answer = self.browser.submit(path, data, REMOTE_ADDR=ip)
        self.met[what, answer.status_code] += 1
        return answer


@pytest.mark.slow
def test_a_week_of_attacks_does_not_keep_the_victims_own_browser_out(clock, small_budgets):
    """BF-09: she signs in by code and by link every day, while all budgets of strangers are spent."""
    ada = Browser(REMOTE_ADDR=HOME)
    ada.sign_in(ADA)
    attacker, doors, shut = Attacker(), Tally(), Tally()
    for hour in range(WEEK):
        clock.shift(3600 - 61)
        attacker.play(clock)
        if hour % 12 != 11:
            continue
        by_link = hour % 24 > 12  # by code in the morning, by link in the evening
        ada.submit("/logout/")
        assert ada.start(ADA).status_code == 303, hour
        attempt = Challenge.objects.filter(from_known_browser=True).latest("pk")
        attacker.play(clock)  # while she looks for the mail
        if by_link:
            ada.get(f"/login/link/{attempt.link_token()}/")
            answer = ada.submit("/login/link/", {"challenge": attempt.public_id, "action": "sign_in"})
        else:
            assert attempt.accepts_code
            slip = f"{(int(attempt.code()) + 1) % 10**6:06}"
            assert ada.submit("/login/wait/", {"code": slip, "challenge": attempt.public_id}).status_code == 400
            answer = ada.submit("/login/wait/", {"code": attempt.code(), "challenge": attempt.public_id})
        assert answer.status_code == 303, (hour, error_code(answer))
        assert ada.who()["authenticated"]
        doors["link" if by_link else "code"] += 1
        # The attack is real: who is a stranger, from another place, does meet it.
        shut[stranger("203.0.113.200").start(ADA).status_code] += 1

    assert doors == {"code": 7, "link": 7}
    assert shut[429] >= 5
    for what in ("asked", "guessed", "asked for others", "guessed at home"):
        assert attacker.met[what, 429], what
        assert attacker.met[what, 303 if what.startswith("asked") else 400], what
    assert not attacker.browser.who()["authenticated"]
    assert set(SignIn.objects.values_list("ip", flat=True)) == {HOME}
    assert Event.objects.count() < 1000  # an attacker does not fill the table


def test_after_the_attack_a_new_browser_of_hers_gets_in_by_the_link(clock, small_budgets, settings):
    """BF-09: guesses that strangers used up take the code away, not the link."""
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP = "2/50m"
    for number in range(2):
        attacker = stranger(f"198.51.100.{number}")
        attacker.start(ADA)
        for turn in range(1, 3):
            guess(attacker, wrong_code(number=turn))
        clock.shift(61)
    new = stranger("203.0.113.1")
    assert new.start(ADA).status_code == 303
    outbox.send_queued()

    assert not newest(ADA).accepts_code
    assert guess(new, newest(ADA).code()).status_code == 429
    new.get(link_of(ADA))
    assert press(new, ADA).status_code == 303
    assert new.who()["authenticated"]


def test_known_browsers_have_budgets_of_their_own_and_keep_to_them(clock):
    """BF-09: whoever got hold of one known browser is not unlimited, and does not lock the other out."""
    laptop, phone = Browser(REMOTE_ADDR=HOME), Browser(REMOTE_ADDR="192.0.2.11")
    laptop.sign_in(ADA)
    clock.shift(61)
    phone.sign_in(ADA)
    answers = Tally()
    for _turn in range(14):
        clock.shift(301)
        answers[phone.start(ADA).status_code] += 1

    assert answers == {303: 10, 429: 4}
    assert laptop.start(ADA).status_code == 303
    for number in (1, 2, 3):
        assert guess(laptop, wrong_code(number=number)).status_code in {400, 410}
    assert guess(laptop, newest(ADA).code()).status_code == 410  # three tries a message, known or not


def test_a_browser_that_knows_one_account_is_a_stranger_to_the_next(clock, settings):
    """BF-09: signing in to an account of one's own buys nothing against another's."""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "1/d"
    stranger().start(ADA)
    mallory = stranger("198.51.100.1")
    mallory.sign_in("mallory@example.com")

    assert mallory.start(ADA).status_code == 429
    clock.shift(61)
    assert mallory.start("mallory@example.com").status_code == 303


def test_a_known_browser_gets_through_when_its_network_is_used_up(clock, settings):
    """BF-09: neighbours behind one address."""
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = "2/h"
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP = "2/10m"
    ada = Browser(REMOTE_ADDR=HOME)
    ada.sign_in(ADA)
    neighbour = stranger(HOME)
    neighbour.start("n@example.com")
    for number in (1, 2):
        guess(neighbour, wrong_code("n@example.com", number), "n@example.com")
    assert neighbour.start("m@example.com").status_code == 429
    assert guess(neighbour, newest("n@example.com").code(), "n@example.com").status_code == 429

    assert ada.start(ADA).status_code == 303
    assert guess(ada, newest(ADA).code()).status_code == 303
    clock.shift(61)
    ada.start(ADA)
    open_link(ada, ADA)
    assert press(ada, ADA).status_code == 303
