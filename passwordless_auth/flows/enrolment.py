"""A person adds a passkey, and keeps house with those that are there: rename, block, unblock, remove.

Every change needs a recent strong sign-in, and is told to every proven address. A sign-in by link or code may add the
*first* passkey of its account, shortly after it was made; a recovered one may add one, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import policies, sessions, signals
from ..conf import settings
from ..exceptions import (
    ChangesStopped,
    Expired,
    InvalidCredential,
    PasswordlessError,
    StepUpRequired,
    UnknownCredential,
)
from ..methods import passkey as webauthn
from ..models import Challenge, Level, Passkey, Profile, SignIn, Totp
from ..models.challenge import use_up
from ..models.event import announce, record
from ..requester import Operator, Requester, describe
from . import accounts, notices, passkey, ways_in

#: Seconds after a sign-in by link or code within which it may add the account's first passkey.
FIRST_PASSKEY: Final = 600
#: Seconds after a sign-in with a password within which the browser may add a passkey by itself.
UPGRADE: Final = 300
#: Characters of a passkey's name (django-otp's column).
NAME_LENGTH: Final = 64


@dataclass(frozen=True)
class Session:
    """What a change is judged by: who, in which SignIn, at which level, since when, and when anything, and when an
    authenticator, last proved (seconds since 1970). ``sign_in_id`` and ``level`` are ``None`` in a session that
    other code made; ``by_password`` says whether that was, as far as can be told, a sign-in with a password. ``waits``:
    it is no session yet, but lacks another step; ``may_enrol``: and may add the account's first passkey for it."""

    user: Any
    sign_in_id: int | None
    level: Level | None
    created_at: float
    strong_time: float
    auth_time: float = 0
    waits: bool = False
    may_enrol: bool = False
    by_password: bool = False


def session_of(sign_in: SignIn) -> Session:
    return Session(
        user=sign_in.user,
        sign_in_id=sign_in.pk,
        level=Level(sign_in.level),
        created_at=sign_in.created_at.timestamp(),
        strong_time=policies.proven_at(sign_in.all_proofs())[Level.MULTI],
        auth_time=sign_in.auth_time.timestamp(),
        waits=sign_in.pending_until is not None,
        may_enrol=sign_in.may_enrol,
    )


# -- who may


def require_may_add(session: Session) -> Profile:
    """Raise StepUpRequired unless this session may add a passkey. Returns the profile: one statement.

    SECURITY: judged by method and time of this session (MF-01). Who steals a session that a link or a code made must
    not be able to add a key of their own beside the owner's.
    """
    profile, has_passkey = _profile_of(session.user)
    # SECURITY: who has an authenticator app meets it on every path: also in a session that a password made, or a link
    # before the app was there.
    has_app = profile.has_totp and "totp" in settings.METHODS
    first = not has_passkey and not has_app
    may_add_first = time.time() - session.created_at < FIRST_PASSKEY
    allowed = is_strong(session) or session.level == Level.RECOVERED or (first and may_add_first)
    if session.waits:
        # SECURITY: what lacks a step must not make itself the means to give it.
        allowed = first and session.may_enrol
    if is_frozen_out(profile, session):
        raise ChangesStopped
    if not allowed:
        raise StepUpRequired
    return profile


def _profile_of(user: Any) -> tuple[Profile, bool]:
    """The profile of a user, and whether they have a passkey, blocked or not: one statement, where there is one."""
    passkeys = Passkey.objects.filter(user=OuterRef("user"))
    found: Any = Profile.objects.annotate(has_passkey=Exists(passkeys)).filter(user=user).first()
    if found is None:
        return Profile.objects.of(user), Passkey.objects.filter(user=user).exists()
    return found, found.has_passkey


def require_may_upgrade(session: Session) -> Profile:
    """Raise StepUpRequired unless the browser may add a passkey by itself: only right after a sign-in with a password.

    SECURITY: nobody presses a finger on such a passkey (WebAuthn Level 3 §5.1.3). In any other session that would let a
    script that got onto a page of this site add one unseen.
    """
    if not session.by_password or time.time() - session.created_at >= UPGRADE:
        raise StepUpRequired
    return require_may_add(session)


def require_may_change(session: Session) -> Profile:
    """Raise StepUpRequired unless this session may block, remove or replace what guards the account; ChangesStopped
    (a StepUpRequired) while a report has stopped all changes."""
    profile = Profile.objects.of(session.user)
    if is_frozen_out(profile, session):
        raise ChangesStopped
    if not is_strong(session):
        raise StepUpRequired
    return profile


def hold(user: Any) -> Profile:
    """The account's profile as it is now, kept to this transaction: changes of what guards an account wait for each
    other here.

    SECURITY: whoever has waited is judged anew. A thief's request that was let in before "this wasn't me" must not go
    on behind it.
    """
    profile: Profile
    profile, _made = Profile.objects.select_for_update().get_or_create(user=user)
    user.passwordless_profile = profile
    return profile


def is_strong(session: Session) -> bool:
    """Whether two factors, or a passkey, proved in this session within ``STEP_UP_LIFETIME``."""
    return (
        session.level is not None
        and session.level.meets(Level.MULTI)
        and time.time() - session.strong_time < settings.STEP_UP_LIFETIME
    )


def is_frozen_out(profile: Profile, session: Session) -> bool:
    """SECURITY: after "this wasn't me", who was in before stays without power, and so does who comes by a mailbox: a
    passkey or a recovery code, used since, is needed."""
    if profile.frozen_until is None or profile.frozen_until <= timezone.now() or profile.frozen_at is None:
        return False
    frozen_at = profile.frozen_at.timestamp()
    proven = session.strong_time >= frozen_at and is_strong(session)
    recovered = session.level == Level.RECOVERED and session.created_at >= frozen_at
    return not (proven or recovered)


# -- adding


def start(
    session: Session, *, requester: Requester, conditional: bool = False, now: datetime | None = None
) -> dict[str, Any]:
    """``PublicKeyCredentialCreationOptionsJSON`` for a new passkey of this person. ``conditional``: see ``register``.
    Raises StepUpRequired, TooManyRequests."""
    now = now or timezone.now()
    profile = require_may_upgrade(session) if conditional else require_may_add(session)
    return options_for(session.user, profile, requester=requester, conditional=conditional, now=now)


def options_for(
    user: Any, profile: Profile, *, requester: Requester, conditional: bool = False, now: datetime
) -> dict[str, Any]:
    """The options of a ceremony that begins now in this browser, for whoever was found allowed to add a passkey. Raises
    TooManyRequests."""
    to_sign = passkey.open_ceremony(purpose=Challenge.Purpose.REGISTER, user=user, requester=requester, now=now)
    # Blocked passkeys are excluded, too: the same authenticator must not come back under another name.
    return webauthn.creation_options(
        challenge=to_sign,
        user_handle=profile.handle,
        name=accounts.name_of(user),
        display_name=accounts.display_name_of(user),
        exclude=Passkey.objects.of(user),
        conditional=conditional,
    )


def register(
    credential: Any,
    session: Session,
    *,
    requester: Requester,
    name: str = "",
    conditional: bool = False,
    now: datetime | None = None,
) -> Passkey:
    """Check a ``RegistrationResponseJSON`` and keep the passkey.

    ``conditional``: the browser made it by itself after a sign-in with a password (conditional create). ``name``: what
    its owner calls it, "" for the provider's name. Raises InvalidCredential, Expired, StepUpRequired.
    """
    now = now or timezone.now()
    answer = webauthn.read(credential, ceremony="webauthn.create")
    public_id = passkey.named_challenge(answer, purpose=Challenge.Purpose.REGISTER, requester=requester)
    require_may_upgrade(session) if conditional else require_may_add(session)
    with transaction.atomic(durable=True):
        done = add(
            answer,
            public_id,
            session.user,
            requester=requester,
            sign_in_id=session.sign_in_id,
            name=name,
            conditional=conditional,
            now=now,
        )
    if isinstance(done, PasswordlessError):
        announce(f"refused_{done.code}", user=session.user, requester=requester, method="passkey")
        raise done
    return done


def add(
    answer: webauthn.Answer,
    public_id: str,
    user: Any,
    *,
    requester: Requester,
    sign_in_id: int | None,
    name: str,
    conditional: bool,
    now: datetime,
) -> Passkey | PasswordlessError:
    """Use the ceremony's challenge up, verify, keep, tell; inside the transaction of whoever was found allowed to. A
    refusal is returned, so that the challenge stays used up."""
    purpose = Challenge.Purpose.REGISTER
    if not use_up(public_id, purpose=purpose, requester=requester, now=now, whose="theirs", user=user.pk):
        return Expired()
    try:
        registered = webauthn.verify_registration(answer, challenge=answer.challenge, conditional=conditional)
    except InvalidCredential as refusal:
        return refusal
    row = Passkey(
        user=user,
        name=tidy_name(name) or default_name(registered.aaguid, requester),
        credential_id=registered.credential_id,
        credential_digest=Passkey.digest_of(registered.credential_id),
        public_key=registered.public_key,
        algorithm=registered.algorithm,
        sign_count=registered.sign_count,
        transports=registered.transports,
        aaguid=registered.aaguid,
        attestation_format=registered.attestation_format,
        backup_eligible=registered.backup_eligible,
        backed_up=registered.backed_up,
        enrolled_in_id=sign_in_id,
        last_browser_digest=requester.browser_digest,
        created_at=now,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:  # §7.1 step 26: an id that is already registered, whoever it belongs to
        return InvalidCredential("its id is taken")
    notices.tell(user, "passkey_added", passkey=row, requester=requester, sign_in_id=sign_in_id, now=now)
    announce("passkey_added", user=user, requester=requester, passkey=row.public_id)
    _send(signals.authenticator_added, row)
    return row


def tidy_name(name: str) -> str:
    """One line of printable characters, cut to what the column holds."""
    return " ".join("".join(char if char.isprintable() else " " for char in name).split())[:NAME_LENGTH]


def default_name(aaguid: str, requester: Requester) -> str:
    """The provider's name where it is known, else the browser and system that it was made in."""
    provider = webauthn.provider_of(aaguid)
    if provider is not None:
        return provider.name[:NAME_LENGTH]
    where = " · ".join(filter(None, describe(requester.user_agent)))
    return (_("Passkey on {device}").format(device=where) if where else _("Passkey"))[:NAME_LENGTH]


# -- the offer after a sign-in


def offer_due(user: Any) -> bool:
    """Whether this person, signed in just now by link or code, is to be offered a passkey: one statement at most."""
    if "passkey" not in settings.METHODS or Profile.objects.of(user).passkey_offer_declined_at:
        return False
    return not Passkey.objects.filter(user=user).exists()


def decline_offer(user: Any, *, now: datetime | None = None) -> None:
    """'Not now', which is kept for good: whoever has said it finds passkeys in their account."""
    Profile.objects.filter(user=user, passkey_offer_declined_at=None).update(
        passkey_offer_declined_at=now or timezone.now()
    )


# -- keeping house


def rename(session: Session, public_id: str, name: str) -> Passkey:
    """Give a passkey another name. Raises UnknownCredential, StepUpRequired for a recovered session."""
    if session.level in {None, Level.RECOVERED}:
        raise StepUpRequired
    row = named(session.user, public_id)
    row.name = tidy_name(name) or row.name
    row.save(update_fields=["name"])
    announce("passkey_renamed", user=session.user, passkey=row.public_id)
    return row


def block(session: Session, public_id: str, *, requester: Requester, now: datetime | None = None) -> Passkey:
    """Refuse a passkey from now on, keep its row, and end the sessions that it made. Raises LastWayIn, StepUpRequired,
    UnknownCredential."""
    now = now or timezone.now()
    with _changing(session, public_id) as row:
        ways_in.require_another_way_in(session.user, without=row)
        if Passkey.objects.filter(pk=row.pk).block(now=now):
            after_block(row, requester=requester, sign_in_id=session.sign_in_id, now=now)
    row.refresh_from_db(fields=["confirmed", "blocked_at"])
    return row


def after_block(
    row: Passkey,
    *,
    requester: Requester,
    sign_in_id: int | None = None,
    operator: Operator | None = None,
    now: datetime,
) -> None:
    """What follows from a block, whoever did it: its sessions end, its owner is told. Inside the transaction."""
    enforce_block(row, requester=requester, operator=operator, now=now)
    notices.tell(
        row.user,
        "passkey_blocked",
        passkey=row,
        requester=requester,
        sign_in_id=sign_in_id,
        operator=operator,
        now=now,
    )


def enforce_block(
    row: Passkey | Totp, *, requester: Requester, operator: Operator | None = None, now: datetime
) -> None:
    """End what a blocked authenticator opened, and tell the log and the receivers; not its owner."""
    what = row._meta.model_name
    sessions.end(made_by(row), reason=f"{what}_blocked", now=now)
    facts = {what: row.public_id, **(operator.facts() if operator else {})}
    record(f"{what}_blocked", user=row.user, requester=requester, now=now, **facts)
    _send(signals.authenticator_blocked, row)


def unblock(session: Session, public_id: str, *, requester: Requester, now: datetime | None = None) -> Passkey:
    """Let a blocked passkey work again. Raises StepUpRequired, UnknownCredential."""
    now = now or timezone.now()
    with _changing(session, public_id) as row:
        if Passkey.objects.filter(pk=row.pk).unblock():
            after_unblock(row, requester=requester, sign_in_id=session.sign_in_id, now=now)
    row.refresh_from_db(fields=["confirmed", "blocked_at"])
    return row


def after_unblock(
    row: Passkey,
    *,
    requester: Requester,
    sign_in_id: int | None = None,
    operator: Operator | None = None,
    now: datetime,
) -> None:
    """What follows when a passkey works again, whoever did it. Inside the transaction."""
    by = operator.facts() if operator else {}
    record("passkey_unblocked", user=row.user, requester=requester, now=now, passkey=row.public_id, **by)
    notices.tell(
        row.user,
        "passkey_unblocked",
        passkey=row,
        requester=requester,
        sign_in_id=sign_in_id,
        operator=operator,
        now=now,
    )


def remove(session: Session, public_id: str, *, requester: Requester, now: datetime | None = None) -> Passkey:
    """Delete a passkey, and end the sessions that it made, but this one. Raises LastWayIn, StepUpRequired,
    UnknownCredential."""
    now = now or timezone.now()
    with _changing(session, public_id) as row:
        ways_in.require_another_way_in(session.user, without=row)
        sessions.end(
            [made for made in made_by(row) if made.pk != session.sign_in_id], reason="passkey_removed", now=now
        )
        notices.tell(
            session.user, "passkey_removed", passkey=row, requester=requester, sign_in_id=session.sign_in_id, now=now
        )
        record("passkey_removed", user=session.user, requester=requester, now=now, passkey=row.public_id)
        pk = row.pk
        row.delete()
        row.pk = pk  # for receivers, who may want to find what they keep about it
        _send(signals.authenticator_removed, row)
    return row


@contextmanager
def _changing(session: Session, public_id: str) -> Iterator[Passkey]:
    """A passkey of this person, kept to a transaction together with the profile: see ``hold``. Raises StepUpRequired,
    UnknownCredential."""
    require_may_change(session)
    with transaction.atomic():
        row = named(session.user, public_id, lock=True)
        hold(session.user)
        require_may_change(session)
        yield row


def named(user: Any, public_id: str, *, lock: bool = False) -> Passkey:
    """The passkey of this person that a page names, blocked or not. Raises UnknownCredential."""
    rows = Passkey.objects.filter(user=user).with_public_id(public_id)
    row: Passkey | None = (rows.select_for_update() if lock else rows).first()
    if row is None:
        raise UnknownCredential
    row.user = user
    return row


def made_by(row: Passkey | Totp) -> list[SignIn]:
    """The sign-ins in effect that this authenticator made, or confirmed."""
    in_effect = SignIn.objects.in_effect().filter(user=row.user, pending_until=None).select_related("user")
    return [
        made
        for made in in_effect
        if made.otp_device_id == row.persistent_id or row.public_id in {p.authenticator for p in made.all_proofs()}
    ]


def _send(signal: Any, row: Passkey | Totp) -> None:
    transaction.on_commit(lambda: signal.send_robust(type(row), user=row.user, authenticator=row), robust=True)
