"""The example, as a site that still has passwords: with a login of its own, and a page after it."""

from example_project.settings import *  # noqa: F403

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "passwordless_auth.backends.SignInBackend",
]
ROOT_URLCONF = "tests.browser.password_host.urls"
