"""The Redis that counts limits is stopped (FT-06): the database counts, and nothing is ever without a limit."""

import logging
import secrets
import time
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings

from passwordless_auth.models import Counter
from passwordless_auth.testing import outbox
from tests.conftest import Browser

from .mail_servers import mail_server, wrong_code
from .proxy import Door

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

PROXIED = "limits"


def ask(address):
    return Browser().start(address).status_code


@pytest.fixture
def address():
    """One that no test has used: Redis is not emptied for a test."""
    return f"ada-{secrets.token_hex(8)}@example.com"


def count_in(settings, port, **options):
    """The limits count in a Redis behind this port: two messages an hour to each address."""
    url = urlsplit(django_settings.CACHES["redis"]["LOCATION"])
    user = f"{url.netloc.rpartition('@')[0]}@" if "@" in url.netloc else ""
    location = url._replace(netloc=f"{user}127.0.0.1:{port}").geturl()
    behind = {**settings.CACHES["redis"], "LOCATION": location, "OPTIONS": options}
    settings.CACHES = {**settings.CACHES, PROXIED: behind}
    settings.PASSWORDLESS_AUTH_LIMIT_STORE = PROXIED
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "2/h"
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = ""


@pytest.fixture
def door(settings):
    url = urlsplit(django_settings.CACHES["redis"]["LOCATION"])
    made = Door(url.hostname, url.port or 6379)
    count_in(settings, made.port)
    yield made
    made.close()


def test_redis_counts_and_the_database_does_not(door, address):
    assert [ask(address) for _attempt in range(3)] == [303, 303, 429]
    assert not Counter.objects.exists()


def test_when_redis_stops_the_database_counts_and_refuses_as_well(door, address):
    assert ask(address) == 303
    door.close()

    assert [ask(address) for _attempt in range(3)] == [303, 303, 429]

    assert Counter.objects.get(action="sends").count == 2


def test_when_redis_is_back_it_counts_on_from_where_it_was(door, address):
    assert ask(address) == 303
    door.close()
    assert ask(address) == 303
    door.open()

    assert [ask(address), ask(address)] == [303, 429]


def test_guesses_are_limited_while_redis_is_stopped(door, address, settings, browser):
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP = "2/h"
    assert browser.start(address).status_code == 303
    guess = {"code": wrong_code(outbox.last_code(address))}
    door.close()

    answers = [browser.submit("/login/wait/", guess).status_code for _attempt in range(3)]

    assert answers == [400, 400, 429]


def test_a_stopped_redis_is_told_to_the_log_without_an_address(door, address, caplog):
    door.close()

    assert ask(address) == 303

    assert "the database counts" in caplog.text
    assert address not in caplog.text
    assert {record.levelno for record in caplog.records if record.name == "passwordless_auth"} == {logging.ERROR}


def test_a_redis_that_says_nothing_costs_its_time_out_and_the_database_counts(settings, address):
    with mail_server("silent") as silent:
        count_in(settings, silent.port, socket_timeout=0.2, socket_connect_timeout=0.2)
        begun = time.monotonic()

        assert [ask(address) for _attempt in range(3)] == [303, 303, 429]

        assert time.monotonic() - begun < 10
