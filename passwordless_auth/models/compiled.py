"""The statements of every sign-in: Django writes their SQL once in a process, and not at each of them.

For wide rows with joins, writing the SQL costs several times what reading the answer does. The querysets and models
stay what they are; only their text is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from django.conf import settings
from django.db import connections, models, router, transaction
from django.db.models.sql import InsertQuery, UpdateQuery

Row = TypeVar("Row", bound=models.Model)
Value = str | int | datetime


def _mark_of_time(number: int) -> datetime:
    return datetime(9999, 1, 1, microsecond=number + 1, tzinfo=UTC if settings.USE_TZ else None)


#: What stands for a value while the SQL is written, by the type of the value: fields look at what they are given.
_MARKS: Final[dict[type, Callable[[int], Any]]] = {
    str: lambda number: f"\0{number}\0",
    int: lambda number: -1_000_000_000 - number,
    datetime: _mark_of_time,
}


def _adapted(value: Any, connection: Any) -> Any:
    """A value as the fields of this database hand it over."""
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


class _Text:
    """A statement, with the places where values go."""

    def __init__(self, sql: str, parameters: Sequence[Any], marks: Mapping[str, Any], alias: str) -> None:
        self.sql = sql
        names = {_adapted(mark, connections[alias]): name for name, mark in marks.items()}
        #: For each parameter its value, or the name of it.
        self._parameters = [(names.get(parameter), parameter) for parameter in parameters]
        missing = marks.keys() - {name for name, _parameter in self._parameters}
        if missing:
            raise ValueError(f"The SQL does not compare {', '.join(sorted(missing))} as it is: {sql}")

    def with_values(self, values: Mapping[str, Value], connection: Any) -> tuple[str, tuple[Any, ...]]:
        given = {name: _adapted(value, connection) for name, value in values.items()}
        return self.sql, tuple(given[name] if name else constant for name, constant in self._parameters)


class _Compiled(Generic[Row]):
    def __init__(self, build: Callable[..., models.QuerySet[Row]], **types: type[Value]) -> None:
        self._build = build
        self._marks = {name: _MARKS[kind](number) for number, (name, kind) in enumerate(types.items())}

    @cached_property
    def _queryset(self) -> models.QuerySet[Row]:
        return self._build(**self._marks)


class CompiledSelect(_Compiled[Row]):
    """A queryset of at most one row, as a function of its values::

        person_named = CompiledSelect(lambda name: Person.objects.select_related("home").filter(name=name), name=str)
        person_named(name="Ada")  # a Person, or None

    The values are text, whole numbers or moments that the database compares as they are. They can't decide what the SQL
    is: ``build`` is called once, with what stands for them.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Row]], **types: type[Value]) -> None:
        super().__init__(build, **types)
        self._written: dict[str, _WrittenQuery] = {}

    def __call__(self, **values: Value) -> Row | None:
        alias = self._queryset.db
        if alias not in self._written:
            self._written[alias] = _WrittenQuery(self._queryset.query, alias, self._marks)
        query: Any = self._written[alias].with_values(values)
        found: list[Row] = list(models.QuerySet(self._queryset.model, query=query, using=alias))
        return found[0] if found else None


class _WrittenQuery:
    """What a QuerySet asks of its ``query``: a compiler. This one has written its SQL already."""

    values_select = ()

    def __init__(self, query: Any, alias: str, marks: dict[str, Any]) -> None:
        self._compiler = query.get_compiler(using=alias)
        sql, parameters = self._compiler.as_sql()
        self._text = _Text(sql, parameters, marks, alias)
        columns = [column for column, _sql, _alias in self._compiler.select]
        #: The few columns of which Django has to convert anything.
        self._converted = {number: columns[number] for number in self._compiler.get_converters(columns)}
        self._compiler.connection = None  # of this thread; each call takes its own
        self._values: dict[str, Any] = {}

    def with_values(self, values: dict[str, Any]) -> _WrittenQuery:
        query = copy.copy(self)
        query._values = values
        return query

    def get_compiler(self, using: str) -> Any:
        compiler = copy.copy(self._compiler)
        connection = compiler.connection = connections[using]
        compiler.as_sql = lambda *_args, **_kwargs: self._text.with_values(self._values, connection)
        compiler.get_converters = lambda _columns: {
            number: (connection.ops.get_db_converters(column) + column.get_db_converters(connection), column)
            for number, column in self._converted.items()
        }
        return compiler


class CompiledUpdate(_Compiled[Row]):
    """A conditional UPDATE, as a function of its values, that returns how many rows it changed::

        move = CompiledUpdate(
            lambda name, street: Person.objects.filter(name=name), lambda name, street: {"street": street},
            name=str, street=str,
        )
        move(name="Ada", street="St James's Square")

    ``change`` gives what the rows get, as ``QuerySet.update()`` takes it; for the values, see ``CompiledSelect``.
    """

    def __init__(
        self,
        build: Callable[..., models.QuerySet[Row]],
        change: Callable[..., dict[str, Any]],
        **types: type[Value],
    ) -> None:
        super().__init__(build, **types)
        self._change = change
        self._written: dict[str, _Text] = {}

    def __call__(self, **values: Value) -> int:
        alias = router.db_for_write(self._queryset.model)
        if alias not in self._written:
            self._written[alias] = self._write(alias)
        connection = connections[alias]
        with transaction.mark_for_rollback_on_error(using=alias), connection.cursor() as cursor:
            cursor.execute(*self._written[alias].with_values(values, connection))
            changed: int = cursor.rowcount
        return changed

    def _write(self, alias: str) -> _Text:
        query: Any = self._queryset.query.chain(UpdateQuery)
        query.add_update_values(self._change(**self._marks))
        sql, parameters = query.get_compiler(using=alias).as_sql()
        return _Text(sql, parameters, self._marks, alias)


_INSERTS: Final[dict[tuple[type[models.Model], str, int, int], tuple[Any, str, tuple[Any, ...]]]] = {}


def insert_written_once(
    self: models.Model,
    manager: Any,
    using: str,
    fields: Sequence[Any],
    returning_fields: Sequence[Any],
    raw: bool,
) -> Any:
    """``_do_insert`` of a model that is inserted often: ``save()`` stays Django's, with its defaults and signals.

    Not for a model with a binary column that may be empty: MySQL wants other SQL for that.
    """
    connection = connections[using]
    values = [
        field.get_db_prep_save(getattr(self, field.attname) if raw else field.pre_save(self, True), connection)
        for field in fields
    ]
    if any(hasattr(value, "as_sql") for value in values):  # an expression has an SQL of its own
        return models.Model._do_insert(self, manager, using, fields, returning_fields, raw)  # type: ignore[attr-defined]
    key = (type(self), using, len(fields), len(returning_fields))
    if key not in _INSERTS:
        query: Any = InsertQuery(type(self))
        query.insert_values(fields, [self], raw=raw)
        compiler = query.get_compiler(using=using)
        compiler.returning_fields = returning_fields
        [(sql, parameters)] = compiler.as_sql()
        query.objs = [None]  # one row, whichever; and this one is not kept
        compiler.connection = None  # of this thread; each call takes its own
        _INSERTS[key] = compiler, sql, tuple(parameters[len(values) :])
    written, sql, rest = _INSERTS[key]
    compiler = copy.copy(written)
    compiler.connection = connection
    compiler.as_sql = lambda: [(sql, (*values, *rest))]
    return compiler.execute_sql(returning_fields)
