"""The command that measures goes on working. What it measures is not asserted: that would fail on a busy machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments):
    # Like its own workers, it finds the checkout at the end of the path: an installed wheel goes first.
    code = f"import sys; sys.path.append({str(ROOT)!r}); from benchmarks.__main__ import main; sys.exit(main())"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def row(table, title):
    """The cells of a row."""
    (line,) = [line for line in table.splitlines() if line.startswith(f"{title} ")]
    return re.split(r" {2,}", line.strip())[1:]


@pytest.mark.slow
def test_the_benchmark_signs_in_by_every_flow_of_ours_and_of_the_floor():
    table = run("--rounds", "1", "--flows", "1", "--only", "passwordless_auth", "passwordless_auth.oidc")

    assert row(table, "floor: code")[0] == "4 + 2"
    assert row(table, "floor: passkey")[0] == "6 + 2"
    assert row(table, "floor: public client")[0] == "6 + 2"
    for client in ("public client", "client with a secret"):
        assert row(table, f"passwordless_auth.oidc: {client}")[0].startswith("10 + ")
    for flow in ("code", "link", "passkey"):
        statements, app, *_rest = row(table, f"passwordless_auth: {flow}")
        assert re.fullmatch(r"\d+ \+ \d+", statements)
        assert float(app) > 0


def test_the_benchmark_says_who_is_not_installed(monkeypatch, capsys):
    from benchmarks import __main__ as benchmarks

    class Absent(benchmarks.Contestant):
        name = "absent"
        needs = ("no_such_module",)
        flows = (benchmarks.Flow("message", "code"),)

    monkeypatch.setitem(benchmarks.CONTESTANTS, "absent", Absent)
    monkeypatch.setattr(benchmarks, "prepared", lambda *_args: [])

    assert benchmarks.main(["--only", "absent"]) == 0
    assert "absent: not installed" in capsys.readouterr().out
