"""An administrator acts on somebody's account: blocks a stolen passkey, resets what guards it, ends its sessions.

Nobody asks the owner first. So each act says who did it and why, is written down, and is told to the owner.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from .. import sessions, signals
from ..exceptions import LastWayIn
from ..identifiers import mask
from ..models import Level, Passkey, Profile, RecoveryCode, SignIn, Totp
from ..models.event import record
from ..requester import Operator, Requester
from . import accounts, enrolment, notices, sign_out
from .ways_in import WayIn, has_address, way_in


def named(actor: Any, *, reason: str = "") -> Operator:
    """The Operator that this user is. A user name that is an address is masked, as all addresses in the log."""
    name = str(actor.get_username())
    return Operator(name=f"{mask(name) if '@' in name else name} ({actor.pk})", reason=reason)


def may_act_on(actor: Any, user: Any) -> bool:
    """Whether this administrator may change what guards that account, given the permission for it.

    SECURITY: not their own, whose guards ask for more than an open session of the admin (``flows.enrolment``). And who
    is no superuser can't take the factors of one away: a helper whose account is stolen would open all others.
    """
    if user is None:
        return True  # it is about an address, and the same whether anybody here has it
    if actor.pk == user.pk:
        return False
    return bool(getattr(actor, "is_superuser", False) or not getattr(user, "is_superuser", False))


# -- passkeys


def block_passkeys(
    passkeys: Iterable[Passkey], *, operator: Operator, requester: Requester, now: datetime | None = None
) -> int:
    """Refuse these passkeys from now on and end the sessions that they made. Returns how many worked until now.

    A stolen device is blocked even if it is its owner's last passkey, as long as there is an address to begin anew
    with; otherwise LastWayIn is raised and nothing happens.
    """
    now = now or timezone.now()
    blocked = 0
    with transaction.atomic():
        for passkey in passkeys:
            # Rows are locked in one order everywhere: challenge, passkey, profile, session.
            if not Passkey.objects.filter(pk=passkey.pk).block(now=now):
                continue
            enrolment.hold(passkey.user)
            if way_in(passkey.user) == WayIn.NONE:
                raise LastWayIn
            enrolment.after_block(passkey, requester=requester, operator=operator, now=now)
            blocked += 1
    return blocked


def unblock_passkeys(
    passkeys: Iterable[Passkey], *, operator: Operator, requester: Requester, now: datetime | None = None
) -> int:
    """Let blocked passkeys work again. Returns how many were blocked until now."""
    now = now or timezone.now()
    unblocked = 0
    with transaction.atomic():
        for passkey in passkeys:
            if Passkey.objects.filter(pk=passkey.pk).unblock():
                enrolment.after_unblock(passkey, requester=requester, operator=operator, now=now)
                unblocked += 1
    return unblocked


# -- people


def reset_factors(user: Any, *, operator: Operator, requester: Requester, now: datetime | None = None) -> None:
    """Delete a person's passkeys, authenticator apps and recovery codes, and end their sessions: they begin anew with
    their address. Raises LastWayIn where there is none."""
    now = now or timezone.now()
    with transaction.atomic():
        if not has_address(user):
            raise LastWayIn
        # SECURITY: challenges first, sessions last. The one waits for who is adding a passkey at this moment, so that
        # it is found; the other for who is signing in with one, so that their session is.
        accounts.cancel_challenges(user)
        passkeys = list(Passkey.objects.select_for_update().filter(user=user))
        enrolment.hold(user)
        apps = list(Totp.objects.filter(user=user))
        codes, _by_model = RecoveryCode.objects.filter(user=user).delete()
        for row in (*passkeys, *apps):
            _delete(row, user)
        Profile.objects.filter(user=user).update(passkey_offer_declined_at=None)
        sessions.end_all(user, reason="factors_reset", now=now)
        sessions.renew_hash(user)
        record(
            "factors_reset",
            user=user,
            requester=requester,
            now=now,
            passkeys=len(passkeys),
            apps=len(apps),
            recovery_codes=codes,
            **operator.facts(),
        )
        notices.tell(user, "factors_reset", requester=requester, operator=operator, now=now)


def _delete(row: Passkey | Totp, user: Any) -> None:
    pk = row.pk
    row.delete()
    row.pk, row.user = pk, user  # for receivers, who may want to find what they keep about it
    transaction.on_commit(
        lambda: signals.authenticator_removed.send_robust(type(row), user=user, authenticator=row), robust=True
    )


def end_sessions(user: Any, *, operator: Operator, requester: Requester, now: datetime | None = None) -> int:
    """End every session of a person and cancel what is on its way to them. Returns how many of ours were alive."""
    now = now or timezone.now()
    with transaction.atomic():
        ended = sign_out.end_everywhere(user, reason="ended_by_operator")
        record("sessions_ended", user=user, requester=requester, now=now, ended=ended, **operator.facts())
        notices.tell(user, "sessions_ended", requester=requester, operator=operator, undoable=False, now=now)
    return ended


def lift_freeze(user: Any, *, operator: Operator, requester: Requester, now: datetime | None = None) -> bool:
    """Let the account be changed again before the time after "this wasn't me" is over. False when it was not frozen."""
    now = now or timezone.now()
    with transaction.atomic():
        frozen = Profile.objects.filter(user=user, frozen_until__gt=now)
        if not frozen.update(frozen_at=None, frozen_until=None):
            return False
        record("freeze_lifted", user=user, requester=requester, now=now, **operator.facts())
        notices.tell(user, "freeze_lifted", requester=requester, operator=operator, now=now)
    return True


def set_minimum_level(
    user: Any, level: str, *, operator: Operator, requester: Requester, now: datetime | None = None
) -> None:
    """What this person must reach at every sign-in; ``""`` asks no more than the site does. Sessions that fall short of
    it end."""
    now = now or timezone.now()
    with transaction.atomic():
        profile = enrolment.hold(user)
        if profile.minimum_level == level:
            return
        record(
            "minimum_level_changed",
            user=user,
            requester=requester,
            now=now,
            before=profile.minimum_level,
            after=level,
            **operator.facts(),
        )
        profile.minimum_level = level
        profile.save(update_fields=["minimum_level"])
        short = [each for each in Level if level and not each.meets(Level(level))]
        fall_short = SignIn.objects.in_effect().filter(user=user, level__in=short, pending_until=None)
        sessions.end(fall_short, reason="level_raised", now=now)
