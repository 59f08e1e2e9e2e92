"""passwordless_auth.oidc as it comes."""

from __future__ import annotations

from io import StringIO
from typing import Any

from ..browser import Browser
from ..meter import meter
from . import oidc
from .base import Flow
from .ours import Ours

ENDPOINTS = oidc.Endpoints("/openid/authorize", "/openid/token", "/openid/userinfo")


class OursOidc(Ours):
    name = "passwordless_auth.oidc"
    needs = ("oauth2_provider",)
    flows = (Flow("oidc", "public", "public client"), Flow("oidc", "with_secret", "client with a secret"))
    apps = (*Ours.apps, "oauth2_provider", "passwordless_auth.oidc")

    def urls(self) -> list[Any]:
        from django.urls import include, path

        return [*super().urls(), path("", include("passwordless_auth.oidc.urls"))]

    def prepare(self, people: int) -> None:
        from django.contrib.auth.models import User
        from django.core.management import call_command
        from oauth2_provider.models import get_application_model

        from passwordless_auth.oidc.models import Consent

        super().prepare(people)
        common = ("--name", "Benchmark", "--redirect-uri", oidc.REDIRECT_URI)
        call_command("create_oidc_client", "--client-id", oidc.CLIENT_ID, "--type", "spa", *common, stdout=StringIO())
        call_command(
            "create_oidc_client",
            *("--client-id", f"{oidc.CLIENT_ID}-secret", "--client-secret", oidc.CLIENT_SECRET),
            *("--type", "web", *common),
            stdout=StringIO(),
        )
        Consent.objects.bulk_create(
            Consent(user=user, application=application, scope="email openid")
            for application in get_application_model().objects.all()
            for user in User.objects.all()
        )

    def public(self, browser: Browser, person: int) -> None:
        self._sign_in(browser, person)
        oidc.walk(browser, ENDPOINTS)

    def with_secret(self, browser: Browser, person: int) -> None:
        self._sign_in(browser, person)
        oidc.walk(browser, ENDPOINTS, client_id=f"{oidc.CLIENT_ID}-secret", secret=oidc.CLIENT_SECRET)

    def _sign_in(self, browser: Browser, person: int) -> None:
        with meter.aside():
            from django.contrib.auth.models import User

            from passwordless_auth.testing import signed_in_client

            client = signed_in_client(User.objects.get(email=self.address(person)))
            browser.cookies |= {name: morsel.value for name, morsel in client.cookies.items()}
