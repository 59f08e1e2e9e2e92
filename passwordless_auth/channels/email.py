from __future__ import annotations

import smtplib
from typing import Any, Final
from urllib.parse import urlsplit

import django
from django.core import mail
from django.core.mail import EmailMultiAlternatives

from ..conf import settings
from .base import Channel, Message, Receipt, Rejected, Retryable

#: Providers that take no metadata through Anymail. Their news find our row by the provider's own id.
WITHOUT_METADATA: Final = frozenset({"MailerSend", "Postal"})
#: Providers that Anymail can't tell, message by message, to leave links alone.
WITHOUT_TRACKING_SWITCH: Final = frozenset({"Amazon SES", "Brevo", "Mailtrap", "Postal", "Resend", "Scaleway"})
#: What our own id is called in a provider's metadata. (Postmark takes no more than 20 characters.)
METADATA_KEY: Final = "passwordless_id"

#: Seconds that a silent mail server may take, where the host's mail settings give no time-out of their own.
TIMEOUT: Final = 5
#: Seconds that Anymail waits at most for a provider's API, to connect and to answer: both end before the sender's lease
#: does (``models.delivery.LEASE``), or another sender would take the message for lost.
API_TIMEOUT: Final = 10


class EmailChannel(Channel):
    """Plain Django mail, so that whatever the host configured for it works, Anymail's providers included.

    Options: ``from_email`` (default: ``DEFAULT_FROM_EMAIL``) and ``using`` (an alias in Django 6.1's ``MAILERS``).
    """

    def __init__(self, *, from_email: str | None = None, using: str = "default") -> None:
        self.from_email = from_email
        self.using = using

    def send(self, message: Message) -> Receipt:
        host = urlsplit(settings.BASE_URL).hostname or "localhost"
        email = EmailMultiAlternatives(
            message.subject,
            message.text,
            self.from_email,
            [message.to],
            headers={
                # The same for every attempt: a mailbox that gets a message twice can tell (RFC 5322 §3.6.4).
                "Message-ID": f"<{message.idempotency_key}@{host}>",
                "Auto-Submitted": "auto-generated",  # RFC 3834 §5: no holiday notes in return
                "X-Auto-Response-Suppress": "All",
                "Content-Language": message.language,
            },
        )
        email.attach_alternative(message.html, "text/html")
        try:
            connection = self.connection()
            esp_name = getattr(connection, "esp_name", "")  # Anymail's backends have it
            if esp_name:
                _tell_anymail(email, esp_name, message.idempotency_key)
            connection.send_messages([email])
        except Exception as error:
            raise _outcome(error) from error
        status = getattr(email, "anymail_status", None)
        return Receipt(provider=esp_name, provider_id=str(getattr(status, "message_id", None) or ""))

    def connection(self) -> Any:
        """What Django's mail settings say that messages leave with."""
        connection: Any = mail.mailers[self.using] if django.VERSION >= (6, 1) else mail.get_connection()
        # SECURITY: without a time-out one silent mail server would hold a sender for ever.
        if getattr(connection, "timeout", TIMEOUT) is None:
            connection.timeout = TIMEOUT
        elif hasattr(connection, "esp_name") and isinstance(getattr(connection, "timeout", None), int | float):
            connection.timeout = min(connection.timeout, API_TIMEOUT)
        return connection


def _tell_anymail(email: Any, esp_name: str, key: str) -> None:
    """What Anymail reads from a message. A host's own ``ANYMAIL`` defaults count less."""
    if esp_name not in WITHOUT_METADATA:
        email.metadata = {METADATA_KEY: key}
    if esp_name not in WITHOUT_TRACKING_SWITCH:
        # SECURITY: a link that the provider rewrites goes through its servers, is kept there, and can be opened there.
        email.track_clicks = email.track_opens = False


def _outcome(error: Exception) -> Retryable | Rejected:
    """Whether to try again. Names the error's class and its status only: its text may hold the address or the mail."""
    name = type(error).__name__
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _text in error.recipients.values()]
        return (Rejected if codes and min(codes) >= 500 else Retryable)(f"{name} {codes}")
    if isinstance(error, smtplib.SMTPAuthenticationError):  # the administrator may mend this within a code's life
        return Retryable(f"{name} {error.smtp_code}")
    if isinstance(error, smtplib.SMTPResponseException):
        return (Rejected if error.smtp_code >= 500 else Retryable)(f"{name} {error.smtp_code}")
    status = getattr(error, "status_code", None)  # Anymail's, of the provider's API
    if isinstance(status, int):
        return (Rejected if 400 <= status < 500 and status not in {408, 429} else Retryable)(f"{name} {status}")
    if name == "AnymailRecipientsRefused":
        return Rejected(name)
    return Retryable(name)
