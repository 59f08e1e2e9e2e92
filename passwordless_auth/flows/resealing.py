"""What rows keep encrypted moves to the newest key, so that an older one can be dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..models import SignIn, Totp

#: Rows a statement.
BATCH: Final = 500


@dataclass(frozen=True)
class Resealed:
    """How many rows were encrypted anew, and how many could not be read: their key is gone from the settings."""

    done: int = 0
    unreadable: int = 0


def reseal() -> dict[str, Resealed]:
    """Encrypt the keys of authenticator apps, and those of running sessions, under the first key of ``SECRET_KEYS``.

    May run beside everything else, and be run again: each row is changed by one UPDATE, and only if it is still what
    was read. What is already under the newest key is not touched.
    """
    newest = settings.SECRET_KEYS[0][0]
    running = SignIn.objects.live().exclude(session_key_sealed="")
    return {
        "authenticator_apps": _reseal(Totp.objects.all(), "key_sealed", _app_again, newest),
        "sessions": _reseal(running, "session_key_sealed", _session_again, newest),
    }


@sensitive_variables()
def _app_again(row: Totp, key_id: str) -> bool:
    key = row.key()
    if key is not None:
        row.set_key(key, key_id=key_id)
    return key is not None


@sensitive_variables()
def _session_again(row: SignIn, key_id: str) -> bool:
    key = row.session_key()
    if key is not None:
        row.remember_session(key, key_id=key_id)
    return key is not None


def _reseal(rows: QuerySet[Any], column: str, again: Callable[[Any, str], bool], newest: str) -> Resealed:
    done = unreadable = 0
    for row in _in_order(rows):
        before = getattr(row, column)
        # Compared here: some databases take "k1" and "K1" for the same.
        if before.rpartition(":")[0] == newest:
            continue
        if again(row, newest):
            done += rows.model._default_manager.filter(pk=row.pk, **{column: before}).update(
                **{column: getattr(row, column)}
            )
        else:
            unreadable += 1
    return Resealed(done, unreadable)


def _in_order(rows: QuerySet[Any]) -> Iterator[Any]:
    """All of them, by their key, a batch at a time."""
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield from batch
        last = batch[-1].pk
