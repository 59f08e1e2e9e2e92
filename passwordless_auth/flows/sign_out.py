"""Sessions end: one, all others, or everywhere."""

from __future__ import annotations

from typing import Any

from .. import sessions
from ..models import SignIn
from . import accounts


def end_one(user: Any, public_id: str) -> bool:
    """End one session of this user. False when there is none of that id alive."""
    return sessions.end(SignIn.objects.live().filter(user=user).with_public_id(public_id), reason="ended_by_user") == 1


def end_others(user: Any, *, keep: SignIn | None) -> int:
    """End all sessions of this user but one, and what waits to become one."""
    others = SignIn.objects.in_effect().filter(user=user)
    return sessions.end(others.exclude(pk=keep.pk) if keep else others, reason="ended_by_user")


def end_everywhere(user: Any, *, reason: str = "everywhere") -> int:
    """End every session of this user, those that other code made included, and cancel what is on its way.

    Django compares a session with a hash of the password field at every request. Where the password is unusable, a
    new unusable one changes that hash; a usable password is the user's own and is left alone.
    """
    accounts.cancel_challenges(user)  # first: see accounts.cut_off
    accounts.settle(user)
    ended = sessions.end_all(user, reason=reason)
    sessions.renew_hash(user)
    return ended
