"""A person adds a passkey on another device: the first one shows a code, the new one opens it, the first one says yes.

Three steps, and each needs what the others don't have. The code (or its link) is no more than an invitation, which one
browser takes up. That browser's own key is what it asks and registers with. The session that made the code is what
says yes, to the number that only the browser in the person's other hand shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from .. import derivation, throttling
from ..conf import settings
from ..exceptions import (
    Disabled,
    EnrolmentDead,
    EnrolmentExpired,
    EnrolmentStopped,
    EnrolmentTaken,
    InvalidCode,
    InvalidLink,
    PasswordlessError,
    SameBrowser,
    StepUpRequired,
    TooManyRequests,
    WrongBrowser,
    WrongNumber,
)
from ..methods import METHODS
from ..methods import passkey as webauthn
from ..models import Challenge, Passkey, Profile
from ..models.challenge import scope_of_user, spend, supersede
from ..models.event import announce, record
from ..requester import Requester
from . import enrolment, passkey, step_up
from .enrolment import Session

#: Digits of the number. It only tells two devices apart that a person holds: three tries at a thousand.
NUMBER_LENGTH: Final = 3
ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Step:
    """How far a request is: ``shown``, ``claimed``, ``approved``, ``added``, or over: ``expired``, ``stopped``,
    ``dead``."""

    name: str

    @property
    def is_over(self) -> bool:
        return self.name in {"added", "expired", "stopped", "dead"}


def step_of(challenge: Challenge, *, now: datetime) -> Step:
    if challenge.state == Challenge.State.SPENT:
        return Step("added")
    if challenge.state != Challenge.State.OPEN or challenge.sign_in is None or challenge.sign_in.ended_at is not None:
        return Step("stopped")
    if not challenge.tries_left:
        return Step("dead")
    if challenge.expires_at <= now:
        return Step("expired")
    if challenge.approved_at is not None:
        return Step("approved")
    return Step("claimed" if challenge.browser_digest else "shown")


_REFUSALS: Final[dict[str, type[PasswordlessError]]] = {
    "added": EnrolmentTaken,
    "stopped": EnrolmentStopped,
    "dead": EnrolmentDead,
    "expired": EnrolmentExpired,
}


def require_running(challenge: Challenge, *, now: datetime) -> Step:
    """How far it is. Raises EnrolmentTaken, EnrolmentStopped, EnrolmentDead or EnrolmentExpired when it is over."""
    step = step_of(challenge, now=now)
    if step.is_over:
        raise _REFUSALS[step.name]
    return step


# -- the first device


def start(session: Session, *, requester: Requester, now: datetime | None = None) -> Challenge:
    """A request for one other device, in place of an older one of this person. Raises StepUpRequired,
    TooManyRequests.

    SECURITY: only a session that proved itself by a passkey or two factors a moment ago (XD-02), or a stolen one would
    become a passkey that stays.
    """
    now = now or timezone.now()
    enrolment.require_may_change(session)
    identity = next(iter(step_up.addresses_of(session.user)), None)
    expires_at = now + timedelta(seconds=settings.ENROLMENT_LIFETIME)
    scope = scope_of_user(purpose=Challenge.Purpose.ENROL, user=session.user)
    buckets = [throttling.passkey_starts(requester)]
    for attempt in range(ATTEMPTS):
        challenge = Challenge(
            purpose=Challenge.Purpose.ENROL,
            kind=identity.kind if identity else "",
            canonical=identity.canonical if identity else "",
            identity=identity,
            user=session.user,
            sign_in_id=session.sign_in_id,
            # No browser yet: the first one that claims it. And no message carries it, to any address.
            key_id=settings.issuing_key_id,
            proves_address=False,
            code_length=NUMBER_LENGTH,
            code_alphabet="digits",
            max_tries=settings.CODE_TRIES,
            open_scope=scope,
            created_at=now,
            code_expires_at=expires_at,
            link_expires_at=expires_at,
            expires_at=expires_at,
        )
        try:
            with transaction.atomic(durable=True):
                throttling.hit(buckets, now=now)
                supersede(open_scope=scope, now=now)
                challenge.save(force_insert=True)
                announce("other_device_asked", user=session.user, requester=requester)
        except TooManyRequests as refusal:
            throttling.note_refusal(refusal, buckets, requester=requester, now=now)
            raise
        except (IntegrityError, OperationalError):
            # Two tabs at one moment: the loser of the unique scope supersedes the winner.
            throttling.refund(buckets)
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return challenge
    raise AssertionError("unreachable")


def of_session(session: Session, *, now: datetime | None = None) -> Challenge | None:
    """The newest request that this session made; ``None`` when there is none, or it is over for long."""
    now = now or timezone.now()
    if session.sign_in_id is None:
        return None
    recent = now - timedelta(seconds=settings.ENROLMENT_LIFETIME)
    requests = Challenge.objects.filter(purpose=Challenge.Purpose.ENROL, user=session.user, expires_at__gt=recent)
    return requests.filter(sign_in_id=session.sign_in_id).select_related("sign_in", "user").order_by("-pk").first()


@sensitive_variables("number")
def approve(
    challenge: Challenge, number: str, *, session: Session, requester: Requester, now: datetime | None = None
) -> None:
    """Let the device go on that shows ``number``. Raises WrongNumber, and what :func:`require_running` raises.

    SECURITY: only for the session that made the request. Who merely saw the code on a screen, and claimed it, shows a
    number of their own device that nobody types.
    """
    now = now or timezone.now()
    _require_own(challenge, session)
    if require_running(challenge, now=now).name == "approved":
        return
    try:
        METHODS["one_time_code"].check(challenge, number, now=now)
        changed, right = Challenge.objects.approve(challenge, now=now), True
    except InvalidCode:
        changed, right = Challenge.objects.count_try(challenge, method="one_time_code", now=now), False
    challenge.refresh_from_db()
    if changed and right:
        record("other_device_approved", user=challenge.user, requester=requester, now=now, device=challenge.asker)
        return
    if changed:
        _tell_wrong(challenge, requester, now)
    # Nobody has claimed it, so there is no number yet; or another request was first, and either approved it or
    # closed it. What was typed tells nothing then.
    if require_running(challenge, now=now).name != "approved":
        raise WrongNumber(tries_left=challenge.tries_left)


def _tell_wrong(challenge: Challenge, requester: Requester, now: datetime) -> None:
    """A wrong number is counted and committed: now it may be known."""
    announce("wrong_code", user=challenge.user, requester=requester, method="approval")
    if not challenge.tries_left:
        record("too_many_tries", user=challenge.user, requester=requester, now=now, method="approval")


def deny(challenge: Challenge, *, session: Session, requester: Requester, now: datetime | None = None) -> None:
    """Stop the request, whichever device has claimed it."""
    now = now or timezone.now()
    _require_own(challenge, session)
    if Challenge.objects.filter(pk=challenge.pk).cancel(now=now):
        record("other_device_denied", user=challenge.user, requester=requester, now=now, device=challenge.asker)


def _require_own(challenge: Challenge, session: Session) -> None:
    if session.sign_in_id is None or challenge.sign_in_id != session.sign_in_id:
        raise StepUpRequired


# -- the new device


@sensitive_variables()
def opened(token: str, *, now: datetime | None = None) -> Challenge:
    """The request that a code or link invites to. Changes nothing. Raises InvalidLink, EnrolmentExpired."""
    public_id = derivation.public_id_of(token)
    if public_id is None:
        raise InvalidLink
    requests = Challenge.objects.filter(purpose=Challenge.Purpose.ENROL).select_related("sign_in", "user")
    challenge = requests.filter(public_id=public_id).first()
    if challenge is None:
        raise EnrolmentExpired  # purged
    METHODS["magic_link"].check(challenge, token, now=now or timezone.now())
    return challenge


def require_mine(challenge: Challenge, *, requester: Requester) -> None:
    """Raise unless this browser has claimed the request, or still may."""
    first = challenge.sign_in.browser_digest if challenge.sign_in else ""
    if requester.browser_digest and requester.browser_digest == first:
        raise SameBrowser
    if challenge.browser_digest and not challenge.asked_by(requester):
        raise EnrolmentTaken


def claim(challenge: Challenge, *, requester: Requester, now: datetime | None = None) -> None:
    """Take the invitation up, for this browser and no other. Once more by the same browser is no harm. Raises
    EnrolmentTaken, SameBrowser, and what :func:`require_running` raises."""
    now = now or timezone.now()
    require_mine(challenge, requester=requester)
    require_running(challenge, now=now)
    if Challenge.objects.claim(challenge, requester=requester, now=now):
        announce("other_device_claimed", user=challenge.user, requester=requester)
        return
    challenge.refresh_from_db()
    require_running(challenge, now=now)
    require_mine(challenge, requester=requester)


def number_of(challenge: Challenge, *, requester: Requester) -> str:
    """The number for the screen of the browser that claimed the request; "" for any other."""
    return METHODS["one_time_code"].issue(challenge).code if challenge.asked_by(requester) else ""


def creation_options(challenge: Challenge, *, requester: Requester, now: datetime | None = None) -> dict[str, Any]:
    """``PublicKeyCredentialCreationOptionsJSON`` for the approved device. Raises what :func:`register` raises, and
    TooManyRequests."""
    now = now or timezone.now()
    _require_approved(challenge, requester=requester, now=now)
    return enrolment.options_for(challenge.user, Profile.objects.of(challenge.user), requester=requester, now=now)


def register(
    credential: Any, challenge: Challenge, *, requester: Requester, name: str = "", now: datetime | None = None
) -> Passkey:
    """Check a ``RegistrationResponseJSON`` of the approved device, keep the passkey, and use the request up. Raises
    InvalidCredential, Expired, StepUpRequired, Disabled, WrongBrowser, EnrolmentTaken and what
    :func:`require_running` raises.

    The session that approved stands in the notice, and "this wasn't me" ends it.
    """
    now = now or timezone.now()
    _require_approved(challenge, requester=requester, now=now)
    answer = webauthn.read(credential, ceremony="webauthn.create")
    public_id = passkey.named_challenge(answer, purpose=Challenge.Purpose.REGISTER, requester=requester)
    done = _add(answer, public_id, challenge, requester, name, now)
    if isinstance(done, EnrolmentTaken):  # another request was first: a second press, a report, the first device
        challenge.refresh_from_db()
        _require_approved(challenge, requester=requester, now=now)
    if isinstance(done, PasswordlessError):
        announce(f"refused_{done.code}", user=challenge.user, requester=requester, method="passkey")
        raise done
    return done


def _add(
    answer: webauthn.Answer, public_id: str, challenge: Challenge, requester: Requester, name: str, now: datetime
) -> Passkey | PasswordlessError:
    for attempt in range(ATTEMPTS):
        try:
            return _add_once(answer, public_id, challenge, requester, name, now)
        except OperationalError:  # it met what stops it, and each waited for a row of the other
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _add_once(
    answer: webauthn.Answer, public_id: str, challenge: Challenge, requester: Requester, name: str, now: datetime
) -> Passkey | PasswordlessError:
    """The request is used up with the passkey, and not by an answer that was refused: that may be tried once more."""
    with transaction.atomic(durable=True):
        if not Challenge.objects.hold(challenge, requester=requester, now=now):
            return EnrolmentTaken()
        done = enrolment.add(
            answer,
            public_id,
            challenge.user,
            requester=requester,
            sign_in_id=challenge.sign_in_id,
            name=name,
            conditional=False,
            now=now,
        )
        if isinstance(done, Passkey):
            spend(challenge, method="passkey", now=now)
        return done


def _require_approved(challenge: Challenge, *, requester: Requester, now: datetime) -> None:
    if not challenge.asked_by(requester):
        raise WrongBrowser
    if require_running(challenge, now=now).name != "approved":
        raise StepUpRequired
    user: Any = challenge.user
    if not user.is_active:
        raise Disabled
