"""The statements of every sign-in: Django writes their SQL once in a process, and not at each of them.

Writing the SQL, and working out how a row becomes models, costs several times what asking and reading does. The
querysets and models stay what they are; only what Django makes of them is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from django.db import connections, models, router, transaction
from django.db.models.sql import InsertQuery, UpdateQuery

Row = TypeVar("Row", bound=models.Model)

#: Types of values that need no field of a model to say how the database takes them.
_FORMS: Final[dict[Any, models.Field[Any, Any]]] = {
    str: models.CharField(),
    int: models.IntegerField(),
    bool: models.BooleanField(),
    datetime: models.DateTimeField(),
}


class _Given(models.Expression):
    """Stands for a value while the SQL is written."""

    def __init__(self, name: str, form: Any) -> None:
        super().__init__()
        self.name = name
        #: What text, numbers and moments are they are already; other fields may have to make something of them first.
        self.is_prepared = form in _FORMS
        self.form: models.Field[Any, Any] = _FORMS.get(form, form)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        return "%s", [self]


class _Text:
    """A statement, with the places where values go."""

    def __init__(self, sql: str, parameters: Iterable[Any], *, names: Iterable[str]) -> None:
        self._sql = sql
        self._parameters = tuple(parameters)
        missing = set(names) - {each.name for each in self._parameters if isinstance(each, _Given)}
        if missing:
            raise ValueError(f"The SQL has no place for {', '.join(sorted(missing))}: {sql}")

    def with_values(self, values: Mapping[str, Any], connection: Any) -> tuple[str, tuple[Any, ...]]:
        """What a cursor executes."""
        return self._sql, tuple(
            each.form.get_db_prep_value(values[each.name], connection, each.is_prepared)
            if isinstance(each, _Given)
            else each
            for each in self._parameters
        )


class _Compiled(Generic[Row]):
    def __init__(self, build: Callable[..., models.QuerySet[Row]], **forms: Any) -> None:
        self._build = build
        self._given = {name: _Given(name, form) for name, form in forms.items()}

    @cached_property
    def _queryset(self) -> models.QuerySet[Row]:
        return self._build(**self._given)


class CompiledSelect(_Compiled[Row]):
    """A queryset of at most one row, as a function of its values::

        person_named = CompiledSelect(lambda name: Person.objects.select_related("home").filter(name=name), name=str)
        person_named(name="Ada")  # a Person, or None

    For each value is said what it is: ``str``, ``int``, ``bool``, ``datetime``, or the field of a model that holds such
    values (a key of the host's users may be anything). The values can't decide what the SQL is: ``build`` is called
    once, with what stands for them.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Row]], **forms: Any) -> None:
        super().__init__(build, **forms)
        self._written: dict[str, _WrittenSelect] = {}

    def __call__(self, **values: Any) -> Row | None:
        alias = self._queryset.db
        if alias not in self._written:
            self._written[alias] = _WrittenSelect(self._queryset.query, alias, self._given)
        row: Row | None = self._written[alias].first(values)
        return row


class _WrittenSelect:
    """The SQL of a query for one database, and how a row of its answer becomes models."""

    def __init__(self, query: Any, alias: str, names: Iterable[str]) -> None:
        # Of a query of its own: writing it changes it, and another thread may be at the same.
        compiler = query.chain().get_compiler(using=alias)
        self._alias = alias
        self._text = _Text(*compiler.as_sql(), names=names)
        columns = [column for column, _sql, _alias in compiler.select]
        #: The few columns of which Django has to convert anything.
        self._converted = {number: columns[number] for number in compiler.get_converters(columns)}
        self._models = _Models(compiler.klass_info, columns)
        self._annotations = compiler.annotation_col_map or {}

    def first(self, values: Mapping[str, Any]) -> Any:
        connection = connections[self._alias]
        with connection.cursor() as cursor:
            cursor.execute(*self._text.with_values(values, connection))
            found = cursor.fetchone()
        if found is None:
            return None
        row = list(found)
        for number, column in self._converted.items():
            for convert in connection.ops.get_db_converters(column) + column.get_db_converters(connection):
                row[number] = convert(row[number], column, connection)
        made = self._models.made_of(row, self._alias)
        for name, number in self._annotations.items():
            setattr(made, name, row[number])
        return made


class _Models:
    """A model and those that were selected with it: which columns are whose."""

    def __init__(self, info: Mapping[str, Any], columns: Sequence[Any]) -> None:
        numbers = info["select_fields"]
        self._model = info["model"]
        self._columns = slice(numbers[0], numbers[-1] + 1)
        self._names = [column.target.attname for column in columns[self._columns]]
        self._key = numbers[0] + self._names.index(self._model._meta.pk_fields[0].attname)
        self._related = [
            (_Models(related, columns), related["local_setter"], related["remote_setter"])
            for related in info.get("related_klass_infos", ())
        ]

    def made_of(self, row: Sequence[Any], alias: str) -> Any:
        """The model; ``None`` where an outer join found none."""
        if row[self._key] is None:
            return None
        made = self._model.from_db(alias, self._names, row[self._columns])
        for related, set_here, set_there in self._related:
            other = related.made_of(row, alias)
            set_here(made, other)
            if other is not None:
                set_there(other, made)
        return made


class CompiledUpdate(_Compiled[Row]):
    """A conditional UPDATE, as a function of its values, that returns how many rows it changed::

        move = CompiledUpdate(
            lambda name, **_: Person.objects.filter(name=name), lambda street, **_: {"street": street},
            name=str, street=str,
        )
        move(name="Ada", street="St James's Square")

    ``change`` gives what the rows get, as ``QuerySet.update()`` takes it; for the values, see ``CompiledSelect``.
    """

    def __init__(
        self,
        build: Callable[..., models.QuerySet[Row]],
        change: Callable[..., dict[str, Any]],
        **forms: Any,
    ) -> None:
        super().__init__(build, **forms)
        self._change = change
        self._written: dict[str, _Text] = {}

    def __call__(self, **values: Any) -> int:
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
        query.add_update_values(self._change(**self._given))
        return _Text(*query.get_compiler(using=alias).as_sql(), names=self._given)


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
