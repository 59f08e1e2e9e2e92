from __future__ import annotations

import sys

from django.views.decorators.debug import sensitive_variables

from .base import Message, Receipt
from .sms import SmsChannel, measure


class ConsoleChannel(SmsChannel):
    """Writes text messages to the terminal, as Django's ``console`` does mail: for one's own machine, since whoever
    reads the terminal has the code."""

    @sensitive_variables()
    def send(self, message: Message) -> Receipt:
        size = measure(message.text)
        rule = "-" * 79
        sys.stdout.write(
            f"{rule}\nSMS to {message.to} ({size.alphabet}, segments: {size.segments})\n\n{message.text}\n{rule}\n"
        )
        sys.stdout.flush()
        return Receipt()
