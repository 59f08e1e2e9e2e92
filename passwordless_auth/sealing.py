"""What rows keep encrypted under the keys of ``SECRET_KEYS``. Each app says here what it has, so that all of it moves
to the newest key, and no key is dropped while something needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.views.decorators.debug import sensitive_variables

from . import derivation
from .models import SignIn, Totp


@dataclass(frozen=True)
class Sealed:
    """A column of ``derivation.seal``. ``rows``: those that are needed. ``purpose`` and ``context`` (of a row) are
    those that it was sealed with."""

    name: str
    rows: Callable[[], QuerySet[Any]]
    column: str
    purpose: str
    context: Callable[[Any], str]

    def needed(self) -> QuerySet[Any]:
        return self.rows().exclude(**{self.column: ""})

    def needs_other_than(self, key_ids: Iterable[str]) -> bool:
        """Whether a row names a key that is none of these."""
        rows = self.needed()
        for key_id in key_ids:
            rows = rows.exclude(**{f"{self.column}__startswith": f"{key_id}:"})
        return rows.exists()

    @sensitive_variables()
    def sealed_again(self, row: Any, *, key_id: str) -> str | None:
        """The column's value under another key; ``None`` where it can't be read."""
        context = self.context(row)
        plain = derivation.unseal(getattr(row, self.column), purpose=self.purpose, context=context)
        if plain is None:
            return None
        return derivation.seal(plain, purpose=self.purpose, context=context, key_id=key_id)


def _public_id(row: Any) -> str:
    return str(row.public_id)


_SEALED: Final[dict[str, Sealed]] = {
    sealed.name: sealed
    for sealed in (
        Sealed("authenticator_apps", Totp.objects.all, "key_sealed", "totp", _public_id),
        Sealed("sessions", SignIn.objects.live, "session_key_sealed", "session", _public_id),
    )
}


def register(sealed: Sealed) -> None:
    """Let what an app keeps encrypted be moved by ``passwordless_reseal``, and looked for before a key is dropped. To
    be called in its ``ready()``."""
    _SEALED[sealed.name] = sealed


def everything() -> list[Sealed]:
    return list(_SEALED.values())
