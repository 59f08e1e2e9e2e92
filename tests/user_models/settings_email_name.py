from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS

INSTALLED_APPS = ["tests.user_models.email_name", *INSTALLED_APPS]
AUTH_USER_MODEL = "email_name.Person"
