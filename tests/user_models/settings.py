"""What the four have in common: our own settings, less what needs Django's own user model."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in {"django.contrib.admin", "tests"}]
ROOT_URLCONF = "tests.user_models.urls"
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
else:
    DATABASES["default"]["TEST"] = {"NAME": f"test_user_models_{os.getpid()}"}
