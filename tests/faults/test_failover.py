"""The first provider is down: the next one takes the message, at once, and the first is left in peace for a while."""

import django
import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.smtp import EmailBackend
from django.utils import timezone

from passwordless_auth.channels import Message, Rejected, Retryable, channel, failover
from passwordless_auth.channels.email import EmailChannel
from passwordless_auth.models import Challenge, Delivery, Event
from tests.conftest import Browser

from .mail_servers import MailServer, code_of

pytestmark = pytest.mark.django_db(transaction=True)

SMTP = f"{__name__}.SmtpChannel"
FAILOVER = "passwordless_auth.channels.failover.FailoverChannel"


class SmtpChannel(EmailChannel):
    """One of several mail servers."""

    def __init__(self, *, port):
        super().__init__()
        self.port = port

    def connection(self):
        alias = {"alias": "one of several"} if django.VERSION >= (6, 1) else {}
        return EmailBackend(host="127.0.0.1", port=self.port, timeout=1, **alias)


@pytest.fixture(autouse=True)
def breaker(monkeypatch):
    """A process that has not sent anything yet."""
    made = failover.Breaker()
    monkeypatch.setattr(failover, "breaker", made)
    return made


@pytest.fixture
def servers(settings):
    made = {alias: MailServer() for alias in ("first", "second")}
    settings.PASSWORDLESS_AUTH_CHANNELS = {
        "email": {"BACKEND": FAILOVER, "OPTIONS": {"channels": ["first", "second"]}},
        **{alias: {"BACKEND": SMTP, "OPTIONS": {"port": server.port}} for alias, server in made.items()},
    }
    yield made
    for server in made.values():
        server.stop()


def message(to="ada@example.com"):
    return Message(to=to, subject="Hello", text="Hello", html="<p>Hello</p>", language="en", idempotency_key="k" * 22)


@pytest.mark.parametrize("how", ["silent", "busy", "dies", "keeps"])
def test_a_person_signs_in_by_the_second_when_the_first_is_down(how, servers, browser):
    servers["first"].behaviour = how

    browser.start("ada@example.com")

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.provider, delivery.attempts) == ("handed_over", "second", 1)
    [mail] = servers["second"].to("ada@example.com")
    assert browser.submit("/login/wait/", {"code": code_of(mail)})["Location"] == "/account/"


def test_the_second_is_not_asked_while_the_first_takes_everything(servers, browser):
    browser.start("ada@example.com")

    assert Delivery.objects.get().provider == "first"
    assert servers["second"].connections == []


def test_what_one_refuses_for_good_is_not_tried_at_another(servers, browser):
    servers["first"].behaviour = "refuses"

    browser.start("ada@example.com")

    assert (Delivery.objects.get().state, servers["second"].connections) == ("failed", [])
    with pytest.raises(Rejected):
        channel("email").send(message())


def test_when_none_takes_it_the_row_names_each_and_waits(servers, browser):
    servers["first"].behaviour = servers["second"].behaviour = "busy"

    browser.start("ada@example.com")

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("queued", 1)
    assert delivery.error == "first: SMTPRecipientsRefused [451]; second: SMTPRecipientsRefused [451]"
    assert Challenge.objects.get().state == "open"


def test_after_three_failures_the_first_is_left_in_peace_by_every_process(servers, monkeypatch):
    servers["first"].behaviour = "busy"
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(5):
            assert channel("email").send(message()).provider == "second"
        assert len(servers["first"].connections) == 3

        monkeypatch.setattr(failover, "breaker", failover.Breaker())  # another process
        channel("email").send(message())
        assert len(servers["first"].connections) == 3
        assert [event.data for event in Event.objects.filter(kind="provider_paused")] == [{"channel": "first"}]

        # Half a minute later it is asked again. One failure is enough now.
        clock.shift(failover.PAUSE + 1)
        monkeypatch.setattr(failover, "breaker", failover.Breaker())
        for _ in range(3):
            channel("email").send(message())
        assert len(servers["first"].connections) == 4

        clock.shift(failover.PAUSE + 1)
        monkeypatch.setattr(failover, "breaker", failover.Breaker())
        servers["first"].behaviour = "takes"
        assert [channel("email").send(message()).provider for _ in range(3)] == ["first"] * 3


def test_two_failures_are_no_reason_yet(servers):
    servers["first"].behaviour = "busy"
    for _ in range(2):
        channel("email").send(message())
    servers["first"].behaviour = "takes"

    assert channel("email").send(message()).provider == "first"
    assert not Event.objects.filter(kind="provider_paused").exists()


def test_when_all_are_paused_all_are_asked(servers):
    for server in servers.values():
        server.behaviour = "busy"
    for _ in range(4):
        with pytest.raises(Retryable):
            channel("email").send(message())
    servers["second"].behaviour = "takes"

    assert channel("email").send(message()).provider == "second"


def test_a_provider_that_fails_in_a_way_of_its_own_is_passed_over_and_the_log_has_the_error(servers, settings, caplog):
    settings.PASSWORDLESS_AUTH_CHANNELS["first"] = {"BACKEND": f"{__name__}.Mistaken"}

    assert channel("email").send(message()).provider == "second"
    assert "The channel first failed: KeyError" in caplog.text


class Mistaken(EmailChannel):
    def send(self, message):
        raise KeyError(message.to)


def test_state_is_read_once_in_a_few_seconds_and_not_with_each_message(servers, django_assert_num_queries):
    with django_assert_num_queries(2):  # of the two channels
        channel("email").send(message())
    with django_assert_num_queries(0):
        channel("email").send(message())


def test_the_longest_beginning_that_fits_gives_the_order(servers, settings):
    settings.PASSWORDLESS_AUTH_CHANNELS["email"]["OPTIONS"]["routes"] = {"b": ["second"], "bob": ["first", "second"]}

    assert channel("email").send(message("ada@example.com")).provider == "first"
    assert channel("email").send(message("bea@example.com")).provider == "second"
    assert channel("email").send(message("bob@example.com")).provider == "first"


@pytest.mark.parametrize(
    "options",
    [
        {"channels": []},
        {"channels": ["nowhere"]},
        {"channels": ["email"]},
        {"channels": ["first"], "routes": {"+": []}},
    ],
)
def test_what_can_not_work_is_refused_when_it_is_made(options, servers, settings):
    settings.PASSWORDLESS_AUTH_CHANNELS["email"]["OPTIONS"] = options

    with pytest.raises(ImproperlyConfigured, match="FailoverChannel"):
        channel("email")


def test_people_do_not_wait_for_a_provider_that_hangs(servers, sender):
    servers["first"].behaviour = "silent"
    browsers = [Browser() for _ in range(4)]

    for number, browser in enumerate(browsers):
        assert browser.start(f"person{number}@example.com").status_code == 303

    assert sender.join(20)
    assert set(Delivery.objects.values_list("state", "provider")) == {("handed_over", "second")}
