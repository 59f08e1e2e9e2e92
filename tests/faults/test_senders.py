"""Who sends: a thread of this process, a queue of Django's Tasks framework, or the request itself."""

import os
import threading

import django
import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone
from django.utils.module_loading import import_string

from passwordless_auth import outbox
from passwordless_auth.models import Delivery
from tests.races.processes import Program

from .mail_servers import code_of, mail_settings
from .waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"
TASKS = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"


# -- inline


def test_inline_sends_within_the_request(mail, browser):
    browser.start(ADDRESS)

    assert len(mail.messages) == 1
    assert Delivery.objects.get().state == "handed_over"


# -- thread


def test_a_process_that_sends_nothing_has_no_sending_thread(sending_threads, browser):
    browser.get("/login/")

    assert not sending_threads()


def test_the_first_message_starts_one_thread_and_the_next_ones_use_it(mail, sending_threads, sender, browser):
    for number in range(3):
        browser.start(f"{number}@example.com")
        assert sender.join(20)
        until(lambda: not sender._sweeping)  # a thread that does so is not free: a message would get another one
        assert len(sending_threads()) == 1

    assert [message["To"] for message in mail.messages] == [f"{number}@example.com" for number in range(3)]


def test_the_sending_thread_keeps_no_process_alive(mail, sending_threads, browser):
    browser.start(ADDRESS)

    assert all(thread.daemon for thread in sending_threads())


def test_a_thread_that_was_about_to_end_does_not_leave_a_message_behind(sender):
    # Two threads: one sends something long, this one has found nothing to do; and then a message comes.
    sender._threads = [threading.Thread(), threading.current_thread()]
    sender._queue.put(1)

    needed = sender._needed()

    sender._threads.clear()
    assert needed


def test_the_sender_outlives_a_message_that_it_cannot_read(mail, sender, browser, caplog):
    sender.post("no number", timezone.now())
    assert sender.join(20)

    browser.start(ADDRESS)

    assert sender.join(20)
    assert len(mail.messages) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_parent_and_child_of_a_fork_both_send(mail):
    with Program("tests.faults.forking", PASSWORDLESS_AUTH_SENDER="thread", **mail_settings(mail.port)) as program:
        program.wait_until_ready()

        assert program.hear() == {"child": 0, "parent": True}

    sent = [message["To"] for message in mail.messages]
    assert sent == ["parent@example.com", "child@example.com", "parent-again@example.com"]


# -- tasks


@pytest.fixture
def queue(settings):
    """The site's queue is the one of this dotted path."""
    backends = pytest.importorskip(TASKS).task_backends
    settings.PASSWORDLESS_AUTH_SENDER = "tasks"

    def use(path):
        backends["default"] = import_string(path)(alias="default", params={})
        return backends["default"]

    yield use
    del backends["default"]


@pytest.fixture
def deferring(queue):
    return queue("tests.faults.queues.Deferring").waiting


def run(task, args, kwargs):
    return task.func(*args, **kwargs)


def test_the_immediate_queue_sends_within_the_request(queue, mail, browser):
    queue(f"{TASKS}.backends.immediate.ImmediateBackend")

    browser.start(ADDRESS)

    assert len(mail.messages) == 1
    assert Delivery.objects.get().state == "handed_over"


def test_a_failure_in_the_immediate_queue_is_left_to_the_command(queue, mail, browser):
    queue(f"{TASKS}.backends.immediate.ImmediateBackend")
    mail.behaviour = "busy"
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert browser.start(ADDRESS).status_code == 303
        mail.behaviour = "takes"
        clock.shift(2)
        call_command("passwordless_send")

    assert len(mail.messages) == 1
    assert Delivery.objects.get().attempts == 2


def test_a_queue_gets_the_number_of_the_message_and_nothing_else(deferring, mail, browser):
    browser.start(ADDRESS)

    ((_task, args, kwargs),) = deferring
    assert args == [Delivery.objects.get().pk] or args == (Delivery.objects.get().pk,)
    assert kwargs == {}
    assert not mail.messages


def test_a_task_that_runs_twice_sends_once(deferring, mail, browser):
    browser.start(ADDRESS)

    run(*deferring[0])
    run(*deferring[0])

    assert len(mail.messages) == 1
    assert browser.submit("/login/wait/", {"code": code_of(mail.messages[0])}).status_code == 303


def test_a_failed_task_comes_back_when_the_pause_is_over(deferring, mail, browser):
    mail.behaviour = "busy"
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.start(ADDRESS)
        run(*deferring.pop())
        ((again, args, kwargs),) = deferring
        assert again.run_after == Delivery.objects.get().available_at
        assert (again.run_after - timezone.now()).total_seconds() == 2

        mail.behaviour = "takes"
        clock.move_to(again.run_after)
        run(again, args, kwargs)

    assert len(mail.messages) == 1
    assert Delivery.objects.get().state == "handed_over"


def test_a_message_that_was_refused_for_good_does_not_come_back(deferring, mail, browser):
    mail.behaviour = "refuses"
    browser.start(ADDRESS)

    run(*deferring.pop())

    assert not deferring
    assert Delivery.objects.get().state == "failed"


def test_a_queue_that_is_down_changes_no_answer_and_loses_no_message(queue, mail, browser, caplog):
    queue("tests.faults.queues.Down")

    assert browser.start(ADDRESS).status_code == 303
    assert Delivery.objects.get().state == "queued"
    assert ADDRESS not in caplog.text

    call_command("passwordless_send")

    assert len(mail.messages) == 1


def test_a_worker_that_comes_after_the_command_sends_nothing(deferring, mail, browser):
    browser.start(ADDRESS)
    assert outbox.drain() == 1

    run(*deferring[0])

    assert len(mail.messages) == 1
