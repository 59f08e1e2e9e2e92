"""A process is killed (SIGKILL) at the worst moment: nothing is lost, and nothing is half done."""

import threading
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from passwordless_auth import outbox
from passwordless_auth.models import Challenge, Delivery, SignIn
from tests.conftest import Browser
from tests.races.processes import Program

from .mail_servers import code_of, mail_settings, text_of
from .visitor import Visitor
from .waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"


@contextmanager
def web_process(mail, *args):
    """A process that serves the site and sends by its background thread. Yields the program and its port."""
    settings = {"PASSWORDLESS_AUTH_SENDER": "thread", **mail_settings(mail.port, timeout=60)}
    with Program("tests.faults.web", *args, **settings) as program:
        yield program, program.hear()


def the_lease_has_run_out():
    Delivery.objects.update(available_at=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def killed_before_sending(mail):
    """Ada has asked; the process had the message's row in its hands, and was killed before the mail server took it."""
    with web_process(mail) as (program, port):
        ada = Visitor(port)
        mail.behaviour = "silent"
        assert ada.submit("/login/", identifier=ADDRESS).status == 303
        until(lambda: mail.connections)
        program.kill()
    mail.behaviour = "takes"
    assert Delivery.objects.get().state == "queued"
    return ada


@pytest.fixture
def killed_after_handing_over(mail):
    """Ada has asked; the mail server has her message, and the process was killed before it could write that down."""
    with web_process(mail) as (program, port):
        ada = Visitor(port)
        mail.behaviour = "keeps"
        assert ada.submit("/login/", identifier=ADDRESS).status == 303
        until(lambda: mail.messages)
        program.kill()
    mail.behaviour = "takes"
    assert Delivery.objects.get().state == "queued"
    return ada


def test_the_next_web_process_sends_what_a_killed_one_left(mail, killed_before_sending):
    ada = killed_before_sending
    the_lease_has_run_out()

    with web_process(mail) as (_program, port):
        assert Visitor(port).submit("/login/", identifier="somebody@example.com").status == 303
        until(lambda: mail.to(ADDRESS))

        ada.port = port
        assert ada.submit("/login/wait/", code=code_of(mail.to(ADDRESS)[0])).status == 303
        assert ada.who()["user"]["email"] == ADDRESS
        until(lambda: len(mail.messages) == 2)
    assert sorted(message["To"] for message in mail.messages) == [ADDRESS, "somebody@example.com"]


def test_a_message_is_left_to_its_process_until_the_lease_has_run_out(mail, killed_before_sending):
    assert outbox.drain() == 0
    assert not mail.messages

    the_lease_has_run_out()

    assert outbox.drain() == 1
    assert outbox.drain() == 0
    assert len(mail.messages) == 1


def test_a_message_that_was_handed_over_and_not_written_down_comes_at_most_once_more(mail, killed_after_handing_over):
    ada = killed_after_handing_over
    for _attempt in range(3):
        the_lease_has_run_out()
        call_command("passwordless_send")

    first, second = mail.messages
    assert second["Message-ID"] == first["Message-ID"]
    assert text_of(second) == text_of(first)
    with web_process(mail) as (_program, ada.port):
        assert ada.submit("/login/wait/", code=code_of(second)).status == 303


def test_two_processes_that_send_at_one_moment_send_each_message_once(mail):
    addresses = {f"{number}@example.com" for number in range(20)}
    for address in addresses:
        assert Browser().start(address).status_code == 303
    mail.messages.clear()
    Delivery.objects.update(state=Delivery.State.QUEUED, handed_over_at=None)
    the_lease_has_run_out()
    settings = mail_settings(mail.port)

    with Program("tests.faults.sending", **settings) as one, Program("tests.faults.sending", **settings) as other:
        both = [one.wait_until_ready(), other.wait_until_ready()]
        for program in both:
            program.tell("go")
        assert [program.hear() for program in both] == ["done", "done"]

    sent = [message["To"] for message in mail.messages]
    assert len(sent) == 20
    assert set(sent) == addresses
    assert not Delivery.objects.exclude(state=Delivery.State.HANDED_OVER).exists()


def test_a_sign_in_whose_process_is_killed_in_the_middle_of_it_has_not_happened(mail):
    with web_process(mail, 30) as (program, port):
        ada = Visitor(port)
        ada.submit("/login/", identifier=ADDRESS)
        until(lambda: mail.messages)
        code = code_of(mail.messages[0])

        def sign_in():
            with suppress(OSError):  # the connection breaks
                ada.submit("/login/wait/", code=code)

        request = threading.Thread(target=sign_in)
        request.start()
        request.join(2)
        assert request.is_alive(), "the sign-in was over before its process was"
        program.kill()
        request.join(20)

    assert "sessionid" not in ada.cookies
    assert not SignIn.objects.exists()
    assert Challenge.objects.get().state == Challenge.State.OPEN
    with web_process(mail) as (_program, ada.port):
        assert ada.submit("/login/wait/", code=code).status == 303
        assert ada.who()["authenticated"]
