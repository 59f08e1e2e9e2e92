from collections.abc import Iterable

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import contents

#: How many messages stay: enough for any try, and the table never grows.
KEEP = 500


class MessageQuerySet(models.QuerySet["Message"]):
    def to(self, address: str) -> "MessageQuerySet":
        """The messages of one address, in whatever case it is written."""
        return self.filter(recipient__iexact=address)

    def keep(
        self, recipients: Iterable[str], *, channel: str, subject: str, text: str, html: str, code: str = ""
    ) -> None:
        """Add one message, a row for each recipient, and let the oldest go. ``code``: where the channel knows it."""
        content = {
            "subject": subject[:255],
            "text": text,
            "html": html,
            "code": code or contents.code_in(text, html) or "",
            "link": contents.link_in(text, html) or "",
        }
        self.bulk_create(self.model(channel=channel, recipient=recipient, **content) for recipient in recipients)
        beyond = self.order_by("-pk").values_list("pk", flat=True)[KEEP : KEEP + 1]
        for pk in beyond:
            self.filter(pk__lte=pk).delete()


class Message(models.Model):
    """A message that was sent, as one recipient got it."""

    class Channel(models.TextChoices):
        EMAIL = "email", _("E-mail")
        SMS = "sms", _("SMS")

    channel = models.CharField(max_length=16, choices=Channel.choices, default=Channel.EMAIL)
    recipient = models.CharField(max_length=254, db_index=True)
    subject = models.CharField(max_length=255, blank=True, default="")
    text = models.TextField(blank=True, default="")
    html = models.TextField(blank=True, default="")
    code = models.CharField(max_length=32, blank=True, default="")
    link = models.TextField(blank=True, default="")
    sent_at = models.DateTimeField(default=timezone.now)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        verbose_name = _("message")
        verbose_name_plural = _("messages")

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.pk}"

    @property
    def title(self) -> str:
        """What tells it from others in a list: its subject, or the first line of a text message."""
        return self.subject or self.text.strip().partition("\n")[0][:80] or str(self.get_channel_display())

    def as_json(self) -> dict[str, str | None]:
        return {
            "id": str(self.pk),
            "channel": self.channel,
            "to": self.recipient,
            "subject": self.subject,
            "text": self.text,
            "html": self.html or None,
            "code": self.code or None,
            "link": self.link or None,
            "sent_at": self.sent_at.isoformat(),
        }
