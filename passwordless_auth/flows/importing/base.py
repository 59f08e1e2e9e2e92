"""What another package keeps of its people becomes ours, so that they sign in with what they have.

The other package is not imported: its tables are read through Django's app registry, so it stays installed, and in
``INSTALLED_APPS``, until the import is done. Nothing of it is changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from ...models import Event, Identity, ImportedRow, Passkey, Profile, RecoveryCode, Totp
from ..accounts import email_field

#: People whose rows are read, weighed and written in one transaction.
BATCH: Final = 200

Made = Identity | Passkey | RecoveryCode | Totp


class Unavailable(Exception):
    """The source can't be read as this project is set up. The message says what to do."""


class Unfit(Exception):
    """A row can't be taken over. The message says why, without a secret."""

    def __init__(self, reason: str, *, masked: str = "") -> None:
        self.masked = masked
        super().__init__(reason)


@dataclass(frozen=True)
class Skipped:
    """A row that stays behind: ``table`` and ``row`` (the primary key) name it. ``masked``: its address, hidden but for
    the first letters."""

    table: str
    row: str
    user: str
    reason: str
    masked: str = ""


@dataclass
class Tally:
    """How many rows of one kind were (or would be) imported, were there already, or stay behind."""

    imported: int = 0
    present: int = 0
    skipped: int = 0
    #: People who have something of it, and an address that nobody has proven: see ``_unproven``.
    unproven: int = 0


@dataclass(frozen=True)
class _Found:
    """A row of theirs, and what we make of it: unsaved, but for an Identity that was there and is now proven."""

    row: Any
    made: Sequence[Made]


class Shelf(ABC):
    """One table of another package, with a foreign key ``user``, all of whose rows are of one kind."""

    #: What is counted: ``passkeys``, ``authenticator apps``, …
    kind: str
    #: What the audit trail says of a row that was taken.
    event: str
    #: Of several rows of one person, which come first.
    order: ClassVar[tuple[Any, ...]] = ("pk",)

    def __init__(self, rows: models.QuerySet[Any]) -> None:
        self.rows = rows
        self.table: str = rows.model._meta.label_lower

    def prepare(self, rows: Sequence[Any], *, now: datetime) -> None:  # noqa: B027 (a hook: some have nothing to read)
        """Read what is needed to judge a batch of rows: a number of statements that doesn't depend on theirs."""

    @abstractmethod
    def take(self, row: Any) -> Sequence[Made]:
        """What becomes of a row; nothing when it is here already. Raises Unfit."""


class LeftBehind(Shelf):
    """A table whose rows can't be taken over at all. They are named, so that nobody finds out at the door."""

    event = ""

    def __init__(self, rows: models.QuerySet[Any], *, kind: str, reason: str) -> None:
        super().__init__(rows)
        self.kind = kind
        self.reason = reason

    def take(self, row: Any) -> Sequence[Made]:
        raise Unfit(self.reason)


class Source(ABC):
    """Another package."""

    #: The distribution.
    name: ClassVar[str]
    #: Whether it knows who has proven an address.
    knows_addresses: ClassVar[bool] = False

    @abstractmethod
    def shelves(self) -> list[Shelf]:
        """Its tables, in the order to take them. Raises Unavailable."""


def table_of(label: str) -> type[models.Model] | None:
    """Another app's model, or ``None`` when it isn't installed."""
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


# -- the story


def import_from(
    source: Source, *, dry_run: bool, tell: Callable[[Skipped], None], now: datetime | None = None
) -> dict[str, Tally]:
    """Take over what ``source`` keeps. ``tell`` is called for each row that stays behind. Returns counts by kind.

    Safe to repeat, and to break off: people are taken in batches, each in a transaction of its own, and a row that was
    taken once is never taken again. ``dry_run`` reads and judges alike, and writes nothing. Raises Unavailable.
    """
    now = now or timezone.now()
    tallies: dict[str, Tally] = {}
    for shelf in source.shelves():
        tally = tallies.setdefault(shelf.kind, Tally())
        for people in _people(shelf):
            for skipped in _take(shelf, people, source=source.name, tally=tally, dry_run=dry_run, now=now):
                tell(skipped)
            if shelf.event and not source.knows_addresses:
                tally.unproven += _unproven(people)
    return tallies


def _people(shelf: Shelf) -> Iterator[list[Any]]:
    """Keys of the users who have rows there, batch by batch: memory doesn't grow with the table, whatever the driver
    does with large results."""
    owners = shelf.rows.order_by("user_id").values_list("user_id", flat=True).distinct()
    people = list(owners[:BATCH])
    while people:
        yield people
        people = list(owners.filter(user_id__gt=people[-1])[:BATCH])


def _unproven(people: list[Any]) -> int:
    """How many have an address in their user's row that was neither proven nor imported. Its first proof takes away
    what is attached to the account (flows/accounts.py): whoever runs the import has to know."""
    address = email_field()
    if address is None:
        return 0
    safe = Identity.objects.filter(user=OuterRef("pk")).exclude(origin=Identity.Origin.HOST, proven_at=None)
    users = get_user_model()._default_manager.filter(~Exists(safe), pk__in=people)
    return users.exclude(**{address: ""}).count()


def _take(shelf: Shelf, people: list[Any], *, source: str, tally: Tally, dry_run: bool, now: datetime) -> list[Skipped]:
    try:
        found, present, skipped = _import_batch(shelf, people, source=source, dry_run=dry_run, now=now)
    except IntegrityError:
        # Somebody signed in, or another import ran, since we looked. Look again, and judge by what is there now.
        found, present, skipped = _import_batch(shelf, people, source=source, dry_run=dry_run, now=now)
    tally.imported += found
    tally.present += present
    tally.skipped += len(skipped)
    return skipped


def _import_batch(
    shelf: Shelf, people: list[Any], *, source: str, dry_run: bool, now: datetime
) -> tuple[int, int, list[Skipped]]:
    with transaction.atomic():
        rows = list(shelf.rows.filter(user_id__in=people).order_by(*shelf.order))
        known = _known(shelf, rows)
        fresh = [row for row in rows if str(row.pk) not in known]
        shelf.prepare(fresh, now=now)
        found: list[_Found] = []
        present = len(known)
        skipped = []
        for row in fresh:
            try:
                made = shelf.take(row)
            except Unfit as unfit:
                skipped.append(Skipped(shelf.table, str(row.pk), str(row.user_id), str(unfit), unfit.masked))
                continue
            if made:
                found.append(_Found(row, made))
            else:
                present += 1
        if not dry_run and found:
            _write(shelf, found, source=source, now=now)
    return len(found), present, skipped


def _known(shelf: Shelf, rows: Sequence[Any]) -> set[str]:
    names = [str(row.pk) for row in rows]
    return set(ImportedRow.objects.filter(table=shelf.table, row__in=names).values_list("row", flat=True))


def _write(shelf: Shelf, found: list[_Found], *, source: str, now: datetime) -> None:
    people = {one.row.user_id for one in found}
    has_profile = set(Profile.objects.filter(user_id__in=people).values_list("user_id", flat=True))
    Profile.objects.bulk_create([Profile(user_id=user_id) for user_id in people - has_profile], ignore_conflicts=True)
    made = [item for one in found for item in one.made]
    for model in (Identity, Passkey, RecoveryCode, Totp):
        model._default_manager.bulk_create([item for item in made if isinstance(item, model) and item.pk is None])
    proven = [item.pk for item in made if isinstance(item, Identity) and item.proven_at == now]
    Identity.objects.filter(pk__in=proven, proven_at=None).update(proven_at=now, origin=Identity.Origin.IMPORT)
    if guarded := {item.user_id for item in made if isinstance(item, Totp)}:
        Profile.objects.filter(user_id__in=guarded).update(has_totp=True)
    ImportedRow.objects.bulk_create(
        [ImportedRow(user_id=one.row.user_id, table=shelf.table, row=str(one.row.pk), created_at=now) for one in found]
    )
    Event.objects.bulk_create(
        [
            Event(
                kind=shelf.event,
                user_id=one.row.user_id,
                masked=one.made[0].masked if isinstance(one.made[0], Identity) else "",
                data={"source": source, "row": str(one.row.pk)},
                created_at=now,
            )
            for one in found
        ]
    )
