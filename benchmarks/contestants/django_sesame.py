"""django-sesame: a link that signs in by GET. It brings no view that sends: ours
is what its tutorial asks for."""

from __future__ import annotations

from typing import Any

from ..browser import ORIGIN, Browser
from ..mailbox import found
from .base import Contestant, Flow


class Sesame(Contestant):
    name = "django-sesame"
    distribution = "django-sesame"
    needs = ("sesame",)
    flows = (Flow("message", "link", "link"),)
    settings = {
        "AUTHENTICATION_BACKENDS": ["sesame.backends.ModelBackend"],
        "SESAME_MAX_AGE": 300,
        "SESAME_ONE_TIME": True,
        "LOGIN_REDIRECT_URL": "/account/",
    }

    def urls(self) -> list[Any]:
        from .django_sesame_views import urlpatterns

        return urlpatterns

    def prepare(self, people: int) -> None:
        from django.db import connection

        super().prepare(people)
        with connection.cursor() as cursor:  # auth_user has none on the address
            cursor.execute("CREATE UNIQUE INDEX sesame_email ON auth_user (email)")

    def link(self, browser: Browser, person: int) -> None:
        address = self.address(person)
        browser.submit("/ask/", {"email": address}, expect=302)
        browser.get(found(rf"{ORIGIN}(/link/\S+)", to=address), expect=302)
