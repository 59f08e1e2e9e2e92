"""What a message says: from a Delivery and the templates ``passwordless_auth/messages/<kind>.*``."""

from __future__ import annotations

import math

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import get_language_bidi
from django.views.decorators.debug import sensitive_variables

from . import derivation
from .channels import Message
from .conf import settings
from .methods import METHODS
from .models import Challenge, Delivery

#: Kinds of messages that answer an unknown or unusable address: they open nothing.
WITHOUT_SECRET = frozenset({"no_account", "no_recovery", "disabled"})


class Unprintable(str):
    """Text for a template that shows itself to readers and not to logs.

    SECURITY: for a name that a template gets wrong, Django logs the whole context at DEBUG.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


@sensitive_variables()
def compose(delivery: Delivery) -> Message:
    """Write the message in the language of who asked. Code and link are derived here, and only here.

    Hosts in links come from ``BASE_URL`` alone.
    """
    challenge = delivery.challenge
    context: dict[str, object] = {
        "site_name": settings.SITE_NAME,
        "site_url": settings.BASE_URL,
        "address": Unprintable(delivery.canonical),
        "code": "",
        "code_display": "",
        "link": "",
        "code_in_subject": False,
    }
    if challenge is not None:
        context |= _asked(challenge)
        if delivery.kind not in WITHOUT_SECRET:
            context |= _secrets(challenge)
    with translation.override(delivery.language or None):
        context["language"] = translation.get_language() or "en"
        context["direction"] = "rtl" if get_language_bidi() else "ltr"
        parts = [
            render_to_string(f"passwordless_auth/messages/{delivery.kind}.{part}", context)
            for part in ("subject.txt", "txt", "html")
        ]
    return Message(
        to=delivery.canonical,
        subject=" ".join(parts[0].split()),  # one line, whatever a template or a name holds
        text=parts[1].strip() + "\n",
        html=parts[2],
        language=str(context["language"]),
        idempotency_key=delivery.public_id,
    )


def _asked(challenge: Challenge) -> dict[str, object]:
    life = challenge.expires_at - challenge.created_at
    is_told = challenge.browser_digest or challenge.purpose == Challenge.Purpose.REPORT
    return {
        "facts": challenge.params if challenge.purpose == Challenge.Purpose.REPORT else {},
        "name": challenge.params.get("name", ""),
        "asker": challenge.asker if is_told else {"browser": "", "os": "", "ip": ""},
        "asked_at": challenge.created_at,
        "minutes": math.ceil(life.total_seconds() / 60),
        "is_new": challenge.identity_id is None,
    }


@sensitive_variables()
def _secrets(challenge: Challenge) -> dict[str, object]:
    code = METHODS["one_time_code"].issue(challenge).code if challenge.accepts_code else ""
    token = METHODS["magic_link"].issue(challenge).link_token if challenge.accepts_link else ""
    page = "report" if challenge.purpose == Challenge.Purpose.REPORT else "link"
    return {
        "code": Unprintable(code),
        "code_display": Unprintable(derivation.grouped(code)),
        "link": Unprintable(link_url(token, page=page) if token else ""),
        "code_in_subject": settings.CODE_IN_SUBJECT,
    }


def link_url(token: str, *, page: str = "link") -> str:
    return f"{settings.BASE_URL}{reverse(f'passwordless_auth:{page}', args=[token])}"
