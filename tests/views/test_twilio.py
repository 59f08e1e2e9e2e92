"""Twilio tells what becomes of messages: signed, late, twice, in any order, and not always Twilio."""

import hashlib
import http.client
import json
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from passwordless_auth.models import AddressMark, Delivery
from passwordless_auth.testing import outbox
from passwordless_auth.testing.channels import NUMBER
from tests.channels.twilio_server import ACCOUNT, FORM, TOKEN, error, running, signature_of, tells, tells_json

pytestmark = pytest.mark.django_db

TRACKING = "http://testserver/twilio/sms/tracking/"
SID = "SM" + "1".zfill(32)
KINDS = {"sms": "TwilioChannel", "whatsapp": "TwilioWhatsAppChannel", "voice": "TwilioVoiceChannel"}


def options_for(server, **options):
    options = {"account_sid": ACCOUNT, "auth_token": TOKEN, "sender": "+15005550006", **options}
    return {"base_url": server.url, "status_callback": True, **options}


def use(settings, server, kind="sms", **options):
    channel = f"passwordless_auth.channels.twilio.{KINDS[kind]}"
    settings.PASSWORDLESS_AUTH_CHANNELS = {
        **settings.PASSWORDLESS_AUTH_CHANNELS,
        "sms": {"BACKEND": channel, "OPTIONS": options_for(server, **options)},
    }


@pytest.fixture
def twilio(settings, sms):
    with running() as server:
        use(settings, server)
        yield server


def asked_for(browser, server):
    """A message that Twilio has. Returns its row, and the address that Twilio was given to tell of it."""
    assert browser.start(NUMBER).status_code == 303
    assert outbox.send_queued() == 1
    return Delivery.objects.latest("pk"), server.asked[-1][1]["StatusCallback"]


def told(address, status, *, sid=SID, **fields):
    fields = {"AccountSid": ACCOUNT, "MessageSid": sid, "SmsSid": sid, "MessageStatus": status, **fields}
    response = tells(Client(), address, **{"To": NUMBER, **fields})
    assert (response.status_code, response.content) == (204, b"")
    return Delivery.objects.latest("pk")


def states(row):
    return [str(step.state) for step in row.steps()]


# -- there and back


def test_the_channel_says_where_to_tell_and_is_told(browser, twilio):
    row, address = asked_for(browser, twilio)
    assert address == f"{TRACKING}?message={row.public_id}"

    told(address, "queued")
    told(address, "sent")
    row = told(address, "delivered")
    assert states(row) == ["queued", "handed_over", "sent", "delivered"]
    assert (row.provider, row.provider_id, row.error) == ("sms", SID, "")
    assert browser.get("/login/wait/status.json").json()["delivery"] == "delivered"


def test_whoever_waits_is_told_that_it_did_not_arrive(browser, twilio):
    row, address = asked_for(browser, twilio)
    row = told(address, "undelivered", ErrorCode="30003", ErrorMessage=f"Unreachable {NUMBER}")

    assert (row.state, row.error) == ("bounced", "undelivered 30003")
    status = browser.get("/login/wait/status.json").json()
    assert (status["delivery"], status["other_way"]) == ("undeliverable", True)
    assert not AddressMark.objects.exists()  # the phone was off: it may be on the next time


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("accepted", "handed_over"),
        ("scheduled", "handed_over"),
        ("queued", "handed_over"),
        ("sending", "handed_over"),
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("read", "delivered"),
        ("undelivered", "bounced"),
        ("failed", "rejected"),
        ("canceled", "rejected"),
        ("received", "handed_over"),  # of a message to us
        ("something new", "handed_over"),
        ("", "handed_over"),
    ],
)
def test_each_status_is_a_state_of_ours(browser, twilio, status, state):
    _row, address = asked_for(browser, twilio)

    assert told(address, status).state == state


@pytest.mark.parametrize("code", ["21610", "30005", "30006", "63024"])
def test_what_the_next_message_would_meet_as_well_marks_the_number(browser, twilio, code):
    _row, address = asked_for(browser, twilio)
    row = told(address, "undelivered", ErrorCode=code)

    assert row.error == f"undelivered {code}"
    assert AddressMark.objects.get().canonical == NUMBER


@pytest.mark.parametrize("code", ["", "0", "30003; DROP", "٣٠٠٠٣", "9" * 40, "-1", NUMBER])
def test_an_error_is_a_number_or_nothing(browser, twilio, code):
    _row, address = asked_for(browser, twilio)

    assert told(address, "failed", ErrorCode=code).error == "failed"


def test_no_order_and_no_repetition_takes_a_message_back(browser, twilio):
    _row, address = asked_for(browser, twilio)
    for status in ("delivered", "sent", "queued", "delivered", "sent", "sending"):
        row = told(address, status)

    assert row.state == "delivered"
    assert sorted(states(row)) == ["delivered", "handed_over", "queued", "sent"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"Price": "-0.00750", "PriceUnit": "usd"}, ("0.007500", "USD")),
        ({"Price": "0.08", "PriceUnit": "EUR"}, ("0.080000", "EUR")),
        ({"Price": "0.08"}, ("None", "")),
        ({"Price": "", "PriceUnit": "USD"}, ("None", "")),
        ({"Price": "NaN", "PriceUnit": "USD"}, ("None", "")),
        ({"Price": "sNaN", "PriceUnit": "USD"}, ("None", "")),
        ({"Price": "1e99", "PriceUnit": "USD"}, ("None", "")),
        ({"Price": "1", "PriceUnit": "DOLLARS"}, ("None", "")),
    ],
)
def test_a_price_is_kept_where_there_is_one(browser, twilio, given, kept):
    _row, address = asked_for(browser, twilio)
    row = told(address, "delivered", **given)

    assert (str(row.cost), row.currency) == kept


def test_whatsapp_tells_that_it_was_read(browser, twilio, settings):
    use(settings, twilio, "whatsapp", content_sid="HX1")
    _row, address = asked_for(browser, twilio)
    assert told(address, "delivered", To=f"whatsapp:{NUMBER}").state == "delivered"

    assert states(told(address, "read")).count("delivered") == 1


@pytest.mark.parametrize(
    ("status", "state", "why"),
    [
        ("initiated", "handed_over", ""),
        ("ringing", "sent", ""),
        ("in-progress", "sent", ""),
        ("completed", "delivered", ""),
        ("busy", "bounced", "busy"),
        ("no-answer", "bounced", "no-answer"),
        ("failed", "rejected", "failed"),
        ("canceled", "rejected", "canceled"),
    ],
)
def test_a_call_tells_whether_it_was_answered(browser, twilio, settings, status, state, why):
    use(settings, twilio, "voice")
    row, address = asked_for(browser, twilio)
    response = tells(Client(), address, CallSid=row.provider_id, CallStatus=status, CallDuration="12")

    assert (response.status_code, row.provider_id[:2]) == (204, "CA")
    row.refresh_from_db()
    assert (row.state, row.error) == (state, why)


def test_the_provider_that_took_over_tells_of_its_own_message(browser, settings, sms):
    """First one is down, the second takes it: its callback names the second."""
    with running(answer=(503, b"")) as down, running() as up:
        settings.PASSWORDLESS_AUTH_CHANNELS = {
            "email": settings.PASSWORDLESS_AUTH_CHANNELS["email"],
            "sms": {
                "BACKEND": "passwordless_auth.channels.failover.FailoverChannel",
                "OPTIONS": {"channels": ["first", "the second/one"]},
            },
            **{
                alias: {
                    "BACKEND": "passwordless_auth.channels.twilio.TwilioChannel",
                    "OPTIONS": options_for(server, auth_token=token),
                }
                for alias, server, token in (("first", down, "another-token"), ("the second/one", up, TOKEN))
            },
        }
        row, address = asked_for(browser, up)
    first = down.asked[0][1]["StatusCallback"]

    assert row.provider == "the second/one"
    assert address == f"http://testserver/twilio/the%20second/one/tracking/?message={row.public_id}"
    # Who can speak for the first one can't speak for the second.
    fields = {"MessageSid": row.provider_id, "MessageStatus": "failed"}
    assert tells(Client(), first, token="another-token", **fields).status_code == 204
    assert tells(Client(), address, token="another-token", **fields).status_code == 403
    row.refresh_from_db()
    assert row.state == "handed_over"
    assert told(address, "delivered", sid=row.provider_id).state == "delivered"


def test_a_callback_that_is_quicker_than_our_note_finds_the_row(browser, twilio):
    """The sender died between Twilio's answer and its note: the message is not sent a second time."""
    _row, address = asked_for(browser, twilio)
    Delivery.objects.update(state="queued", handed_over_at=None, provider="", provider_id="")
    row = told(address, "queued")

    assert (row.state, row.provider, row.provider_id) == ("handed_over", "sms", SID)
    assert outbox.send_queued() == 0
    assert len(twilio.asked) == 1


def test_what_is_not_ours_is_answered_and_forgotten(browser, twilio):
    """Twilio may tell of other messages of the account, and of rows that are purged."""
    row, _address = asked_for(browser, twilio)
    for fields in (
        {"MessageSid": "SM" + "9" * 32, "MessageStatus": "failed"},
        {"MessageSid": "SM\0", "MessageStatus": "failed"},
        {"MessageSid": "S" * 5000, "MessageStatus": "failed"},
        {"MessageSid": "", "MessageStatus": "failed"},
        {"CallSid": SID[:-1], "CallStatus": "failed", "MessageSid": SID, "MessageStatus": "failed"},
        {"MessageStatus": "failed"},
        {"Other": ""},
    ):
        assert tells(Client(), TRACKING, **fields).status_code == 204
        assert tells(Client(), f"{TRACKING}?message=x'%20OR%201", **fields).status_code == 204
    assert tells(Client(), f"{TRACKING}?message={'A' * 22}", MessageStatus="failed").status_code == 204

    row.refresh_from_db()
    assert row.state == "handed_over"
    Delivery.objects.all().delete()
    assert tells(Client(), TRACKING, MessageSid=SID, MessageStatus="failed").status_code == 204


def test_a_row_of_another_channel_is_not_spoken_for(twilio):
    row = Delivery.objects.create(
        kind="sign_in",
        canonical="ada@example.com",
        state="handed_over",
        provider="Postmark",
        provider_id=SID,
        expires_at=timezone.now() + timedelta(minutes=5),
    )
    tells(Client(), f"{TRACKING}?message={row.public_id}", MessageSid=SID, MessageStatus="failed")

    row.refresh_from_db()
    assert row.state == "handed_over"


# -- who calls


def refused(response, status=403):
    assert response.status_code == status
    assert Delivery.objects.get().state == "handed_over"


def test_only_twilio_is_heard(browser, twilio):
    _row, address = asked_for(browser, twilio)
    fields = {"MessageSid": SID, "MessageStatus": "failed"}
    good = signature_of(address, fields)

    refused(tells(Client(), address, token="not-the-token", **fields))
    refused(tells(Client(), address, signature="", **fields))
    refused(tells(Client(), address, signature="ä" * 28, **fields))
    refused(tells(Client(), address, signature=good[:-2], **fields))
    refused(tells(Client(), address, signature=good, **fields, ErrorCode="30005"))
    refused(tells(Client(), address, signature=good, MessageSid=SID, MessageStatus="sent"))
    refused(tells(Client(), f"{address}x", signature=good, **fields))
    refused(tells(Client(), TRACKING, signature=good, **fields))
    refused(tells(Client(), address, signature=signature_of(address), **fields))  # of the address alone
    refused(Client().post(address, urlencode(fields), content_type=FORM))
    assert tells(Client(), address, signature=good, **fields).status_code == 204


def test_a_host_that_somebody_made_up_proves_nothing(browser, twilio, settings):
    """The signature is of the address that Twilio was given, and that is of BASE_URL."""
    settings.ALLOWED_HOSTS = ["*"]
    _row, address = asked_for(browser, twilio)
    fields = {"MessageSid": SID, "MessageStatus": "delivered"}
    elsewhere = address.replace("testserver", "evil.example")

    refused(tells(Client(), address, signature=signature_of(elsewhere, fields), host="evil.example", **fields))
    assert tells(Client(), address, host="an-inner-name", **fields).status_code == 204


def test_a_site_behind_https_and_a_port_is_called_by_either_name(browser, twilio, settings):
    """Twilio signs with the port, or without it."""
    settings.PASSWORDLESS_AUTH_BASE_URL = "https://example.com:8443"
    _row, address = asked_for(browser, twilio)
    assert address.startswith("https://example.com:8443/twilio/")
    path = address.removeprefix("https://example.com:8443")
    for host in ("https://example.com:8443", "https://example.com"):
        fields = {"MessageSid": SID, "MessageStatus": "sent"}
        assert tells(Client(), path, signature=signature_of(host + path, fields), **fields).status_code == 204


def test_cookies_and_tokens_of_pages_count_for_nothing(browser, twilio):
    """It needs none, and none of them stands for the signature."""
    _row, address = asked_for(browser, twilio)
    browser.sign_in()
    fields = {"MessageSid": SID, "MessageStatus": "failed"}

    response = browser.submit("/twilio/sms/tracking/", fields)
    assert response.status_code == 415  # a browser's form of this kind is multipart
    signed = tells(browser, address, **fields)
    assert signed.status_code == 204
    assert not signed.cookies


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
def test_only_a_post_is_a_callback(twilio, method):
    assert getattr(Client(), method)("/twilio/sms/tracking/").status_code == 405


@pytest.mark.parametrize("alias", ["email", "nowhere", "sms/sms", "..", "%00", "a" * 3000, "broken"])
def test_another_channel_has_no_callbacks(twilio, settings, alias):
    settings.PASSWORDLESS_AUTH_CHANNELS = {
        **settings.PASSWORDLESS_AUTH_CHANNELS,
        "broken": {"BACKEND": "passwordless_auth.channels.twilio.TwilioChannel", "OPTIONS": {"account_sid": "AC"}},
    }
    response = tells(Client(), f"http://testserver/twilio/{alias}/tracking/", MessageSid=SID, MessageStatus="sent")

    assert response.status_code == 404


def test_without_the_auth_token_nobody_is_believed(twilio, settings, caplog):
    use(settings, twilio, auth_token="", api_key="SK1", api_secret="s", status_callback=False)

    for token in (TOKEN, "s", ""):
        response = tells(Client(), TRACKING, token=token, MessageSid=SID, MessageStatus="sent")
        assert response.status_code == 403
    assert "no auth_token" in caplog.text


def test_a_key_of_the_api_sends_and_the_auth_token_checks(browser, twilio, settings):
    use(settings, twilio, api_key=ACCOUNT, api_secret=TOKEN, auth_token="the-account-s")
    _row, address = asked_for(browser, twilio)
    fields = {"MessageSid": SID, "MessageStatus": "delivered"}

    assert tells(Client(), address, token=TOKEN, **fields).status_code == 403
    assert tells(Client(), address, token="the-account-s", **fields).status_code == 204


def test_who_has_no_signature_costs_no_statement(twilio, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert tells(Client(), TRACKING, signature="x", MessageSid=SID, MessageStatus="sent").status_code == 403


# -- bodies


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (FORM, b"", 415),  # whoever sends nothing says of no kind what it is
        (FORM, b"%" * 999, 403),
        (FORM, b"\xff\xfe=\x00", 403),
        (FORM, b"MessageSid=%ED%A0%80", 403),
        (FORM, b"&".join(b"a%d=1" % number for number in range(2000)), 400),
        (FORM, b"MessageSid=" + b"S" * 70_000, 413),
        (f"{FORM}; charset=utf-16", b"a=b", 415),
        ("application/json", b"{", 403),
        ("application/json", b"\xff", 400),
        ("application/json", b"[" * 70_000, 413),
        ("multipart/form-data; boundary=B", b"--B--", 415),
        ("text/plain", b"MessageSid=1", 415),
        ("", b"MessageSid=1", 415),
    ],
)
def test_a_body_of_anybody_s_is_refused(twilio, content_type, body, status):
    response = Client().post("/twilio/sms/tracking/", body, content_type=content_type)

    assert response.status_code == status


@pytest.mark.parametrize("query", ["", "?bodySHA256=", "?bodySHA256", "?bodySHA256=&bodySHA256=", "?bodysha256=x"])
def test_json_without_its_digest_is_refused(twilio, query):
    """Twilio's own library would count the letters of the body as fields, and break."""
    address = TRACKING + query
    response = Client().post(
        address.removeprefix("http://testserver"),
        b"[]",
        content_type="application/json",
        headers={"X-Twilio-Signature": signature_of(address)},
    )

    assert response.status_code == 403


def test_json_is_what_was_signed_or_nothing(twilio):
    assert tells_json(Client(), TRACKING, []).status_code == 204
    other = hashlib.sha256(b"[1]").hexdigest()
    assert tells_json(Client(), TRACKING, [], digest=other).status_code == 403
    assert tells_json(Client(), TRACKING, [], token="not-the-token").status_code == 403


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"[" * 20_000, 400),
        (b"1" * 5000, 400),
        (b"\xef\xbb\xbf[]", 400),
        (b"null", 204),
        (b"1e999", 204),
        (b'"x"', 204),
        (b"{}", 204),
        (b"[[], null, 1, {}]", 204),
    ],
)
def test_even_what_is_signed_may_be_anything(twilio, raw, status):
    assert tells_json(Client(), TRACKING, None, raw=raw).status_code == status


def event(status, *, row=None, **data):
    data = {
        "account_sid": ACCOUNT,
        "service_sid": "VA" + "0" * 32,
        "verification_sid": "VE" + "1".zfill(32),
        "attempt_sid": "VL" + "0" * 32,
        "error_code": "",
        "channel": "SMS",
        "message_status": status.upper(),
        "to": NUMBER,
        **({"tags": {"passwordless_id": row.public_id}} if row else {}),
        **data,
    }
    return {
        "specversion": "1.0",
        "type": f"com.twilio.accountsecurity.verify.message.{status}",
        "source": "AB1",
        "id": "NO1",
        "data": data,
    }


@pytest.mark.parametrize("wrong", [None, 1, [], {}, "x", "\ud800", "\0", True, {"a": [1]}])
def test_events_with_wrong_types_change_nothing(browser, twilio, wrong):
    row, _address = asked_for(browser, twilio)
    whole = event("failed")
    events = [{**whole, "data": {**whole["data"], name: wrong}} for name in whole["data"]]
    events += [{**whole, name: wrong} for name in whole]
    events += [{**whole, "data": {**whole["data"], "tags": {"passwordless_id": wrong}}}]

    assert tells_json(Client(), TRACKING, events).status_code == 204
    row.refresh_from_db()
    assert row.state == "handed_over"


# -- over a real connection


@pytest.mark.django_db(transaction=True)
def test_over_http(live_server, settings, twilio):
    """The whole way: a server, a socket, and what no test client sends."""
    settings.PASSWORDLESS_AUTH_BASE_URL = live_server.url
    with running() as server:
        use(settings, server)
        Client().post("/login/", {"identifier": NUMBER})
        outbox.send_queued()
    address = server.asked[0][1]["StatusCallback"]
    assert address.startswith(f"{live_server.url}/twilio/sms/tracking/?message=")
    path = address.removeprefix(live_server.url)
    fields = {"MessageSid": SID, "MessageStatus": "delivered"}
    form = {"Content-Type": FORM}

    def post(body, **headers):
        connection = http.client.HTTPConnection(urlsplit(live_server.url).netloc, timeout=20)
        try:
            connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            return connection.getresponse().status
        except (BrokenPipeError, ConnectionResetError):
            return 0  # it hung up on a body that is too large
        finally:
            connection.close()

    signed = {**form, "X-Twilio-Signature": signature_of(address, fields)}
    assert post(urlencode(fields), **form) == 403
    assert post(iter([urlencode(fields).encode()]), **signed, Transfer_Encoding="chunked") in {400, 403}
    assert post(b"x" * 3_000_000, **signed) in {413, 0}
    elsewhere = signature_of(f"http://evil.example{path}", fields)
    assert post(urlencode(fields), **form, Host="evil.example", X_Twilio_Signature=elsewhere) == 403
    assert Delivery.objects.get().state == "handed_over"
    assert post(urlencode(fields), **signed) == 204
    assert Delivery.objects.get().state == "delivered"


def test_a_refusal_at_once_and_one_later_read_alike(browser, settings, sms):
    with running(answer=(400, error(21614, "not mobile", 400))) as server:
        use(settings, server)
        waiting = browser.start(NUMBER)["Location"]
        outbox.send_queued()
    assert b"We could not send this message." in browser.get(waiting).content
    assert json.loads(browser.get("/login/wait/status.json").content)["other_way"] is True
