from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from django_otp.models import Device, DeviceManager
from django_otp.oath import hotp

from .. import derivation
from .public_id import PublicIdQuerySet

#: Seconds of one code, and how many codes beside the current one are accepted (RFC 6238 §5.2).
STEP: Final = 30
TOLERANCE: Final = 1
DIGITS: Final = 6


#: Bytes of a new key (RFC 4226 §4, R6: 160 bits).
KEY_BYTES: Final = 20


class TotpQuerySet(PublicIdQuerySet["Totp"]):
    def usable(self, user: Any) -> TotpQuerySet:
        """What this person can answer with."""
        return self.filter(user=user, confirmed=True)

    def enrolled(self, user: Any) -> TotpQuerySet:
        """What this person has set up, blocked or not; without what was begun and never confirmed."""
        return self.filter(Q(confirmed=True) | Q(blocked_at__isnull=False), user=user)

    def unfinished(self) -> TotpQuerySet:
        """What was begun and never confirmed."""
        return self.filter(confirmed=False, blocked_at=None)

    def block(self, *, now: datetime) -> int:
        """Refuse these from now on, and keep their rows. Returns how many that changed. Each is saved, so that its
        profile's ``has_totp`` follows."""
        return self._set(self.filter(confirmed=True), confirmed=False, blocked_at=now)

    def unblock(self) -> int:
        """Let these work again."""
        return self._set(self.exclude(blocked_at=None), confirmed=True, blocked_at=None)

    @staticmethod
    def _set(rows: TotpQuerySet, **columns: Any) -> int:
        changed = 0
        for row in rows:
            for name, value in columns.items():
                setattr(row, name, value)
            row.save(update_fields=list(columns))
            changed += 1
        return changed

    def use(self, device: Totp, step: int, *, now: datetime | None = None) -> bool:
        """Use up the code of a time step, and all before it. True for exactly one of any number of parallel calls
        (RFC 6238 §5.2: no second use), and never for an app that was blocked or removed since it was read."""
        usable = self.filter(pk=device.pk, confirmed=True, last_step__lt=step)
        return usable.update(last_step=step, last_used_at=now or timezone.now()) == 1


class Totp(Device):  # type: ignore[misc]
    """An authenticator app of a user (RFC 6238): a second factor beside a link or a code.

    A django-otp Device of our own, since django-otp's keeps its key in the clear. ``confirmed`` is False until the
    first code was typed, and while it is blocked.
    """

    #: Checks a code for django-otp's own forms; ``flows.totp.verify_token``, put here when the app is ready, since
    #: limits and events belong to layers above the rows.
    verifier: ClassVar[Callable[[Totp, str], bool]]

    public_id = models.CharField(max_length=22, unique=True, default=derivation.new_public_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="totp_devices")
    key_sealed = models.TextField(editable=False)
    last_step = models.BigIntegerField(default=-1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
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

    @sensitive_variables()
    def verify_token(self, token: str) -> bool:
        """What django-otp's forms ask: whether this is a code of now, which is then used up. Wrong ones count as they
        do on our own pages, and beyond the limit every one is wrong."""
        return type(self).verifier(self, token)
