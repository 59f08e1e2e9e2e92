from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .sign_in import Level


def new_handle() -> str:
    """32 hex digits from 122 random bits, without a word about the person (WebAuthn Level 3 §14.6.1)."""
    return uuid.uuid4().hex


class ProfileQuerySet(models.QuerySet["Profile"]):
    def of(self, user: Any) -> Profile:
        """The profile of a user, made when it is missing. No query when the user was selected with it."""
        try:
            profile: Profile = user.passwordless_profile
        except Profile.DoesNotExist:
            profile, _created = self.get_or_create(user=user)
        return profile


class Profile(models.Model):
    """What we keep of a person beside the host's user: the id that the outside sees, and the language of notices."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="passwordless_profile")
    handle = models.CharField(max_length=32, unique=True, default=new_handle, editable=False)
    language = models.CharField(max_length=16, blank=True, default="")
    #: What this person must reach at every sign-in; "" asks no more than the site does.
    minimum_level = models.CharField(_("minimum level"), max_length=16, choices=Level.choices, blank=True, default="")
    #: Whether a confirmed authenticator app is there: then a link or code alone is not enough.
    has_totp = models.BooleanField(default=False, editable=False)
    #: The kind of the address that made the account, once a subject was made of it; see ``oidc.claims``.
    subject_kind = models.CharField(max_length=8, blank=True, default="", editable=False)
    passkey_offer_declined_at = models.DateTimeField(null=True, blank=True, editable=False)
    #: After "this wasn't me": no change of addresses or authenticators by sessions that were there before.
    frozen_at = models.DateTimeField(null=True, blank=True)
    frozen_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ProfileQuerySet.as_manager()

    class Meta:
        verbose_name = _("profile")
        verbose_name_plural = _("profiles")
        permissions = (
            ("reset_factors", "Can reset somebody's passkeys, authenticator app and recovery codes"),
            ("end_sessions", "Can end somebody's sessions"),
        )

    def __str__(self) -> str:
        return self.handle
