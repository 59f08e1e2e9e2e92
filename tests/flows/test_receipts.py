"""A provider tells what became of a message: late, twice, in any order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from passwordless_auth.flows import receipts
from passwordless_auth.models import Delivery
from passwordless_auth.models.delivery import HISTORY, hand_over

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def handed_over(**fields):
    return Delivery.objects.create(
        **{
            "kind": "sign_in",
            "canonical": "ada@example.com",
            "state": "handed_over",
            "handed_over_at": NOW,
            "provider": "Postmark",
            "provider_id": "m-1",
            "expires_at": NOW + timedelta(minutes=5),
            "created_at": NOW,
            **fields,
        }
    )


def tell(state, *, provider="Postmark", provider_id="m-1", **facts):
    return receipts.record(provider, provider_id, state, **facts)


def states(row):
    row.refresh_from_db()
    return [str(step.state) for step in row.steps()]


def test_each_step_is_kept_with_its_time_and_who_said_so(clock):
    row = handed_over()
    tell("sent", at=NOW + timedelta(seconds=1))
    tell("deferred", at=NOW + timedelta(seconds=2), detail="other 451 4.7.1")
    row.refresh_from_db()
    assert (row.state, row.error) == ("deferred", "other 451 4.7.1")
    clock.shift(60)
    assert tell("delivered", at=NOW + timedelta(seconds=40)) == row

    assert states(row) == ["queued", "handed_over", "sent", "deferred", "delivered"]
    assert (row.state, row.error) == ("delivered", "")
    last = row.steps()[-1]
    assert (last.at, last.by, last.detail) == (NOW + timedelta(seconds=40), "Postmark", "")


@pytest.mark.parametrize(
    ("order", "end"),
    [
        (["delivered", "sent"], "delivered"),
        (["delivered", "deferred", "sent"], "delivered"),
        (["bounced", "delivered"], "bounced"),
        (["delivered", "bounced"], "bounced"),
        (["complained", "delivered", "bounced"], "complained"),
        (["rejected", "bounced"], "rejected"),
        (["delivered", "complained"], "complained"),
    ],
)
def test_no_order_takes_a_message_back(order, end):
    row = handed_over()
    for state in order:
        tell(state)

    assert sorted(states(row)) == sorted(["queued", "handed_over", *order])
    assert row.state == end


def test_a_repetition_tells_nothing_new(clock):
    row = handed_over()

    assert tell("delivered", at=NOW) == row
    for _ in range(50):
        clock.shift(1)
        assert tell("delivered", at=NOW) is None
    assert states(row).count("delivered") == 1


def test_a_history_has_an_end():
    row = handed_over()
    for number in range(3 * HISTORY):
        tell("deferred", detail=f"other 4{number:02}")

    row.refresh_from_db()
    assert len(row.history) == HISTORY
    assert row.error == "other 400"  # the first put it off; the others changed nothing


@pytest.mark.parametrize(
    "told",
    [
        {"provider_id": "m-2"},
        {"provider_id": ""},
        {"provider": "Mailgun"},
        {"provider_id": "m-1\0"},
        {"provider_id": "\ud800"},
        {"provider_id": "", "key": "x' OR 1=1"},
        {"provider_id": "", "key": "A" * 22},
    ],
)
def test_what_is_not_ours_is_left_alone(told):
    """Whatever a provider sends for other messages of the host; and another provider can't speak for this one."""
    row = handed_over()

    assert tell("bounced", **told) is None
    row.refresh_from_db()
    assert row.state == "handed_over"


def test_a_message_without_an_id_is_nobodys():
    row = handed_over(provider_id="")

    assert tell("bounced", provider_id="") is None
    assert states(row) == ["queued", "handed_over"]


def test_news_that_are_quicker_than_our_own_note_find_the_row_by_our_key():
    row = handed_over(state="queued", handed_over_at=None, provider="", provider_id="", available_at=NOW)

    assert tell("delivered", key=row.public_id) == row

    row.refresh_from_db()
    assert (row.state, row.provider, row.provider_id) == ("delivered", "Postmark", "m-1")
    # And the worker that comes to write it down changes nothing of that, and sends nothing a second time.
    stale = Delivery.objects.get(pk=row.pk)
    hand_over(stale, now=timezone.now(), provider="Postmark", provider_id="m-1")
    Delivery.objects.postpone(stale, until=timezone.now(), error="late", now=timezone.now())
    Delivery.objects.fail(stale, error="late", now=timezone.now())
    row.refresh_from_db()
    assert (row.state, row.error) == ("delivered", "")
    assert not Delivery.objects.claim(row.pk, now=timezone.now())


def test_what_we_gave_up_and_came_after_all_says_so():
    row = handed_over(state="failed", error="TimeoutError", provider="", provider_id="", handed_over_at=None)
    tell("delivered", key=row.public_id)

    row.refresh_from_db()
    assert (row.state, row.error) == ("delivered", "")


def test_the_price_may_come_later_than_the_state():
    row = handed_over()
    tell("delivered")
    tell("delivered", cost=Decimal("0.0075"), currency="USD")

    row.refresh_from_db()
    assert (row.cost, row.currency, row.state) == (Decimal("0.0075"), "USD", "delivered")


def test_a_clock_that_runs_ahead_or_says_no_zone_is_not_believed(clock):
    row = handed_over()
    tell("sent", at=NOW + timedelta(days=3))
    tell("delivered", at=datetime(2036, 1, 1))  # noqa: DTZ001 (what some providers send)

    row.refresh_from_db()
    assert {step.at for step in row.steps()} == {NOW}


def test_a_clock_that_counts_whole_seconds_does_not_turn_the_order_round(clock):
    row = handed_over(created_at=NOW + timedelta(milliseconds=500), handed_over_at=NOW + timedelta(milliseconds=700))
    clock.shift(3)
    tell("deferred", at=NOW)
    tell("bounced", at=NOW + timedelta(seconds=1))

    assert states(row) == ["queued", "handed_over", "deferred", "bounced"]


def test_news_that_are_quicker_than_our_own_note_come_after_it_in_the_history(clock):
    row = handed_over(state="queued", handed_over_at=None, provider="", provider_id="")
    clock.shift(3)
    tell("delivered", key=row.public_id, at=NOW + timedelta(seconds=1))
    hand_over(row, now=NOW + timedelta(seconds=2), provider="Postmark", provider_id="m-1")

    assert states(row) == ["queued", "handed_over", "delivered"]


def test_a_retry_is_in_the_history(clock):
    row = handed_over(state="queued", handed_over_at=None, provider="", provider_id="")
    Delivery.objects.postpone(row, until=NOW, error="SMTPDataError 451", now=NOW + timedelta(seconds=1))
    row.refresh_from_db()
    hand_over(row, now=NOW + timedelta(seconds=3), provider="email", provider_id="")

    row.refresh_from_db()
    assert [(str(step.state), step.by, step.detail) for step in row.steps()] == [
        ("queued", "", ""),
        ("queued", "email", "SMTPDataError 451"),
        ("handed_over", "email", ""),
    ]


def test_a_row_that_is_gone_meanwhile_is_nobodys():
    row = handed_over()
    Delivery.objects.all().delete()

    assert not Delivery.objects.report(row, Delivery.State.BOUNCED, at=NOW, provider="Postmark")
