"""The owner of an account reads of a change and says "this wasn't me".

What was added since is refused, whoever added it is out, and nothing about the account changes for a while without
one of its own passkeys or a recovery code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import OperationalError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from .. import derivation, sessions
from ..conf import settings
from ..exceptions import InvalidLink, ReportExpired, Superseded
from ..methods import METHODS
from ..models import Challenge, Passkey, Profile, RecoveryCode, SignIn, Totp
from ..models.event import record
from ..requester import Requester
from . import accounts, enrolment, notices

#: Notices about a passkey that opens the account: the report refuses it.
OPENING: Final = frozenset({"passkey_added", "passkey_unblocked", "passkey_copied"})
#: Notices of what no session of the account did.
WITHOUT_SESSION: Final = frozenset({"passkey_copied"})
ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Stopped:
    """What a report did. ``sign_ins``: the pks of the sessions that it ended. ``everywhere``: all sessions of the
    account ended, since nobody knows which one made the change."""

    sign_ins: frozenset[int]
    everywhere: bool = False


@sensitive_variables()
def opened(token: str, *, now: datetime | None = None) -> Challenge:
    """The report that a link opens, used or not. Changes nothing. Raises InvalidLink, ReportExpired, Superseded."""
    now = now or timezone.now()
    public_id = derivation.public_id_of(token)
    if public_id is None:
        raise InvalidLink
    reports = Challenge.objects.whole().filter(purpose=Challenge.Purpose.REPORT)
    challenge = reports.filter(public_id=public_id).first()
    if challenge is None:
        raise ReportExpired  # purged
    METHODS["magic_link"].check(challenge, token, now=now)
    _require_usable(challenge, now)
    return challenge


def _require_usable(challenge: Challenge, now: datetime) -> None:
    if challenge.state == Challenge.State.SPENT:
        return  # it shows what it did
    if challenge.state != Challenge.State.OPEN:
        raise Superseded
    if challenge.link_expires_at is None or challenge.link_expires_at <= now:
        raise ReportExpired


def refuses_passkey(challenge: Challenge) -> bool:
    """Whether the report blocks a passkey."""
    return challenge.params.get("kind") in OPENING


def stop(challenge: Challenge, *, requester: Requester, now: datetime | None = None) -> Stopped | None:
    """Do what the report says, once: to any number of parallel calls but one, the answer is ``None``. Raises
    ReportExpired, Superseded.

    SECURITY: open challenges are cancelled first. That waits for whoever is registering a passkey at this moment, so
    that what follows finds the passkey. And the last way in is blocked as well: a stolen account is worse than one
    that its owner has to recover.
    """
    now = now or timezone.now()
    for attempt in range(ATTEMPTS):
        try:
            return _stop(challenge, requester, now)
        except OperationalError:
            # It met a thief's own request, and each waited for a row of the other: the database let that one go on.
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _stop(challenge: Challenge, requester: Requester, now: datetime) -> Stopped | None:
    with transaction.atomic(durable=True):
        if not Challenge.objects.spend(challenge, method="magic_link", now=now):
            challenge.refresh_from_db(fields=["state", "params", "ended_at"])
            _require_usable(challenge, now)
            return None
        accounts.cancel_challenges(challenge.user)
        passkeys, sign_ins = _behind(challenge)
        everywhere = challenge.params.get("sign_in") is None and challenge.params.get("kind") not in WITHOUT_SESSION
        blocked = [row for row in passkeys if Passkey.objects.filter(pk=row.pk).block(now=now)]
        _freeze(challenge.user, now)
        ended = _end(challenge.user, sign_ins, everywhere, now)
        for row in blocked:
            enrolment.enforce_block(row, requester=requester, now=now)
        undone = {
            "passkeys": [row.name for row in blocked],
            "apps": _block_apps(challenge, now),
            "codes": _void_codes(challenge),
            "hours": math.ceil(settings.FREEZE_LIFETIME / 3600),
        }
        challenge.params = {**challenge.params, "undone": undone}
        challenge.save(update_fields=["params"])
        _tell(challenge, undone, [row.public_id for row in blocked], requester, now)
    return Stopped(ended, everywhere)


def _behind(challenge: Challenge) -> tuple[list[Passkey], list[SignIn]]:
    """The passkeys to refuse and the sign-ins to end: those that the notice names, and what they added, or let in,
    since. A thief who adds one passkey and, with it, a second one is out with both."""
    passkeys = list(Passkey.objects.filter(user=challenge.user))
    sign_ins = list(SignIn.objects.filter(user=challenge.user))
    bad_passkeys = {challenge.params.get("passkey")} if refuses_passkey(challenge) else set()
    if challenge.params.get("kind") == "factors_reset":
        # SECURITY: who talked an administrator into it had nothing to add a passkey with but that.
        bad_passkeys |= {row.public_id for row in passkeys if row.created_at >= challenge.created_at}
    bad_sign_ins = {challenge.params.get("sign_in")} - {None}
    found = -1
    while found != len(bad_passkeys) + len(bad_sign_ins):
        found = len(bad_passkeys) + len(bad_sign_ins)
        bad_sign_ins |= {row.pk for row in sign_ins if {p.authenticator for p in row.all_proofs()} & bad_passkeys}
        bad_passkeys |= {
            row.public_id
            for row in passkeys
            if row.enrolled_in_id in bad_sign_ins and row.created_at >= challenge.created_at
        }
    for row in [*passkeys, *sign_ins]:
        row.user = challenge.user
    return (
        [row for row in passkeys if row.public_id in bad_passkeys],
        [row for row in sign_ins if row.pk in bad_sign_ins],
    )


def _freeze(user: Any, now: datetime) -> None:
    Profile.objects.of(user)
    until = now + timedelta(seconds=settings.FREEZE_LIFETIME)
    Profile.objects.filter(user=user).update(frozen_at=now, frozen_until=until)


def _end(user: Any, sign_ins: list[SignIn], everywhere: bool, now: datetime) -> frozenset[int]:
    """End the sessions, and half sign-ins that wait for another step."""
    if everywhere:
        # Other code made the session that made the change: all of this user's that can be ended are.
        sign_ins = list(SignIn.objects.filter(user=user, ended_at=None))
        for row in sign_ins:
            row.user = user
    alive = [row for row in sign_ins if row.ended_at is None]
    sessions.end(alive, reason="reported", now=now)
    if everywhere:
        sessions.renew_hash(user)
    return frozenset(row.pk for row in alive)


def _block_apps(challenge: Challenge, now: datetime) -> int:
    """SECURITY: an authenticator app that a thief added would lock its owner's link and code out."""
    return int(Totp.objects.usable(challenge.user).filter(created_at__gte=challenge.created_at).block(now=now))


def _void_codes(challenge: Challenge) -> int:
    """SECURITY: recovery codes that were made since may be on a thief's paper, and are as good as a key. Who used one
    that the owner did not has the owner's paper."""
    unused = RecoveryCode.objects.unused(challenge.user)
    if challenge.params.get("kind") == "recovery_code_used":
        return int(unused.delete()[0])
    return int(unused.filter(created_at__gte=challenge.created_at).delete()[0])


def _tell(
    challenge: Challenge, undone: dict[str, Any], passkeys: list[str], requester: Requester, now: datetime
) -> None:
    user, kind = challenge.user, challenge.params.get("kind", "")
    record(
        "changes_stopped",
        user=user,
        masked=challenge.masked,
        requester=requester,
        now=now,
        reported=kind,
        passkeys=passkeys,
        codes=undone["codes"],
    )
    notices.tell(user, "changes_stopped", requester=requester, now=now, undoable=False, reported=kind, undone=undone)
