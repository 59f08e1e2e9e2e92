from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS

INSTALLED_APPS = ["tests.user_models.uuid_key", *INSTALLED_APPS]
AUTH_USER_MODEL = "uuid_key.Person"
