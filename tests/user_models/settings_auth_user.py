from .settings import *  # noqa: F403

AUTH_USER_MODEL = "auth.User"
