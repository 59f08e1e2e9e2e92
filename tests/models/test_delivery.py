from datetime import UTC, datetime, timedelta

import pytest

from passwordless_auth.models import Delivery
from passwordless_auth.models.delivery import LEASE

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def make(**fields):
    return Delivery.objects.create(
        **{
            "kind": "sign_in",
            "canonical": "ada@example.com",
            "available_at": NOW,
            "expires_at": NOW + timedelta(minutes=5),
            **fields,
        }
    )


def test_what_is_due_comes_oldest_first():
    late, early = make(), make(available_at=NOW - timedelta(seconds=5))
    make(available_at=NOW + timedelta(seconds=1))
    make(state="handed_over")
    make(state="failed")

    assert list(Delivery.objects.due(now=NOW)) == [early, late]


def test_a_row_is_claimed_once_until_its_lease_runs_out():
    row = make()

    assert Delivery.objects.claim(row.pk, now=NOW)
    assert not Delivery.objects.claim(row.pk, now=NOW)
    assert not Delivery.objects.claim(row.pk, now=NOW + LEASE - timedelta(seconds=1))
    assert Delivery.objects.claim(row.pk, now=NOW + LEASE)


def test_a_row_that_is_sent_or_given_up_is_not_claimed():
    for state in ("handed_over", "failed"):
        assert not Delivery.objects.claim(make(state=state).pk, now=NOW)


def test_the_error_is_cut_to_its_column():
    row = make()
    Delivery.objects.fail(row, error="x" * 1000, now=NOW)
    row.refresh_from_db()

    assert (row.state, row.attempts, len(row.error)) == ("failed", 1, 255)
