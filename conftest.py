"""Where the tests find the project.

The checkout goes to the *end* of ``sys.path``. So where tox has installed the built wheel, the wheel is what is
tested, and a file that is missing from it is a failure; in a plain checkout it is the source. ``tests`` and
``example_project`` are found in both cases.
"""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).parent)
if ROOT not in sys.path:
    sys.path.append(ROOT)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
