"""A link that an administrator hands out: no browser asked for it, so one button behind it signs in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from ..conf import settings
from ..exceptions import Disabled
from ..messages import link_url
from ..models import Challenge, Identity, Level
from ..models.challenge import scope_of, supersede
from ..models.event import record
from ..policies import Rules
from ..requester import Requester


def make(user: Any, *, reason: str, operator: str = "") -> str:
    """The URL of a link that signs ``user`` in, once and shortly. Recorded as an event with its reason.

    Raises Disabled when the account is not active or has no address to sign in with.
    """
    identity = Identity.objects.filter(user=user, for_sign_in=True).order_by("-is_primary", "pk").first()
    if identity is None or not user.is_active:
        raise Disabled
    now = timezone.now()
    rules = Rules()
    expires_at = now + timedelta(seconds=rules.link_lifetime)
    nobody = Requester()
    scope = scope_of(purpose=Challenge.Purpose.SIGN_IN, identifier=identity.identifier, client_id="", browser_digest="")
    with transaction.atomic():
        supersede(open_scope=scope, now=now)
        challenge = Challenge.objects.create(
            purpose=Challenge.Purpose.SIGN_IN,
            kind=identity.kind,
            canonical=identity.canonical,
            identity=identity,
            user=user,
            key_id=settings.issuing_key_id,
            code_length=rules.code_length,
            code_alphabet=rules.code_alphabet,
            accepts_code=False,
            proves_address=False,
            max_tries=rules.code_tries,
            minimum_level=Level.RECOVERED,
            open_scope=scope,
            created_at=now,
            code_expires_at=expires_at,
            link_expires_at=expires_at,
            expires_at=expires_at,
        )
        record(
            "login_link_made",
            user=user,
            masked=identity.masked,
            requester=nobody,
            now=now,
            reason=reason[:500],
            operator=operator[:150],
            challenge=challenge.public_id,
        )
    return link_url(challenge.link_token())
