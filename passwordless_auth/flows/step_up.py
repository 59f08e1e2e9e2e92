"""A person confirms who they are: in a running session, or in a sign-in that waits for another step.

A further proof raises the SignIn that it is for; it never makes a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from .. import policies
from ..exceptions import Superseded
from ..models import Challenge, Identity, Level, Proof, SignIn
from . import completion, ways_in


@dataclass(frozen=True)
class Means:
    """What can bring a person to a level, here and now.

    ``passkey`` and ``totp``: they have one. ``addresses``: proven ones, the first of which is asked unless the person
    chooses another, where a message is enough, or (``message_first``) where it is the first of two factors and the
    app's code follows.
    """

    passkey: bool = False
    totp: bool = False
    addresses: Sequence[Identity] = ()
    message_first: bool = False

    def __bool__(self) -> bool:
        return self.passkey or self.totp or bool(self.addresses)

    def address(self, public_id: str = "") -> Identity | None:
        """The address with this public id, or else the first; ``None`` where no message is enough."""
        named = (each for each in self.addresses if each.public_id == public_id)
        return next(named, self.addresses[0] if self.addresses else None)


def means_for(user: Any, sign_in: SignIn | None, level: Level, *, now: datetime | None = None) -> Means:
    """The means that this person has for reaching ``level`` in this SignIn (``None``: a session that other code made).

    Nothing is offered that would not be enough: a message where two factors are asked for, an app's code where a
    passkey is.
    """
    now = now or timezone.now()
    addresses = addresses_of(user)
    app = sign_in is not None and ways_in.has_app(user)
    by_message = Proof(method="one_time_code", amr=(), at=int(now.timestamp()))
    by_app = Proof(method="totp", amr=(), at=int(now.timestamp()), authenticator="app")
    totp = app and _reaches(sign_in, level, by_app)
    message = bool(addresses) and _reaches(sign_in, level, by_message)
    first = not message and bool(addresses) and app and not totp and _reaches(sign_in, level, by_message, by_app)
    return Means(
        passkey=ways_in.has_passkey(user),
        totp=totp,
        addresses=addresses if message or first else (),
        message_first=first,
    )


def _reaches(sign_in: SignIn | None, level: Level, *proofs: Proof) -> bool:
    """Whether these proofs, given now, would prove the level anew."""
    if sign_in is not None and sign_in.level == Level.RECOVERED:
        return False  # only a passkey ends a recovery
    before = sign_in.all_proofs() if sign_in is not None else []
    after: Sequence[Proof] = [*(kept for kept in before if kept.method not in {p.method for p in proofs}), *proofs]
    return policies.proven_at(after)[level] >= proofs[-1].at


def addresses_of(user: Any) -> list[Identity]:
    """The addresses that a step-up may ask, the primary ones first: those of their owner's that sign in.

    SECURITY: whoever reads one of them could sign in by it, too. But not an address that was only written into the
    profile: who holds a stolen session would write their own.
    """
    proven = Identity.objects.filter(user=user, for_sign_in=True).exclude(proven_at=None).main_first()
    return [identity for identity in proven if identity.identifier.is_reachable]


def raised(challenge: Challenge, user: Any) -> SignIn | None:
    """The SignIn that a step-up challenge is for; ``None`` for any other challenge, and for a session that other code
    made. Raises Superseded when it has ended, or is not this user's."""
    if challenge.purpose != Challenge.Purpose.STEP_UP or challenge.sign_in_id is None:
        return None
    sign_in = completion.running(challenge.sign_in_id)
    if sign_in.user_id != user.pk:
        raise Superseded
    sign_in.user = user
    return sign_in
