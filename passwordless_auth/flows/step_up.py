"""A signed-in person confirms that it is them: a further proof raises their SignIn, it never makes a second one."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from ..exceptions import Superseded
from ..models import Challenge, Identity, SignIn


def identity_for(user: Any) -> Identity | None:
    """The address that a step-up asks: the primary one of those that its owner has proven; ``None`` without one.

    SECURITY: not an address that was only written into the profile. Who holds a stolen session would write their own.
    """
    proven = Identity.objects.filter(user=user, for_sign_in=True).exclude(proven_at=None)
    return proven.order_by("-is_primary", "pk").first()


def raised(challenge: Challenge, user: Any) -> SignIn | None:
    """The SignIn that a step-up challenge is for; ``None`` for any other challenge, and for a session that other code
    made. Raises Superseded when it has ended, or is not this user's."""
    if challenge.purpose != Challenge.Purpose.STEP_UP or challenge.sign_in_id is None:
        return None
    sign_in = SignIn.objects.select_for_update().filter(pk=challenge.sign_in_id, user=user, ended_at=None).first()
    if sign_in is None or (sign_in.pending_until is not None and sign_in.pending_until <= timezone.now()):
        raise Superseded
    sign_in.user = user
    return sign_in
