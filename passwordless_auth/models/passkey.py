from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, DeviceManager

from .. import derivation
from .compiled import CompiledSelect, CompiledUpdate
from .identity import others_to_tell
from .public_id import PublicIdQuerySet

#: WebAuthn Level 3 §5.8.3: an id is at most 1023 bytes; §5.4.3: a user handle at most 64.
MAX_CREDENTIAL_ID = 1023
MAX_USER_HANDLE = 64


def digest_of(credential_id: bytes) -> str:
    """What a credential id is found by: unique in a column that every database can index."""
    return hashlib.sha256(credential_id).hexdigest()


class PasskeyQuerySet(PublicIdQuerySet["Passkey"]):
    def usable(self) -> PasskeyQuerySet:
        return self.filter(confirmed=True)

    def of(self, user: Any) -> PasskeyQuerySet:
        """A person's passkeys, oldest first, blocked ones among them."""
        return self.filter(user=user).order_by("pk")

    def block(self, *, now: datetime) -> int:
        """Refuse these passkeys from now on. The rows stay, so that they can be told about, and unblocked."""
        return self.filter(confirmed=True).update(confirmed=False, blocked_at=now)

    def unblock(self) -> int:
        return self.filter(confirmed=False).update(confirmed=True, blocked_at=None)


class Passkey(Device):  # type: ignore[misc]
    """A WebAuthn credential of a user: what signs in by fingerprint, face, PIN or security key.

    A django-otp Device, so that ``request.user.is_verified()`` is true for the sessions it made. ``confirmed`` is False
    while it is blocked: django-otp then ends the verification of sessions that run.
    """

    public_id = models.CharField(max_length=22, unique=True, default=derivation.new_public_id, editable=False)
    # Device's own has no related name, and two Devices of one app would clash on it.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="passkeys")
    credential_id = models.BinaryField(max_length=MAX_CREDENTIAL_ID)
    credential_digest = models.CharField(max_length=64, unique=True, editable=False)
    #: What the authenticator was given for a user handle; empty: the profile's. ``None``: another package made this
    #: passkey and did not keep the handle with it; the first use tells.
    user_handle = models.BinaryField(max_length=MAX_USER_HANDLE, null=True, blank=True, default=b"")
    public_key = models.BinaryField(_("public key (COSE)"))
    algorithm = models.IntegerField(_("algorithm (COSE)"))
    sign_count = models.PositiveBigIntegerField(default=0)
    transports = models.JSONField(default=list, blank=True)
    aaguid = models.CharField(_("AAGUID"), max_length=36, blank=True, default="")
    attestation_format = models.CharField(max_length=32, blank=True, default="none")
    #: ``None``: imported from a package that did not keep it; the first use tells.
    backup_eligible = models.BooleanField(_("can be synced"), null=True, default=False)
    backed_up = models.BooleanField(_("synced"), default=False)
    #: The session that enrolled it; what "this wasn't me" ends with it.
    enrolled_in = models.ForeignKey(
        "passwordless_auth.SignIn", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    last_browser_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)
    blocked_at = models.DateTimeField(null=True, blank=True)

    objects = DeviceManager.from_queryset(PasskeyQuerySet)()

    class Meta:
        verbose_name = _("passkey")
        verbose_name_plural = _("passkeys")
        permissions = (("block_passkey", "Can block and unblock somebody's passkeys"),)

    def __str__(self) -> str:
        return str(self.name)

    digest_of = staticmethod(digest_of)

    @property
    def is_blocked(self) -> bool:
        return not self.confirmed

    @property
    def device_type(self) -> str:
        """``"synced"`` (a password manager keeps it on several devices), ``"bound"`` (to one device), or "" until an
        imported one is first used."""
        if self.backup_eligible is None:
            return ""
        return "synced" if self.backup_eligible else "bound"

    @property
    def has_others(self) -> bool:
        """Whether a sign-in from a new browser may have to be told to somebody, as far as was asked when this was
        read: see ``others_to_tell``."""
        return bool(getattr(self, "found_others", True))

    def answers_to(self, handle: bytes) -> bool:
        """Whether its authenticator may hand out this user handle (WebAuthn Level 3 §7.2 step 6); "" is for the caller
        to judge."""
        if not handle:
            return True
        if self.user_handle is None:
            # SECURITY: no handle is known to compare with. Whose passkey it is, its row says, by an id that is unique
            # here, and the signature shows the key: a made-up handle leads to no other account.
            return len(handle) <= MAX_USER_HANDLE
        return handle == (bytes(self.user_handle) or self.user.passwordless_profile.handle.encode())


#: The one passkey of this credential id's digest, with its user and the user's profile; ``None`` without one.
passkey_with = CompiledSelect(
    lambda credential_digest: (
        Passkey.objects.select_related("user__passwordless_profile")
        .annotate(found_others=others_to_tell("user"))
        .filter(credential_digest=credential_digest)
    ),
    credential_digest=str,
)

_USE: Final = CompiledUpdate(
    lambda pk, read_count, **_: Passkey.objects.usable().filter(pk=pk, sign_count=read_count),
    lambda sign_count, backup_eligible, backed_up, browser_digest, now, **_: {
        "sign_count": sign_count,
        "backup_eligible": backup_eligible,
        "backed_up": backed_up,
        "last_used_at": now,
        "last_browser_digest": browser_digest,
    },
    pk=int,
    read_count=int,
    sign_count=int,
    backup_eligible=bool,
    backed_up=bool,
    browser_digest=str,
    now=datetime,
)


def note_use(passkey: Passkey, *, user_handle: bytes, **noted: Any) -> bool:
    """Note one use: ``sign_count``, ``backup_eligible`` and ``backed_up`` as the signature says them,
    ``browser_digest``, ``now``. False when the counter has moved, or the passkey was blocked, since it was read: then
    another request was first, and nothing that the signature says may count (WebAuthn §7.2 step 22)."""
    if _USE(pk=passkey.pk, read_count=passkey.sign_count, **noted) != 1:
        return False
    if passkey.user_handle is None and user_handle:
        Passkey.objects.filter(pk=passkey.pk).update(user_handle=user_handle)
    return True
