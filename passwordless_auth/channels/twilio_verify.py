"""Codes through Twilio Verify; ``pip install passwordless-auth[twilio]``.

The code is ours ("custom code"): derived when it is sent, checked here, and by nobody else. Verify carries it, by its
own numbers, templates and translations and behind its Fraud Guard, and is told afterwards whether it was typed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from . import channel
from .base import Message, Receipt, Rejected, Retryable
from .twilio import TwilioBase, outcome_of

#: What our own id of a message is called in the tags of a verification.
TAG: Final = "passwordless_id"
#: The lengths of codes that Verify takes.
SHORTEST: Final = 4
LONGEST: Final = 10
WAYS: Final = ("sms", "whatsapp", "call")

#: Languages that Verify speaks by each of these ways. For others it takes the one of the number's country; a locale
#: that it does not know would be refused with the message.
LOCALES: Final = frozenset(
    {
        "af", "ar", "ca", "zh", "zh-CN", "zh-HK", "hr", "cs", "da", "nl", "en", "en-GB", "fi", "fr", "de", "el", "he",
        "hi", "hu", "id", "it", "ja", "ko", "ms", "nb", "pl", "pt", "pt-BR", "ro", "ru", "es", "sv", "th", "tl", "tr",
        "vi",
    }
)  # fmt: skip
_CHINESE: Final = {"zh-hans": "zh-CN", "zh-hant": "zh-HK"}

_NOT_UNDER_IT: Final = frozenset(
    {
        "passwordless_auth.channels.failover.FailoverChannel",
        "passwordless_auth.channels.twilio_verify.TwilioVerifyChannel",
    }
)


class TwilioVerifyChannel(TwilioBase):
    """Codes by a Verify service that has *Enable Custom Verification Code* switched on.

    Options: those of ``TwilioBase``; ``service``, its id ("VA…"); ``without_code``, the alias of the channel that takes
    messages that Verify can't: those without a code, and codes of less than 4 or more than 10 characters; ``by``:
    ``"sms"``, ``"whatsapp"`` or ``"call"``; ``template``, the id of one of yours ("HJ…").

    SECURITY: a site with closed sign-up tells an unknown number so, by a message without a code. Without another
    channel for it the waiting page would show who has an account.
    """

    hears_outcome = True

    def __init__(
        self, *, service: str = "", without_code: str = "", by: str = "sms", template: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        if not service or by not in WAYS:
            raise ImproperlyConfigured(f"Twilio Verify needs service, and by to be one of {', '.join(WAYS)}.")
        if settings.CHANNELS.get(without_code, {}).get("BACKEND") in {None, *_NOT_UNDER_IT}:
            raise ImproperlyConfigured(
                "Twilio Verify needs without_code: the alias of another channel, of one provider."
            )
        self.service, self.by, self.template, self.without_code = service, by, template, without_code
        self.medium = channel(without_code).medium

    @sensitive_variables()
    def send(self, message: Message) -> Receipt:
        if not SHORTEST <= len(message.code) <= LONGEST:
            receipt = channel(self.without_code).send(message)
            return receipt if receipt.provider else replace(receipt, provider=self.without_code)
        more = {"locale": locale_of(message.language), "template_sid": self.template}
        try:
            sent = self._verifications().create(
                to=message.to,
                channel=self.by,
                custom_code=message.code,
                tags=json.dumps({TAG: message.idempotency_key}),
                **{name: value for name, value in more.items() if value},
            )
        except Exception as error:
            raise outcome_of(error) from error
        if not sent.sid:
            raise Retryable("the answer names no verification")
        return Receipt(provider_id=sent.sid, asks_outcome=True)

    def tell(self, provider_id: str, *, used: bool) -> None:
        try:
            self._service().verifications(provider_id).update(status="approved" if used else "canceled")
        except Exception as error:
            if getattr(error, "status", None) == 404:  # approved, canceled or over already
                raise Rejected("Twilio knows this verification no more") from error
            raise outcome_of(error) from error

    def _service(self) -> Any:
        return self._client().verify.v2.services(self.service)

    def _verifications(self) -> Any:
        return self._service().verifications


def locale_of(language: str) -> str:
    """What Verify calls a language of ours, "" for one that it does not speak."""
    tag = language.lower().replace("_", "-")
    base, _dash, region = tag.partition("-")
    wanted = (_CHINESE.get(tag, ""), f"{base}-{region.upper()}", base)
    return next((each for each in wanted if each in LOCALES), "")
