from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from ...models import Level


class ClientSettings(models.Model):
    """What we know of a Client beside django-oauth-toolkit's Application.

    An Application without such a row, one that was there before us, behaves as it did under django-oauth-toolkit where
    that is safe: see ``of``.
    """

    class Kind(models.TextChoices):
        WEB = "web", _("web application")
        SPA = "spa", _("single-page application")
        NATIVE = "native", _("native application")
        M2M = "m2m", _("machine")

    class AuthMethod(models.TextChoices):
        """``token_endpoint_auth_method`` (RFC 7591 §2). The first two are one: who has the secret may send it either
        way."""

        BASIC = "client_secret_basic", _("secret, in the Authorization header")
        POST = "client_secret_post", _("secret, in the body")
        NONE = "none", _("none: a public client")
        PRIVATE_KEY_JWT = "private_key_jwt", _("assertion signed by the client’s key")
        SECRET_JWT = "client_secret_jwt", _("assertion signed with the secret")

    class Subject(models.TextChoices):
        DEFAULT = "", _("as the site’s setting says")
        PUBLIC = "public", _("the same for all clients")
        PAIRWISE = "pairwise", _("another for each client")
        AUTH0 = "auth0", _("as Auth0’s passwordless connections have it")

    class Message(models.TextChoices):
        BOTH = "", _("link and code")
        LINK = "link", _("link alone")
        CODE = "code", _("code alone")

    class Refresh(models.TextChoices):
        OFFLINE_ACCESS = "offline_access", _("for who asks for offline_access")
        ALWAYS = "always", _("always")

    application = models.OneToOneField(
        oauth2_settings.APPLICATION_MODEL, models.CASCADE, primary_key=True, related_name="passwordless_settings"
    )
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.WEB)
    #: Which grant types it may use at the token endpoint; none: those of its kind. See ``grant_types``.
    grants = models.JSONField(default=list, blank=True)
    #: Which response types it may use, words sorted as in ``"code id_token"``.
    response_types = models.JSONField(default=list, blank=True)
    requires_pkce = models.BooleanField(_("requires PKCE"), default=True)
    auth_method = models.CharField(
        _("authentication at the token endpoint"), max_length=32, choices=AuthMethod.choices, default=AuthMethod.BASIC
    )
    #: Public keys of the client, a JWK Set, for ``private_key_jwt``.
    jwks = models.JSONField(null=True, blank=True)
    #: A keyed digest of the secret, cheap to compare, and what of the Application's own (slow) hash it was made for.
    secret_digest = models.CharField(max_length=160, blank=True, default="", editable=False)
    secret_of = models.CharField(max_length=64, blank=True, default="", editable=False)
    #: The secret, encrypted: for ``client_secret_jwt`` alone.
    secret_sealed = models.TextField(blank=True, default="", editable=False)
    id_token_alg = models.CharField(_("signature of ID tokens"), max_length=8, blank=True, default="RS256")
    subject_type = models.CharField(max_length=8, choices=Subject.choices, blank=True, default=Subject.DEFAULT)
    sector_identifier = models.CharField(max_length=255, blank=True, default="")
    refresh = models.CharField(
        _("refresh tokens"), max_length=16, choices=Refresh.choices, default=Refresh.OFFLINE_ACCESS
    )

    #: How people sign in for this client. Connections: of ``"email"``, ``"sms"``, ``"passkey"``; none: all.
    connections = models.JSONField(default=list, blank=True)
    message = models.CharField(max_length=8, choices=Message.choices, blank=True, default=Message.BOTH)
    code_lifetime = models.PositiveIntegerField(null=True, blank=True)
    code_length = models.PositiveSmallIntegerField(null=True, blank=True)
    code_tries = models.PositiveSmallIntegerField(null=True, blank=True)
    minimum_level = models.CharField(max_length=16, choices=Level.choices, blank=True, default="")

    backchannel_logout_uri = models.CharField(max_length=2000, blank=True, default="")
    backchannel_logout_session_required = models.BooleanField(default=False)
    initiate_login_uri = models.CharField(max_length=2000, blank=True, default="")
    client_uri = models.CharField(_("home page"), max_length=2000, blank=True, default="")
    logo_uri = models.CharField(_("logo"), max_length=2000, blank=True, default="")
    policy_uri = models.CharField(_("privacy policy"), max_length=2000, blank=True, default="")
    tos_uri = models.CharField(_("terms of service"), max_length=2000, blank=True, default="")
    accent_color = models.CharField(max_length=7, blank=True, default="")

    class Meta:
        verbose_name = _("client settings")
        verbose_name_plural = _("client settings")

    def __str__(self) -> str:
        return str(self.application)

    @classmethod
    def of(cls, application: Any) -> ClientSettings:
        """The settings of an Application; for one without a row (it was there before us) what django-oauth-toolkit let
        it do, unsaved. No query where it was selected with them."""
        try:
            found: ClientSettings = application.passwordless_settings
        except cls.DoesNotExist:
            public = application.client_type == application.CLIENT_PUBLIC
            found = cls(
                application=application,
                kind=_kind_of(application),
                response_types=_response_types_of(application),
                auth_method=cls.AuthMethod.NONE if public else cls.AuthMethod.BASIC,
                refresh=_refresh_of(application),
            )
        return found

    @property
    def grant_types(self) -> frozenset[str]:
        """The ``grant_type`` values that the token endpoint takes from it (RFC 6749)."""
        machine = self.kind == self.Kind.M2M
        return frozenset(
            self.grants or (["client_credentials"] if machine else ["authorization_code", "refresh_token"])
        )


def _kind_of(application: Any) -> str:
    if application.authorization_grant_type == application.GRANT_CLIENT_CREDENTIALS:
        return ClientSettings.Kind.M2M
    if application.client_type == application.CLIENT_CONFIDENTIAL:
        return ClientSettings.Kind.WEB
    # A native app comes back to a port of its own choice (RFC 8252 §7.3), which django-oauth-toolkit let every client.
    native = any(not uri.startswith("https:") for uri in application.redirect_uris.split())
    return ClientSettings.Kind.NATIVE if native else ClientSettings.Kind.SPA


def _refresh_of(application: Any) -> str:
    """Django-oauth-toolkit gave everybody a refresh token. Who comes with a metadata document was never here before."""
    new = application.registration_source == application.RegistrationSource.CIMD
    return ClientSettings.Refresh.OFFLINE_ACCESS if new else ClientSettings.Refresh.ALWAYS


def _response_types_of(application: Any) -> list[str]:
    """SECURITY: no access token in the front channel (RFC 9700 §2.1.2) before somebody has switched it on here."""
    return {
        application.GRANT_AUTHORIZATION_CODE: ["code"],
        application.GRANT_OPENID_HYBRID: ["code", "code id_token"],
    }.get(application.authorization_grant_type, [])
