import threading

import pytest

from passwordless_auth import outbox
from tests.races import servers

from .mail_servers import MailServer, mail_settings


def pytest_runtest_setup(item):
    servers.require(item)


@pytest.fixture
def mail(settings):
    """A mail server, and the site's mail goes to it. It takes everything until it is told otherwise."""
    server = MailServer()
    for name, value in mail_settings(server.port).items():
        setattr(settings, name, value)
    yield server
    server.stop()


class ShortLivedSender(outbox.BackgroundSender):
    """The background sender; but where that one keeps a thread for as long as the process lives, this one is over
    with its test, or it would look into the next test's outbox."""

    closing = False

    def _needed(self):
        return not self.closing and super()._needed()

    def close(self):
        self.closing = True
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads)


@pytest.fixture
def sender(settings, monkeypatch):
    """The background sender sends. It looks for work that was left ten times a second, and not each ten seconds."""
    settings.PASSWORDLESS_AUTH_SENDER = "thread"
    monkeypatch.setattr(outbox, "SWEEP_EVERY", 0.1)
    made = ShortLivedSender()
    monkeypatch.setattr(outbox, "sender", made)
    yield made
    made.close()


@pytest.fixture
def others(sender, monkeypatch):
    """The threads beside it, of what are no messages."""
    made = ShortLivedSender("others")
    monkeypatch.setattr(outbox, "others", made)
    yield made
    made.close()


@pytest.fixture
def sending_threads(running_before, sender):
    """The threads of the background sender that run now."""

    def of_this_test():
        threads = set(threading.enumerate()) - running_before
        return [thread for thread in threads if thread.name == "passwordless-auth-sender"]

    return of_this_test


@pytest.fixture
def running_before():
    return set(threading.enumerate())
