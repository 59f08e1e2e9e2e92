"""Where the tests find the project.

The checkout goes to the *end* of ``sys.path``. So where tox has installed the built wheel, the wheel is what is
tested, and a file that is missing from it is a failure; in a plain checkout it is the source. ``tests`` and
``example_project`` are found in both cases.
"""

import os
import sys
from pathlib import Path

import django

ROOT = str(Path(__file__).parent)
if ROOT not in sys.path:
    sys.path.append(ROOT)

# The settings are named here, and the name is taken back: pytest-django, in this process and in each worker of
# pytest-xdist, would look for it before the lines above have run. A test that starts a process names them itself.
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()
del os.environ["DJANGO_SETTINGS_MODULE"]

# What we ship for the tests of hosts is what our own are written with.
pytest_plugins = ["passwordless_auth.testing.plugin"]
