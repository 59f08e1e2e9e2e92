"""What every channel has to do, as tests: for a provider of your own, inherit and say how it is brought about."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, Final

import pytest

from ..channels import Channel, Message, Receipt, Rejected, Retryable

#: Made up, and looked for in everything that a channel says.
CODE: Final = "739184"
NUMBER: Final = "+4915123456789"


class ChannelContract(ABC):
    """Inherit, name the class ``Test…``, and write the six methods: each is a context manager that gives the channel,
    in front of a provider that behaves so. That is best the provider's own client and a server on this machine.
    """

    message = Message(
        to=NUMBER,
        subject="",
        text=f"{CODE} is your code.\n\n@example.com #{CODE}",
        html="",
        language="en",
        idempotency_key="k" * 22,
        kind="sign_in",
        code=CODE,
    )

    @abstractmethod
    def accepting(self) -> AbstractContextManager[Channel]:
        """Takes every message."""

    @abstractmethod
    def refusing_the_recipient(self) -> AbstractContextManager[Channel]:
        """Says that this number can never be written to."""

    @abstractmethod
    def refusing_the_account(self) -> AbstractContextManager[Channel]:
        """Does not know our key, or has no money of ours left."""

    @abstractmethod
    def busy(self) -> AbstractContextManager[Channel]:
        """Asks us to be slower."""

    @abstractmethod
    def broken(self) -> AbstractContextManager[Channel]:
        """Answers with an error of its own (HTTP 500)."""

    @abstractmethod
    def hanging(self) -> AbstractContextManager[Channel]:
        """Takes the connection, and says nothing."""

    def test_what_is_accepted_has_a_receipt(self) -> None:
        with self.accepting() as channel:
            receipt = channel.send(self.message)
        assert isinstance(receipt, Receipt)
        assert receipt.provider_id

    def test_what_can_never_arrive_is_rejected(self) -> None:
        with self.refusing_the_recipient() as channel, pytest.raises(Rejected) as caught:
            channel.send(self.message)
        assert_silent(str(caught.value))

    @pytest.mark.parametrize("fault", ["refusing_the_account", "busy", "broken"])
    def test_what_may_work_later_or_elsewhere_is_retryable(self, fault: str) -> None:
        with getattr(self, fault)() as channel, pytest.raises(Retryable) as caught:
            channel.send(self.message)
        assert_silent(str(caught.value))

    def test_a_provider_that_hangs_is_left_in_time(self) -> None:
        """Ten seconds, a third of the time for which a sender holds a message."""
        began = time.monotonic()
        with self.hanging() as channel, pytest.raises(Retryable) as caught:
            channel.send(self.message)
        assert time.monotonic() - began < 10
        assert_silent(str(caught.value))

    def test_nothing_that_is_logged_holds_the_code_or_the_number(self, caplog: Any) -> None:
        with caplog.at_level(logging.DEBUG):
            with self.accepting() as channel:
                channel.send(self.message)
            with self.broken() as channel, pytest.raises(Retryable):
                channel.send(self.message)
        assert_silent(caplog.text)


def assert_silent(text: str) -> None:
    """Neither the code nor the number is in a text that administrators read."""
    assert CODE not in text
    assert NUMBER not in text
    assert NUMBER.removeprefix("+") not in text
