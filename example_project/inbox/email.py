"""Django's mail into the inbox."""

from collections.abc import Sequence
from email.utils import parseaddr

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from .models import Message


class EmailBackend(BaseEmailBackend):
    """Keeps messages in the database, so that every process shows the same."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        sent = 0
        for message in email_messages:
            recipients = [parseaddr(recipient)[1] for recipient in message.recipients()]
            if not recipients:
                continue
            message.message()  # refuses what no mail server would take, such as a line break in the subject
            text, html = _parts(message)
            Message.objects.keep(
                recipients, channel=Message.Channel.EMAIL, subject=message.subject, text=text, html=html
            )
            sent += 1
        return sent


def _parts(message: EmailMessage) -> tuple[str, str]:
    """The plain text and the HTML part; "" for one that is not there."""
    if message.content_subtype == "html":
        return "", message.body
    html = next(
        (content for content, kind in getattr(message, "alternatives", []) if kind == "text/html"),
        "",
    )
    return message.body, html
