"""Clients are told that a session has ended (Back-Channel Logout 1.0): to a real server, with all that goes wrong."""

import json
import socket
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from jwcrypto import jwk, jwt

from passwordless_auth import outbound, outbox
from passwordless_auth.flows import sign_out
from passwordless_auth.models import Delivery, SignIn
from passwordless_auth.oidc.models import ClientSettings
from passwordless_auth.testing import outbox as kit
from tests.conftest import Browser
from tests.receiver import Receiver

from .relying_party import ISSUER, RelyingParty, make_client

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@example.com"


@pytest.fixture(autouse=True)
def in_reach(settings):
    settings.PASSWORDLESS_AUTH_OUTBOUND_NETWORKS = ["127.0.0.1/32"]
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = ""


@pytest.fixture
def receiver():
    """The Client's server."""
    made = Receiver(200)
    yield made
    made.stop()


@pytest.fixture
def app(browser, receiver):
    make_client(backchannel_logout_uri=f"{receiver.url}/logout?from=op")
    return RelyingParty(browser)


@pytest.fixture
def hint(signed_in):
    return signed_in.tokens()["id_token"]


def deliveries():
    return list(Delivery.objects.filter(kind="backchannel_logout").order_by("pk"))


def read(fields, app):
    """A logout token, as a Client checks it (§2.6)."""
    assert set(fields) == {"logout_token"}
    keys = jwk.JWKSet.from_json(json.dumps(app.back.get("/openid/jwks").json()))
    token = jwt.JWT(jwt=fields["logout_token"], key=keys, algs=["RS256", "ES256"], expected_type="JWS")
    header, claims = json.loads(token.header), json.loads(token.claims)
    now = timezone.now().timestamp()
    assert header["typ"] == "logout+jwt"
    assert claims["iss"] == ISSUER
    assert claims["aud"] == app.client_id
    assert now - 60 < claims["iat"] <= now < claims["exp"] <= now + 120
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert len(claims["jti"]) >= 20
    assert "nonce" not in claims
    return claims


def told(app, receiver):
    return [read(fields, app) for _path, fields, _headers in receiver.told]


# -- the modules of the conformance suite, oidcc-backchannel


def test_discovery_says_that_clients_are_told(client):
    metadata = client.get("/.well-known/openid-configuration").json()

    assert metadata["backchannel_logout_supported"] is True
    assert metadata["backchannel_logout_session_supported"] is True


def test_a_client_is_told_by_a_token_of_the_session_and_its_person(signed_in, browser, receiver, hint):
    id_token = signed_in.claims(hint)

    browser.get(f"/openid/logout?id_token_hint={hint}")

    (claims,) = told(signed_in, receiver)
    assert (claims["sid"], claims["sub"]) == (id_token["sid"], id_token["sub"])
    path, _fields, headers = receiver.told[0]
    assert path == "/logout?from=op"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert [row.state for row in deliveries()] == ["handed_over"]
    assert signed_in.answer(signed_in.ask(prompt="none"))["error"] == "login_required"


# -- who is told, and of what


def run_out(_browser, _ada):
    SignIn.objects.update(last_seen_at=timezone.now() - timedelta(days=1))
    call_command("passwordless_purge")


def deactivated(_browser, ada):
    ada.is_active = False
    ada.save()


def deactivated_behind_our_back(browser, _ada):
    User.objects.update(is_active=False)
    browser.get("/account/")


ENDS = {
    "signed out": lambda browser, ada: browser.submit("/logout/"),
    "ended in the list": lambda browser, ada: sign_out.end_one(ada, SignIn.objects.get().public_id),
    "everywhere": lambda browser, ada: browser.submit("/account/sessions/", {"scope": "everywhere"}),
    "everywhere else": lambda browser, ada: sign_out.end_others(ada, keep=None),
    "replaced": lambda browser, ada: browser.sign_in("bob@example.com"),
    "run out": run_out,
    "deactivated": deactivated,
    "deactivated behind our back": deactivated_behind_our_back,
    "deleted": lambda browser, ada: ada.delete(),
    "removed": lambda browser, ada: browser.submit("/account/applications/", {"application": "app"}),
}


@pytest.mark.parametrize("end", ENDS)
def test_however_a_session_ends_its_clients_are_told(signed_in, browser, receiver, hint, end):
    id_token = signed_in.claims(hint)

    ENDS[end](browser, User.objects.get())

    (claims,) = told(signed_in, receiver)
    assert (claims["sid"], claims["sub"]) == (id_token["sid"], id_token["sub"])


def test_each_client_is_told_once_and_of_its_own_sessions(signed_in, browser, receiver, hint):
    make_client("second", backchannel_logout_uri=f"{receiver.url}/second", id_token_alg="ES256")
    make_client("silent")
    make_client("unused", backchannel_logout_uri=f"{receiver.url}/unused")
    second = RelyingParty(browser, client_id="second")
    RelyingParty(browser, client_id="silent").tokens()
    second.tokens()
    signed_in.tokens()
    other = Browser()
    other.sign_in(ADA)
    RelyingParty(other).tokens()

    browser.submit("/logout/")

    assert sorted(path for path, _fields, _headers in receiver.told) == ["/logout?from=op", "/second"]
    for path, fields, _headers in receiver.told:
        read(fields, second if path == "/second" else signed_in)
    assert other.who()["authenticated"]


def test_pairwise_subjects_are_told_as_the_client_knows_them(app, browser, receiver):
    ClientSettings.objects.update(subject_type="pairwise")
    browser.sign_in(ADA)
    id_token = app.claims(app.tokens()["id_token"])

    browser.submit("/logout/")

    (claims,) = told(app, receiver)
    assert claims["sub"] == id_token["sub"]


def test_without_openid_no_session_began_over_there(app, browser, receiver, settings):
    settings.OAUTH2_PROVIDER = {"SCOPES": {"openid": "x", "read": "y"}}
    browser.sign_in(ADA)
    app.tokens(scope="read", nonce=None)

    browser.submit("/logout/")

    assert not deliveries()


def test_the_end_that_is_rolled_back_is_told_to_nobody(signed_in, hint, receiver):
    with transaction.atomic():
        sign_out.end_everywhere(User.objects.get())
        transaction.set_rollback(True)

    assert not receiver.told
    assert not deliveries()


def test_a_host_that_reads_its_messages_in_a_test_calls_no_client(signed_in, browser, receiver, hint, settings):
    settings.PASSWORDLESS_AUTH_SENDER = "thread"
    with transaction.atomic():
        sign_out.end_everywhere(User.objects.get())
        assert deliveries()
        kit.send_queued()
        assert [row.state for row in deliveries()] == ["queued"]
        transaction.set_rollback(True)

    assert not receiver.told


def test_the_row_holds_no_token(signed_in, browser, receiver, hint):
    browser.submit("/logout/")

    (row,) = deliveries()
    assert receiver.told[0][1]["logout_token"] not in json.dumps(
        {name: str(value) for name, value in vars(row).items()}
    )
    assert row.masked == f"The App ({receiver.url}/logout?from=op)"


# -- what goes wrong


def retry(time_machine):
    """Wait for the next attempt; returns after how many seconds it came."""
    row = deliveries()[-1]
    waited = (row.available_at - timezone.now()).total_seconds()
    time_machine.move_to(row.available_at, tick=False)
    outbox.drain()
    return round(waited)


@pytest.fixture
def still(time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    return time_machine


@pytest.mark.parametrize("status", [200, 204])
def test_these_answers_are_fine(signed_in, browser, receiver, hint, status):
    receiver.answers = [status]
    browser.submit("/logout/")

    assert [row.state for row in deliveries()] == ["handed_over"]


def test_who_cannot_sign_the_person_out_is_asked_once(signed_in, browser, receiver, hint, still):
    receiver.answers = [400]
    browser.submit("/logout/")

    (row,) = deliveries()
    assert (row.state, row.error) == ("failed", "the client answered 400: it could not sign the person out")
    still.shift(3600)
    assert outbox.drain() == 0
    assert len(receiver.told) == 1


@pytest.mark.parametrize("status", [500, 503, 404, 403, 429, 302])
def test_who_answers_otherwise_is_told_again_with_growing_pauses_and_a_new_token(
    signed_in, browser, receiver, hint, still, status
):
    receiver.answers = [status, status, 200]
    browser.submit("/logout/")

    assert deliveries()[0].error == f"the client answered {status}"
    assert [retry(still), retry(still)] == [5, 30]
    assert [row.state for row in deliveries()] == ["handed_over"]
    claims = told(signed_in, receiver)[2]
    assert claims["iat"] == int(timezone.now().timestamp())
    tokens = [fields["logout_token"] for _path, fields, _headers in receiver.told]
    assert len(set(tokens)) == 3


def test_after_a_day_a_client_is_given_up(signed_in, browser, receiver, hint, still):
    receiver.answers = [500]
    browser.submit("/logout/")
    waits = []
    while deliveries()[0].state == "queued" and len(waits) < 50:
        waits.append(retry(still))

    assert waits[:6] == [5, 30, 120, 600, 3600, 3600]
    assert len(waits) < 30
    assert (deliveries()[0].state, deliveries()[0].error) == ("failed", "the client answered 500")


@pytest.mark.parametrize("behaviour", ["hangs", "drips", "drops"])
def test_who_says_nothing_is_told_again(signed_in, browser, receiver, hint, still, monkeypatch, behaviour):
    monkeypatch.setattr(outbound, "TIMEOUT", 0.5)
    receiver.behaviour = behaviour
    browser.submit("/logout/")
    assert deliveries()[0].state == "queued"

    receiver.behaviour = "answers"
    retry(still)

    assert [row.state for row in deliveries()] == ["handed_over"]


def test_a_redirect_into_the_network_is_not_followed(signed_in, browser, receiver, hint, still):
    inside = Receiver()
    receiver.answers, receiver.location = [307], f"{inside.url}/admin/"
    browser.submit("/logout/")
    inside.stop()

    assert not inside.told
    assert deliveries()[0].error == "the client answered 307"


def test_who_is_within_the_network_is_told_nothing(signed_in, browser, receiver, hint, settings):
    settings.PASSWORDLESS_AUTH_OUTBOUND_NETWORKS = []
    browser.submit("/logout/")

    assert not receiver.told
    (row,) = deliveries()
    assert (row.state, row.error) == ("failed", "not sent: its address is not on the public internet")
    assert not browser.who()["authenticated"]


def test_a_name_that_turns_round_once_it_was_looked_at_leads_nowhere_else(
    signed_in, browser, receiver, hint, settings, monkeypatch
):
    """DNS rebinding: a public address for who looks, this machine for whoever asks again."""
    settings.PASSWORDLESS_AUTH_OUTBOUND_NETWORKS = []
    real, asked, connected = socket.getaddrinfo, [], []

    def name_server(host, port, *args, **kwargs):
        if host != "rp.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        return real("198.51.100.7" if len(asked) > 1 else "8.8.8.8", port, *args, **kwargs)

    def connect(self, where):
        connected.append(where[0])
        raise ConnectionRefusedError

    ClientSettings.objects.update(backchannel_logout_uri=f"https://rp.example:{receiver.server_port}/")
    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        sign_out.end_everywhere(User.objects.get())

    assert connected == ["8.8.8.8"]
    assert len(asked) == 1
    assert not receiver.told


def test_a_client_that_is_gone_or_takes_none_any_more_is_left_alone(signed_in, browser, receiver, hint, still):
    receiver.answers = [500]
    browser.submit("/logout/")
    ClientSettings.objects.update(backchannel_logout_uri="")
    retry(still)

    assert len(receiver.told) == 1
    assert (deliveries()[0].state, deliveries()[0].attempts) == ("failed", 2)


def test_a_client_that_moved_is_told_at_its_new_address(signed_in, browser, receiver, hint, still):
    receiver.answers = [500, 200]
    browser.submit("/logout/")
    ClientSettings.objects.update(backchannel_logout_uri=f"{receiver.url}/moved")
    retry(still)

    assert receiver.told[1][0] == "/moved"


def test_who_was_deleted_meanwhile_is_still_signed_out_over_there(signed_in, browser, receiver, hint, still):
    receiver.answers = [500, 200]
    browser.submit("/logout/")
    User.objects.get().delete()
    retry(still)

    assert len(told(signed_in, receiver)) == 2
    assert [row.state for row in deliveries()] == ["handed_over"]


def test_administrators_see_where_it_went_and_what_came_back(signed_in, browser, receiver, hint, admin_client):
    receiver.answers = [400]
    browser.submit("/logout/")

    for path in ("", f"{deliveries()[0].pk}/change/", "?q=ada@example.com", "?kind__exact=backchannel_logout"):
        response = admin_client.get(f"/admin/passwordless_auth/delivery/{path}")
        assert response.status_code == 200
        if "q=" not in path:
            assert "The App" in response.content.decode()
            assert "the client answered 400" in response.content.decode()
