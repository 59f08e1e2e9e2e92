"""Two accounts of one person become one, and two again.

The account that stays is the one that the person is signed in to: its user and its ``Profile.handle`` are what the
outside goes on seeing. The other gives its addresses to it, and signs nobody in until they are taken apart. It takes
two proofs: that of this session, as recent and as strong as for every change, and a message to an address of the other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import IntegrityError, OperationalError, transaction
from django.dispatch import Signal
from django.utils import timezone

from .. import policies, sessions, signals
from ..conf import settings
from ..exceptions import Expired, IdentityTaken, Spent
from ..identifiers import Identifier
from ..models import Challenge, Identity, KnownBrowser, Level, Profile, RecoveryCode, SignIn, Totp
from ..models.challenge import ChallengeQuerySet, scope_of, spend, supersede
from ..models.event import record
from ..requester import Requester
from . import accounts, enrolment, notices, recovery, ways_in

#: What the flow does when two requests meet on a row: once more, from the beginning.
ATTEMPTS: Final = 3


# -- may they be linked


def require_may_link(user: Any, identity: Identity, sign_in: SignIn | None) -> None:
    """Raise IdentityTaken unless the account of this address, proven just now, may become a part of ``user``'s.

    SECURITY: a message proves one factor, so it takes over no account that asks for more, or has more: whoever reads a
    mailbox would get around the passkey of its owner. Such an account is linked from its own side. (A passkey could not
    come along anyway: the authenticator keeps the handle of the user whom it was made for, WebAuthn Level 3 §6.4.1.)
    Nor an account whose owner has just said "this wasn't me", since somebody else may read its mailbox.
    """
    other = identity.user
    profile = Profile.objects.of(other)
    frozen = profile.frozen_until is not None and profile.frozen_until > timezone.now()
    opened_by_address = (
        other.is_active
        and identity.for_sign_in
        and recovery.level_to_prepare(other) == Level.SINGLE
        and Level.SINGLE.meets(policies.current().needs(other))
    )
    if other.pk == user.pk or frozen or not opened_by_address:
        raise IdentityTaken
    if not policies.current().may_link(user, identity, sign_in):
        raise IdentityTaken


# -- the offer, made when the address is proven


def offer(proven: Challenge, identity: Identity, *, requester: Requester, now: datetime) -> Challenge:
    """Ask whether the account of an address that was proven in this session is to be linked. Raises IdentityTaken."""
    require_may_link(proven.user, identity, proven.sign_in)
    challenge = Challenge(
        purpose=Challenge.Purpose.LINK_ACCOUNTS,
        kind=identity.kind,
        canonical=identity.canonical,
        identity=identity,
        user=proven.user,
        sign_in=proven.sign_in,
        browser_digest=requester.browser_digest,
        ip=requester.ip or None,
        user_agent=requester.user_agent,
        key_id=settings.issuing_key_id,
        accepts_code=False,
        accepts_link=False,
        open_scope=scope_of(
            purpose=Challenge.Purpose.LINK_ACCOUNTS,
            identifier=Identifier(proven.identifier.kind, identity.canonical),
            client_id="",
            browser_digest=requester.browser_digest,
        ),
        created_at=now,
        expires_at=now + timedelta(seconds=settings.PENDING_LIFETIME),
    )
    supersede(open_scope=challenge.open_scope or "", now=now)
    challenge.save(force_insert=True)
    return challenge


def offers(session: enrolment.Session, *, requester: Requester) -> ChallengeQuerySet:
    """What this session was offered in this browser and has not answered, newest first. SECURITY: the proof of the
    address counts for no other session."""
    asked = Challenge.objects.filter(
        purpose=Challenge.Purpose.LINK_ACCOUNTS,
        user=session.user,
        sign_in=session.sign_in_id,
        browser_digest=requester.browser_digest or "-",
    )
    return asked.order_by("-pk")


def decline(session: enrolment.Session, public_id: str, *, requester: Requester, now: datetime | None = None) -> None:
    """Leave the two accounts as they are."""
    offers(session, requester=requester).order_by().with_public_id(public_id).cancel(now=now or timezone.now())


# -- linking


def link(session: enrolment.Session, public_id: str, *, requester: Requester, now: datetime | None = None) -> None:
    """Do what an offer says, once. Raises StepUpRequired, Expired, Spent, IdentityTaken."""
    now = now or timezone.now()
    recovery.require_may_prepare(session)
    challenge = offers(session, requester=requester).select_related("sign_in").with_public_id(public_id).first()
    if challenge is None:
        raise Expired
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic(durable=True):
                _link(challenge, session, requester=requester, now=now)
            return
        except (IntegrityError, OperationalError):
            # It met a request of the other account, and each waited for a row of the other.
            if attempt == ATTEMPTS - 1:
                raise


def _link(challenge: Challenge, session: enrolment.Session, *, requester: Requester, now: datetime) -> None:
    if not spend(challenge, method="approval", now=now):
        challenge.refresh_from_db(fields=["state"])
        raise Spent if challenge.state == Challenge.State.SPENT else Expired
    user = session.user
    identity = Identity.objects.named(challenge.identifier).first()
    if identity is None:
        raise Expired  # its account has given it up since
    other = identity.user
    # Rows are locked in one order everywhere: challenge, passkey, profile, code, session. SECURITY: cancelling waits
    # for whoever is signing in to the other account, or adding a passkey to it, at this moment.
    accounts.cancel_challenges(other)
    accounts.settle_passkeys(other)
    for person in sorted((user, other), key=lambda each: str(each.pk)):
        enrolment.hold(person)
    recovery.require_may_prepare(session)
    identity = Identity.objects.named(challenge.identifier).filter(user=other).first()  # as they are now
    if identity is None:
        raise Expired
    other = identity.user
    require_may_link(user, identity, challenge.sign_in)
    accounts.settle_codes(other)
    sessions.end_all(other, reason="linked", now=now)
    moved = _move(other, user)
    _retire(other)
    notices.tell(
        user,
        "accounts_linked",
        requester=requester,
        sign_in_id=session.sign_in_id,
        to=notices.addresses_of(user, all_of_them=True),
        identity=identity.masked,
        moved=moved,
        other=str(other.pk),
        now=now,
    )
    record(
        "accounts_linked",
        user=user,
        masked=identity.masked,
        requester=requester,
        now=now,
        other=str(other.pk),
        addresses=len(moved),
    )
    _tell(signals.accounts_linked, user, other)


def _move(other: Any, user: Any) -> list[dict[str, Any]]:
    """Give all proven addresses to ``user``. What nobody ever proved is nobody's, and goes. Returns what was moved."""
    moved = []
    for row in Identity.objects.filter(user=other).order_by("pk"):
        row.user = other
        if row.proven_at is None:
            accounts.detach(row)
            continue
        moved.append(snapshot(row))
        row.user, row.linked_from, row.is_primary = user, row.linked_from or other, False
        row.save(update_fields=["user", "linked_from", "is_primary"])
        accounts.tell(signals.identity_removed, other, row)
        accounts.tell(signals.identity_added, user, row)
    for kind in {each["kind"] for each in moved}:
        accounts.keep_primary(user, kind=kind)
    return moved


def _retire(other: Any) -> None:
    """Nobody signs in to this account: it has no address, no recovery code, no known browser, and is inactive."""
    RecoveryCode.objects.filter(user=other).delete()
    Totp.objects.filter(user=other).delete()  # begun, and never confirmed
    KnownBrowser.objects.filter(user=other).delete()
    accounts.write_email(other, "")
    _switch(other, active=False)


def _switch(user: Any, *, active: bool) -> None:
    try:
        get_user_model()._meta.get_field("is_active")
    except FieldDoesNotExist:
        # A user model that can't switch people off: then at least no password opens it.
        if not active:
            user.set_unusable_password()
            accounts.save_quietly(user, "password")
        return
    user.is_active = active
    accounts.save_quietly(user, "is_active")


# -- unlinking


def unlink(session: enrolment.Session, public_id: str, *, requester: Requester, now: datetime | None = None) -> bool:
    """Give an address, and all that came with it, back to the account that it came from: that is one of its own again.
    False when there is nothing to unlink. Raises StepUpRequired, LastWayIn."""
    now = now or timezone.now()
    recovery.require_may_prepare(session)
    user = session.user
    with transaction.atomic(durable=True):
        named = Identity.objects.filter(user=user).with_public_id(public_id).exclude(linked_from=None).first()
        if named is None or named.linked_from is None:
            return False
        other = named.linked_from
        accounts.cancel_challenges(user)
        for person in sorted((user, other), key=lambda each: str(each.pk)):
            enrolment.hold(person)
        recovery.require_may_prepare(session)
        rows = list(Identity.objects.select_for_update().filter(user=user, linked_from=other).order_by("pk"))
        if not rows:
            return False
        _give_back(rows, other)
        ways_in.require_another_way_in(user)
        notices.tell(
            user,
            "accounts_unlinked",
            requester=requester,
            sign_in_id=session.sign_in_id,
            to=notices.addresses_of(user, all_of_them=True),
            identity=named.masked,
            now=now,
        )
        # SECURITY: its addresses are told, too, but what they say about the account that they left counts no more.
        notices.tell(other, "accounts_unlinked", requester=requester, undoable=False, identity=named.masked, now=now)
        record(
            "accounts_unlinked",
            user=user,
            masked=named.masked,
            requester=requester,
            now=now,
            other=str(other.pk),
            addresses=len(rows),
        )
        _tell(signals.accounts_unlinked, user, other)
    return True


def _give_back(rows: list[Identity], other: Any) -> None:
    """Move these addresses to the account that they came from, and let it sign in again."""
    for row in rows:
        if row.user_id == other.pk:
            continue
        user = row.user
        row.user, row.is_primary = other, False
        if row.linked_from_id == other.pk:
            row.linked_from = None
        row.save(update_fields=["user", "linked_from", "is_primary"])
        accounts.tell(signals.identity_removed, user, row)
        accounts.tell(signals.identity_added, other, row)
        accounts.keep_primary(user, kind=row.kind)
    for row in rows:
        accounts.keep_primary(other, kind=row.kind)
    _switch(other, active=True)


# -- "this wasn't me"


def undo(notice: Challenge, *, now: datetime) -> list[str]:
    """Take two accounts apart again that somebody else has linked, with the addresses that were removed since.
    Returns the addresses that went back, masked.

    SECURITY: whoever did it reads an address of the other account. So that one's changes are stopped, too.
    """
    other = _user_named(notice.params.get("other"))
    user: Any = notice.user
    if other is None or other.pk == user.pk:
        return []
    enrolment.hold(other)
    rows = []
    for kept in notice.params.get("moved", []):
        identifier = Identifier(kept["kind"], kept["canonical"])
        row = Identity.objects.named(identifier).select_related("linked_from").first()
        if row is None:
            row = accounts.attach(other, identifier, restored_at=now, **flags_of(kept))
        if row.user_id in {user.pk, other.pk}:
            rows.append(row)
    if not rows:
        return []
    _give_back(rows, other)
    until = now + timedelta(seconds=settings.FREEZE_LIFETIME)
    Profile.objects.filter(user=other).update(frozen_at=now, frozen_until=until)
    notices.tell(other, "accounts_unlinked", requester=Requester(), undoable=False, identity=rows[0].masked, now=now)
    record("accounts_unlinked", user=user, masked=rows[0].masked, now=now, other=str(other.pk), addresses=len(rows))
    _tell(signals.accounts_unlinked, user, other)
    return [row.masked for row in rows]


def _user_named(pk: Any) -> Any:
    try:
        return get_user_model()._default_manager.filter(pk=pk).first()
    except (ValueError, TypeError, ValidationError):
        return None


# -- an address as a notice keeps it


def snapshot(row: Identity) -> dict[str, Any]:
    """All that it takes to make this Identity again."""
    return {
        "kind": row.kind,
        "canonical": row.canonical,
        "is_primary": row.is_primary,
        "for_sign_in": row.for_sign_in,
        "for_recovery": row.for_recovery,
        "for_notices": row.for_notices,
        "origin": row.origin,
        "proven_at": row.proven_at.isoformat() if row.proven_at else None,
        "linked_from": str(row.linked_from_id) if row.linked_from_id else None,
    }


def flags_of(kept: dict[str, Any]) -> dict[str, Any]:
    """What ``accounts.attach`` takes, of a snapshot."""
    proven_at = kept["proven_at"]
    return {
        "is_primary": False,
        "for_sign_in": kept["for_sign_in"],
        "for_recovery": kept["for_recovery"],
        "for_notices": kept["for_notices"],
        "origin": Identity.Origin(kept["origin"]),
        "proven_at": datetime.fromisoformat(proven_at) if proven_at else None,
        "linked_from": _user_named(kept["linked_from"]),
    }


def _tell(signal: Signal, user: Any, other: Any) -> None:
    transaction.on_commit(lambda: signal.send_robust(type(user), user=user, other=other), robust=True)
