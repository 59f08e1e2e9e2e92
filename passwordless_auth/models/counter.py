from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, NamedTuple

from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class Window(NamedTuple):
    """What is counted: an action, for a key, in windows of ``period`` seconds."""

    action: str
    key: str
    period: int


class Count(NamedTuple):
    """How often, and when the window ends."""

    number: int
    resets_at: datetime


def _names(connection: BaseDatabaseWrapper) -> list[str]:
    """Table and columns, quoted."""
    names = ("action", "key", "period", "count", "refused", "resets_at")
    return [connection.ops.quote_name(name) for name in (Counter._meta.db_table, *names)]


def _counts(rows: Iterable[Sequence[Any]], connection: BaseDatabaseWrapper) -> dict[Window, Count]:
    """Action, key, period, count and end, as the database has them."""
    column = Counter._meta.get_field("resets_at").get_col(Counter._meta.db_table)
    converters = connection.ops.get_db_converters(column)
    found = {}
    for action, key, period, number, stored in rows:
        resets_at = reduce(lambda value, convert: convert(value, column, connection), converters, stored)
        found[Window(action, key, period)] = Count(number, resets_at)
    return found


class CounterQuerySet(models.QuerySet["Counter"]):
    def add(self, windows: Mapping[Window, int], *, now: datetime) -> dict[Window, Count]:
        """Count so much in each window and return the new counts, in one statement (two on MariaDB and MySQL).

        A window begins with its first action. The rows stay locked until the surrounding transaction ends, and a
        rollback takes the counts back: so parallel requests can't pass a limit, and what was refused isn't counted.
        """
        # SECURITY: one order for everybody, or two requests that share two keys would deadlock.
        ordered = sorted(set(windows))
        if not ordered:
            return {}
        alias = router.db_for_write(Counter)
        connection = connections[alias]
        table, action, key, period, count, refused, resets_at = _names(connection)
        stamp = connection.ops.adapt_datetimefield_value

        params: list[str | int | None] = []
        for window in ordered:
            params += [*window, windows[window], stamp(now + timedelta(seconds=window.period))]
        rows = ", ".join(["(%s, %s, %s, %s, 0, %s)"] * len(ordered))
        insert = f"INSERT INTO {table} ({action}, {key}, {period}, {count}, {refused}, {resets_at}) VALUES {rows}"  # noqa: S608 (names only; values are parameters)
        params += [stamp(now)] * 3

        if connection.vendor == "mysql":
            # Assignments run left to right and see what the earlier ones wrote: so the end of the window comes last.
            update = (
                f" ON DUPLICATE KEY UPDATE {count} = IF({resets_at} <= %s, 0, {count}) + VALUES({count}),"
                f" {refused} = IF({resets_at} <= %s, 0, {refused}),"
                f" {resets_at} = IF({resets_at} <= %s, VALUES({resets_at}), {resets_at})"
            )
            with connection.cursor() as cursor:
                cursor.execute(insert + update, params)
            return self.using(alias).read(ordered, now=now)

        update = (
            f" ON CONFLICT ({action}, {key}, {period}) DO UPDATE SET"
            f" {count} = CASE WHEN {table}.{resets_at} <= %s THEN 0 ELSE {table}.{count} END + excluded.{count},"
            f" {refused} = CASE WHEN {table}.{resets_at} <= %s THEN 0 ELSE {table}.{refused} END,"
            f" {resets_at} = CASE WHEN {table}.{resets_at} <= %s THEN excluded.{resets_at}"
            f" ELSE {table}.{resets_at} END RETURNING {action}, {key}, {period}, {count}, {resets_at}"
        )
        with connection.cursor() as cursor:
            cursor.execute(insert + update, params)
            return _counts(cursor.fetchall(), connection)

    def read(self, windows: Iterable[Window], *, now: datetime) -> dict[Window, Count]:
        """The counts of windows that are running, in one SELECT; windows that nobody opened are left out."""
        wanted = list(windows)
        if not wanted:
            return {}
        connection = connections[self.db]
        table, action, key, period, count, _refused, resets_at = _names(connection)
        one = f"{action} = %s AND {key} = %s AND {period} = %s"
        select = (
            f"SELECT {action}, {key}, {period}, {count}, {resets_at} FROM {table}"  # noqa: S608 (names only)
            f" WHERE {resets_at} > %s AND ({' OR '.join([one] * len(wanted))})"
        )
        params = [connection.ops.adapt_datetimefield_value(now), *(value for window in wanted for value in window)]
        with connection.cursor() as cursor:
            cursor.execute(select, params)
            return _counts(cursor.fetchall(), connection)

    def note_refusal(self, windows: Iterable[Window], *, now: datetime) -> bool:
        """Note on the rows that a request was turned away. True when it is the first of a window.

        To be called inside a transaction: the UPDATE locks the rows, so of parallel refusals exactly one sees its 1.
        """
        named = self._named(windows)
        if named is None:
            return False
        running = named.filter(resets_at__gt=now)
        running.update(refused=F("refused") + 1)
        return running.filter(refused=1).exists()

    def forget(self, windows: Iterable[Window]) -> None:
        """Delete the counts of these windows."""
        named = self._named(windows)
        if named is not None:
            named.delete()

    def _named(self, windows: Iterable[Window]) -> CounterQuerySet | None:
        wanted = Q()
        for window in windows:
            wanted |= Q(action=window.action, key=window.key, period=window.period)
        return self.filter(wanted) if wanted else None


class Counter(models.Model):
    """How often an action happened for a key in a time window."""

    action = models.CharField(max_length=32)
    key = models.CharField(max_length=320)
    period = models.PositiveIntegerField(_("window in seconds"))
    count = models.PositiveIntegerField()
    refused = models.PositiveIntegerField(default=0, db_default=0)
    resets_at = models.DateTimeField(db_index=True)

    objects = CounterQuerySet.as_manager()

    class Meta:
        verbose_name = _("counter")
        verbose_name_plural = _("counters")
        constraints = (models.UniqueConstraint(fields=["action", "key", "period"], name="passwordless_counter_unique"),)

    def __str__(self) -> str:
        return f"{self.action} {self.key}"
