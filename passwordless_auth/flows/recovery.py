"""A person who has lost what they sign in with gets back: by a recovery code, or by an address chosen for it.

What comes of it is a sign-in of level ``recovered``: it may add a passkey and see the account, and nothing else. The
passkey then makes a whole one of it. Every proven address is told at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from django.contrib.auth import get_user_model
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Count, Max, Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from .. import policies, throttling
from ..conf import settings
from ..exceptions import (
    CannotRecover,
    ChangesStopped,
    Disabled,
    InvalidRecoveryCode,
    PasswordlessError,
    StepUpRequired,
    TooManyRequests,
)
from ..identifiers import PUBLIC_ID, Identifier
from ..methods import recovery_code
from ..models import Challenge, Identity, Level, Passkey, Profile, RecoveryCode, SignIn, Totp
from ..models.event import announce, record
from ..requester import Requester
from . import accounts, completion, enrolment, notices

#: What the flow does when two requests meet on a row: once more, from the beginning.
ATTEMPTS: Final = 3
#: With this many codes left, or fewer, a person is asked to make new ones.
FEW: Final = 2


# -- preparing: codes on paper, addresses that may recover


def require_may_prepare(session: enrolment.Session) -> None:
    """Raise StepUpRequired unless this session may decide how its account is recovered; ChangesStopped (a
    StepUpRequired) while a report has stopped all changes.

    What a passkey or an app guards, only they may open another way to. An account without any is guarded by its mailbox
    alone: there a proof of that mailbox is enough, as it is for the first passkey. SECURITY: it has to be a recent one,
    or a session that somebody left open would be a way in for ever.
    """
    if level_to_prepare(session.user) == Level.MULTI:
        enrolment.require_may_change(session)
        return
    if enrolment.is_frozen_out(Profile.objects.of(session.user), session):
        raise ChangesStopped
    if not _is_fresh(session):
        raise StepUpRequired


def level_to_prepare(user: Any) -> Level:
    """What a session has to reach for ``require_may_prepare``. A blocked passkey counts: whoever had it blocked must
    not get around it by the mailbox.

    An app counts only while it works, unlike in ``ways_in.has_authenticator``: nothing on our pages lets a blocked one
    work again, so that its owner could reach no more than the mailbox proves.
    """
    guarded = Passkey.objects.filter(user=user).exists() or Totp.objects.usable(user).exists()
    return Level.MULTI if guarded else Level.SINGLE


def may_prepare(session: enrolment.Session) -> bool:
    try:
        require_may_prepare(session)
    except StepUpRequired:
        return False
    return True


def _is_fresh(session: enrolment.Session) -> bool:
    return (
        session.level is not None
        and session.level.meets(Level.SINGLE)
        and time.time() - session.auth_time < settings.STEP_UP_LIFETIME
    )


@sensitive_variables()
def make_codes(session: enrolment.Session, *, requester: Requester, now: datetime | None = None) -> list[str]:
    """New recovery codes, to be shown once; those from before are dead. Raises StepUpRequired."""
    now = now or timezone.now()
    require_may_prepare(session)
    user = session.user
    with transaction.atomic(durable=True):
        enrolment.hold(user)  # of two requests at one moment, the later one's codes are the only ones
        require_may_prepare(session)
        codes, rows = recovery_code.new_set(user, now=now)
        RecoveryCode.objects.filter(user=user).delete()
        RecoveryCode.objects.bulk_create(rows)
        notices.tell(
            user, "recovery_codes_made", requester=requester, sign_in_id=session.sign_in_id, count=len(codes), now=now
        )
        record("recovery_codes_made", user=user, requester=requester, now=now, count=len(codes))
    return codes


def choose_addresses(
    session: enrolment.Session, public_ids: Collection[str], *, requester: Requester, now: datetime | None = None
) -> bool:
    """Let these of a person's proven addresses recover the account, and no others. False when nothing had to change.
    Raises StepUpRequired."""
    now = now or timezone.now()
    require_may_prepare(session)
    user = session.user
    public_ids = [each for each in public_ids if PUBLIC_ID.fullmatch(each)]  # anybody's text: PostgreSQL refuses a NUL
    with transaction.atomic(durable=True):
        enrolment.hold(user)
        require_may_prepare(session)
        proven = Identity.objects.filter(user=user).exclude(proven_at=None)
        more = proven.filter(public_id__in=public_ids, for_recovery=False).update(for_recovery=True)
        fewer = proven.exclude(public_id__in=public_ids).filter(for_recovery=True).update(for_recovery=False)
        if not more and not fewer:
            return False
        notices.tell(user, "recovery_addresses_changed", requester=requester, sign_in_id=session.sign_in_id, now=now)
        record("recovery_addresses_changed", user=user, requester=requester, now=now, more=more, fewer=fewer)
    return True


# -- recovering by a code


@sensitive_variables("code")
def by_code(
    identifier: Identifier,
    code: str,
    *,
    requester: Requester,
    establish: Callable[[SignIn], None],
    now: datetime | None = None,
) -> SignIn:
    """Use a recovery code up, and begin a recovered sign-in.

    ``establish`` is called with the SignIn inside the transaction that uses the code up. An unknown address, an account
    without codes and a wrong code walk the same path, with the same statements. Raises InvalidRecoveryCode,
    TooManyRequests, Disabled.
    """
    now = now or timezone.now()
    # Before the transaction, which so begins by writing: SQLite refuses readers that begin to write beside others.
    identity = accounts.look_up(identifier, requester=requester, with_profile=True)
    buckets = _guess_budgets(identifier, identity, requester)
    done: SignIn | PasswordlessError = InvalidRecoveryCode()
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic(durable=True):
                done = _weigh(identity, code, buckets, requester=requester, establish=establish, now=now)
            break
        except TooManyRequests as refusal:
            throttling.note_refusal(refusal, buckets, requester=requester, now=now)
            raise
        except (IntegrityError, OperationalError):
            if attempt == ATTEMPTS - 1:
                raise
    if isinstance(done, InvalidRecoveryCode):
        user = identity.user if identity else None
        announce("wrong_code", user=user, masked=identifier.masked, requester=requester, method=recovery_code.NAME)
    elif isinstance(done, PasswordlessError) and identity is not None:
        kind = f"refused_{done.code}"
        record(kind, user=identity.user, masked=identifier.masked, requester=requester, now=now)
    if isinstance(done, PasswordlessError):
        raise done
    return done


def _guess_budgets(identifier: Identifier, identity: Identity | None, requester: Requester) -> list[throttling.Bucket]:
    """SECURITY: as for codes of messages: by account and by network, and apart from both for a browser that has signed
    in to the account before, so that strangers who use up theirs don't lock its owner out."""
    if accounts.knows_browser(identity):
        return [throttling.recovery_failures(identifier.canonical, known_browser=requester.browser_digest)]
    return [
        throttling.recovery_failures(identifier.canonical, known_browser=""),
        throttling.failures_of_network(requester),
    ]


@sensitive_variables("code")
def _weigh(
    identity: Identity | None,
    code: str,
    buckets: list[throttling.Bucket],
    *,
    requester: Requester,
    establish: Callable[[SignIn], None],
    now: datetime,
) -> SignIn | PasswordlessError:
    """SECURITY: every answer first takes its place among the wrong ones, and a right one gives it back: no guess is
    weighed beyond a limit, however many come at one moment."""
    with transaction.atomic():
        throttling.hit(buckets, now=now)
        row = RecoveryCode.objects.matching(code, user_id=identity.user.pk if identity else "nobody")
        if row is None or identity is None or not _names_account(identity):
            return InvalidRecoveryCode()
        if row.used_at is not None:
            return _replayed(identity, requester)
        if not identity.user.is_active:
            return Disabled()  # whoever holds the code may know; and it stays good for the day that this changes
        transaction.set_rollback(True)
    throttling.refund(buckets)
    if not RecoveryCode.objects.spend(row, now=now):
        return _replayed(identity, requester)
    # SECURITY: since it was looked up, the account may have been deactivated. (Whoever does that from now on waits for
    # the code: accounts.settle.) Locked, since MariaDB else answers with what was true when this transaction began.
    user = get_user_model()._default_manager.select_for_update().filter(pk=identity.user.pk).first()
    if user is None or not user.is_active:
        return Disabled()
    sign_in = completion.begin(identity.user, requester=requester, now=now)
    completion.accept(
        sign_in,
        recovery_code.proof(now=now),
        requester=requester,
        minimum=Level.RECOVERED,
        recovering=True,
        now=now,
    )
    establish(sign_in)
    left = RecoveryCode.objects.unused(identity.user).count()
    after_recovery(sign_in, "recovery_code_used", requester=requester, now=now, left=left)
    return sign_in


def _names_account(identity: Identity) -> bool:
    """SECURITY: an address that somebody else wrote into an account, and that its owner has not proven, names nothing.
    One that was imported was what the host itself knew the person by."""
    return identity.proven_at is not None or identity.origin == Identity.Origin.IMPORT


def _replayed(identity: Identity, requester: Requester) -> InvalidRecoveryCode:
    """A second press, or a thief with a copy of the paper. To the log, and not to the table, which they could fill."""
    announce("answer_replayed", user=identity.user, masked=identity.masked, requester=requester, method="recovery_code")
    return InvalidRecoveryCode()


def after_recovery(sign_in: SignIn, kind: str, *, requester: Requester, now: datetime, **facts: Any) -> None:
    """What follows from a recovery, inside its transaction: messages that are on their way open nothing any more (rule
    11), and every proven address is told."""
    accounts.cancel_challenges(sign_in.user)
    notices.tell(sign_in.user, kind, requester=requester, sign_in_id=sign_in.pk, now=now, **facts)
    record(kind, user=sign_in.user, requester=requester, now=now, **facts)


# -- recovering by an address: the questions that flows.sign_in asks of a challenge with the purpose "recover"


def kind_of_message(identity: Identity | None) -> str:
    """What the message to an address says. Without a query, so that no address is told from another by the work.

    What only a query would tell (the level of a group) is found out by ``admit``.
    """
    if identity is None:
        return "no_recovery"
    if not identity.user.is_active:
        return "disabled"
    return "recover" if _is_chosen(identity) else "no_recovery"


def _is_chosen(identity: Identity) -> bool:
    user = identity.user
    profile = getattr(user, "passwordless_profile", None)
    if identity.proven_at is None or not identity.for_recovery or getattr(user, "is_staff", False) or profile is None:
        return False
    needs_more = profile.has_totp or profile.minimum_level not in {"", Level.RECOVERED, Level.SINGLE}
    return not needs_more and not _is_frozen(profile)


def _is_frozen(profile: Profile) -> bool:
    """SECURITY: after "this wasn't me" somebody else may read this mailbox."""
    return profile.frozen_until is not None and profile.frozen_until > timezone.now()


def admit(challenge: Challenge) -> accounts.Admitted:
    """The person whose account the address of a just spent challenge recovers. Raises CannotRecover, Disabled."""
    identity = accounts.of_challenge(challenge)
    if identity is None:
        raise CannotRecover
    if not identity.user.is_active:
        raise Disabled
    Profile.objects.of(identity.user)
    if not _is_chosen(identity) or not recovers_by_address(identity.user):
        raise CannotRecover
    return accounts.Admitted(user=identity.user, identity=identity, created=False)


def recovers_by_address(user: Any) -> bool:
    """Whether a mailbox may be enough to get back into this account.

    SECURITY: never where more than a mailbox is needed to get in, and never for members of staff.
    """
    return not getattr(user, "is_staff", False) and Level.SINGLE.meets(policies.current().needs(user))


# -- how an account stands


Color = Literal["green", "yellow", "red"]


@dataclass(frozen=True)
class Part:
    """One way back: ``name`` is ``devices``, ``email``, ``phone`` or ``codes``; ``count`` says how many there are of it
    that work. ``chosen`` is False where the person could use it for recovery, and has decided against it."""

    name: str
    color: Color
    count: int = 0
    chosen: bool = True


@dataclass(frozen=True)
class Outlook:
    """What is left when a person loses something. ``next_step``: ``add_passkey``, ``add_second_passkey``,
    ``make_codes``, ``make_new_codes``, ``confirm_address``, ``choose_address``, or "" when nothing is better.
    ``address``: the one that ``confirm_address`` is about."""

    color: Color
    parts: list[Part]
    next_step: str
    address: str = ""


@dataclass(frozen=True)
class Codes:
    """How many recovery codes there are, how many of them are unused, and since when."""

    total: int
    left: int
    made_at: datetime | None


def codes_of(user: Any) -> Codes:
    found = RecoveryCode.objects.filter(user=user).aggregate(
        total=Count("pk"), left=Count("pk", filter=Q(used_at=None)), made_at=Max("created_at")
    )
    return Codes(**found)


def outlook(user: Any, identities: Collection[Identity]) -> Outlook:
    """How well this person could get back, and what would help most. ``identities``: all of theirs.

    A number is a way back only where this site sends to it; who has none is not asked for one.
    """
    emails = [row for row in identities if row.kind == "email"]
    phones = [row for row in identities if row.kind == "phone" and row.identifier.is_reachable]
    parts = []
    if "passkey" in settings.METHODS:
        parts.append(_devices(user))
    parts.append(_messages("email", user, emails))
    if phones:
        parts.append(_messages("phone", user, phones))
    if _codes_help():
        left = codes_of(user).left
        parts.append(Part("codes", "green" if left > FEW else "yellow" if left else "red", left))
    good = sum(part.color == "green" for part in parts)
    color: Color = "green" if good >= min(2, len(parts)) else "yellow" if good else "red"
    unproven = {row.kind: row.identifier.display for row in (*emails, *phones) if row.proven_at is None}
    part_name, next_step = _next_step(parts, unproven=unproven)
    address = unproven[part_name] if next_step == "confirm_address" else ""
    return Outlook(color=color, parts=parts, next_step=next_step, address=address)


def _codes_help() -> bool:
    """A recovery leads to a new passkey; where there are none, it leads nowhere."""
    return {"recovery_code", "passkey"} <= set(settings.METHODS)


def _devices(user: Any) -> Part:
    """Two passkeys are green, and so is one that a password manager keeps a copy of."""
    usable = list(Passkey.objects.of(user).usable().values_list("backed_up", flat=True))
    if not usable:
        return Part("devices", "red")
    return Part("devices", "green" if len(usable) > 1 or any(usable) else "yellow", len(usable))


def _messages(name: str, user: Any, identities: Collection[Identity]) -> Part:
    """What messages to addresses of one kind are good for."""
    proven = [row for row in identities if row.proven_at is not None]
    if not proven:
        return Part(name, "red")
    chosen = [row for row in proven if row.for_recovery]
    helps = bool(chosen) and recovers_by_address(user)
    return Part(name, "green" if helps else "yellow", len(chosen) if helps else 0, chosen=bool(chosen))


#: What would help, best first: for a part, in a color.
_STEPS: Final[tuple[tuple[str, Color, str], ...]] = (
    ("devices", "red", "add_passkey"),
    ("codes", "red", "make_codes"),
    ("email", "red", "confirm_address"),
    ("phone", "red", "confirm_address"),
    ("codes", "yellow", "make_new_codes"),
    ("devices", "yellow", "add_second_passkey"),
    ("email", "yellow", "choose_address"),
    ("phone", "yellow", "choose_address"),
)


def _next_step(parts: list[Part], *, unproven: Collection[str]) -> tuple[str, str]:
    """A part, and what to do about it. ``unproven``: of which kinds there are addresses that could be confirmed."""
    by_name = {part.name: part for part in parts}
    for name, color, step in _STEPS:
        part = by_name.get(name)
        if part is None or part.color != color:
            continue
        if step == "confirm_address" and name not in unproven:
            continue  # there is none
        if step == "choose_address" and part.chosen:
            continue  # they have; but for this account an address is not enough
        return name, step
    return "", ""
