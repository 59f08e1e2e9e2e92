"""Text messages, calls and WhatsApp messages through Twilio; ``pip install passwordless-auth[twilio]``."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..identifiers import Identifier, country_of_language
from .base import Channel, Medium, Message, Receipt, Rejected, Retryable
from .sms import SmsChannel

#: Seconds that Twilio may take to answer.
TIMEOUT: Final = 5

#: Twilio's error codes that are about the person who is written to (or about the text): no other attempt, and no other
#: provider, is to try again. Everything else is about the account, the sender or the network, which can be mended.
REJECTED: Final = frozenset(
    {
        13224,  # a number that can't be called
        21211,  # no such number
        21214,  # the number can't be reached
        21217,  # no such number
        21610,  # the person has answered STOP
        21614,  # no mobile phone
        21617,  # the text is too long
        21635,  # a landline
        60205,  # a landline
        60410,  # blocked as fraud, for hours
        63003,  # nobody at WhatsApp
        63024,  # nobody at WhatsApp
    }
)

#: What Verify says of every parameter alike: final only if it is the number.
INVALID_PARAMETER: Final = 60200
_TO: Final = re.compile(r"parameter:? `?To\b")

_MESSAGING_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}")

#: What our own id of a message is called in the address of its status callback.
CALLBACK_KEY: Final = "message"


class TwilioBase(Channel):
    """What everything at Twilio shares.

    Options: ``account_sid`` with ``auth_token``, or with ``api_key`` and ``api_secret``; ``timeout`` in seconds;
    ``region`` and ``edge``, where Twilio shall work; ``base_url``, another address of its API.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str = "",
        api_key: str = "",
        api_secret: str = "",
        timeout: float = TIMEOUT,
        region: str | None = None,
        edge: str | None = None,
        base_url: str = "",
    ) -> None:
        self.account_sid, self.auth_token = account_sid, auth_token
        self.user = (api_key, api_secret) if api_key else (account_sid, auth_token)
        self.timeout, self.region, self.edge, self.base_url = timeout, region, edge, base_url
        if not account_sid or not all(self.user):
            raise ImproperlyConfigured("Twilio needs account_sid, and auth_token or api_key with api_secret.")

    def _client(self) -> Any:
        from twilio.http.http_client import TwilioHttpClient
        from twilio.rest import Client

        # A connection of its own: channels live as long as one message, in any thread.
        http = TwilioHttpClient(timeout=self.timeout, pool_connections=False)
        client = Client(*self.user, account_sid=self.account_sid, region=self.region, edge=self.edge, http_client=http)
        if self.base_url:
            client.api.base_url = client.verify.base_url = self.base_url
        return client


class TwilioSender(TwilioBase):
    """What messages and calls share.

    Options: those of ``TwilioBase``; ``sender``, a number or a name ("EXAMPLE"); ``senders``, another one for some
    countries, ``{"US": "+1…"}``; ``status_callback=True``, to be told what becomes of each message, which takes the
    ``auth_token`` in any case: Twilio signs with it.
    """

    def __init__(
        self,
        *,
        sender: str = "",
        senders: Mapping[str, str] | None = None,
        status_callback: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sender, self.senders = sender, dict(senders or {})
        self.status_callback = status_callback
        if not sender and not self.senders:
            raise ImproperlyConfigured("Twilio needs a sender: a number, a name, or the id of a messaging service.")
        if status_callback and not self.auth_token:
            raise ImproperlyConfigured("Twilio needs auth_token for status_callback: its callbacks are signed with it.")

    def sender_for(self, to: str) -> str:
        """Raises Rejected where no sender is for the country: another attempt would find none either."""
        sender = self.senders.get(Identifier("phone", to).country, self.sender)
        if not sender:
            raise Rejected("no sender for this country")
        return sender

    @sensitive_variables()
    def send(self, message: Message) -> Receipt:
        sender = self.sender_for(message.to)
        try:
            sent = self._hand_over(self._client(), sender, message)
        except Exception as error:
            raise outcome_of(error) from error
        if not sent.sid:
            raise Retryable("the answer names no message")
        cost, currency = price(sent.price, sent.price_unit)
        return Receipt(provider_id=sent.sid, cost=cost, currency=currency)

    @abstractmethod
    def _hand_over(self, client: Any, sender: str, message: Message) -> Any:
        """What Twilio makes of the message: its resource, with ``sid``."""

    def _callback(self, message: Message) -> dict[str, str]:
        """Where Twilio tells what becomes of it. SECURITY: the host is that of ``BASE_URL`` alone."""
        if not self.status_callback:
            return {}
        path = reverse("passwordless_auth:twilio_tracking", args=[self.alias])
        return {"status_callback": f"{settings.BASE_URL}{path}?{urlencode({CALLBACK_KEY: message.idempotency_key})}"}


class TwilioChannel(TwilioSender, SmsChannel):
    """Text messages (Twilio Programmable Messaging).

    ``sender`` may also be the id of a messaging service ("MG…"), which chooses the sender itself.
    """

    @sensitive_variables()
    def _hand_over(self, client: Any, sender: str, message: Message) -> Any:
        name = "messaging_service_sid" if _MESSAGING_SERVICE.fullmatch(sender) else "from_"
        return client.messages.create(to=message.to, body=message.text, **{name: sender}, **self._callback(message))


class TwilioWhatsAppChannel(TwilioSender, SmsChannel):
    """Messages to the same numbers in WhatsApp.

    WhatsApp lets a business begin a conversation with an approved template only: ``content_sid`` names yours ("HX…"),
    whose variable 1 is the code, or gives one for each language, ``{"en": "HX…", "de": "HX…"}``, the first for all
    others. Messages without a code go out as text, which WhatsApp takes within a day of the person's last message.
    """

    def __init__(self, *, content_sid: str | Mapping[str, str] = "", **options: Any) -> None:
        super().__init__(**options)
        self.content = {"": content_sid} if isinstance(content_sid, str) else dict(content_sid)

    @sensitive_variables()
    def _hand_over(self, client: Any, sender: str, message: Message) -> Any:
        ends = {"to": f"whatsapp:{message.to}", "from_": f"whatsapp:{sender}", **self._callback(message)}
        template = self.content.get(message.language, next(iter(self.content.values()), ""))
        if message.code and template:
            variables = json.dumps({"1": message.code})
            return client.messages.create(**ends, content_sid=template, content_variables=variables)
        return client.messages.create(**ends, body=message.text)


class TwilioVoiceChannel(TwilioSender):
    """A call that says the code, twice: for landlines, and for who does not see the screen."""

    medium: Medium = "voice"

    @sensitive_variables()
    def _hand_over(self, client: Any, sender: str, message: Message) -> Any:
        from twilio.twiml.voice_response import VoiceResponse

        spoken = VoiceResponse()
        spoken.pause(length=1)
        language, country = message.language.partition("-")[0], country_of_language(message.language)
        spoken.say(message.text, language=f"{language}-{country or 'US'}")
        return client.calls.create(to=message.to, from_=sender, twiml=str(spoken), **self._callback(message))


def price(amount: Any, unit: Any) -> tuple[Decimal | None, str]:
    """What Twilio says that a message costs: a positive amount and its currency. ``(None, "")``: it does not say."""
    try:
        cost = abs(Decimal(amount))
    except (InvalidOperation, TypeError, ValueError):
        return None, ""
    currency = str(unit or "").upper()
    known = cost.is_finite() and cost < 999_999 and re.fullmatch(r"[A-Z]{3}", currency)
    return (cost, currency) if known else (None, "")


def outcome_of(error: Exception) -> Retryable | Rejected:
    """Whether to try again. Names Twilio's code, or the error's class: the text may hold the number."""
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    if not isinstance(status, int):
        return Retryable(type(error).__name__)
    final = code in REJECTED or (code == INVALID_PARAMETER and _TO.search(str(getattr(error, "msg", ""))))
    return (Rejected if final else Retryable)(f"Twilio {code or ''} (HTTP {status})")
