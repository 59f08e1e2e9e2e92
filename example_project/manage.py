#!/usr/bin/env python
"""Django's command line for the example; works from any folder."""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def find_example() -> None:
    """Make ``example_project`` importable, and nothing else.

    Python puts the folder of a script first on its path. Here that folder is the package itself: its ``settings``,
    ``inbox`` and so on would become modules of their own and hide others of these names. Its parent goes to the end,
    so that an installed ``passwordless_auth`` is preferred to the one of the checkout.
    """
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    if str(HERE.parent) not in sys.path:
        sys.path.append(str(HERE.parent))


def prepare_demo(arguments: list[str]) -> None:
    """The demo shows its own inbox, and it and its client live at ports of their own: all of this has to be known when
    the settings are read."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--port", default="8000")
    options.add_argument("--client-port")
    given = options.parse_known_args(arguments)[0]
    client_port = given.client_port or (str(int(given.port) + 1) if given.port.isdigit() else "")
    os.environ.setdefault("INBOX", "1")
    os.environ.setdefault("SITE_URL", f"http://localhost:{given.port}")
    os.environ.setdefault("CLIENT_URL", f"http://localhost:{client_port}" if client_port.strip("0") else "")


def main() -> None:
    find_example()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    if sys.argv[1:2] == ["demo"]:
        prepare_demo(sys.argv[2:])

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
