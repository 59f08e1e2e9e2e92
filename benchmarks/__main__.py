"""``python -m benchmarks``: what a sign-in costs, ours beside a floor and the peers, as a table.

Every contestant is a Django project in a process of its own, with a database of its own, and is called through WSGI.
Measured is CPU time, never the clock on the wall. The rounds are interleaved (A B C, A B C, …), and each ratio is the
median of the ratios within a round: what disturbs the machine disturbs all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from .contestants import CONTESTANTS, Contestant, Flow

ROOT: Final = Path(__file__).parents[1]
FLOOR: Final = next(iter(CONTESTANTS))
OURS: Final = ("passwordless_auth", "passwordless_auth.oidc")

TABLES: Final = {
    "message": "E-mail code or link: ask and redeem",
    "passkey": "Passkey: options and verify",
    "oidc": "OpenID Connect: authorize, token, userinfo",
}

#: Seconds for one order to a worker, setting up its database included.
PATIENCE: Final = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and return 0; 1 when a contestant failed."""
    options = parser().parse_args(arguments)
    chosen = {name: CONTESTANTS[name] for name in CONTESTANTS if name in {FLOOR, *options.only}}
    missing = [kind for kind in chosen.values() if not kind.is_installed()]
    taking_part = [kind for kind in chosen.values() if kind.is_installed()]
    flows_at_most = max(len(kind.flows) for kind in taking_part)
    people = max(1000, flows_at_most * (options.rounds * options.flows + options.profile + 10))
    with ExitStack() as stack:
        database = stack.enter_context(databases(options.database))
        runs = [run for kind in taking_part for run in prepared(stack, kind, database(kind), people)]
        rounds = measure(runs, rounds=options.rounds, times=options.flows, seconds=options.seconds)
        print(report(runs, rounds=rounds, times=options.flows))
        for kind in missing:
            print(f"{kind.name}: not installed")
        for run in runs:
            if options.profile and run.name in OURS and not run.failure:
                print(f"\n{run.title}\n{run.worker.order(do='profile', flow=run.index, times=options.profile)}")
    failures = [run for run in runs if run.failure]
    for run in failures:
        print(f"{run.title}: {run.failure}", file=sys.stderr)
    return 1 if failures else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument(
        "--database",
        default="sqlite",
        help="sqlite (default), or postgres://user@host:port/name: databases are made beside it, and dropped",
    )
    made.add_argument("--rounds", type=positive, default=9, help="default: %(default)s")
    made.add_argument("--flows", type=positive, default=20, help="sign-ins in a round, of each kind; default: 20")
    made.add_argument("--seconds", type=positive, default=150, help="begin no round after so long; default: 150")
    made.add_argument(
        "--only", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS), help="and the floor, in any case"
    )
    made.add_argument(
        "--profile", type=int, default=0, metavar="N", help="then profile N sign-ins of each kind with ours"
    )
    return made


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


# -- databases


@contextmanager
def databases(name: str) -> Iterator[Any]:
    """Yields what gives each contestant an empty database."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            yield lambda kind: str(Path(folder) / f"{kind.name}.sqlite3")
        return
    import psycopg
    from psycopg import sql

    parts = urlsplit(name)
    made: list[str] = []
    with psycopg.connect(
        urlunsplit(parts._replace(scheme="postgresql", path="/postgres", query="")), autocommit=True
    ) as admin:

        def empty(kind: type[Contestant]) -> str:
            database = f"{parts.path.strip('/') or 'benchmark'}_{kind.name.lower().replace('-', '_')}"
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(database)))
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
            made.append(database)
            return urlunsplit(parts._replace(path=f"/{database}"))

        try:
            yield empty
        finally:
            for database in made:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


# -- contestants at work


class WorkerFailedError(Exception):
    """A contestant's process has ended, or did not answer in time; its own words are on standard error."""


class WorkerProcess:
    def __init__(self, name: str, database: str, people: int) -> None:
        # The checkout goes to the end: where the package is installed, that is what is measured.
        code = (
            f"import sys; sys.path.append({str(ROOT)!r}); from benchmarks.worker import main;"
            f" main({name!r}, {database!r}, {people})"
        )
        self._process = process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        if process.stdin is None or process.stdout is None:
            raise AssertionError("unreachable: both are pipes")
        self._orders, self._answers = process.stdin, process.stdout
        self.facts = self._answer()

    def order(self, **order: Any) -> Any:
        try:
            self._orders.write(json.dumps(order) + "\n")
            self._orders.flush()
        except BrokenPipeError as error:
            raise WorkerFailedError from error
        return self._answer()

    def _answer(self) -> Any:
        timer = threading.Timer(PATIENCE, self._process.kill)
        timer.start()
        try:
            line = self._answers.readline()
        finally:
            timer.cancel()
        if not line:
            raise WorkerFailedError(f"exit status {self._process.wait(10)}")
        return json.loads(line)

    def end(self) -> None:
        self._orders.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._answers.close()


@dataclass
class Run:
    """One flow of one contestant, and what was measured of it."""

    name: str
    title: str
    index: int
    flow: Flow
    worker: Any = None
    statements: dict[str, tuple[int, int]] = field(default_factory=dict)
    rounds: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""

    def cpu(self, *parts: str) -> list[float]:
        """Milliseconds a sign-in, by round."""
        return [sum(measured[part] for part in parts) for measured in self.rounds]


def prepared(stack: ExitStack, kind: type[Contestant], database: str, people: int) -> list[Run]:
    """A contestant's process, set up, and seen to sign people in; its statements counted."""
    runs = [
        Run(kind.name, f"{kind.name}: {flow.title}" if flow.title else kind.name, index, flow)
        for index, flow in enumerate(kind.flows)
    ]
    try:
        worker = WorkerProcess(kind.name, database, people)
        stack.callback(worker.end)
        worker.order(do="check")
        for run in runs:
            run.worker = worker
            run.statements = worker.order(do="count", flow=run.index)
    except WorkerFailedError as error:
        for run in runs:
            run.failure = f"failed ({error})"
    return runs


def measure(runs: Sequence[Run], *, rounds: int, times: int, seconds: float) -> int:
    """One after the other, round by round, each round beginning at another one. Returns how many rounds there were."""
    end = time.monotonic() + seconds
    healthy = [run for run in runs if not run.failure]
    for done in range(rounds):
        if done and time.monotonic() > end:
            return done
        start = done % max(1, len(healthy))
        for run in [*healthy[start:], *healthy[:start]]:
            if run.failure:
                continue
            try:
                run.rounds.append(run.worker.order(do="round", flow=run.index, times=times))
            except WorkerFailedError as error:
                run.failure = f"failed ({error})"
    return rounds


# -- the table


def report(runs: Sequence[Run], *, rounds: int, times: int) -> str:
    healthy = [run for run in runs if not run.failure]
    if not healthy:
        return "Nobody could be measured."
    facts = healthy[0].worker.facts
    versions = dict.fromkeys(run.worker.facts["version"] for run in healthy)
    lines = [
        (
            f"{time.strftime('%Y-%m-%d')}, Python {sys.version.split()[0]}, {facts['database']}, "
            f"{rounds} rounds of {times} sign-ins"
        ),
        ", ".join(dict.fromkeys([f"Django {facts['django']}", *versions])),
    ]
    for table, title in TABLES.items():
        shown = [run for run in healthy if run.flow.table == table]
        if shown:
            lines += ["", *table_of(title, shown)]
    return "\n".join(lines)


def table_of(title: str, runs: Sequence[Run]) -> list[str]:
    """Statements and CPU of the requests and their ratio to the floor; the same with the message built and handed
    over."""
    has_mail = any(sum(run.cpu("mail")) for run in runs)
    header = ["", "statements", "app ms", "db ms", "× floor"]
    header += ["mail ms", "× floor with mail"] if has_mail else []
    floor = next((run for run in runs if run.name == FLOOR), None)
    rows = [header]
    for run in runs:
        watched = run.worker.facts["watches_database"]
        in_database = "in app" if "SQLite" in run.worker.facts["database"] else milliseconds(run.cpu("database"))
        row = [
            run.title,
            "{} + {}".format(*run.statements["app"]),
            milliseconds(run.cpu("app")),
            in_database if watched else "–",
            ratio(run, floor, "app", "database"),
        ]
        if has_mail:
            mail = run.cpu("mail", "mail_database")
            row += [milliseconds(mail) if any(mail) else "none"]
            row += [ratio(run, floor, "app", "database", "mail", "mail_database")]
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    widths[0] = max(widths[0], len(title))
    rows[0][0] = title
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def milliseconds(measured: Sequence[float]) -> str:
    return f"{statistics.median(measured):.2f}"


def ratio(run: Run, floor: Run | None, *parts: str) -> str:
    """The median of the ratios within each round."""
    if floor is None:
        return "–"
    ratios = [ours / theirs for ours, theirs in zip(run.cpu(*parts), floor.cpu(*parts), strict=False)]
    value = statistics.median(ratios)
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


if __name__ == "__main__":
    sys.exit(main())
