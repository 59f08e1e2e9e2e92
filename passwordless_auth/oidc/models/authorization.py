from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from oauth2_provider.settings import oauth2_settings

from ... import derivation
from ...models.compiled import insert_written_once
from ...models.sign_in import RUN_OUT


class AuthorizationQuerySet(models.QuerySet["Authorization"]):
    def alive(self) -> AuthorizationQuerySet:
        """Those of which ``is_alive`` is true."""
        in_effect = Q(sign_in=None) | Q(sign_in__ended_at=None) | Q(sign_in__end_reason=RUN_OUT)
        return self.filter(in_effect, revoked_at=None, user__is_active=True)

    def revoke(self, *, now: datetime) -> int:
        """End everything that came of these. Returns how many there were."""
        return self.filter(revoked_at=None).update(revoked_at=now)


class Authorization(models.Model):
    """What a person let a Client do, once: the code, and all tokens that came of it, refer to it.

    It holds what was true of the sign-in in that moment (``auth_time``, ``amr``, ``acr``, ``sid``), for every token to
    come. It takes the place of django-oauth-toolkit's Grant, which holds the code itself and is deleted with its use:
    a code that comes a second time must still find the tokens of the first (RFC 6749 §4.1.2).
    """

    public_id = models.CharField(max_length=22, unique=True, default=derivation.new_public_id, editable=False)
    #: ``token_family`` of its refresh tokens.
    family = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    application = models.ForeignKey(oauth2_settings.APPLICATION_MODEL, models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="passwordless_authorizations")
    #: The session that it was given in. None: that row is purged, or it came from django-oauth-toolkit.
    sign_in = models.ForeignKey(
        "passwordless_auth.SignIn", models.SET_NULL, null=True, blank=True, related_name="authorizations"
    )
    scope = models.TextField(blank=True, default="")
    nonce = models.TextField(blank=True, default="")
    #: The ``claims`` parameter, parsed (OpenID Connect Core §5.5).
    claims = models.JSONField(default=dict, blank=True)
    auth_time = models.PositiveBigIntegerField(null=True, blank=True)
    amr = models.JSONField(default=list, blank=True)
    acr = models.CharField(max_length=16, blank=True, default="")
    sid = models.CharField(max_length=22, blank=True, default="")

    #: SHA-256 of the code, hex; None: there never was one (``id_token token``).
    code_digest = models.CharField(max_length=64, unique=True, null=True, blank=True, editable=False)
    code_expires_at = models.DateTimeField(null=True, blank=True)
    code_spent_at = models.DateTimeField(null=True, blank=True)
    redirect_uri = models.TextField(blank=True, default="")
    code_challenge = models.CharField(max_length=128, blank=True, default="")

    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    #: When all of it ended: replayed, revoked by the person or the client, signed out.
    revoked_at = models.DateTimeField(null=True, blank=True)

    _do_insert = insert_written_once

    #: What ``claims.with_addresses`` annotates.
    proven_email: str | None
    proven_phone: str | None

    objects = AuthorizationQuerySet.as_manager()

    class Meta:
        verbose_name = _("authorization")
        verbose_name_plural = _("authorizations")

    def __str__(self) -> str:
        return self.public_id

    def is_alive(self, *, user: Any = None) -> bool:
        """Whether tokens of it may still be given and used: it was not revoked, its person may sign in, and the session
        that it was given in has not been ended. A session that ran out by itself ends no app's access. To be asked of a
        row that was selected with ``sign_in``, and with ``user`` or given it: no query."""
        ended = self.sign_in is not None and self.sign_in.ended_at is not None
        if ended and self.sign_in is not None and self.sign_in.end_reason != RUN_OUT:
            return False
        return self.revoked_at is None and bool((user or self.user).is_active)

    def revoke(self, *, now: datetime) -> None:
        """End everything that came of it."""
        type(self).objects.filter(pk=self.pk).revoke(now=now)
