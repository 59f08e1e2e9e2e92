"""Twilio Verify, by its own client over real HTTP: our code goes out through it, and it hears what became of it."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from passwordless_auth import outbox as sender
from passwordless_auth.channels import Rejected, Retryable, channel, memory
from passwordless_auth.channels.twilio_verify import TwilioVerifyChannel, locale_of
from passwordless_auth.models import Challenge, Delivery
from passwordless_auth.testing import outbox
from passwordless_auth.testing.channels import CODE, NUMBER, ChannelContract
from tests.conftest import Browser
from tests.views.test_twilio import event

from .twilio_server import ACCOUNT, SERVICE, TOKEN, error, running, tells_json

MESSAGE = ChannelContract.message
MEMORY = {"BACKEND": "passwordless_auth.channels.memory.MemoryChannel"}
VERIFY = "passwordless_auth.channels.twilio_verify.TwilioVerifyChannel"
CREATE = f"/v2/Services/{SERVICE}/Verifications"


@pytest.fixture(autouse=True)
def texts(settings):
    """The channel that takes what Verify does not."""
    email = {"BACKEND": "passwordless_auth.channels.email.EmailChannel"}
    settings.PASSWORDLESS_AUTH_CHANNELS = {"email": email, "texts": MEMORY}


def options_for(server, **options):
    options = {"account_sid": ACCOUNT, "auth_token": TOKEN, "service": SERVICE, "without_code": "texts", **options}
    return {"base_url": server.url, **options}


def channel_of(server, **options):
    return TwilioVerifyChannel(**options_for(server, **options))


class TestContract(ChannelContract):
    @contextmanager
    def _before(self, **server):
        options = server.pop("options", {})
        with running(**server) as provider:
            yield channel_of(provider, **options)

    def accepting(self):
        return self._before()

    def refusing_the_recipient(self):
        return self._before(answer=(403, error(60205, f"SMS is not supported by landline {NUMBER}", 403)))

    def refusing_the_account(self):
        return self._before(options={"auth_token": "wrong"})

    def busy(self):
        return self._before(answer=(429, error(20429, "Too Many Requests", 429)))

    def broken(self):
        return self._before(answer=(503, b"<html>Service Unavailable</html>"))

    def hanging(self):
        return self._before(hangs=60, options={"timeout": 0.5})


def sent_by(message=MESSAGE, **options):
    """What reaches Verify: path, form fields, and our receipt."""
    with running() as server:
        receipt = channel_of(server, **options).send(message)
    ((path, fields, _headers),) = server.asked
    return path, fields, receipt


def test_our_code_goes_out_through_verify():
    path, fields, receipt = sent_by()

    assert path == CREATE
    assert json.loads(fields.pop("Tags")) == {"passwordless_id": MESSAGE.idempotency_key}
    assert fields == {"To": NUMBER, "Channel": "sms", "CustomCode": CODE, "Locale": "en"}
    assert (receipt.provider_id, receipt.provider, receipt.asks_outcome) == ("VE" + "1".zfill(32), "", True)


def test_other_ways_and_a_template_of_ours():
    fields = sent_by(by="call", template="HJ" + "e" * 32)[1]

    assert (fields["Channel"], fields["TemplateSid"]) == ("call", "HJ" + "e" * 32)


@pytest.mark.parametrize(
    ("language", "locale"),
    [
        ("de", "de"),
        ("de-at", "de"),
        ("pt-br", "pt-BR"),
        ("pt_BR", "pt-BR"),
        ("en-gb", "en-GB"),
        ("en-us", "en"),
        ("zh-hans", "zh-CN"),
        ("zh-hant", "zh-HK"),
        ("nb", "nb"),
        ("eo", ""),
        ("", ""),
    ],
)
def test_a_language_that_verify_does_not_speak_is_left_to_it(language, locale):
    """It answers 404 to a locale that it does not know, and sends nothing."""
    assert locale_of(language) == locale
    assert sent_by(replace(MESSAGE, language=language))[1].get("Locale", "") == locale


@pytest.mark.parametrize("code", ["", "123", "1" * 11])
def test_what_verify_can_not_carry_goes_out_as_text(code):
    memory.sent.clear()
    with running() as server:
        receipt = channel_of(server).send(replace(MESSAGE, code=code))

    assert server.asked == []
    assert [message.text for message in memory.sent] == [MESSAGE.text]
    assert (receipt.provider, receipt.asks_outcome) == ("texts", False)


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (400, 60200, f"Invalid parameter `To`: {NUMBER}"),
        (400, 60200, f"Invalid parameter: To {NUMBER}"),
        (400, 21211, "Invalid 'To' Phone Number"),
        (403, 60205, "SMS is not supported by landline phone number"),
        (403, 60410, "Verification delivery attempt blocked"),  # by Fraud Guard: no other provider is to pay for it
    ],
)
def test_what_is_about_the_person_is_final(status, code, text):
    with running(answer=(status, error(code, text, status))) as server, pytest.raises(Rejected) as caught:
        channel_of(server).send(MESSAGE)
    assert str(caught.value) == f"Twilio {code} (HTTP {status})"


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (400, 60200, "Invalid parameter: Channel"),
        (400, 60200, "Invalid parameter `Tokens`"),
        (429, 60202, "Max check attempts reached"),
        (429, 60203, "Max send attempts reached"),
        (403, 60204, "Service does not support this feature"),
        (429, 60207, "Max rate limits per service reached"),
        (429, 60212, "Too many concurrent requests for phone number"),
        (400, 60220, "Messages to China require use case vetting"),
        (400, 60223, "Delivery channel disabled"),
        (403, 60238, "Verification creation attempt blocked by Twilio"),
        (403, 60605, "Verification delivery attempt blocked: geo permissions"),
        (401, 20003, "Authenticate"),
        (404, 20404, "The requested resource was not found"),
        (429, 20429, "Too Many Requests"),
        (500, 20500, "Internal Server Error"),
        (502, 0, ""),
        (503, 20503, "Service unavailable"),
    ],
)
def test_what_is_about_us_or_twilio_may_work_later_or_elsewhere(status, code, text):
    with running(answer=(status, error(code, text, status))) as server, pytest.raises(Retryable, match=str(status)):
        channel_of(server).send(MESSAGE)


@pytest.mark.parametrize("answer", [(500, b""), (201, b""), (201, b"<html>"), (200, b"[]"), (302, b"")])
def test_an_answer_that_is_none_is_no_receipt(answer):
    with running(answer=answer) as server, pytest.raises(Retryable):
        channel_of(server).send(MESSAGE)
    assert len(server.asked) == 1


def test_a_service_without_custom_codes_says_so():
    with running() as server:
        server.custom_codes = False
        with pytest.raises(Retryable, match="60204"):
            channel_of(server).send(MESSAGE)


@pytest.mark.parametrize("gone", ["drops", "down"])
def test_a_connection_that_breaks_is_tried_again_later(gone):
    with running(drops=gone == "drops") as server:
        verify = channel_of(server)
        if gone == "drops":
            with pytest.raises(Retryable, match="ConnectionError"):
                verify.send(MESSAGE)
    if gone == "down":
        with pytest.raises(Retryable, match="ConnectionError"):
            verify.send(MESSAGE)


@pytest.mark.parametrize(
    "options",
    [
        {"service": ""},
        {"by": "pigeon"},
        {"without_code": ""},
        {"without_code": "nowhere"},
        {"without_code": "itself"},
        {"without_code": "several"},
        {"auth_token": ""},
    ],
)
def test_what_is_missing_is_an_error_of_the_settings(settings, options):
    settings.PASSWORDLESS_AUTH_CHANNELS |= {
        "itself": {"BACKEND": VERIFY},
        "several": {"BACKEND": "passwordless_auth.channels.failover.FailoverChannel"},
    }
    with running() as server, pytest.raises(ImproperlyConfigured, match=r"Twilio (Verify )?needs"):
        channel_of(server, **options)


# -- telling it what became of the code


@pytest.mark.parametrize(("used", "status"), [(True, "approved"), (False, "canceled")])
def test_it_is_told_once(used, status):
    with running() as server:
        verify = channel_of(server)
        sid = verify.send(MESSAGE).provider_id
        verify.tell(sid, used=used)
        assert server.verifications[sid]["status"] == status
        assert server.asked[-1][:2] == (f"{CREATE}/{sid}", {"Status": status})

        with pytest.raises(Rejected, match="no more"):
            verify.tell(sid, used=True)


@pytest.mark.parametrize("answer", [(429, error(20429, "x", 429)), (500, b""), (503, b"<html>"), (200, b"<html>")])
def test_one_that_does_not_listen_is_told_later(answer):
    with running(answer=answer) as server, pytest.raises(Retryable):
        channel_of(server).tell("VE" + "1".zfill(32), used=True)


def test_one_that_hangs_is_told_later():
    with running(hangs=60) as server, pytest.raises(Retryable, match="Timeout"):
        channel_of(server, timeout=0.5).tell("VE" + "1".zfill(32), used=True)


# -- through the front door


@pytest.fixture
def verify(settings, sms):
    with running() as server:
        settings.PASSWORDLESS_AUTH_CHANNELS |= {
            "sms": {"BACKEND": VERIFY, "OPTIONS": options_for(server)},
            "texts": MEMORY,
        }
        yield server


def codes(server):
    return [fields["CustomCode"] for path, fields, _headers in server.asked if path == CREATE]


def told(server):
    """What Verify heard, in order: "code" for each message, and each outcome."""
    return [fields.get("Status", "code") for _path, fields, _headers in server.asked]


@pytest.mark.django_db
def test_the_code_that_verify_carried_is_weighed_by_us(browser, verify):
    assert browser.start(NUMBER).status_code == 303
    outbox.send_queued()
    row = Delivery.objects.get()
    assert (row.state, row.provider, row.provider_id) == ("handed_over", "sms", "VE" + "1".zfill(32))
    (code,) = codes(verify)
    wrong = "000000" if code != "000000" else "000001"

    assert browser.submit("/login/wait/", {"code": wrong}).status_code == 400
    assert browser.submit("/login/wait/", {"code": code}).status_code == 303
    assert browser.who()["authenticated"] is True
    assert told(verify) == ["code"]  # the request asked nobody


@pytest.mark.django_db
def test_a_used_code_is_approved_once(browser, verify, clock):
    browser.start(NUMBER)
    outbox.send_queued()
    browser.submit("/login/wait/", {"code": codes(verify)[0]})
    sender.tell_outcomes([Challenge.objects.get().pk])

    assert told(verify) == ["code", "approved"]
    assert Delivery.objects.get().outcome_at is None
    clock.shift(400)
    sender.drain()
    sender.tell_outcomes([Challenge.objects.get().pk])
    assert told(verify) == ["code", "approved"]


@pytest.mark.django_db
def test_what_a_dead_process_did_not_tell_is_told_when_the_code_s_time_is_over(browser, verify, clock):
    browser.start(NUMBER)
    outbox.send_queued()
    browser.submit("/login/wait/", {"code": codes(verify)[0]})
    clock.shift(290)
    sender.drain()
    assert told(verify) == ["code"]

    clock.shift(20)
    sender.drain()
    assert told(verify) == ["code", "approved"]


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["never typed", "wrong three times"])
def test_a_code_that_nobody_typed_is_canceled(browser, verify, clock, how):
    browser.start(NUMBER)
    outbox.send_queued()
    (code,) = codes(verify)
    for guess in ("000000", "000001", "000002", "000003")[: 4 if how != "never typed" else 0]:
        if guess != code:
            browser.submit("/login/wait/", {"code": guess})
    sender.drain()
    assert told(verify) == ["code"]

    clock.shift(301)
    for _twice in range(2):
        sender.drain()
    assert told(verify) == ["code", "canceled"]


@pytest.mark.django_db
def test_the_same_code_again_is_the_same_verification(browser, verify, clock):
    browser.start(NUMBER)
    outbox.send_queued()
    clock.shift(61)
    assert browser.submit("/login/resend/").status_code == 303
    outbox.send_queued()

    first, second = codes(verify)
    assert first == second
    assert told(verify) == ["code", "code"]
    browser.submit("/login/wait/", {"code": second})
    sender.tell_outcomes([Challenge.objects.get().pk])
    assert told(verify) == ["code", "code", "approved"]
    assert not Delivery.objects.filter(outcome_at__isnull=False).exists()


@pytest.mark.django_db
def test_before_another_code_the_earlier_verification_is_ended(browser, verify, clock):
    """While one is pending, Verify may send its code once more: that of a challenge that counts no longer."""
    for _twice in range(2):
        browser.start(NUMBER)
        outbox.send_queued()
        clock.shift(61)

    assert told(verify) == ["code", "canceled", "code"]
    first, second = verify.verifications.values()
    assert first["code"] != second["code"] == codes(verify)[-1]
    browser.submit("/login/wait/", {"code": second["code"]})
    assert browser.who()["authenticated"] is True


@pytest.mark.django_db
def test_a_stranger_who_asks_for_the_same_number_stops_nobody(browser, other_browser, verify, clock):
    """There is one verification of a number at a time; our own codes work on side by side."""
    browser.start(NUMBER)
    outbox.send_queued()
    clock.shift(61)
    other_browser.start(NUMBER)
    outbox.send_queued()
    first, second = codes(verify)

    assert browser.submit("/login/wait/", {"code": first}).status_code == 303
    assert other_browser.submit("/login/wait/", {"code": second}).status_code == 303
    for challenge in Challenge.objects.all():
        sender.tell_outcomes([challenge.pk])
    assert told(verify) == ["code", "canceled", "code", "approved"]


@pytest.mark.django_db
def test_a_verify_that_can_not_end_the_earlier_one_still_gets_the_next_code(browser, verify, clock):
    browser.start(NUMBER)
    outbox.send_queued()
    clock.shift(61)
    verify.only, verify.answer = "/Verifications/", (503, b"")
    browser.start(NUMBER)
    assert outbox.send_queued() == 1

    assert told(verify) == ["code", "canceled", "code"]


@pytest.mark.django_db
def test_what_was_not_heard_is_told_again_for_a_while(browser, verify, clock, caplog):
    browser.start(NUMBER)
    outbox.send_queued()
    verify.only, verify.answer = "/Verifications/", (503, b"")
    browser.submit("/login/wait/", {"code": codes(verify)[0]})
    sender.tell_outcomes([Challenge.objects.get().pk])
    sender.drain()
    assert told(verify) == ["code", "approved"]
    assert "was not told what became of delivery" in caplog.text
    assert NUMBER not in caplog.text

    clock.shift(301)
    sender.drain()
    assert told(verify) == ["code", "approved", "approved"]
    verify.answer = None
    clock.shift(31)
    sender.drain()
    sender.drain()
    assert told(verify) == ["code", *["approved"] * 3]
    assert next(iter(verify.verifications.values()))["status"] == "approved"


@pytest.mark.django_db
def test_one_that_does_not_listen_is_not_asked_again_for_each_code(verify, clock):
    """Else one look for what is due would take as many time-outs as there are codes."""
    for number in range(3):
        Browser().start(f"+4915123456{number}89")
    outbox.send_queued()
    verify.only, verify.answer = "/Verifications/", (503, b"")
    clock.shift(301)
    sender.drain()
    assert told(verify) == ["code"] * 3 + ["canceled"]

    verify.answer = None
    sender.drain()
    clock.shift(31)
    sender.drain()
    assert told(verify) == ["code"] * 3 + ["canceled"] * 4
    assert {one["status"] for one in verify.verifications.values()} == {"canceled"}


@pytest.mark.django_db
def test_in_the_end_it_is_left_alone(browser, verify, clock):
    browser.start(NUMBER)
    outbox.send_queued()
    verify.only, verify.answer = "/Verifications/", (503, b"")
    for _each in range(60):
        clock.shift(31)
        sender.drain()

    assert not Delivery.objects.filter(outcome_at__isnull=False).exists()
    assert 5 < len(told(verify)) < 15


@pytest.mark.django_db
def test_a_channel_that_is_no_longer_in_the_settings_is_told_nothing(browser, verify, clock, settings):
    browser.start(NUMBER)
    outbox.send_queued()
    settings.PASSWORDLESS_AUTH_CHANNELS |= {"other": settings.PASSWORDLESS_AUTH_CHANNELS["sms"], "sms": MEMORY}
    clock.shift(301)
    sender.drain()

    assert told(verify) == ["code"]


@pytest.mark.django_db
@pytest.mark.parametrize("first", ["verify", "texts"])
def test_with_a_failover_the_one_that_carried_the_code_is_told(browser, settings, sms, first, clock):
    with running() as server:
        settings.PASSWORDLESS_AUTH_CHANNELS |= {
            "sms": {
                "BACKEND": "passwordless_auth.channels.failover.FailoverChannel",
                "OPTIONS": {"channels": [first, *({"verify", "texts"} - {first})]},
            },
            "verify": {"BACKEND": VERIFY, "OPTIONS": options_for(server)},
            "texts": MEMORY,
        }
        browser.start(NUMBER)
        outbox.send_queued()
        row = Delivery.objects.get()
        assert row.provider == first
        code = codes(server)[0] if first == "verify" else memory.sent[-1].code
        browser.submit("/login/wait/", {"code": code})
        sender.tell_outcomes([row.challenge_id])

    assert told(server) == (["code", "approved"] if first == "verify" else [])


@pytest.mark.django_db
def test_while_verify_is_down_the_next_one_carries_the_code(browser, settings, sms, verify):
    verify.answer = (503, b"")
    settings.PASSWORDLESS_AUTH_CHANNELS |= {
        "verify": settings.PASSWORDLESS_AUTH_CHANNELS["sms"],
        "sms": {
            "BACKEND": "passwordless_auth.channels.failover.FailoverChannel",
            "OPTIONS": {"channels": ["verify", "texts"]},
        },
    }
    browser.start(NUMBER)
    outbox.send_queued()

    row = Delivery.objects.get()
    assert (row.provider, row.outcome_at) == ("texts", None)
    assert memory.sent[-1].code == codes(verify)[0]


@pytest.mark.django_db
def test_who_has_no_account_looks_the_same_while_they_wait(browser, other_browser, verify, settings):
    browser.start(NUMBER)
    outbox.send_queued()
    browser.submit("/login/wait/", {"code": codes(verify)[0]})
    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"
    settings.PASSWORDLESS_AUTH_SMS_LIMIT_PER_NUMBER = ""
    seen = []
    for number in (NUMBER, "+4915198765432"):
        other_browser.cookies.clear()
        other_browser.start(number)
        outbox.send_queued()
        status = other_browser.get("/login/wait/status.json").json()
        seen.append({name: status[name] for name in ("state", "delivery", "trouble", "other_way")})

    assert seen[0] == seen[1]
    assert "no account" in memory.sent[-1].text
    assert len(codes(verify)) == 2


@pytest.mark.django_db
def test_adding_a_number_is_approved_too(browser, verify, clock):
    browser.sign_in()
    browser.submit("/account/identities/", {"action": "add", "identifier": NUMBER})
    outbox.send_queued()
    challenge = Challenge.objects.get(purpose="add_identity")
    browser.submit("/login/wait/", {"challenge": challenge.public_id, "code": codes(verify)[0]})
    clock.shift(301)
    sender.drain()

    assert told(verify) == ["code", "approved"]


@pytest.mark.django_db
def test_the_events_of_verify_find_the_message_among_those_of_one_verification(browser, verify, clock):
    browser.start(NUMBER)
    outbox.send_queued()
    clock.shift(61)
    browser.submit("/login/resend/")
    outbox.send_queued()
    first, second = Delivery.objects.order_by("pk")
    tracking = "http://testserver/twilio/sms/tracking/"

    assert first.provider_id == second.provider_id
    undelivered = event("undelivered", row=first, error_code="30003")
    assert tells_json(Client(), tracking, [event("sent", row=second), undelivered]).status_code == 204
    assert tells_json(Client(), tracking, event("delivered", row=second)).status_code == 204
    assert tells_json(Client(), tracking, event("read", row=second)).status_code == 204
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.error) == ("bounced", "undelivered 30003")
    assert second.state == "delivered"

    # Without our tag it is of the newest.
    tells_json(Client(), tracking, [event("failed", error_code="30006")])
    second.refresh_from_db()
    assert (second.state, second.error) == ("rejected", "failed 30006")


def test_a_channel_that_hears_no_outcome_is_never_told(settings):
    with pytest.raises(NotImplementedError):
        channel("texts").tell("x", used=True)
