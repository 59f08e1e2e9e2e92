"""What a person can sign in with, and what is left of it when a part is taken away."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from .. import policies
from ..conf import settings
from ..exceptions import LastWayIn
from ..models import Identity, Level, Passkey, Totp

# -- authenticators


def has_passkey(user: Any, *, without: Collection[Any] = ()) -> bool:
    """Whether this person can use a passkey now, beside those of these pks."""
    rows = Passkey.objects.usable().filter(user=user).exclude(pk__in=without)
    return "passkey" in settings.METHODS and rows.exists()


def has_app(user: Any) -> bool:
    """Whether this person can answer with a code of an authenticator app now."""
    return "totp" in settings.METHODS and Totp.objects.usable(user).exists()


def has_authenticator(user: Any) -> bool:
    """Whether a passkey or an app of this person is there, and be it blocked.

    SECURITY: what decides whether a mailbox alone may enrol one. Whoever had theirs blocked must not be got around by
    their mailbox.
    """
    return bool(Passkey.objects.filter(user=user).exists() or Totp.objects.enrolled(user).exists())


def can_reach(user: Any, level: Level) -> bool:
    """Whether this person has an authenticator that makes a link or a code into this level."""
    return has_passkey(user) or (Level.MULTI.meets(level) and has_app(user))


# -- what is left


class WayIn(StrEnum):
    """How a person could still sign in."""

    PASSKEY = "passkey"
    #: By a message to an address, with the app's code where there is an app.
    ADDRESS = "address"
    #: Only by a link that an administrator hands out: a message alone is less than the account asks for.
    LINK = "link"
    NONE = "none"


def way_in(user: Any, *, without: Collection[Any] = (), proven: bool = False) -> WayIn:
    """The best way in that this person has when the passkeys of these pks are refused. ``proven``: only addresses count
    that their owner has proven."""
    if has_passkey(user, without=without):
        return WayIn.PASSKEY
    if not has_address(user, proven=proven):
        return WayIn.NONE
    reached = Level.MULTI if has_app(user) else Level.SINGLE
    return WayIn.ADDRESS if reached.meets(policies.current().needs(user)) else WayIn.LINK


def has_address(user: Any, *, proven: bool = False) -> bool:
    """Whether a message, or a link of ``passwordless_login_link``, could let this person in."""
    rows = Identity.objects.filter(user=user, for_sign_in=True)
    return (rows.exclude(proven_at=None) if proven else rows).exists()


def require_another_way_in(user: Any, *, without: Passkey | None = None) -> None:
    """Raise LastWayIn when this person could not sign in any more, at the level that their account needs.

    Unlike an administrator, who can hand out a link, they must not count on an address that is only written down: it
    may be mistyped. To be called by who holds the account (``enrolment.hold``): two requests that take away one of two
    ways each wait for each other.
    """
    left = way_in(user, without=[without.pk] if without is not None else (), proven=True)
    if left not in {WayIn.PASSKEY, WayIn.ADDRESS}:
        raise LastWayIn
