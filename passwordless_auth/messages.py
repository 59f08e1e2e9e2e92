"""What a message says: from a Delivery and the templates ``passwordless_auth/messages/<kind>.*``.

An e-mail has three of them, ``.subject.txt``, ``.txt`` and ``.html``. A text message has ``.sms.txt``, or for the
numbers of one country ``.sms.<country>.txt`` (``sign_in.sms.us.txt``), and a call ``.voice.txt``; a kind that has none
says the subject, by ``notice.sms.txt`` and ``notice.voice.txt``.
"""

from __future__ import annotations

import math
from datetime import timedelta
from urllib.parse import urlsplit

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import get_language_bidi
from django.views.decorators.debug import sensitive_variables

from . import derivation
from .channels import Medium, Message
from .channels.sms import plain, with_code
from .conf import settings
from .identifiers import Identifier
from .methods import METHODS
from .models import Challenge, Delivery

#: Kinds that are asked for, and so have a text of their own for phones. All others are notices.
ASKED_FOR = (
    "sign_in",
    "step_up",
    "recover",
    "add_identity",
    "no_account",
    "no_sign_in",
    "no_recovery",
    "disabled",
)
#: Kinds of messages that answer an unknown or unusable address: they open nothing.
WITHOUT_SECRET = frozenset({"no_account", "no_recovery", "no_sign_in", "disabled"})


class Unprintable(str):
    """Text for a template that shows itself to readers and not to logs.

    SECURITY: for a name that a template gets wrong, Django logs the whole context at DEBUG.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


@sensitive_variables()
def compose(delivery: Delivery, *, medium: Medium = "email") -> Message:
    """Write the message in the language of who asked. Code and link are derived here, and only here.

    Hosts in links come from ``BASE_URL`` alone.
    """
    challenge = delivery.challenge
    context: dict[str, object] = {
        "site_name": settings.SITE_NAME,
        "site_url": settings.BASE_URL,
        "address": Unprintable(delivery.identifier.display),
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
        written = _email(delivery, context) if medium == "email" else _phone(delivery, context, medium)
    return Message(
        to=delivery.canonical,
        language=str(context["language"]),
        idempotency_key=delivery.public_id,
        kind=delivery.kind,
        code=str(context["code"]),
        **written,
    )


def sample(kind: str, to: Identifier, *, medium: Medium, language: str, is_new: bool) -> Message:
    """What a message of this kind looks like, with the code of a challenge that nobody can answer."""
    now = timezone.now()
    challenge = Challenge(
        purpose=Challenge.Purpose.SIGN_IN,
        kind=to.kind,
        canonical=to.canonical,
        identity_id=None if is_new else 0,
        key_id=settings.issuing_key_id,
        code_length=settings.CODE_LENGTH,
        code_alphabet=settings.CODE_ALPHABET,
        accepts_link=False,
        created_at=now,
        expires_at=now + timedelta(seconds=settings.CODE_LIFETIME),
    )
    delivery = Delivery(kind=kind, canonical=to.canonical, challenge=challenge, language=language)
    return compose(delivery, medium=medium)


@sensitive_variables()
def _email(delivery: Delivery, context: dict[str, object]) -> dict[str, str]:
    text, html = (
        render_to_string(f"passwordless_auth/messages/{delivery.kind}.{part}", context) for part in ("txt", "html")
    )
    return {"subject": _subject(delivery, context), "text": text.strip() + "\n", "html": html}


@sensitive_variables()
def _phone(delivery: Delivery, context: dict[str, object], medium: Medium) -> dict[str, str]:
    code = str(context["code"])
    context = {**context, "code_in_subject": False}
    context |= {"subject": _subject(delivery, context), "code_spoken": Unprintable(", ".join(code))}
    names = [
        f"{delivery.kind}.{medium}.{delivery.identifier.country.lower()}.txt",
        f"{delivery.kind}.{medium}.txt",
        f"notice.{medium}.txt",
    ]
    text = render_to_string([f"passwordless_auth/messages/{name}" for name in names], context).strip()
    if medium == "sms":
        text = plain(text)
        if code:
            text = with_code(text, host=urlsplit(settings.BASE_URL).hostname or "", code=code)
    return {"subject": "", "text": text, "html": ""}


@sensitive_variables()
def _subject(delivery: Delivery, context: dict[str, object]) -> str:
    """One line, whatever a template or a name holds."""
    return " ".join(render_to_string(f"passwordless_auth/messages/{delivery.kind}.subject.txt", context).split())


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
