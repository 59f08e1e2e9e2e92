"""What an accepted proof makes of a sign-in: complete, or pending while another step is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from .. import policies, signals
from ..conf import settings
from ..exceptions import OutOfReach, Superseded
from ..models import Challenge, KnownBrowser, Level, Passkey, Proof, SignIn, Totp
from ..models.event import announce
from ..policies import NextStep, Rules
from ..requester import Requester
from . import notices, ways_in


@dataclass(frozen=True)
class Outcome:
    """What came of an accepted proof.

    ``due``: ``None`` for a completed sign-in; else the level that is still missing, and ``sign_in`` waits without a
    session. ``created``: the account is new. ``next_url``: where the person wanted to go, or "".
    """

    sign_in: SignIn
    created: bool = False
    next_url: str = ""
    due: NextStep | None = None


def begin(user: Any, *, requester: Requester, client_id: str = "", now: datetime) -> SignIn:
    """An unsaved SignIn of this user in this browser, without a proof."""
    return SignIn(
        user=user,
        client_id=client_id,
        browser_digest=requester.browser_digest,
        ip=requester.ip or None,
        user_agent=requester.user_agent,
        created_at=now,
        last_seen_at=now,
    )


def accept(
    sign_in: SignIn,
    proof: Proof,
    *,
    requester: Requester,
    minimum: Level | str,
    recovering: bool = False,
    by_operator: bool = False,
    device: Passkey | Totp | None = None,
    is_new_account: bool = False,
    now: datetime,
) -> NextStep | None:
    """Add a proof to a SignIn and weigh it. Returns what is still due; remembers the browser when nothing is.

    ``device``: the authenticator that proved, for django-otp. ``recovering``: the proof only opens the way to a new
    passkey; and a recovered SignIn stays one, whatever else is proven in it, until a passkey is. ``by_operator``: an
    administrator's link, which may also let a member of staff add a first passkey.
    Raises OutOfReach when something is due that this person has no means to give: fail closed.
    """
    # SECURITY: a recovered session stays one until a passkey proves: what opened it may be an address that signs nobody
    # in, and is no first factor for an app's code.
    recovering = recovering or sign_in.level == Level.RECOVERED
    sign_in.set_proofs(with_proof(sign_in, proof))
    sign_in.auth_time = now
    policy = policies.current()
    level = policy.level_of(sign_in.all_proofs())
    sign_in.level = Level.RECOVERED if recovering and level != Level.PHR else level
    if device is not None:
        sign_in.otp_device_id = device.persistent_id
    rules = Rules(minimum_level=_asked(sign_in, Level(minimum)))
    due = None if sign_in.level == Level.RECOVERED else policy.next_step(sign_in.user, sign_in, rules)
    sign_in.minimum_level = due.level if due else _met(sign_in, policy, rules)
    if due is None:
        if requester.browser_digest and sign_in.level != Level.RECOVERED:
            _remember(sign_in, requester, is_new_account=is_new_account, now=now)
        return None
    if not sign_in._state.adding and sign_in.pending_until is None:
        return None  # a running session that was confirmed: its guards ask for more when more is needed
    if not ways_in.can_reach(sign_in.user, due.level) and not may_enrol_pending(sign_in.user, by_operator=by_operator):
        raise OutOfReach
    return due


def _remember(sign_in: SignIn, requester: Requester, *, is_new_account: bool, now: datetime) -> None:
    """Note that this person signs in with this browser."""
    is_new = KnownBrowser.objects.remember(user_id=sign_in.user.pk, browser_digest=requester.browser_digest, now=now)
    running = not sign_in._state.adding and sign_in.pending_until is None
    sign_in.in_new_browser = is_new and not is_new_account and not running


def tell_of_browser(
    sign_in: SignIn,
    *,
    requester: Requester,
    challenge: Challenge | None = None,
    has_others: bool,
    now: datetime,
) -> None:
    """A sign-in from a browser that this account has not seen before is told to its addresses, but not to the one
    that has just got the message for it (of ``challenge``, or of the step before), nor at the first sign-in of all. To
    be called once the SignIn is saved, inside its transaction. ``has_others``: whether the account may have another
    address, and another browser, as what was read at the beginning says (``models.identity.others_to_tell``)."""
    if not sign_in.in_new_browser or not has_others:
        return
    others = KnownBrowser.objects.filter(user=sign_in.user).exclude(browser_digest=requester.browser_digest)
    told = notices.addresses_of(sign_in.user, seen=others)
    if told:
        used = {challenge.canonical if challenge else ""} - {""} or set(
            Challenge.objects.filter(sign_in=sign_in, state=Challenge.State.SPENT).values_list("canonical", flat=True)
        )
        told = [row for row in told if row.canonical not in used]
    notices.tell(sign_in.user, "new_browser", requester=requester, sign_in_id=sign_in.pk, to=told, now=now)


def with_proof(sign_in: SignIn, proof: Proof) -> list[Proof]:
    """The newest of each method and authenticator: a session that is confirmed every ten minutes for a month stays
    small.

    SECURITY: not of each method alone. A thief would add a second passkey, confirm with that, and the session would not
    end any more with the one that made it.
    """
    return [
        *(
            kept
            for kept in sign_in.all_proofs()
            if (kept.method, kept.authenticator) != (proof.method, proof.authenticator)
        ),
        proof,
    ]


def _asked(sign_in: SignIn, minimum: Level) -> Level:
    """What the caller asks for. A sign-in that waits remembers what its first step was asked for (a Client's minimum),
    whichever door the next step takes."""
    waited_for = Level(sign_in.minimum_level) if sign_in.pending_until and sign_in.minimum_level else minimum
    return max(minimum, waited_for, key=lambda level: level.rank)


def _met(sign_in: SignIn, policy: policies.Policy, rules: Rules) -> str:
    """What was asked for and reached. One factor meets no more than one factor: nothing to look up."""
    level = Level(sign_in.level)
    return policy.needs(sign_in.user, rules) if level.meets(Level.MULTI) else level


def wait_for_more(sign_in: SignIn, *, by_operator: bool, now: datetime) -> None:
    """Keep a SignIn that lacks another step, without a session, for ``PENDING_LIFETIME`` seconds."""
    sign_in.pending_until = now + timedelta(seconds=settings.PENDING_LIFETIME)
    sign_in.may_enrol = may_enrol_pending(sign_in.user, by_operator=by_operator)
    sign_in.save()


def running(pk: int) -> SignIn:
    """The row of a session, or of a waiting sign-in, as it is now, locked until the transaction ends. Raises Superseded
    when it has ended: what was read before must not bring it back."""
    locked = SignIn.objects.select_for_update().filter(pk=pk, ended_at=None).first()
    if locked is None or (locked.pending_until is not None and locked.pending_until <= timezone.now()):
        raise Superseded
    return locked


def waiting(public_id: str, *, requester: Requester, now: datetime | None = None) -> SignIn | None:
    """The sign-in of this browser that waits for another step; ``None`` when there is none, or its time is over.

    SECURITY: the public id names it, the browser's key opens it.
    """
    if not requester.browser_digest:
        return None
    rows = SignIn.objects.pending(now=now or timezone.now()).select_related("user__passwordless_profile")
    return rows.filter(browser_digest=requester.browser_digest).with_public_id(public_id).first()


def waiting_after(challenge: Challenge, *, requester: Requester, now: datetime | None = None) -> SignIn | None:
    """The sign-in that this challenge has begun and that waits for another step in this browser, or ``None``."""
    if challenge.sign_in_id is None or not requester.browser_digest:
        return None
    rows = SignIn.objects.pending(now=now or timezone.now())
    return rows.filter(pk=challenge.sign_in_id, browser_digest=requester.browser_digest).first()


def tell(outcome: Outcome, *, masked: str = "", requester: Requester) -> None:
    """Tell the log and the signals what came of a proof; to be called after the transaction."""
    if outcome.sign_in.level == Level.RECOVERED:
        return  # nobody is signed in yet; the recovery has an event of its own
    kind = "signed_in" if outcome.due is None else "sign_in_pending"
    user = outcome.sign_in.user
    announce(kind, user=user, masked=masked, requester=requester, level=outcome.sign_in.level)
    if outcome.due is None:
        signals.signed_in.send_robust(SignIn, user=user, sign_in=outcome.sign_in, created=outcome.created)


def may_enrol_pending(user: Any, *, by_operator: bool) -> bool:
    """Whether a sign-in that falls short may add the first passkey of its account.

    SECURITY: never where the account had an authenticator (it would be a way around it), and for members of staff only
    behind a link that an administrator handed out: else a mailbox would be enough to become staff.
    """
    if "passkey" not in settings.METHODS:
        return False
    if ways_in.has_authenticator(user):
        return False
    return by_operator or not getattr(user, "is_staff", False)
