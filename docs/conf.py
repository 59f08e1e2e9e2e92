"""Sphinx: ``tox run -e docs``. The references are read from the code, by ``_ext/from_code.py``."""

import sys
from pathlib import Path

import django
from django.conf import settings

HERE = Path(__file__).parent
# The checkout last: where the built wheel is installed, the documentation is about the wheel.
sys.path[:0] = [str(HERE / "_ext")]
sys.path.append(str(HERE.parent))

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django_otp",
        "oauth2_provider",
        "passwordless_auth",
        "passwordless_auth.oidc",
    ],
    ROOT_URLCONF="passwordless_auth.urls",
    USE_TZ=True,
)
django.setup()

import passwordless_auth  # noqa: E402

project = "passwordless_auth"
author = "passwordless_auth contributors"
copyright = "2026, passwordless_auth contributors"
release = passwordless_auth.__version__
version = ".".join(release.split(".")[:2])

extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "from_code"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
exclude_patterns = ["_build"]
nitpicky = False

html_theme = "furo"
html_title = f"passwordless_auth {release}"
html_copy_source = False
