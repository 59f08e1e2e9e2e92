"""What is no message: kinds that another app sends, by the same outbox."""

import threading
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from passwordless_auth import outbox
from passwordless_auth.channels import Receipt, Rejected, Retryable
from passwordless_auth.models import Delivery

from .waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


class Parcels:
    """Another app's kind of delivery. What ``handing_over`` does is the test's."""

    def __init__(self):
        self.handed_over = []
        self.handing_over = lambda row: Receipt(provider_id="no. 7", provider="post office")

    def __call__(self, row):
        self.handed_over.append(row.payload["number"])
        return self.handing_over(row)

    @staticmethod
    def queue(number=1, *, left=False):
        """``left``: by a process that has died."""
        now = timezone.now()
        with transaction.atomic():
            row = Delivery.objects.create(
                kind="parcel",
                channel="cart",
                payload={"number": number, "to": "The shop"},
                available_at=now if left else outbox.leased_until(now=now),
                expires_at=now + timedelta(hours=1),
            )
            if not left:
                outbox.post(row)
        return row


@pytest.fixture
def parcels(monkeypatch):
    monkeypatch.setattr(outbox, "_KINDS", {})
    made = Parcels()
    outbox.register("parcel", made, back_off=(7, 90))
    return made


def fail(error):
    def handing_over(_row):
        raise error

    return handing_over


def test_a_kind_of_another_app_is_handed_over_by_it(parcels):
    row = parcels.queue()

    row.refresh_from_db()
    assert parcels.handed_over == [1]
    assert (row.state, row.provider, row.provider_id) == ("handed_over", "post office", "no. 7")
    assert (row.masked, row.canonical) == ("The shop", "")


def test_what_is_rolled_back_is_not_sent(parcels):
    with transaction.atomic():
        parcels.queue()
        transaction.set_rollback(True)

    assert not parcels.handed_over
    assert not Delivery.objects.exists()


def test_a_kind_has_its_own_pauses(parcels, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    parcels.handing_over = fail(Retryable("the road is closed"))
    row = parcels.queue()

    waits = []
    for _attempt in range(3):
        row.refresh_from_db()
        waits.append((row.available_at - timezone.now()).total_seconds())
        time_machine.move_to(row.available_at, tick=False)
        outbox.drain()

    assert waits == [7, 90, 90]
    assert row.error == "the road is closed"


def test_a_refusal_is_final(parcels):
    parcels.handing_over = fail(Rejected("nobody of this name"))
    row = parcels.queue()

    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "nobody of this name")
    assert outbox.drain() == 0
    assert parcels.handed_over == [1]


def test_what_does_not_answer_keeps_no_message_from_its_person(mail, parcels, sender, others, browser):
    road = threading.Event()
    parcels.handing_over = lambda _row: road.wait(60) and Receipt()
    try:
        for number in range(8):
            parcels.queue(number)
        for number in range(8, 60):
            parcels.queue(number, left=True)
        until(lambda: len(parcels.handed_over) == outbox.BackgroundSender.THREADS)

        browser.start("ada@example.com")
        assert sender.join(20)
        assert len(mail.messages) == 1

        mail.behaviour = "busy"
        other = type(browser)()
        other.start("bob@example.com")
        until(lambda: Delivery.objects.filter(attempts=1, state="queued").exists())
        mail.behaviour = "takes"
        Delivery.objects.filter(canonical="bob@example.com").update(available_at=timezone.now())
        until(lambda: mail.to("bob@example.com"))  # a retry, too
    finally:
        road.set()


def test_the_sender_of_messages_finds_what_another_process_left(mail, parcels, sender, others, browser):
    parcels.queue(3, left=True)

    browser.start("ada@example.com")

    until(lambda: parcels.handed_over == [3])


def test_the_command_sends_messages_first(mail, parcels, browser):
    parcels.queue(1, left=True)
    mail.behaviour = "busy"
    browser.start("ada@example.com")
    mail.behaviour = "takes"
    Delivery.objects.update(available_at=timezone.now() + timedelta(seconds=-1))
    Delivery.objects.filter(kind="parcel").update(available_at=timezone.now() - timedelta(hours=1))

    assert outbox.drain(limit=1) == 1
    assert len(mail.messages) == 1
    assert not parcels.handed_over
    assert outbox.drain(limit=1) == 1
    assert parcels.handed_over == [1]
