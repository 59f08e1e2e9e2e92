"""A person adds an address, makes one the main one, says what each is for, and removes one.

Every change needs a recent proof of what guards the account (``recovery.require_may_prepare``), and is told to all its
proven addresses. Each notice is a way back for ``REPORT_LIFETIME``: see ``undo``, and ``flows.report``, which calls it.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..exceptions import (
    ChangesStopped,
    Disabled,
    IdentityTaken,
    NotYourSession,
    PasswordlessError,
    PrimaryIdentity,
    Superseded,
    WrongBrowser,
)
from ..identifiers import Identifier
from ..models import Challenge, Identity, Proof, SignIn
from ..models.challenge import spend
from ..models.event import record
from ..requester import Requester
from . import accounts, enrolment, linking, notices, recovery, sign_in, ways_in


def of(user: Any) -> list[Identity]:
    """All of a person's addresses, the main ones first."""
    return list(Identity.objects.filter(user=user).main_first())


# -- adding


def start(
    session: enrolment.Session,
    identifier: Identifier,
    *,
    requester: Requester,
    next_url: str,
    now: datetime | None = None,
) -> Challenge | None:
    """Send a message to an address that this person wants to add, or has not proven yet; ``None`` when it is theirs
    and proven. Raises StepUpRequired, TooManyRequests.

    Whose address it is, if anybody's, changes nothing here.
    """
    recovery.require_may_prepare(session)
    mine = Identity.objects.filter(user=session.user, kind=identifier.kind, canonical=identifier.canonical)
    if mine.exclude(proven_at=None).exists():
        return None
    return sign_in.start(
        identifier,
        requester=requester,
        purpose=Challenge.Purpose.ADD_IDENTITY,
        next_url=next_url,
        sign_in=SignIn.objects.filter(pk=session.sign_in_id).first() if session.sign_in_id else None,
        member=session.user,
        now=now,
    )


@dataclass(frozen=True)
class Proven:
    """What the proof of an address led to: ``identity`` is the person's own now. ``None``: it belongs to another
    account of ours, and linking that was offered."""

    identity: Identity | None


@sensitive_variables("answer")
def prove(
    challenge: Challenge,
    answer: str,
    *,
    method: str,
    session: enrolment.Session | None,
    requester: Requester,
    now: datetime | None = None,
) -> Proven:
    """Check the code or link of a message that ``start`` sent, and add the address to the account.

    It counts in the browser and in the session that asked, and nowhere else. Raises what ``flows.sign_in.verify``
    raises of an answer; NotYourSession, ChangesStopped, IdentityTaken.
    """
    now = now or timezone.now()
    if challenge.purpose != Challenge.Purpose.ADD_IDENTITY:
        raise Superseded
    if not challenge.asked_by(requester):
        raise WrongBrowser
    if session is None or session.user.pk != challenge.user_id or session.sign_in_id != challenge.sign_in_id:
        raise NotYourSession

    def keep(proof: Proof) -> Proven | PasswordlessError | None:
        if not spend(challenge, method=proof.method, now=now):
            return None
        try:
            return _keep(challenge, session, requester=requester, now=now)
        except PasswordlessError as refusal:
            return refusal  # and the challenge stays spent

    return sign_in.guess(challenge, answer, method=method, requester=requester, now=now, use=keep)


def _keep(challenge: Challenge, session: enrolment.Session, *, requester: Requester, now: datetime) -> Proven:
    user, identifier = session.user, challenge.identifier
    if enrolment.is_frozen_out(enrolment.hold(user), session):
        raise ChangesStopped
    identity = Identity.objects.named(identifier).first() or _adopted(identifier, now=now)
    if identity is None:
        has_primary = Identity.objects.filter(user=user, kind=identifier.kind, is_primary=True).exists()
        identity = accounts.attach(
            user, identifier, origin=Identity.Origin.OWNER, proven_at=now, is_primary=not has_primary
        )
        if not has_primary and identity.kind == "email":
            accounts.write_email(user, identity.canonical)
    elif identity.user_id != user.pk:
        # SECURITY: what sign-in does, too. Whoever entered somebody else's address into an account is out of it.
        accounts.prove(identity, requester=requester, now=now)
        linking.offer(challenge, identity, requester=requester, now=now)
        return Proven(None)
    elif identity.proven_at is None:
        # Not the first proof that clears an account: whoever holds this session proves the address of their own.
        Identity.objects.prove(identity, now=now)
    else:
        return Proven(identity)  # another tab was first
    _told(session, "identity_added", identity, requester=requester, without=identity, now=now)
    return Proven(identity)


def _adopted(identifier: Identifier, *, now: datetime) -> Identity | None:
    """A user whom the host had before us may have the address in ``user.email``."""
    try:
        return accounts.adopt(identifier, now=now)
    except Disabled:
        raise IdentityTaken from None


# -- changing


def make_primary(
    session: enrolment.Session, public_id: str, *, requester: Requester, now: datetime | None = None
) -> bool:
    """Let the account go by this address, among those of its kind; ``user.email`` follows. False when nothing had to
    change. Raises StepUpRequired, IdentityTaken."""
    now = now or timezone.now()
    recovery.require_may_prepare(session)
    try:
        with transaction.atomic(durable=True):
            row = _held(session, public_id)
            if row is None or row.is_primary or row.proven_at is None:
                return False
            former = Identity.objects.filter(user=session.user, kind=row.kind, is_primary=True)
            before = [linking.snapshot(each) for each in former]
            accounts.make_primary(row)
            _told(session, "identity_primary_changed", row, requester=requester, before=before, now=now)
    except IntegrityError:  # the host's users must differ in it, and another one has this address there
        raise IdentityTaken from None
    return True


@dataclass(frozen=True)
class Uses:
    """What an address may be used for."""

    sign_in: bool
    recovery: bool
    notices: bool


def set_uses(
    session: enrolment.Session, public_id: str, uses: Uses, *, requester: Requester, now: datetime | None = None
) -> bool:
    """Say what an address is for. False when nothing had to change. Raises StepUpRequired, LastWayIn."""
    now = now or timezone.now()
    recovery.require_may_prepare(session)
    with transaction.atomic(durable=True):
        row = _held(session, public_id)
        if row is None:
            return False
        before = linking.snapshot(row)
        row.for_sign_in, row.for_recovery = uses.sign_in, uses.recovery
        row.for_notices = uses.notices or row.is_primary
        if linking.snapshot(row) == before:
            return False
        row.save(update_fields=["for_sign_in", "for_recovery", "for_notices"])
        if not row.for_sign_in:
            ways_in.require_another_way_in(session.user)
        _told(session, "identity_uses_changed", row, requester=requester, before=[before], now=now)
    return True


def remove(session: enrolment.Session, public_id: str, *, requester: Requester, now: datetime | None = None) -> bool:
    """Take an address from the account. False when it was not there. Raises StepUpRequired, LastWayIn,
    PrimaryIdentity."""
    now = now or timezone.now()
    recovery.require_may_prepare(session)
    if not Identity.objects.filter(user=session.user).with_public_id(public_id).exists():
        return False
    with transaction.atomic(durable=True):
        accounts.cancel_challenges(session.user)
        row = _held(session, public_id)
        if row is None:
            return False
        if is_needed(row, of(session.user)):
            raise PrimaryIdentity
        before = [linking.snapshot(row)]
        # Before it goes, so that it is among those that are told.
        if _may_come_back(row, now=now):
            _told(session, "identity_removed", row, requester=requester, before=before, now=now)
        else:
            _told(session, "identity_removed", row, requester=requester, before=before, without=row, now=now)
            notices.tell(
                session.user,
                "identity_removed",
                requester=requester,
                to=[row] if row.proven_at else [],
                undoable=False,
                identity=row.masked,
                of=row.kind,
                now=now,
            )
        accounts.detach(row)
        accounts.keep_primary(session.user, kind=row.kind)
        ways_in.require_another_way_in(session.user)
    return True


def is_needed(row: Identity, all_of_them: Collection[Identity]) -> bool:
    """Whether this is the address that its account goes by, and others have to take its place before it can go: one of
    the same kind where there is one. The last address of all stays, since notices have to go somewhere."""
    others = [each for each in all_of_them if each.pk != row.pk and each.proven_at is not None]
    email_needed = row.kind == "email" and not accounts.can_lack_email()
    return row.is_primary and (not others or email_needed or any(each.kind == row.kind for each in others))


def _may_come_back(row: Identity, *, now: datetime) -> bool:
    """Whether the notice that goes to a removed address itself may bring it back.

    SECURITY: a thief's address must not come back each time that its owner throws it out. So it has to have been there
    for longer than the notice of its adding was good for; and it comes back once.
    """
    old = row.proven_at is not None and row.proven_at <= now - timedelta(seconds=settings.REPORT_LIFETIME)
    return old and row.restored_at is None


def _held(session: enrolment.Session, public_id: str) -> Identity | None:
    """An address of this person as it is now. Changes of an account wait for each other here, and whoever has waited is
    judged anew."""
    enrolment.hold(session.user)
    recovery.require_may_prepare(session)
    row = Identity.objects.filter(user=session.user).with_public_id(public_id).first()
    if row is not None:
        row.user = session.user
    return row


def _told(
    session: enrolment.Session,
    kind: str,
    row: Identity,
    *,
    requester: Requester,
    without: Identity | None = None,
    now: datetime,
    **facts: Any,
) -> None:
    """Tell the addresses, and write down, that this one has changed."""
    everybody = notices.addresses_of(session.user, all_of_them=True)
    notices.tell(
        session.user,
        kind,
        requester=requester,
        sign_in_id=session.sign_in_id,
        to=[each for each in everybody if without is None or each.pk != without.pk],
        identity=row.masked,
        of=row.kind,
        named=[row.kind, row.canonical],
        now=now,
        **facts,
    )
    record(kind, user=session.user, masked=row.masked, requester=requester, now=now)


# -- "this wasn't me"


@dataclass(frozen=True)
class Undone:
    """What a report took back, as masked addresses."""

    removed: list[str]
    restored: list[str]
    unlinked: list[str]


#: Notices of changes that ``undo`` takes back.
UNDONE = frozenset(
    {"identity_added", "identity_removed", "identity_primary_changed", "identity_uses_changed", "accounts_linked"}
)


def undo(changes: list[Challenge], *, now: datetime) -> Undone:
    """Take changes of addresses back, the newest first; inside the transaction of the report.

    What was added goes, even if it is the last way in: a stolen account is worse than one that has to be recovered.
    What was removed or demoted is what it was, as long as it is not another account's by now.
    """
    undone = Undone([], [], [])
    for notice in sorted(changes, key=lambda each: each.pk, reverse=True):
        kind, user = notice.params["kind"], notice.user
        if kind == "accounts_linked":
            undone.unlinked.extend(linking.undo(notice, now=now))
        elif kind == "identity_added":
            undone.removed.extend(_take_out(user, *notice.params["named"]))
        else:
            undone.restored.extend(_bring_back(user, notice.params.get("before", []), now=now))
    for kind in ("removed", "restored"):
        for masked in getattr(undone, kind):
            record(f"identity_{kind}_by_report", user=changes[0].user, masked=masked, now=now)
    return undone


def _take_out(user: Any, kind: Any, canonical: str) -> list[str]:
    row = Identity.objects.filter(user=user, kind=kind, canonical=canonical).first()
    if row is None:
        return []
    row.user = user
    accounts.detach(row)
    accounts.keep_primary(user, kind=kind)
    return [row.masked]


def _bring_back(user: Any, before: list[dict[str, Any]], *, now: datetime) -> list[str]:
    back = []
    for kept in before:
        identifier = Identifier(kept["kind"], kept["canonical"])
        flags = linking.flags_of(kept)
        row = Identity.objects.named(identifier).first()
        if row is None:
            row = accounts.attach(user, identifier, restored_at=now, **flags)
        elif row.user_id != user.pk:
            continue
        row.user = user
        row.for_sign_in, row.for_recovery, row.for_notices = (
            kept["for_sign_in"],
            kept["for_recovery"],
            kept["for_notices"],
        )
        row.save(update_fields=["for_sign_in", "for_recovery", "for_notices"])
        if kept["is_primary"]:
            with suppress(IntegrityError), transaction.atomic():  # another user of the host has it in user.email by now
                accounts.make_primary(row)
        back.append(row.masked)
    return back
