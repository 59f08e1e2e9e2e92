from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connections, models, router
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


class CounterQuerySet(models.QuerySet["Counter"]):
    def add(self, windows: Iterable[Window], *, now: datetime) -> dict[Window, Count]:
        """Count one in each window and return the new counts, in one statement (two on MariaDB and MySQL).

        A window begins with its first action. The rows stay locked until the surrounding transaction ends, and a
        rollback takes the counts back: so parallel requests can't pass a limit, and what was refused isn't counted.
        """
        # SECURITY: one order for everybody, or two requests that share two keys would deadlock.
        ordered = sorted(set(windows))
        if not ordered:
            return {}
        connection = connections[router.db_for_write(Counter)]
        quote = connection.ops.quote_name
        table = quote(Counter._meta.db_table)
        action, key, period, count, resets_at = map(quote, ("action", "key", "period", "count", "resets_at"))
        stamp = connection.ops.adapt_datetimefield_value

        values, params = [], []
        for window in ordered:
            values.append("(%s, %s, %s, 1, %s)")
            params += [*window, stamp(now + timedelta(seconds=window.period))]
        insert = f"INSERT INTO {table} ({action}, {key}, {period}, {count}, {resets_at}) VALUES {', '.join(values)}"  # noqa: S608 (names only; values are parameters)

        if connection.vendor == "mysql":
            # Assignments run left to right and see what the earlier ones wrote: so the count comes first.
            update = (
                f" ON DUPLICATE KEY UPDATE {count} = IF({resets_at} <= %s, 1, {count} + 1),"
                f" {resets_at} = IF({resets_at} <= %s, VALUES({resets_at}), {resets_at})"
            )
            with connection.cursor() as cursor:
                cursor.execute(insert + update, [*params, stamp(now), stamp(now)])
            return self.read(ordered, now=now)

        update = (
            f" ON CONFLICT ({action}, {key}, {period}) DO UPDATE SET"
            f" {count} = CASE WHEN {table}.{resets_at} <= %s THEN 1 ELSE {table}.{count} + 1 END,"
            f" {resets_at} = CASE WHEN {table}.{resets_at} <= %s THEN excluded.{resets_at}"
            f" ELSE {table}.{resets_at} END"
            f" RETURNING {action}, {key}, {period}, {count}, {resets_at}"
        )
        with connection.cursor() as cursor:
            cursor.execute(insert + update, [*params, stamp(now), stamp(now)])
            rows = cursor.fetchall()
        return {Window(*row[:3]): Count(row[3], _moment(connection, row[4])) for row in rows}

    def read(self, windows: Iterable[Window], *, now: datetime) -> dict[Window, Count]:
        """The counts of windows that are running, in one SELECT; windows that nobody opened are left out."""
        wanted = Q()
        for window in windows:
            wanted |= Q(action=window.action, key=window.key, period=window.period)
        if not wanted:
            return {}
        rows = self.filter(wanted, resets_at__gt=now).values_list("action", "key", "period", "count", "resets_at")
        return {Window(*row[:3]): Count(*row[3:]) for row in rows}

    def note_refusal(self, windows: Iterable[Window], *, now: datetime) -> bool:
        """Note on the row that a request was turned away. True when it is the first of this window."""
        first = False
        for window in windows:
            row = self.filter(action=window.action, key=window.key, period=window.period, resets_at__gt=now)
            if row.filter(refused=0).update(refused=1):
                first = True
            else:
                row.update(refused=F("refused") + 1)
        return first


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


def _moment(connection: object, value: object) -> datetime:
    """A cursor hands out what the driver reads: SQLite text, PostgreSQL a datetime."""
    field = Counter._meta.get_field("resets_at")
    for convert in connection.ops.get_db_converters(field.get_col(Counter._meta.db_table)):  # type: ignore[attr-defined]
        value = convert(value, field.get_col(Counter._meta.db_table), connection)
    return value  # type: ignore[return-value]
