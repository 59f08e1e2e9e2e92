"""The database is stopped and started again (FT-04): refused, told to nobody, and over without a restart."""

import threading
from contextlib import contextmanager

import pytest
from django.db import connection

from passwordless_auth.models import Challenge, Delivery, SignIn
from tests.races.processes import Program

from .mail_servers import code_of, mail_settings
from .proxy import Door
from .visitor import Visitor
from .waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ADDRESS = "ada@example.com"


@pytest.fixture
def door():
    settings = connection.settings_dict
    made = Door(settings["HOST"] or "127.0.0.1", int(settings["PORT"] or 5432))
    yield made
    made.close()


@contextmanager
def web_process(door, mail, *args, **settings):
    """A web process whose way to the database leads through the door. Yields its port."""
    names = ("ENGINE", "NAME", "USER", "PASSWORD", "OPTIONS")
    database = {name: connection.settings_dict[name] for name in names}
    settings = {
        "DATABASES": {"default": {**database, "HOST": "127.0.0.1", "PORT": door.port, **settings}},
        "PASSWORDLESS_AUTH_SENDER": "thread",
        **mail_settings(mail.port, timeout=60),
    }
    with Program("tests.faults.web", *args, **settings) as program:
        yield program.hear()


def refused(answer):
    """A generic page, without a word about what is broken, and no session."""
    assert answer.status in {500, 503}
    assert "sessionid" not in answer.cookies
    for word in ("Traceback", "psycopg", "OperationalError", "connection", ADDRESS):
        assert word not in answer.body
    return True


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param({}, id="a connection for each request"),
        pytest.param({"CONN_MAX_AGE": 60}, id="connections that are kept"),
    ],
)
def test_a_stopped_database_refuses_everybody_and_all_goes_on_when_it_is_back(door, mail, kept):
    with web_process(door, mail, **kept) as port:
        ada, stranger = Visitor(port), Visitor(port)
        stranger.get("/login/")
        assert ada.submit("/login/", identifier=ADDRESS).status == 303
        until(lambda: mail.messages)
        code = code_of(mail.messages[0])
        until(lambda: Delivery.objects.get().state == "handed_over")

        door.close()
        answers = [ada.submit("/login/wait/", code=code) for _attempt in range(3)]
        answers += [stranger.submit("/login/", identifier=address) for address in (ADDRESS, "nobody@example.com")]
        assert all(refused(answer) for answer in answers)
        assert len({answer.body for answer in answers}) == 1
        assert Challenge.objects.get().state == Challenge.State.OPEN

        door.open()
        assert ada.submit("/login/wait/", code=code).status == 303
        assert ada.who()["user"]["email"] == ADDRESS
        assert SignIn.objects.count() == 1


def test_a_database_that_stops_in_the_middle_of_a_sign_in_leaves_nothing_of_it(door, mail):
    with web_process(door, mail, 2) as port:
        ada = Visitor(port)
        ada.submit("/login/", identifier=ADDRESS)
        until(lambda: mail.messages)
        code = code_of(mail.messages[0])
        answers = []

        request = threading.Thread(target=lambda: answers.append(ada.submit("/login/wait/", code=code)))
        request.start()
        request.join(1)
        assert not answers, "the sign-in was over before the database stopped"
        door.close()
        request.join(20)

        assert refused(answers[0])
        assert not SignIn.objects.exists()
        assert Challenge.objects.get().state == Challenge.State.OPEN
        door.open()
        assert ada.submit("/login/wait/", code=code).status == 303
        assert ada.who()["authenticated"]


def test_the_background_sender_outlives_a_stopped_database(door, mail):
    with web_process(door, mail) as port:
        mail.behaviour = "silent"
        assert Visitor(port).submit("/login/", identifier=ADDRESS).status == 303
        until(lambda: mail.connections)
        door.close()
        mail.break_off()  # and now the sender can't even write down that it failed
        mail.behaviour = "takes"
        door.open()

        assert Visitor(port).submit("/login/", identifier="somebody@example.com").status == 303

        until(lambda: mail.to("somebody@example.com"))
        assert Delivery.objects.get(canonical=ADDRESS).state == "queued"
