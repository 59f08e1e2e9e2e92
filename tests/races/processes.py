"""Other processes: a program of ours in a Python of its own, with Django set up for the test's database."""

import json
import os
import subprocess
import sys
from pathlib import Path

from django.db import connection

ROOT = str(Path(__file__).parents[2])
# As the root conftest.py does: the checkout goes to the end of the path, so an installed wheel is what runs.
RUN = """
import runpy, sys
root, module = sys.argv.pop(1), sys.argv.pop(1)
if root not in sys.path:
    sys.path.append(root)
runpy.run_module(module, run_name="__main__")
"""


class Program:
    """A running ``python -m <module>``. It says ``"ready"`` first; then each line it is told is answered by one line,
    both JSON. Leaving the ``with`` block kills it, if it still runs."""

    def __init__(self, module, *args, **settings):
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.races.process_settings",
            "TESTS_DATABASE": str(connection.settings_dict["NAME"]),
            "TESTS_SETTINGS": json.dumps(settings),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, ROOT, module, *map(str, args)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.kill()

    def wait_until_ready(self):
        assert self.hear() == "ready"
        return self

    def tell(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        assert line, "the program ended; see its console above"
        return json.loads(line)

    def ask(self, message):
        self.tell(message)
        return self.hear()

    def kill(self):
        """SIGKILL: no handler runs, nothing is flushed, no connection says goodbye."""
        self.process.kill()
        self.process.wait(30)
        self.process.stdin.close()
        self.process.stdout.close()
