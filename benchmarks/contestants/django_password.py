"""Django's own LoginView, with a password and the default hasher."""

from __future__ import annotations

from typing import Any

from ..browser import Browser
from .base import Contestant, Flow


class Password(Contestant):
    name = "Django"
    flows = (Flow("message", "login", "password, one request", share=0.05),)

    def urls(self) -> list[Any]:
        from django.contrib.auth.views import LoginView
        from django.urls import path

        return [path("login/", LoginView.as_view())]

    def password(self) -> str | None:
        return "correct horse battery staple"

    def login(self, browser: Browser, person: int) -> None:
        browser.submit("/login/", {"username": f"person{person}", "password": str(self.password())}, expect=302)
