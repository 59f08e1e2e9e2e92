"""The mail server refuses, hangs or dies (FT-01): nobody waits for it, and the row says what happened."""

import logging
import re
import time
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from passwordless_auth import outbox
from passwordless_auth.channels import email
from passwordless_auth.models import Challenge, Delivery
from tests.conftest import Browser

from .mail_servers import code_of, mail_server, mail_settings, port_that_refuses
from .waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

KNOWN, UNKNOWN = "ada@example.com", "nobody@example.com"
BROKEN = ["refused", "silent", "turned_away", "refuses", "busy", "repeats", "dies"]


def breaks(mail, settings, how):
    """The mail server breaks in one of these ways."""
    if how == "refused":
        for name, value in mail_settings(port_that_refuses()).items():
            setattr(settings, name, value)
    else:
        mail.behaviour = how


@pytest.fixture
def known(django_user_model):
    return django_user_model.objects.create_user("ada", KNOWN)


def without_ids(text):
    return re.sub(r"(?<![\w-])[\w-]{22}(?![\w-])|[\w-]{64}", "…", text)


def what_a_person_sees(address):
    """All of an answer to a start, but what is random in each, and the time."""
    response = Browser().start(address)
    headers = {name: without_ids(value) for name, value in response.items() if name != "Expires"}
    return response.status_code, headers, response.content, sorted(response.cookies)


@pytest.mark.parametrize("how", BROKEN)
def test_the_answer_is_the_same_for_everybody_and_waits_for_no_mail_server(
    how, mail, sender, known, settings, monkeypatch
):
    monkeypatch.setattr(email, "TIMEOUT", 60)
    sound = what_a_person_sees("somebody@example.com")
    assert sound[0] == 303
    breaks(mail, settings, how)

    begun = time.monotonic()
    answers = [what_a_person_sees(KNOWN), what_a_person_sees(UNKNOWN)]

    assert time.monotonic() - begun < 10
    assert answers == [sound, sound]
    mail.stop()


@pytest.mark.parametrize(
    ("how", "state", "error"),
    [
        ("refused", "queued", "ConnectionRefusedError"),
        ("silent", "queued", "SMTPServerDisconnected"),
        ("turned_away", "failed", "SMTPConnectError 554"),
        ("refuses", "failed", "SMTPRecipientsRefused [550]"),
        ("busy", "queued", "SMTPRecipientsRefused [451]"),
        ("repeats", "failed", "SMTPDataError 554"),
        ("dies", "queued", "SMTPServerDisconnected"),
    ],
)
def test_the_row_says_what_happened_and_nothing_tells_address_or_code(
    how, state, error, mail, browser, settings, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(email, "TIMEOUT", 0.5)
    breaks(mail, settings, how)

    assert browser.start(KNOWN).status_code == 303

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.error) == (state, 1, error)
    assert delivery.handed_over_at is None
    told = caplog.text + delivery.error
    code = Challenge.objects.get().code()
    assert KNOWN not in told
    assert not re.search(rf"\b{code[:3]}[ -]?{code[3:]}\b", told)
    assert Challenge.objects.get().link_token() not in told


@pytest.mark.parametrize("how", ["refuses", "busy"])
def test_the_waiting_page_says_so_to_everybody_alike(how, mail, known, settings):
    breaks(mail, settings, how)

    def page(address):
        browser = Browser()
        browser.start(address)
        return without_ids(browser.get("/login/wait/").content.decode().replace(address, "…"))

    shown = page(KNOWN)

    assert page(UNKNOWN) == shown
    state = Browser()
    state.start("somebody@example.com")
    told = state.get("/login/wait/status.json").json()["delivery"]
    assert told == {"refuses": "failed", "busy": "queued"}[how]


def test_the_next_try_reaches_a_server_that_has_come_back(mail, browser):
    mail.behaviour = "busy"
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.start(KNOWN)
        mail.behaviour = "takes"

        clock.shift(1)
        assert outbox.drain() == 0, "too early"
        clock.shift(1)
        assert outbox.drain() == 1

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.error) == ("handed_over", 2, "")
    assert browser.submit("/login/wait/", {"code": code_of(mail.messages[0])}).status_code == 303
    assert browser.who()["authenticated"]


def test_a_message_is_tried_again_with_growing_pauses_for_as_long_as_it_is_of_use(mail, browser):
    mail.behaviour = "busy"
    pauses = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.start(KNOWN)
        ends_at = Delivery.objects.get().expires_at
        while (delivery := Delivery.objects.get()).state == Delivery.State.QUEUED:
            assert timezone.now() < ends_at
            pauses.append((delivery.available_at - timezone.now()).total_seconds())
            clock.move_to(delivery.available_at)
            outbox.drain()

    assert pauses == [2, 5, 15, 30, 60, 60, 60, 60]
    assert (delivery.state, delivery.attempts) == ("failed", 9)
    assert delivery.error == "SMTPRecipientsRefused [451]"
    assert not mail.messages


def test_a_message_that_is_late_is_not_sent(mail, browser):
    mail.behaviour = "busy"
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.start(KNOWN)
        mail.behaviour = "takes"
        clock.move_to(Delivery.objects.get().expires_at + timedelta(seconds=1))
        assert outbox.drain() == 0

    assert Delivery.objects.get().state == "failed"
    assert not mail.messages


def test_a_message_that_a_newer_one_replaced_is_not_sent(mail, browser, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "5/h"
    mail.behaviour = "busy"
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.start(KNOWN)
        mail.behaviour = "takes"
        browser.start(KNOWN)
        clock.shift(10)
        outbox.drain()

    assert [delivery.state for delivery in Delivery.objects.order_by("pk")] == ["failed", "handed_over"]
    assert len(mail.messages) == 1


def test_the_background_sender_tries_again_by_itself(mail, sender, browser, monkeypatch):
    monkeypatch.setattr(outbox, "BACK_OFF", (0.2,))
    mail.behaviour = "dies"
    browser.start(KNOWN)
    until(lambda: Delivery.objects.get().attempts)
    mail.behaviour = "takes"

    until(lambda: Delivery.objects.get().state == "handed_over")

    assert len(mail.messages) == 1
    assert Delivery.objects.get().attempts >= 2


class ByAddress(email.EmailChannel):
    """Sends to the mail server whose port stands in the address."""

    def send(self, message):
        self.port = int(message.to.partition("@")[0])
        return super().send(message)

    def connection(self):
        connection = super().connection()
        connection.port = self.port
        return connection


@pytest.fixture
def _two_servers(settings):
    settings.PASSWORDLESS_AUTH_CHANNELS = {"email": {"BACKEND": f"{__name__}.ByAddress"}}
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = ""


@pytest.mark.usefixtures("_two_servers", "sender")
def test_a_server_that_hangs_does_not_hold_up_another_persons_message(mail, monkeypatch):
    monkeypatch.setattr(email, "TIMEOUT", 60)
    with mail_server("silent") as hangs:
        Browser().start(f"{hangs.port}@example.com")
        until(lambda: hangs.connections)

        Browser().start(f"{mail.port}@example.com")

        until(lambda: mail.messages)
        assert Delivery.objects.get(canonical=f"{hangs.port}@example.com").state == "queued"


@pytest.mark.usefixtures("_two_servers", "sender")
def test_a_backlog_for_a_server_that_hangs_does_not_hold_up_another_persons_message(mail, monkeypatch):
    monkeypatch.setattr(email, "TIMEOUT", 2)
    with mail_server("silent") as hangs:
        with monkeypatch.context() as gone:
            gone.setattr(outbox, "post", lambda delivery: None)
            for number in range(12):
                Browser().start(f"{hangs.port}@{number}.example.com")
        Delivery.objects.update(available_at=timezone.now())  # all are due: the process that made them is gone

        for number in range(4):
            Browser().start(f"{mail.port}@{number}.example.com")
            until(lambda sent=number: len(mail.messages) > sent, seconds=10)
            until(lambda: hangs.connections)

        assert len(hangs.connections) < 12, "the backlog was over too early to prove anything"
