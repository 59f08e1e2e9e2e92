"""A provider that carried a code hears what became of it: by the threads and queues that send, and never at the cost of
who signs in or of the messages of others."""

import threading

import django
import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.module_loading import import_string

from passwordless_auth import outbox
from passwordless_auth.channels import memory
from passwordless_auth.models import Challenge, Delivery
from passwordless_auth.testing.channels import NUMBER
from tests.channels.test_twilio_verify import MEMORY, VERIFY, codes, options_for, told
from tests.channels.twilio_server import running
from tests.conftest import Browser

from .waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

TASKS = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"


@pytest.fixture
def verify(settings, sms):
    with running() as server:
        settings.PASSWORDLESS_AUTH_CHANNELS |= {
            "sms": {"BACKEND": VERIFY, "OPTIONS": options_for(server, timeout=1)},
            "texts": MEMORY,
        }
        yield server


def types_the_code(browser, server):
    response = browser.submit("/login/wait/", {"code": codes(server)[-1]})
    assert response.status_code == 303, response.content
    assert browser.who()["authenticated"] is True


def test_a_thread_tells_it_and_the_person_waits_for_nothing(browser, verify, sender, others, caplog):
    browser.start(NUMBER)
    assert sender.join(20)
    verify.only, verify.hangs = "/Verifications/VE", 60  # whoever tells it waits; and the person does not
    types_the_code(browser, verify)
    until(lambda: told(verify)[-1] == "approved")

    verify.hangs = 0
    verify.over.set()
    until(lambda: "was not told" in caplog.text)
    Delivery.objects.update(outcome_at=Delivery.objects.get().created_at)  # its time has come again
    until(lambda: not Delivery.objects.filter(outcome_at__isnull=False).exists())
    assert told(verify) == ["code", "approved", "approved"]


def test_a_process_that_has_sent_nothing_tells_it_as_well(browser, verify, others, sending_threads, settings):
    """The code was sent by another process."""
    settings.PASSWORDLESS_AUTH_SENDER = "inline"
    browser.start(NUMBER)
    settings.PASSWORDLESS_AUTH_SENDER = "thread"
    assert not sending_threads()
    types_the_code(browser, verify)

    until(lambda: told(verify) == ["code", "approved"])


def test_what_another_process_did_not_tell_is_found(browser, verify, sender, others, settings):
    settings.PASSWORDLESS_AUTH_SENDER = "inline"
    browser.start(NUMBER)
    types_the_code(browser, verify)
    assert told(verify) == ["code"]
    Delivery.objects.update(outcome_at=timezone.now())  # its time is over

    settings.PASSWORDLESS_AUTH_SENDER = "thread"
    Browser().start("somebody@example.com")
    until(lambda: told(verify) == ["code", "approved"])


def test_a_provider_that_hangs_does_not_keep_the_messages_of_others(browser, verify, sender, others):
    browser.start(NUMBER)
    assert sender.join(20)
    verify.only, verify.hangs = "/Verifications/VE", 60
    types_the_code(browser, verify)
    until(lambda: told(verify)[-1] == "approved")  # and hangs

    memory.sent.clear()
    for number in range(8):
        Browser().start(f"someone-{number}@example.com")
    assert sender.join(20)
    assert Delivery.objects.filter(channel="email", state="handed_over").count() == 8


def test_no_request_pays_for_it(browser, other_browser, verify, sender, others, settings):
    """Not even with a sender that would tell it: the statements are those of any other channel."""
    settings.PASSWORDLESS_AUTH_SMS_LIMIT_PER_NUMBER = ""
    counts = []
    for who, channel_of_texts in ((browser, None), (other_browser, MEMORY)):
        if channel_of_texts:
            settings.PASSWORDLESS_AUTH_CHANNELS |= {"sms": channel_of_texts}
        with CaptureQueriesContext(connection) as starting:
            who.start(f"+49151234567{len(counts)}9")
        assert sender.join(20)
        challenge = Challenge.objects.latest("pk")
        with CaptureQueriesContext(connection) as finishing:
            assert who.submit("/login/wait/", {"code": challenge.code()}).status_code == 303
        counts.append((len(starting), len(finishing)))

    assert counts[0] == counts[1]


def test_many_workers_at_one_moment_tell_it_once(browser, verify):
    browser.start(NUMBER)
    types_the_code(browser, verify)
    (pk,) = Challenge.objects.values_list("pk", flat=True)
    start = threading.Barrier(6)

    def tell():
        try:
            start.wait(10)
            outbox.tell_outcomes([pk])
        finally:
            connections.close_all()

    workers = [threading.Thread(target=tell) for _each in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert told(verify) == ["code", "approved"]


@pytest.fixture
def queue(settings):
    backends = pytest.importorskip(TASKS).task_backends
    settings.PASSWORDLESS_AUTH_SENDER = "tasks"

    def use(path):
        backends["default"] = import_string(path)(alias="default", params={})
        return backends["default"]

    yield use
    del backends["default"]


def test_a_queue_is_given_the_number_of_the_challenge(browser, verify, queue):
    waiting = queue("tests.faults.queues.Deferring").waiting
    browser.start(NUMBER)
    task, args, kwargs = waiting.pop()
    task.func(*args, **kwargs)
    types_the_code(browser, verify)
    assert told(verify) == ["code"]

    ((task, args, kwargs),) = waiting
    assert list(args) == [Challenge.objects.get().pk]
    task.func(*args, **kwargs)
    assert told(verify) == ["code", "approved"]


def test_a_queue_that_is_down_keeps_nobody_out(browser, verify, queue):
    waiting = queue("tests.faults.queues.Deferring").waiting
    browser.start(NUMBER)
    task, args, kwargs = waiting.pop()
    task.func(*args, **kwargs)
    queue("tests.faults.queues.Down")

    types_the_code(browser, verify)
    assert Delivery.objects.filter(outcome_at__isnull=False).exists()  # drain finds it
