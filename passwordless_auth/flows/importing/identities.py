"""Users that were there before us get their Identities."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction

from ...exceptions import InvalidIdentifier
from ...identifiers import parse_email
from ...models import Identity
from ..accounts import email_field

_CHUNK: Final = 500


@dataclass
class Report:
    """What an import did, or would do. The lists hold ``(address, primary keys of users)``."""

    imported: int = 0
    present: int = 0
    without: int = 0
    duplicates: list[tuple[str, list[str]]] = field(default_factory=list)
    unreadable: list[tuple[str, list[str]]] = field(default_factory=list)
    taken: list[tuple[str, list[str]]] = field(default_factory=list)


def import_identities(*, dry_run: bool) -> Report:
    """Make an Identity of each user's address.

    SECURITY: importing says that this site has trusted these addresses until now (it mailed password resets to them),
    so signing in by one takes nothing from its account. An address of two users would open one's account to the
    other: neither gets it.
    """
    report = Report()
    by_address: dict[str, list[Any]] = defaultdict(list)
    has_primary = set(Identity.objects.filter(kind="email", is_primary=True).values_list("user_id", flat=True))
    for pk, email in _users():
        if not email:
            report.without += 1
            continue
        try:
            if unicodedata.normalize("NFKC", email) != email:
                # SECURITY: look-alikes are folded when people type; nobody has ever mailed to them.
                raise InvalidIdentifier
            by_address[parse_email(email).canonical].append(pk)
        except InvalidIdentifier:
            report.unreadable.append((email, [str(pk)]))
    owners = dict(Identity.objects.filter(kind="email").values_list("canonical", "user_id"))
    wanted = []
    for address, pks in by_address.items():
        if len(pks) > 1:
            report.duplicates.append((address, [str(pk) for pk in pks]))
        elif pks[0] in has_primary:
            report.present += 1
        elif address in owners:
            report.taken.append((address, [str(pks[0])]))
        else:
            wanted.append((address, pks[0]))
    report.imported = len(wanted)
    if not dry_run:
        _create(wanted)
    return report


def _users() -> Iterator[tuple[Any, str]]:
    model = get_user_model()
    rows = model._default_manager.order_by("pk").values_list("pk", email_field() or "pk")
    return iter(rows.iterator(chunk_size=2000))


def _create(wanted: list[tuple[str, Any]]) -> None:
    for start in range(0, len(wanted), _CHUNK):
        with transaction.atomic():
            Identity.objects.bulk_create(
                [
                    Identity(
                        user_id=pk,
                        kind="email",
                        canonical=address,
                        is_primary=True,
                        origin=Identity.Origin.IMPORT,
                    )
                    for address, pk in wanted[start : start + _CHUNK]
                ],
                ignore_conflicts=True,  # somebody signed in by this address since we looked
            )
