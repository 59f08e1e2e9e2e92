"""Programs that clients are: started beside the test, spoken to in lines of JSON, and over with it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """``certificate``: that of the provider, which it is told to trust as its documentation says."""

    def __init__(self, command: Sequence[str], *, certificate: Path, log: Path, **environment: str) -> None:
        self.log = log
        self._file = log.open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=HERE,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("COV", "DJANGO_"))},
                "NODE_EXTRA_CA_CERTS": str(certificate),  # Node
                "REQUESTS_CA_BUNDLE": str(certificate),  # requests: Authlib, mozilla-django-oidc
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._file,
            text=True,
        )

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()
        self._file.close()

    def tell(self, **what: Any) -> None:
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        line = self.line()
        return json.loads(line)

    def line(self) -> str:
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        return line


def node(script: str, **options: Any) -> Program:
    return Program(["node", script], **options)


def python(module: str, *arguments: str, **options: Any) -> Program:
    """A module of the tests or the example. The checkout is at the end of the path, as everywhere."""
    code = (
        f"import runpy, sys; sys.path.append({str(ROOT)!r}); sys.argv = {[module, *arguments]!r};"
        f" runpy.run_module({module!r}, run_name='__main__')"
    )
    return Program([sys.executable, "-c", code], **options)
