from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class Person(AbstractBaseUser):
    """Neither e-mail nor names; nobody is ever deactivated."""

    nickname = models.CharField(max_length=12, unique=True)
    objects = BaseUserManager()
    USERNAME_FIELD = "nickname"
