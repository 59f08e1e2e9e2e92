from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import derivation, signals
from ..requester import describe
from .compiled import insert_written_once
from .public_id import PublicIdQuerySet


class Level(models.TextChoices):
    """How strong the proofs of a session are; the values are the ``acr`` of OpenID Connect. Ordered by ``rank``."""

    RECOVERED = "recovered", _("recovered")
    SINGLE = "single", _("one factor")
    MULTI = "multi", _("two factors")
    PHR = "phr", _("phishing-resistant")

    @property
    def rank(self) -> int:
        return list(Level).index(self)

    def meets(self, minimum: Level) -> bool:
        return self.rank >= minimum.rank


@dataclass(frozen=True)
class Proof:
    """One accepted proof: the method's name, its RFC 8176 ``amr`` values, when (seconds since 1970), and by which
    authenticator (the public id of a Passkey or Totp; "" for a message or a recovery code)."""

    method: str
    amr: tuple[str, ...]
    at: int
    authenticator: str = ""


#: Why a SignIn ended that nobody ended: its session was not used, or its life was over.
RUN_OUT: Final = "run_out"


class SignInQuerySet(PublicIdQuerySet["SignIn"]):
    def live(self) -> SignInQuerySet:
        """Those that have a session."""
        return self.filter(ended_at=None, pending_until=None)

    def pending(self, *, now: datetime) -> SignInQuerySet:
        """Those that wait for another step, and have no session yet."""
        return self.filter(ended_at=None, pending_until__gt=now)

    def begun(self) -> SignInQuerySet:
        """Those that have a session, and those that may still get one."""
        return self.filter(ended_at=None)

    def in_effect(self) -> SignInQuerySet:
        """Those that have begun, and those that ran out by themselves: what an app was given in one may go on."""
        return self.filter(Q(ended_at=None) | Q(end_reason=RUN_OUT))

    def end(self, pk: int, *, now: datetime, reason: str) -> bool:
        """Mark one as ended, once; True to who did. All ends pass here: what other apps keep beside a session ends in
        the same transaction. The session itself is ended by :mod:`passwordless_auth.sessions`."""
        with transaction.atomic(savepoint=False):
            ended = self.filter(pk=pk, ended_at=None).update(ended_at=now, end_reason=reason) == 1
            if ended:
                signals.sign_ins_ending.send(self.model, pks=[pk], reason=reason, now=now)
        return ended

    def void(self, pks: Iterable[int], *, now: datetime, reason: str) -> None:
        """What opened these is refused from now on, or their owner ends them: those that had run out by themselves have
        then been ended."""
        ran_out = self.filter(pk__in=pks, end_reason=RUN_OUT)
        with transaction.atomic(savepoint=False):
            found = list(ran_out.values_list("pk", flat=True))
            if found:
                self.filter(pk__in=found).update(end_reason=reason)
                signals.sign_ins_ending.send(self.model, pks=found, reason=reason, now=now)

    def seen(self, pk: int, *, now: datetime) -> None:
        self.filter(pk=pk).update(last_seen_at=now)


class SignIn(models.Model):
    """The browser session that proofs have built, from the first accepted proof to its end."""

    public_id = models.CharField(max_length=22, default=derivation.new_public_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="passwordless_sign_ins")
    proofs = models.JSONField(default=list)
    level = models.CharField(max_length=16, choices=Level.choices)
    auth_time = models.DateTimeField(_("last proof"), default=timezone.now)
    client_id = models.CharField(max_length=255, blank=True, default="")
    session_key_sealed = models.TextField(blank=True, default="", editable=False)
    #: Until when another step may complete it. None: it is complete, and has (or had) a session.
    pending_until = models.DateTimeField(null=True, blank=True, db_index=True)
    #: What was asked for when it was last weighed: the level that a pending one must reach, and that a confirmation of
    #: a running one must have. "" is any.
    minimum_level = models.CharField(max_length=16, choices=Level.choices, blank=True, default="", editable=False)
    #: Whether, while pending, it may add the account's first passkey.
    may_enrol = models.BooleanField(default=False, editable=False)
    #: django-otp's name of the Device that verified it; "" without one.
    otp_device_id = models.CharField(max_length=100, blank=True, default="", editable=False)

    browser_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(max_length=256, blank=True, default="")

    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    last_seen_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=32, blank=True, default="")

    #: Whether its account has not seen this browser before; known while it is being completed, and not kept.
    in_new_browser: bool = False

    objects = SignInQuerySet.as_manager()
    _do_insert = insert_written_once

    class Meta:
        verbose_name = _("sign-in")
        verbose_name_plural = _("sign-ins")
        # As at Challenge: once.
        constraints = (models.UniqueConstraint(fields=["public_id"], name="passwordless_sign_in_public_id"),)
        indexes = (models.Index(fields=["ended_at", "last_seen_at"], name="passwordless_sign_in_ended"),)

    def __str__(self) -> str:
        return self.public_id

    @property
    def methods(self) -> list[str]:
        """Names of the methods used, oldest first, each once."""
        return list(dict.fromkeys(proof["method"] for proof in self.proofs))

    @property
    def asker(self) -> dict[str, str]:
        browser, system = describe(self.user_agent)
        return {"browser": browser, "os": system, "ip": self.ip or ""}

    def set_proofs(self, proofs: Sequence[Proof]) -> None:
        self.proofs = [asdict(proof) for proof in proofs]

    def all_proofs(self) -> list[Proof]:
        return [Proof(**{**stored, "amr": tuple(stored["amr"])}) for stored in self.proofs]

    def remember_session(self, session_key: str) -> None:
        """Keep the session's key, encrypted: it is what lets somebody else end this session."""
        self.session_key_sealed = derivation.seal(session_key, purpose="session", context=self.public_id)

    def session_key(self) -> str | None:
        if not self.session_key_sealed:
            return None
        return derivation.unseal(self.session_key_sealed, purpose="session", context=self.public_id)

    def summary(self) -> dict[str, Any]:
        return {"level": self.level, "methods": self.methods, "auth_time": self.auth_time}
