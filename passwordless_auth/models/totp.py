from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from django_otp.models import Device, DeviceManager
from django_otp.oath import hotp

from .. import derivation

#: Seconds of one code, and how many codes beside the current one are accepted (RFC 6238 §5.2).
STEP: Final = 30
TOLERANCE: Final = 1
DIGITS: Final = 6


class TotpQuerySet(models.QuerySet["Totp"]):
    def use(self, device: Totp, step: int) -> bool:
        """Use up the code of a time step, and all before it. True for exactly one of any number of parallel calls
        (RFC 6238 §5.2: no second use)."""
        return self.filter(pk=device.pk, last_step__lt=step).update(last_step=step) == 1


class Totp(Device):  # type: ignore[misc]
    """An authenticator app of a user (RFC 6238): a second factor beside a link or a code.

    A django-otp Device of our own, since django-otp's keeps its key in the clear. ``confirmed`` is False until the
    first code was typed, and while it is blocked.
    """

    public_id = models.CharField(max_length=22, unique=True, default=derivation.new_public_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="totp_devices")
    key_sealed = models.TextField(editable=False)
    last_step = models.BigIntegerField(default=-1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)
    blocked_at = models.DateTimeField(null=True, blank=True)

    objects = DeviceManager.from_queryset(TotpQuerySet)()

    class Meta:
        verbose_name = _("authenticator app")
        verbose_name_plural = _("authenticator apps")

    def __str__(self) -> str:
        return str(self.name)

    @sensitive_variables()
    def set_key(self, key: bytes) -> None:
        """Keep the shared secret, encrypted."""
        self.key_sealed = derivation.seal(key.hex(), purpose="totp", context=self.public_id)

    @sensitive_variables()
    def key(self) -> bytes | None:
        """The shared secret, or ``None`` when its key is gone from the settings."""
        plain = derivation.unseal(self.key_sealed, purpose="totp", context=self.public_id)
        return None if plain is None else bytes.fromhex(plain)

    @sensitive_variables()
    def step_of(self, code: str, *, now: datetime) -> int | None:
        """The time step whose code this is, within the tolerance; ``None`` for a wrong one. Uses nothing up."""
        key = self.key()
        if key is None or len(code) != DIGITS or not code.isascii() or not code.isdigit():
            return None
        current = int(now.timestamp()) // STEP
        found = None
        for step in range(current - TOLERANCE, current + TOLERANCE + 1):
            # Every step is computed and compared, whichever was right: the time tells nothing.
            if constant_time_compare(code, f"{hotp(key, step, DIGITS):0{DIGITS}}"):
                found = step
        return found
