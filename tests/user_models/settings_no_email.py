from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS

INSTALLED_APPS = ["tests.user_models.no_email", *INSTALLED_APPS]
AUTH_USER_MODEL = "no_email.Person"
