"""django-oauth-toolkit as its documentation sets OpenID Connect up; with the digests instead of tokens in the database
that it recommends, and PKCE."""

from __future__ import annotations

from typing import Any

from ..browser import Browser
from . import oidc
from .base import Contestant, Flow

ENDPOINTS = oidc.Endpoints("/o/authorize/", "/o/token/", "/o/userinfo/")


class OAuthToolkit(Contestant):
    name = "django-oauth-toolkit"
    distribution = "django-oauth-toolkit"
    needs = ("oauth2_provider",)
    flows = (
        Flow("oidc", "public", "public client"),
        Flow("oidc", "with_secret", "client with a secret", share=0.25),
    )
    apps = ("oauth2_provider",)
    settings = {
        "OAUTH2_PROVIDER": {
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": oidc.rsa_key(),
            "OAUTH2_VALIDATOR_CLASS": "benchmarks.contestants.django_oauth_toolkit_validator.Validator",
            "SCOPES": {"openid": "OpenID Connect", "email": "E-mail address"},
            "REQUEST_APPROVAL_PROMPT": "auto",  # who has allowed it once is not asked again
        }
    }

    def urls(self) -> list[Any]:
        from django.urls import include, path

        return [path("o/", include("oauth2_provider.urls"))]

    def prepare(self, people: int) -> None:
        from datetime import timedelta

        from django.contrib.auth.models import User
        from django.utils import timezone
        from oauth2_provider.models import get_access_token_model, get_application_model, set_token_value

        super().prepare(people)
        application_model, token_model = get_application_model(), get_access_token_model()
        for client_id, kind in ((oidc.CLIENT_ID, "public"), (f"{oidc.CLIENT_ID}-secret", "confidential")):
            application = application_model.objects.create(
                client_id=client_id,
                client_secret=oidc.CLIENT_SECRET,
                client_type=kind,
                authorization_grant_type="authorization-code",
                redirect_uris=oidc.REDIRECT_URI,
                algorithm="RS256",
            )
            # That somebody has allowed a client is told by a token of theirs that is still good.
            tokens = []
            for user in User.objects.all():
                token = token_model(
                    user=user,
                    application=application,
                    scope=oidc.SCOPE,
                    expires=timezone.now() + timedelta(days=30),
                )
                set_token_value(token, f"{client_id}-{user.pk}")
                tokens.append(token)
            token_model.objects.bulk_create(tokens)

    def public(self, browser: Browser, person: int) -> None:
        oidc.begin_session(browser, self.address(person))
        oidc.walk(browser, ENDPOINTS)

    def with_secret(self, browser: Browser, person: int) -> None:
        oidc.begin_session(browser, self.address(person))
        oidc.walk(browser, ENDPOINTS, client_id=f"{oidc.CLIENT_ID}-secret", secret=oidc.CLIENT_SECRET)
