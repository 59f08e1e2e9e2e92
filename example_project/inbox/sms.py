"""Text messages into the inbox."""

from passwordless_auth import channels
from passwordless_auth.channels import sms

from .models import Message


class SmsChannel(sms.SmsChannel):
    """Keeps text messages in the database, beside the mail, as a person would see them."""

    def send(self, message: channels.Message) -> channels.Receipt:
        Message.objects.keep(
            [message.to], channel=Message.Channel.SMS, subject="", text=message.text, html="", code=message.code
        )
        return channels.Receipt()
