"""Fixtures for pytest. In the root ``conftest.py`` of a project::

    pytest_plugins = ["passwordless_auth.testing.plugin"]

It is no entry point: the tests of a project that merely has this package installed load nothing of it. Needs
pytest-django.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from passwordless_auth import testing

if TYPE_CHECKING:
    from django.test import Client

    from .authenticator import Authenticator
    from .mail_scanner import Visit


@pytest.fixture(autouse=True)
def _no_text_messages_yet() -> None:
    """What an earlier test sent is gone, as it is for mail."""
    if module := sys.modules.get("passwordless_auth.channels.memory"):
        module.sent.clear()


@pytest.fixture
def passwordless_outbox(db: None) -> ModuleType:
    """The messages that a test caused: ``last_code(to)``, ``last_link(to)``, ``last_message(to)``,
    ``send_queued()``."""
    return import_module("passwordless_auth.testing.outbox")


@pytest.fixture
def authenticator() -> Authenticator:
    """A software authenticator with the browser in front of it, without passkeys yet."""
    return testing.Authenticator()


@pytest.fixture
def signed_in_client(db: None) -> Callable[..., Client]:
    """``signed_in_client(user, level="single", methods=None)``: a test client in which this user is signed in."""
    return testing.signed_in_client


@pytest.fixture
def mail_scanner(db: None) -> Callable[[Any], list[Visit]]:
    """``mail_scanner(message)``: opens every link of a message as a mail scanner does; returns what it saw."""
    return testing.scan
