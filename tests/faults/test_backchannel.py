"""A web process is killed (SIGKILL) when a session has ended and before its Client was told: the Client is told."""

import hashlib
import json
import secrets
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.core.management import call_command
from django.utils import timezone
from jwcrypto import jwk, jws

from passwordless_auth.models import Delivery, SignIn
from tests.oidc.relying_party import CALLBACK, b64, make_client
from tests.races.processes import Program
from tests.receiver import Receiver

from .mail_servers import code_of, mail_settings
from .visitor import Visitor
from .waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"
IN_REACH = {"PASSWORDLESS_AUTH_OUTBOUND_NETWORKS": ["127.0.0.1/32"]}


@pytest.fixture
def receiver():
    made = Receiver(200)
    yield made
    made.stop()


@contextmanager
def web_process(mail, *args):
    settings = {"PASSWORDLESS_AUTH_SENDER": "thread", **IN_REACH, **mail_settings(mail.port)}
    with Program("tests.faults.web", *args, **settings) as program:
        yield program, program.hear()


@pytest.fixture
def ada(mail, receiver):
    """Signed in, here and at a Client; the process that she did it with has ended."""
    make_client(backchannel_logout_uri=f"{receiver.url}/logout")
    with web_process(mail) as (_program, port):
        person = Visitor(port)
        person.submit("/login/", identifier=ADDRESS)
        until(lambda: mail.messages)
        assert person.submit("/login/wait/", code=code_of(mail.messages[0])).status == 303
        challenge = b64(hashlib.sha256(secrets.token_bytes(32)).digest())
        query = {
            "client_id": "app",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        assert person.get(f"/openid/authorize?{urlencode(query)}").status == 303
    return person


def logout_delivery():
    return Delivery.objects.get(kind="backchannel_logout")


def the_lease_has_run_out():
    Delivery.objects.filter(state="queued").update(available_at=timezone.now() - timedelta(seconds=1))


def sid_in(told, port):
    keys = jwk.JWKSet.from_json(Visitor(port).get("/openid/jwks").body)
    token = jws.JWS()
    token.deserialize(told[1]["logout_token"])
    token.verify(keys.get_key(json.loads(token.objects["protected"])["kid"]))
    return json.loads(token.payload)["sid"]


def test_killed_between_the_end_and_the_call(mail, receiver, ada):
    receiver.behaviour = "hangs"
    with web_process(mail) as (program, ada.port):
        assert ada.submit("/logout/").status == 303
        until(lambda: receiver.told)  # it is on the way, and was not taken
        program.kill()
    receiver.told.clear()
    receiver.behaviour = "answers"
    assert SignIn.objects.get().end_reason == "signed_out"
    assert (logout_delivery().state, logout_delivery().attempts) == ("queued", 0)
    the_lease_has_run_out()

    with web_process(mail) as (_program, port):
        # Whoever has anything to send finds what was left.
        Visitor(port).submit("/login/", identifier="somebody@example.com")
        until(lambda: receiver.told)
        until(lambda: logout_delivery().state == "handed_over")
        assert sid_in(receiver.told[0], port) == SignIn.objects.get().public_id
    assert len(receiver.told) == 1


def test_killed_after_the_client_has_taken_it(mail, receiver, ada, settings):
    """At least once: a Client that was told before the process could write that down is told again, of the same end."""
    receiver.behaviour = "hangs"
    with web_process(mail) as (program, ada.port):
        assert ada.submit("/logout/").status == 303
        until(lambda: receiver.told)
        first = sid_in(receiver.told[0], ada.port)
        program.kill()
    receiver.behaviour = "answers"
    the_lease_has_run_out()
    settings.PASSWORDLESS_AUTH_OUTBOUND_NETWORKS = IN_REACH["PASSWORDLESS_AUTH_OUTBOUND_NETWORKS"]

    call_command("passwordless_send")
    call_command("passwordless_send")

    assert len(receiver.told) == 2
    with web_process(mail) as (_program, port):
        assert sid_in(receiver.told[1], port) == first


def test_killed_in_the_middle_of_the_end_nothing_has_ended(mail, receiver, ada):
    with web_process(mail, "0", "30") as (program, ada.port):

        def sign_out():
            with suppress(OSError):  # the connection breaks
                ada.submit("/logout/")

        request = threading.Thread(target=sign_out)
        request.start()
        request.join(2)
        assert request.is_alive(), "the sign-out was over before its process was"
        program.kill()
        request.join(30)

    assert SignIn.objects.live().count() == 1
    assert not Delivery.objects.filter(kind="backchannel_logout").exists()
    with web_process(mail) as (_program, ada.port):
        assert ada.who()["authenticated"]
        assert ada.submit("/logout/").status == 303
        until(lambda: receiver.told)
