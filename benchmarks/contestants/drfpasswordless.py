"""drfpasswordless: a code by JSON, which buys a token of Django REST framework and no session."""

from __future__ import annotations

from typing import Any

from ..browser import Browser
from ..mailbox import found
from ..meter import meter
from .base import Contestant, Flow


class DrfPasswordless(Contestant):
    name = "drfpasswordless"
    distribution = "drfpasswordless"
    needs = ("drfpasswordless", "rest_framework")
    flows = (Flow("message", "code", "code, token"),)
    apps = ("rest_framework", "rest_framework.authtoken", "drfpasswordless")
    settings = {
        "PASSWORDLESS_AUTH": {
            "PASSWORDLESS_AUTH_TYPES": ["EMAIL"],
            "PASSWORDLESS_EMAIL_NOREPLY_ADDRESS": "sign-in@example.com",
            "PASSWORDLESS_EMAIL_CALLBACK": f"{__name__}.send",
        }
    }

    def urls(self) -> list[Any]:
        from django.urls import include, path

        return [path("", include("drfpasswordless.urls"))]

    def code(self, browser: Browser, person: int) -> None:
        address = self.address(person)
        browser.send("/auth/email/", {"email": address})
        answer = {"email": address, "token": found(r"\b(\d{6})\b", to=address)}
        self.token = browser.send("/auth/token/", answer).json()["token"]

    def signed_in(self, browser: Browser) -> int | None:
        from rest_framework.authtoken.models import Token

        return Token.objects.get(key=self.token).user_id


def send(*args: Any, **kwargs: Any) -> Any:
    from drfpasswordless.utils import send_email_with_callback_token

    with meter.mail():
        return send_email_with_callback_token(*args, **kwargs)
