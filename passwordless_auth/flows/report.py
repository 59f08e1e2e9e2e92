"""The owner of an account reads of a change and says "this wasn't me".

What was added since is refused, whoever added it is out, and nothing about the account changes for a while without
one of its own passkeys or a recovery code.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import OperationalError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from .. import derivation, sessions
from ..conf import settings
from ..exceptions import InvalidLink, ReportExpired, Superseded
from ..methods import METHODS
from ..models import Challenge, Identity, KnownBrowser, Passkey, Profile, RecoveryCode, SignIn, Totp
from ..models.challenge import spend
from ..models.event import record
from ..requester import Requester
from . import accounts, enrolment, identities, notices

#: Notices about a passkey that opens the account: the report refuses it.
OPENING: Final = frozenset({"passkey_added", "passkey_unblocked", "passkey_copied"})
#: Notices of what no session of the account did.
WITHOUT_SESSION: Final = frozenset({"passkey_copied"})
#: Notices of what opens a way to recover the account, and of a recovery.
PREPARING: Final = frozenset({"recovery_codes_made", "recovery_addresses_changed"})
RECOVERING: Final = frozenset({"recovery_code_used", "account_recovered"})
#: Notices of what somebody does who reads a mailbox of the account.
BY_ADDRESS: Final = frozenset({"account_recovered", "recovery_addresses_changed"})
#: Notices of what opens a way in by message to who reads another mailbox than before.
OPENING_BY_MESSAGE: Final = frozenset({"identity_added", "accounts_linked"})
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
    reports = Challenge.objects.whole().select_related("user").filter(purpose=Challenge.Purpose.REPORT)
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
    return _kind(challenge) in OPENING


def undoes(challenge: Challenge) -> str:
    """What becomes of an address: ``removed``, ``restored``, ``unlinked``, or "" for other changes."""
    kind = _kind(challenge)
    if kind not in identities.UNDONE:
        return ""
    return {"identity_added": "removed", "accounts_linked": "unlinked"}.get(kind, "restored")


def by_other_code(challenge: Challenge) -> bool:
    """Whether the change was made in a session that is none of ours: its person signed in with a password."""
    made_in_none = challenge.params.get("sign_in") is None and _kind(challenge) not in WITHOUT_SESSION
    return made_in_none and not challenge.params.get("by_operator")


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
        if not spend(challenge, method="magic_link", now=now):
            challenge.refresh_from_db(fields=["state", "params", "ended_at"])
            _require_usable(challenge, now)
            return None
        accounts.cancel_challenges(challenge.user)
        # Rows are locked in one order everywhere: challenge, passkey, profile, code, session.
        accounts.settle_passkeys(challenge.user)
        _freeze(challenge.user, now)
        accounts.settle_codes(challenge.user)
        behind = _behind(challenge)
        passkeys = [row for row in behind.passkeys if Passkey.objects.filter(pk=row.pk).block(now=now)]
        apps = [row for row in behind.apps if Totp.objects.filter(pk=row.pk).block(now=now)]
        stopped = _end(challenge, behind.sign_ins, now)
        addresses = identities.undo(behind.changes, now=now)
        blocked: list[Passkey | Totp] = [*passkeys, *apps]
        for row in blocked:
            enrolment.enforce_block(row, requester=requester, now=now)
        undone = {
            "passkeys": [notices.without_links(row.name) for row in passkeys],
            "apps": len(apps),
            "codes": _void_codes(challenge),
            "addresses": _close_addresses(challenge),
            **asdict(addresses),
            "hours": math.ceil(settings.FREEZE_LIFETIME / 3600),
        }
        challenge.params = {**challenge.params, "undone": undone}
        challenge.save(update_fields=["params"])
        _tell(challenge, undone, [row.public_id for row in passkeys], requester, now)
    return stopped


@dataclass(frozen=True)
class _Behind:
    passkeys: list[Passkey]
    apps: list[Totp]
    sign_ins: list[SignIn]
    changes: list[Challenge]


def _behind(challenge: Challenge) -> _Behind:
    """What to refuse and to end: what the notice names, and what was added, or let in, by that since. A thief who adds
    one passkey and, with it, a second one is out with both.

    SECURITY: nobody knows which session set an authenticator app up: whichever came since is refused. It would lock
    its owner's link and code out. Nor which sign-in by a message a new address of a thief made: all that came since are
    ended.
    """
    passkeys = list(Passkey.objects.filter(user=challenge.user))
    apps = list(Totp.objects.usable(challenge.user).filter(created_at__gte=challenge.created_at))
    sign_ins = list(SignIn.objects.filter(user=challenge.user))
    refused = {row.public_id for row in apps}
    if refuses_passkey(challenge):
        refused.add(challenge.params.get("passkey", ""))
    if _kind(challenge) == "factors_reset":
        # SECURITY: who talked an administrator into it had nothing to add a passkey with but that.
        refused |= {row.public_id for row in passkeys if row.created_at >= challenge.created_at}
    ended = {challenge.params.get("sign_in")} - {None}
    since = Challenge.objects.filter(
        user=challenge.user, purpose=Challenge.Purpose.REPORT, created_at__gte=challenge.created_at
    )
    notices_since = [(_kind(notice), notice.params.get("sign_in"), notice.pk) for notice in since]
    changes: list[Challenge] = []
    found = -1
    while found != len(refused) + len(ended):
        found = len(refused) + len(ended)
        ended |= {row.pk for row in sign_ins if {proof.authenticator for proof in row.all_proofs()} & refused}
        refused |= {
            row.public_id for row in passkeys if row.enrolled_in_id in ended and row.created_at >= challenge.created_at
        }
        # SECURITY: who prepared a recovery and came in by it does so in a session that nothing else ties to the first.
        if any(kind in PREPARING and (by in ended or pk == challenge.pk) for kind, by, pk in notices_since):
            ended |= {by for kind, by, _pk in notices_since if kind in RECOVERING}
        changes = [
            notice
            for notice in since
            if _kind(notice) in identities.UNDONE
            and (notice.pk == challenge.pk or (notice.params["sign_in"] in ended and notice.pk > challenge.pk))
        ]
        for opening in changes:
            if _kind(opening) in OPENING_BY_MESSAGE:
                ended |= {
                    row.pk
                    for row in sign_ins
                    if row.created_at >= opening.created_at and not all(p.authenticator for p in row.all_proofs())
                }
    for row in (*passkeys, *apps, *sign_ins):
        row.user = challenge.user
    return _Behind(
        passkeys=[row for row in passkeys if row.public_id in refused],
        apps=apps,
        sign_ins=[row for row in sign_ins if row.pk in ended],
        changes=changes,
    )


def _freeze(user: Any, now: datetime) -> None:
    Profile.objects.of(user)
    until = now + timedelta(seconds=settings.FREEZE_LIFETIME)
    Profile.objects.filter(user=user).update(frozen_at=now, frozen_until=until)


def _end(challenge: Challenge, sign_ins: list[SignIn], now: datetime) -> Stopped:
    """End the sessions, and half sign-ins that wait for another step."""
    user: Any = challenge.user
    # Other code, or nobody's session, made the change: all of this person's that can be ended are.
    everywhere = challenge.params.get("sign_in") is None and _kind(challenge) not in WITHOUT_SESSION
    if everywhere:
        sign_ins = list(SignIn.objects.filter(user=user))
        for row in sign_ins:
            row.user = user
    alive = [row for row in sign_ins if row.ended_at is None]
    sessions.end(sign_ins, reason="reported", now=now)
    if _kind(challenge) == "new_browser":
        # It is a stranger again, with the limits of one.
        digests = {row.browser_digest for row in alive}
        KnownBrowser.objects.filter(user=user, browser_digest__in=digests).delete()
    if everywhere:
        sessions.end_all(user, reason="reported", now=now)
        sessions.renew_hash(user)
    return Stopped(frozenset(row.pk for row in alive), everywhere)


def _void_codes(challenge: Challenge) -> int:
    """SECURITY: recovery codes that were made since may be on a thief's paper; and who used one has the whole paper."""
    codes = RecoveryCode.objects.unused(challenge.user)
    if _kind(challenge) != "recovery_code_used":
        codes = codes.filter(created_at__gte=challenge.created_at)
    return int(codes.delete()[0])


def _close_addresses(challenge: Challenge) -> int:
    """SECURITY: who recovered the account by an address, or chose which ones may, reads one of them."""
    if _kind(challenge) not in BY_ADDRESS:
        return 0
    return Identity.objects.filter(user=challenge.user, for_recovery=True).update(for_recovery=False)


def _kind(challenge: Challenge) -> str:
    return str(challenge.params.get("kind", ""))


def _tell(
    challenge: Challenge, undone: dict[str, Any], passkeys: list[str], requester: Requester, now: datetime
) -> None:
    user, kind = challenge.user, _kind(challenge)
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
