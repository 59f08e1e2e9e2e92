"""An authenticator app: set up, answered with, removed.

It is a second factor: it makes two of a link or a code, and nothing by itself. A person has one; setting up another one
replaces it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from .. import derivation, sessions, signals, throttling
from ..conf import settings
from ..exceptions import ChangesStopped, Expired, InvalidAppCode, StepUpRequired, TooManyRequests
from ..methods import METHODS
from ..methods import totp as app
from ..models import Challenge, KnownBrowser, Level, Profile, SignIn, Totp
from ..models.challenge import scope_of_app
from ..models.event import announce, record
from ..models.totp import KEY_BYTES
from ..requester import Requester
from . import accounts, completion, enrolment, notices, sign_in, ways_in
from .completion import Outcome
from .enrolment import Session

#: Seconds to scan the QR code and type the first code.
SETUP_LIFETIME: Final = 600


@dataclass(frozen=True)
class Setup:
    """What is shown once, to set the app up: the key in groups, and what the QR code says. Its repr tells nothing."""

    public_id: str
    key: str
    uri: str

    def __repr__(self) -> str:
        return "Setup(…)"


# -- who may


def require_may_add(session: Session) -> None:
    """Raise StepUpRequired unless this session may set up an app, or replace the one that is there.

    A recent strong sign-in may; where the account has no authenticator at all, so may any sign-in shortly after it was
    made. A recovered one may not: it adds a passkey.
    """
    profile = Profile.objects.of(session.user)
    fresh = session.level != Level.RECOVERED and time.time() - session.created_at < enrolment.FIRST_PASSKEY
    if enrolment.is_frozen_out(profile, session):
        raise ChangesStopped
    if not enrolment.is_strong(session) and not (fresh and not ways_in.has_authenticator(session.user)):
        raise StepUpRequired


def current(user: Any) -> Totp | None:
    """The app that this person has set up, blocked or not."""
    row: Totp | None = Totp.objects.enrolled(user).order_by("pk").last()
    return row


# -- setting up


@sensitive_variables()
def begin(session: Session, *, now: datetime | None = None) -> Setup:
    """A new key, which counts for nothing until ``confirm``. What this person began before is dropped. Raises
    StepUpRequired."""
    now = now or timezone.now()
    require_may_add(session)
    row = Totp(user=session.user, name=_("Authenticator app"), confirmed=False, created_at=now)
    row.set_key(os.urandom(KEY_BYTES))
    with transaction.atomic():
        Totp.objects.unfinished().filter(user=session.user).delete()
        row.save(force_insert=True)
    return _setup_of(row)


@sensitive_variables()
def setup_of(session: Session, public_id: str, *, now: datetime | None = None) -> Setup:
    """What ``begin`` gave, once more, as long as it is not confirmed. Raises Expired, StepUpRequired."""
    require_may_add(session)
    return _setup_of(_begun(session.user, public_id, now=now or timezone.now()))


@sensitive_variables()
def _setup_of(row: Totp) -> Setup:
    key = row.key()
    if key is None:  # the secret key that it was kept under is gone from the settings
        raise Expired
    uri = app.otpauth_uri(key, account=accounts.name_of(row.user))
    return Setup(public_id=row.public_id, key=app.shown_key(key), uri=uri)


def _begun(user: Any, public_id: str, *, now: datetime, lock: bool = False) -> Totp:
    rows = Totp.objects.unfinished().filter(user=user).with_public_id(public_id)
    row: Totp | None = (rows.select_for_update() if lock else rows).first()
    if row is None or row.created_at <= now - timedelta(seconds=SETUP_LIFETIME):
        raise Expired
    row.user = user
    return row


@sensitive_variables()
def confirm(
    session: Session,
    public_id: str,
    code: str,
    *,
    requester: Requester,
    establish: Callable[[SignIn], None],
    now: datetime | None = None,
) -> Totp:
    """Keep the app whose first code this is, in the place of any that was there, and let it count in this session.

    ``establish``: as in ``flows.sign_in.verify``, for the session that the code has raised. Raises InvalidAppCode,
    Expired, StepUpRequired.
    """
    now = now or timezone.now()
    require_may_add(session)
    with transaction.atomic(durable=True):
        enrolment.hold(session.user)  # two tabs: one after the other
        require_may_add(session)
        row = _begun(session.user, public_id, now=now, lock=True)
        step = row.step_of(derivation.tidy_code(code), now=now)
        if step is None:
            raise InvalidAppCode
        replaced = [_take_away(old, session, now=now) for old in Totp.objects.enrolled(session.user)]
        # It was added now, and not when its key was shown: a report of the notice takes what was added since.
        row.confirmed, row.last_step, row.last_used_at, row.created_at = True, step, now, now
        row.save(update_fields=["confirmed", "last_step", "last_used_at", "created_at"])
        notices.tell(
            session.user,
            "totp_added",
            requester=requester,
            sign_in_id=session.sign_in_id,
            totp=row.public_id,
            replaced=bool(replaced),
            now=now,
        )
        record("totp_added", user=session.user, requester=requester, now=now, totp=row.public_id)
        _send(signals.authenticator_added, row)
        if session.sign_in_id is not None:
            raised = completion.running(session.sign_in_id)
            raised.user = session.user
            proof = METHODS["totp"].proof(now=now, authenticator=row.public_id)
            completion.accept(raised, proof, requester=requester, minimum=Level.RECOVERED, device=row, now=now)
            establish(raised)
    return row


# -- removing


def remove(session: Session, *, requester: Requester, now: datetime | None = None) -> None:
    """Take the app away, and end the sessions that it helped to make, but this one. Raises LastWayIn, StepUpRequired.

    Nothing happens where there is none.
    """
    now = now or timezone.now()
    enrolment.require_may_change(session)
    with transaction.atomic():
        profile = enrolment.hold(session.user)
        enrolment.require_may_change(session)
        rows = list(Totp.objects.enrolled(session.user))
        if not rows:
            return
        for row in rows:
            _take_away(row, session, now=now)
            record("totp_removed", user=session.user, requester=requester, now=now, totp=row.public_id)
            _send(signals.authenticator_removed, row)
        # What the account asks for without it: so first it goes, and comes back where it was the last way in.
        profile.refresh_from_db(fields=["has_totp"])
        session.user.passwordless_profile = profile
        ways_in.require_another_way_in(session.user)
        notices.tell(session.user, "totp_removed", requester=requester, sign_in_id=session.sign_in_id, now=now)


def _take_away(row: Totp, session: Session, *, now: datetime) -> Totp:
    """Delete one app. The row that is returned keeps its ``pk``, for receivers who keep something about it."""
    row.user = session.user
    others = [made for made in enrolment.made_by(row) if made.pk != session.sign_in_id]
    sessions.end(others, reason="totp_removed", now=now)
    pk = row.pk
    row.delete()
    row.pk = pk
    return row


def _send(signal: Any, row: Totp) -> None:
    transaction.on_commit(lambda: signal.send_robust(Totp, user=row.user, authenticator=row), robust=True)


# -- answering


@sensitive_variables("code")
def answer(
    made: SignIn,
    code: str,
    *,
    requester: Requester,
    establish: Callable[[SignIn], None],
    next_url: str = "",
    now: datetime | None = None,
) -> Outcome:
    """Confirm a session, or give a sign-in that waits its second factor, by a code of the app.

    The question is a Challenge like that of a message, but nothing is sent: tries, limits and completion are those of
    ``flows.sign_in.verify``, and so is what it raises.
    """
    now = now or timezone.now()
    challenge = _asked(made, requester=requester, now=now)
    challenge.next_url = next_url
    return sign_in.verify(challenge, code, method="totp", requester=requester, establish=establish, now=now)


def _asked(made: SignIn, *, requester: Requester, now: datetime) -> Challenge:
    """The open question of this sign-in in this browser; a new one where there is none, or its tries are used up: the
    account's limit goes on counting."""
    scope = scope_of_app(made, browser_digest=requester.browser_digest)
    for attempt in range(sign_in.ATTEMPTS):
        usable = Challenge.objects.filter(open_scope=scope, expires_at__gt=now, tries__lt=F("max_tries"))
        challenge = usable.select_related("user__passwordless_profile").first()
        if challenge is not None:
            return challenge
        challenge = Challenge(
            purpose=Challenge.Purpose.STEP_UP,
            user=made.user,
            sign_in=made,
            browser_digest=requester.browser_digest,
            from_known_browser=KnownBrowser.objects.filter(
                user=made.user, browser_digest=requester.browser_digest
            ).exists(),
            ip=requester.ip or None,
            user_agent=requester.user_agent,
            key_id=settings.issuing_key_id,
            accepts_code=False,
            accepts_link=False,
            max_tries=settings.CODE_TRIES,
            open_scope=scope,
            created_at=now,
            expires_at=now + timedelta(seconds=settings.PENDING_LIFETIME),
        )
        try:
            with transaction.atomic(durable=True):
                # Only what is over: one that a second press has made at this moment is as good.
                over = Challenge.objects.filter(Q(expires_at__lte=now) | Q(tries__gte=F("max_tries")))
                over.filter(open_scope=scope).supersede(now=now)
                challenge.save(force_insert=True)
        except (IntegrityError, OperationalError):  # a second press at the same moment made it
            if attempt == sign_in.ATTEMPTS - 1:
                raise
        else:
            return challenge
    raise AssertionError("unreachable")


@sensitive_variables("token", "code")
def verify_token(device: Totp, token: str) -> bool:
    """``Totp.verify_token``: the same one use and the same limit where django-otp's own forms ask."""
    now = timezone.now()
    code, buckets = derivation.tidy_code(str(token)), [throttling.totp_failures(device.user, known_browser="")]
    if not device.confirmed:
        return False
    try:
        with transaction.atomic():
            with transaction.atomic():
                throttling.hit(buckets, now=now)
                step = device.step_of(code, now=now)
                if step is None or step <= device.last_step:
                    announce("wrong_code", user=device.user, method="totp")
                    return False
                transaction.set_rollback(True)
            throttling.refund(buckets)
            return bool(Totp.objects.use(device, step, now=now))
    except TooManyRequests as refusal:
        throttling.note_refusal(refusal, buckets, requester=Requester(), now=now)
        return False


# -- keeping the profile true


def follow(sender: type, instance: Totp, *, raw: bool = False, **_kwargs: Any) -> None:
    """Receiver of ``post_save`` and ``post_delete`` of Totp: ``Profile.has_totp`` says whether one is there that works,
    whoever added, blocked or deleted it."""
    if raw:
        return
    usable = Totp.objects.usable(instance.user_id).exists()
    if usable:
        Profile.objects.get_or_create(user_id=instance.user_id)
    Profile.objects.filter(user_id=instance.user_id).exclude(has_totp=usable).update(has_totp=usable)
