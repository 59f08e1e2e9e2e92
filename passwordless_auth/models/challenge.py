from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, cast

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import derivation
from ..identifiers import KINDS, Identifier, Kind, mask
from ..requester import Requester, describe
from .compiled import CompiledSelect, CompiledUpdate, insert_written_once
from .identity import others_to_tell
from .public_id import PublicIdQuerySet
from .sign_in import SignIn

#: "Newest only" holds per (purpose, address, client, browser): see ``Challenge.open_scope``.
_SCOPE_SEPARATOR = "\x1f"

#: The column that ends each method's time.
EXPIRY_OF = {
    "one_time_code": "code_expires_at",
    "magic_link": "link_expires_at",
    "passkey": "expires_at",
    "recovery_code": "expires_at",
    "totp": "expires_at",
    "approval": "expires_at",
}

#: The purposes of challenges whose code or link proves who somebody is, and so makes a session or raises one.
SIGNING_IN = frozenset({"sign_in", "step_up", "recover"})
#: Those whose code or link proves an address.
PROVING = SIGNING_IN | {"add_identity"}


def scope_of(*, purpose: str, identifier: Identifier, client_id: str, browser_digest: str) -> str:
    """Digest of what at most one open challenge may exist for."""
    parts = (purpose, identifier.kind, identifier.canonical, client_id, browser_digest)
    return hashlib.sha256(_SCOPE_SEPARATOR.join(parts).encode()).hexdigest()


def scope_of_user(*, purpose: str, user: Any) -> str:
    """Digest of what at most one open challenge of a person may exist for, wherever it was begun."""
    return hashlib.sha256(_SCOPE_SEPARATOR.join((purpose, "user", str(user.pk))).encode()).hexdigest()


def scope_of_app(sign_in: SignIn, *, browser_digest: str) -> str:
    """The same for the code of an authenticator app, which is asked of a sign-in and not of an address."""
    parts = (Challenge.Purpose.STEP_UP, "totp", sign_in.public_id, browser_digest)
    return hashlib.sha256(_SCOPE_SEPARATOR.join(parts).encode()).hexdigest()


class ChallengeQuerySet(PublicIdQuerySet["Challenge"]):
    """Each change of state is one conditional UPDATE: no read-check-write, whatever runs beside it."""

    def alive(self, pk: Any, *, method: str, now: datetime) -> ChallengeQuerySet:
        """The challenge of this key, if an answer by ``method`` may still count."""
        return self.filter(
            pk=pk,
            state=Challenge.State.OPEN,
            tries__lt=F("max_tries"),
            **{f"{EXPIRY_OF[method]}__gt": now},
        )

    def alive_at(self, now: datetime) -> ChallengeQuerySet:
        """Those that are open, and not over."""
        return self.filter(state=Challenge.State.OPEN, expires_at__gt=now)

    def touch(self, challenge: Challenge, *, method: str, now: datetime) -> bool:
        """Confirm that a right answer still counts, without using the challenge up."""
        return self.alive(challenge.pk, method=method, now=now).update(tries=F("tries")) == 1

    def count_try(self, challenge: Challenge, *, method: str, now: datetime) -> bool:
        """Count one wrong answer. False when the challenge was no longer open for one."""
        return self.alive(challenge.pk, method=method, now=now).update(tries=F("tries") + 1) == 1

    def supersede(self, *, now: datetime) -> int:
        """Close what a newer challenge replaces. Returns how many there were."""
        return self.update(**_superseded(now))

    def cancel(self, *, now: datetime) -> int:
        """Close every open challenge in this queryset. Returns how many there were."""
        return self.filter(state=Challenge.State.OPEN).update(
            state=Challenge.State.CANCELLED, open_scope=None, ended_at=now
        )

    def whole(self) -> ChallengeQuerySet:
        """With all that finishing a sign-in reads: one statement."""
        rows = self.select_related("identity__user__passwordless_profile")
        return rows.annotate(found_others=others_to_tell("identity__user", but="canonical"))

    def of_messages(self) -> ChallengeQuerySet:
        """Those whose code or link proves an address.

        SECURITY: a link of another purpose ("this wasn't me", another device) lives longer, or is shown to others; what
        it was made for is all that it does. And the question to a passkey names itself to whoever asks for it: guesses
        at it would use up the wrong codes of an address without one message to its owner.
        """
        in_messages = Q(accepts_code=True) | Q(accepts_link=True)
        return self.filter(in_messages, purpose__in=PROVING)

    def of_browser(self, requester: Requester) -> ChallengeQuerySet:
        """The messages that this browser asked for, newest first; nothing for a browser without a key."""
        return self.asked_in(requester.browser_digest) if requester.browser_digest else self.none()

    def asked_in(self, browser_digest: Any) -> ChallengeQuerySet:
        """The messages that the browser of this digest asked for, newest first."""
        return self.of_messages().filter(browser_digest=browser_digest).order_by("-pk")

    def enrolling(self, challenge: Challenge, *, now: datetime) -> ChallengeQuerySet:
        """This request for another device, while it runs, and while the session that made it does."""
        running = SignIn.objects.live().filter(pk=OuterRef("sign_in_id"))
        rows = self.alive(challenge.pk, method="one_time_code", now=now)
        return rows.filter(Exists(running), purpose=Challenge.Purpose.ENROL)

    def claim(self, challenge: Challenge, *, requester: Requester, now: datetime) -> bool:
        """Make the request this browser's. True for exactly one of any number of parallel calls."""
        unclaimed = self.enrolling(challenge, now=now).filter(browser_digest="")
        claimed = unclaimed.update(
            browser_digest=requester.browser_digest, ip=requester.ip or None, user_agent=requester.user_agent
        )
        return claimed == 1

    def approve(self, challenge: Challenge, *, now: datetime) -> bool:
        """Let the browser that claimed the request go on. True for exactly one of any number of parallel calls."""
        waiting = self.enrolling(challenge, now=now).filter(approved_at=None).exclude(browser_digest="")
        return waiting.update(approved_at=now) == 1

    def hold(self, challenge: Challenge, *, requester: Requester, now: datetime) -> bool:
        """Keep an approved request to this transaction, without using it up: whoever comes meanwhile waits for what
        becomes of it. False when it is not approved, not this browser's, or over."""
        approved = self.enrolling(challenge, now=now).filter(browser_digest=requester.browser_digest or "-")
        return approved.exclude(approved_at=None).update(tries=F("tries")) == 1


class Challenge(models.Model):
    """One question asked once: the attempt to prove an address, and how it went.

    The row holds what the code and the link are derived from, but neither of them, nor a digest of either.
    """

    class Purpose(models.TextChoices):
        SIGN_IN = "sign_in", _("sign in")
        STEP_UP = "step_up", _("confirm that it is you")
        RECOVER = "recover", _("recover the account")
        ADD_IDENTITY = "add_identity", _("add an address")
        LINK_ACCOUNTS = "link_accounts", _("link two accounts")
        REGISTER = "register", _("add a passkey")
        ENROL = "enrol", _("add another device")
        REPORT = "report", _("undo a change")

    class State(models.TextChoices):
        OPEN = "open", _("open")
        SPENT = "spent", _("used")
        SUPERSEDED = "superseded", _("replaced by a newer one")
        CANCELLED = "cancelled", _("stopped")

    public_id = models.CharField(_("public id"), max_length=22, default=derivation.new_public_id, editable=False)
    purpose = models.CharField(_("purpose"), max_length=16, choices=Purpose.choices)
    # "" where no address is asked: a passkey says itself who it belongs to.
    kind = models.CharField(max_length=8, choices=KINDS, blank=True, default="")
    canonical = models.CharField(_("address"), max_length=254, blank=True, default="")
    identity = models.ForeignKey(
        "passwordless_auth.Identity", models.SET_NULL, null=True, blank=True, related_name="+", db_index=True
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    sign_in: models.ForeignKey[SignIn | None, SignIn | None] = models.ForeignKey(
        "passwordless_auth.SignIn", models.CASCADE, null=True, blank=True, related_name="challenges"
    )
    client_id = models.CharField(max_length=255, blank=True, default="")
    params = models.JSONField(default=dict, blank=True)
    next_url = models.CharField(max_length=2000, blank=True, default="")

    # Who asks
    browser_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    from_known_browser = models.BooleanField(_("from known browser"), default=False)
    ip = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=256, blank=True, default="")
    language = models.CharField(_("language"), max_length=16, blank=True, default="")

    # What code and link are derived from; a changed setting never changes a row that is on its way
    version = models.PositiveSmallIntegerField(default=derivation.VERSION)
    key_id = models.CharField(max_length=64)
    nonce = models.BinaryField(max_length=derivation.NONCE_BYTES, default=derivation.new_nonce)
    code_length = models.PositiveSmallIntegerField(default=0)
    code_alphabet = models.CharField(max_length=8, blank=True, default="")
    accepts_code = models.BooleanField(_("accepts code"), default=True)
    accepts_link = models.BooleanField(_("accepts link"), default=True)
    proves_address = models.BooleanField(default=True)  # False: no message carried it
    max_tries = models.PositiveSmallIntegerField(_("max tries"), default=1)
    minimum_level = models.CharField(max_length=16, blank=True, default="")

    # How it goes
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN)
    open_scope = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 (unique)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    spent_by = models.CharField(_("spent by"), max_length=16, blank=True, default="")
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    code_expires_at = models.DateTimeField(_("code expires at"), null=True, blank=True)
    link_expires_at = models.DateTimeField(_("link expires at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    #: When somebody else (another device of the person) agreed; see ``flows.enrolment``.
    approved_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = ChallengeQuerySet.as_manager()
    _do_insert = insert_written_once

    class Meta:
        verbose_name = _("challenge")
        verbose_name_plural = _("challenges")
        # Named here and not at the columns: there, Django makes PostgreSQL keep each of them twice, the second time for
        # a LIKE that nobody asks.
        constraints = (
            models.UniqueConstraint(fields=["public_id"], name="passwordless_challenge_public_id"),
            models.UniqueConstraint(fields=["open_scope"], name="passwordless_challenge_open_scope"),
        )
        indexes = (
            models.Index(fields=["canonical"], name="passwordless_challenge_address"),
            models.Index(fields=["browser_digest"], name="passwordless_challenge_browser"),
        )

    def __str__(self) -> str:
        return f"{self.purpose} {self.masked}"

    @property
    def identifier(self) -> Identifier:
        return Identifier(cast(Kind, self.kind), self.canonical)

    @property
    def masked(self) -> str:
        return mask(self.canonical)

    @property
    def has_others(self) -> bool:
        """Whether a sign-in from a new browser may have to be told to somebody, as far as was asked when this was
        read: see ``others_to_tell``."""
        return bool(getattr(self, "found_others", True))

    @property
    def asker(self) -> dict[str, str]:
        """Who asked, for people: ``{"browser", "os", "ip"}``, "" for what is not known."""
        browser, system = describe(self.user_agent)
        return {"browser": browser, "os": system, "ip": self.ip or ""}

    @property
    def tries_left(self) -> int:
        return max(0, self.max_tries - self.tries)

    def asked_by(self, requester: Requester) -> bool:
        """Whether this browser asked. The digest is of 256 random bits: comparing it by time tells nothing."""
        return bool(self.browser_digest) and self.browser_digest == requester.browser_digest

    def _ingredients(self) -> dict[str, Any]:
        """The arguments that ``derivation.code_for`` and ``link_token_for`` share."""
        return {"key_id": self.key_id, "purpose": self.purpose, "address": self.canonical, "nonce": bytes(self.nonce)}

    def code(self) -> str:
        return derivation.code_for(**self._ingredients(), length=self.code_length, alphabet=self.code_alphabet)

    def link_token(self) -> str:
        return derivation.link_token_for(**self._ingredients(), public_id=self.public_id)


#: The challenge of a message by its public id, and nothing with it: for a page that only shows it.
message_to_show = CompiledSelect(
    lambda public_id: Challenge.objects.of_messages().filter(public_id=public_id), public_id=str
)
_message_named = CompiledSelect(
    lambda public_id: Challenge.objects.whole().of_messages().filter(public_id=public_id), public_id=str
)
_newest_message = CompiledSelect(
    lambda browser_digest: Challenge.objects.whole().asked_in(browser_digest)[:1], browser_digest=str
)


def message_named(public_id: str) -> Challenge | None:
    """The challenge of a message by its public id, with all that finishing a sign-in reads; ``None`` without one."""
    return _with_user(_message_named(public_id=public_id))


def newest_message(requester: Requester) -> Challenge | None:
    """The same for the newest message that this browser asked for."""
    return _with_user(_newest_message(browser_digest=requester.browser_digest)) if requester.browser_digest else None


def _with_user(challenge: Challenge | None) -> Challenge | None:
    """SECURITY: the user of the address was read with it. Asked for once more, telling the log of a wrong code would
    cost a query for addresses that have an account, and none for others."""
    identity = challenge.identity if challenge else None
    if challenge and identity and identity.user_id == challenge.user_id:
        challenge.user = identity.user
    return challenge


_SPEND: Final = {
    method: CompiledUpdate(
        partial(Challenge.objects.alive, method=method),
        lambda pk, now, method=method: {
            "state": Challenge.State.SPENT,
            "open_scope": None,
            "ended_at": now,
            "spent_by": method,
        },
        pk=int,
        now=datetime,
    )
    for method in EXPIRY_OF
}


def spend(challenge: Challenge, *, method: str, now: datetime) -> bool:
    """Use a challenge up. True for exactly one of any number of parallel calls."""
    return _SPEND[method](pk=challenge.pk, now=now) == 1


def _using_up(whose: Callable[..., Q], **forms: Any) -> CompiledUpdate[Challenge]:
    def answerable(*, public_id: Any, purpose: Any, browser_digest: Any, now: Any, **values: Any) -> ChallengeQuerySet:
        rows = Challenge.objects.alive_at(now).filter(whose(**values))
        return rows.filter(public_id=public_id, purpose=purpose, browser_digest=browser_digest)

    return CompiledUpdate(
        answerable,
        lambda now, **_: {"state": Challenge.State.SPENT, "ended_at": now, "spent_by": "passkey"},
        public_id=str,
        purpose=str,
        browser_digest=str,
        now=datetime,
        **forms,
    )


_USER: Final = Challenge._meta.get_field("user")
#: Whose question it was that a passkey answers, with the values that tell.
_USE_UP: Final = {
    "anybody's": _using_up(Q),
    "nobody's": _using_up(lambda: Q(user=None)),
    "theirs": _using_up(lambda user: Q(user=user), user=_USER),
    "theirs or open to all": _using_up(lambda user: Q(user=user) | Q(user=None, canonical=""), user=_USER),
    "of their session": _using_up(lambda user, sign_in: Q(user=user, sign_in=sign_in), user=_USER, sign_in=int),
}


def use_up(
    public_id: str, *, purpose: str, requester: Requester, now: datetime, whose: str = "anybody's", **values: Any
) -> bool:
    """Spend a WebAuthn challenge by what its answer says, without reading it first (WebAuthn Level 3 §13.4.3).
    True for exactly one of any number of parallel calls. ``whose``: of whom it must have been asked."""
    asked = {"public_id": public_id, "purpose": purpose, "browser_digest": requester.browser_digest}
    return _USE_UP[whose](**asked, **values, now=now) == 1


def _superseded(now: datetime) -> dict[str, Any]:
    return {"state": Challenge.State.SUPERSEDED, "open_scope": None, "ended_at": now}


#: Close what a newer challenge of the same scope replaces, at most one.
supersede = CompiledUpdate(
    lambda open_scope, now: Challenge.objects.filter(open_scope=open_scope),
    lambda open_scope, now: _superseded(now),
    open_scope=str,
    now=datetime,
)
