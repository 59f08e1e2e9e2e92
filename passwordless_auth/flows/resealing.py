"""What rows keep encrypted moves to the newest key, so that an older one can be dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from .. import sealing
from ..conf import settings

#: Rows a statement.
BATCH: Final = 500


@dataclass(frozen=True)
class Resealed:
    """How many rows were encrypted anew, and how many could not be read: their key is gone from the settings."""

    done: int = 0
    unreadable: int = 0


def reseal() -> dict[str, Resealed]:
    """Encrypt the keys of authenticator apps, those of running sessions, and what other apps have registered (see
    ``sealing.register``) under the first key of ``SECRET_KEYS``.

    May run beside everything else, and be run again: each row is changed by one UPDATE, and only if it is still what
    was read. What is already under the newest key is not touched.
    """
    newest = settings.SECRET_KEYS[0][0]
    return {sealed.name: _reseal(sealed, newest) for sealed in sealing.everything()}


def _reseal(sealed: sealing.Sealed, newest: str) -> Resealed:
    done = unreadable = 0
    for row in _in_order(sealed.needed()):
        before = getattr(row, sealed.column)
        # Compared here: some databases take "k1" and "K1" for the same.
        if before.rpartition(":")[0] == newest:
            continue
        after = sealed.sealed_again(row, key_id=newest)
        if after is None:
            unreadable += 1
        else:
            unchanged = type(row)._default_manager.filter(pk=row.pk, **{sealed.column: before})
            done += unchanged.update(**{sealed.column: after})
    return Resealed(done, unreadable)


def _in_order(rows: QuerySet[Any]) -> Iterator[Any]:
    """All of them, by their key, a batch at a time."""
    rows = rows.order_by("pk")
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])
