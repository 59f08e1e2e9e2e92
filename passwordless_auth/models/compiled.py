"""The SELECTs of every sign-in: Django writes their SQL once in a process, and not at each of them.

For wide rows with joins, writing the SQL costs several times what reading the answer does. The querysets stay what
they are; only their text is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from django.db import connections, models

Row = TypeVar("Row", bound=models.Model)

#: What stands for a value while the SQL is written, by the type of the value: fields look at what they are given.
_MARKS: Final[dict[type, Callable[[int], Any]]] = {
    str: lambda number: f"\0{number}\0",
    int: lambda number: -1_000_000_000 - number,
}


class CompiledSelect(Generic[Row]):
    """A queryset of at most one row, as a function of its values::

        person_named = CompiledSelect(lambda name: Person.objects.select_related("home").filter(name=name), name=str)
        person_named(name="Ada")  # a Person, or None

    The values are text or whole numbers that the database compares as they are. They can't decide what the SQL is:
    ``build`` is called once, with what stands for them.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Row]], **types: type[str | int]) -> None:
        self._build = build
        self._marks = {name: _MARKS[kind](number) for number, (name, kind) in enumerate(types.items())}
        self._written: dict[str, _WrittenQuery] = {}

    @cached_property
    def _queryset(self) -> models.QuerySet[Row]:
        return self._build(**self._marks)

    def __call__(self, **values: str | int) -> Row | None:
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
        self._sql, parameters = self._compiler.as_sql()
        self._compiler.connection = None  # of this thread; each call takes its own
        names = {mark: name for name, mark in marks.items()}
        #: For each parameter its value, or the name of it.
        self._parameters = [(names.get(parameter), parameter) for parameter in parameters]
        missing = marks.keys() - {name for name, _parameter in self._parameters}
        if missing:
            raise ValueError(f"The SQL does not compare {', '.join(sorted(missing))} as it is: {self._sql}")
        self._values: dict[str, Any] = {}

    def with_values(self, values: dict[str, Any]) -> _WrittenQuery:
        query = copy.copy(self)
        query._values = values
        return query

    def get_compiler(self, using: str) -> Any:
        compiler = copy.copy(self._compiler)
        compiler.connection = connections[using]
        compiler.as_sql = self._as_sql
        return compiler

    def _as_sql(self, *_args: Any, **_kwargs: Any) -> tuple[str, tuple[Any, ...]]:
        values = (self._values[name] if name else constant for name, constant in self._parameters)
        return self._sql, tuple(values)
