"""The settings of another process: those of the tests, the test's own database, and what the test asks for."""

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["TESTS_DATABASE"]
globals().update(json.loads(os.environ["TESTS_SETTINGS"]))
