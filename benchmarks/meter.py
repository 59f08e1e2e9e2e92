"""What a contestant's process and its database spend, told apart: requests, and mail within them."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

#: Where the work belongs: answering a request, or building a message and handing it over within one.
Part = Literal["app", "mail"]

#: Statements of a transaction, as Django writes them to its log of queries.
CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


class Meter:
    """CPU time in nanoseconds: ``spent`` in this process, ``spent_by_database`` in the backend of its connection.

    Only what runs inside of ``request()`` counts, so that a browser that builds and reads costs nothing. What the
    database did since the last reading belongs to who asked last: it goes on for a moment after it has answered.
    """

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.spent_by_database: Counter[str] = Counter()
        #: Data statements, and those of transactions; counted only while ``count_statements()`` lasts.
        self.statements: dict[str, list[str]] = {"app": [], "mail": []}
        self._part: Part | None = None
        self._asked_last: Part = "app"
        self._began = 0
        self._database_at = 0
        self._schedstat: Path | None = None
        self._log: Any = None

    def watch_database(self, backend: int | None) -> None:
        """Read the CPU time of this process too: the backend of our connection. Does nothing where it can't be read
        (another machine, no Linux)."""
        schedstat = Path(f"/proc/{backend}/schedstat")
        try:
            is_postgres = Path(f"/proc/{backend}/comm").read_text().startswith("postgres")
            self._schedstat = schedstat if is_postgres and schedstat.read_text() else None
        except OSError:
            self._schedstat = None
        self._database_at = self._read_database()

    @property
    def watches_database(self) -> bool:
        return self._schedstat is not None

    @contextmanager
    def request(self) -> Iterator[None]:
        self._switch("app")
        try:
            yield
        finally:
            self._switch(None)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What happens here, between two requests, is not what is measured: the database's share of it is dropped."""
        yield
        self._database_at = self._read_database()

    @contextmanager
    def mail(self) -> Iterator[None]:
        before = self._part
        self._switch("mail")
        try:
            yield
        finally:
            self._switch(before)

    def is_mail(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, and what it does counts as mail."""

        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.mail():
                return function(*args, **kwargs)

        return measured

    @contextmanager
    def count_statements(self) -> Iterator[dict[str, tuple[int, int]]]:
        """Yields a dict that holds, afterwards, for each part the data statements and those of transactions."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        counted: dict[str, tuple[int, int]] = {}
        self.statements = {"app": [], "mail": []}
        with CaptureQueriesContext(connection):
            self._log = connection.queries_log
            self._log.clear()
            yield counted
            self._log = None
        for part, statements in self.statements.items():
            control = sum(statement.upper().startswith(CONTROL) for statement in statements)
            counted[part] = (len(statements) - control, control)

    def _switch(self, part: Part | None) -> None:
        now = time.process_time_ns()
        if self._part is not None:
            self.spent[self._part] += now - self._began
            if self._log is not None:
                self.statements[self._part] += [query["sql"] or "" for query in self._log]
            self._asked_last = self._part
        database_at = self._read_database()
        self.spent_by_database[self._asked_last] += database_at - self._database_at
        self._database_at = database_at
        if self._log is not None:
            self._log.clear()
        self._part = part
        self._began = time.process_time_ns()

    def _read_database(self) -> int:
        """Nanoseconds on a CPU: the first number of the kernel's ``schedstat``."""
        return int(self._schedstat.read_text().split()[0]) if self._schedstat else 0


#: Of this process.
meter = Meter()
