"""Twilio, by its own client over real HTTP, in front of a server that speaks its API."""

import json
from contextlib import contextmanager
from xml.etree import ElementTree as ET

import pytest
from django.core.exceptions import ImproperlyConfigured

from passwordless_auth.channels import Message, Rejected, Retryable
from passwordless_auth.channels.twilio import TwilioChannel, TwilioVoiceChannel, TwilioWhatsAppChannel
from passwordless_auth.models import Delivery
from passwordless_auth.testing import outbox
from passwordless_auth.testing.channels import CODE, NUMBER, ChannelContract

from .twilio_server import ACCOUNT, TOKEN, error, running

SENDER = "+15005550006"
SERVICE = "MG" + "b" * 32
MESSAGE = ChannelContract.message


def channel_of(server, kind=TwilioChannel, **options):
    options = {"account_sid": ACCOUNT, "auth_token": TOKEN, "sender": SENDER, "base_url": server.url, **options}
    return kind(**options)


class Contract(ChannelContract):
    kind = TwilioChannel

    @contextmanager
    def _before(self, **server):
        options = server.pop("options", {})
        with running(**server) as provider:
            yield channel_of(provider, self.kind, **options)

    def accepting(self):
        return self._before()

    def refusing_the_recipient(self):
        return self._before(answer=(400, error(21211, f"The 'To' number {NUMBER} is not a valid phone number.", 400)))

    def refusing_the_account(self):
        return self._before(options={"auth_token": "wrong"})

    def busy(self):
        return self._before(answer=(429, error(20429, "Too Many Requests", 429)))

    def broken(self):
        return self._before(answer=(503, b"<html>Service Unavailable</html>"))

    def hanging(self):
        return self._before(hangs=60, options={"timeout": 0.5})


class TestMessages(Contract):
    pass


class TestCalls(Contract):
    kind = TwilioVoiceChannel


class TestWhatsApp(Contract):
    kind = TwilioWhatsAppChannel


def sent_by(kind=TwilioChannel, message=MESSAGE, **options):
    """What reaches Twilio: path and form fields."""
    with running() as server:
        channel_of(server, kind, **options).send(message)
    ((path, fields, _headers),) = server.asked
    return path, fields


def test_a_text_message_goes_out_from_our_number():
    path, fields = sent_by()

    assert path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert fields == {"To": NUMBER, "From": SENDER, "Body": MESSAGE.text}


def test_a_messaging_service_chooses_the_sender_itself():
    _path, fields = sent_by(sender=SERVICE)

    assert fields == {"To": NUMBER, "MessagingServiceSid": SERVICE, "Body": MESSAGE.text}


def test_a_country_may_have_a_sender_of_its_own():
    senders = {"DE": "EXAMPLE"}

    assert sent_by(senders=senders)[1]["From"] == "EXAMPLE"
    american = Message(**{**vars(MESSAGE), "to": "+12025550123"})
    assert sent_by(senders=senders, message=american)[1]["From"] == SENDER


def test_a_country_without_a_sender_is_told_before_twilio_is_asked():
    with running() as server, pytest.raises(Rejected, match="no sender"):
        channel_of(server, sender="", senders={"US": SENDER}).send(MESSAGE)
    assert server.asked == []


def test_a_key_of_the_api_signs_in_its_place():
    with running() as server, pytest.raises(Retryable, match="20003"):
        channel_of(server, auth_token="", api_key="SK" + "c" * 32, api_secret="s").send(MESSAGE)
    ((path, _fields, headers),) = server.asked
    assert ACCOUNT in path
    assert headers["Authorization"] != ""


@pytest.mark.parametrize("code", [21211, 21214, 21217, 21610, 21614, 21617, 21635, 60410])
def test_what_is_about_the_person_is_final(code):
    with running(answer=(400, error(code, f"{NUMBER} {CODE}", 400))) as server, pytest.raises(Rejected) as caught:
        channel_of(server).send(MESSAGE)
    assert str(caught.value) == f"Twilio {code} (HTTP 400)"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 21408),  # the country is not switched on in this account
        (400, 21606),  # the sender is not ours
        (400, 21612),  # not from this sender to that number
        (401, 20003),
        (403, 20005),  # the account is not active
        (404, 20404),
        (408, 20408),
        (429, 20429),
        (500, 20500),
        (502, 0),
        (503, 20503),
    ],
)
def test_what_is_about_us_or_twilio_may_work_later_or_elsewhere(status, code):
    with running(answer=(status, error(code, "x", status))) as server, pytest.raises(Retryable, match=str(status)):
        channel_of(server).send(MESSAGE)


@pytest.mark.parametrize(
    "answer", [(500, b""), (201, b""), (201, b"<html>"), (200, b"[]"), (400, b"\xff\xfe"), (302, b"")]
)
def test_an_answer_that_is_none_is_no_receipt(answer):
    with running(answer=answer) as server, pytest.raises(Retryable):
        channel_of(server).send(MESSAGE)
    assert len(server.asked) == 1  # and nobody is followed elsewhere


def test_a_connection_that_breaks_is_tried_again_later():
    with running(drops=True) as server, pytest.raises(Retryable, match="ConnectionError"):
        channel_of(server).send(MESSAGE)


def test_a_server_that_is_not_there_is_tried_again_later():
    with running() as server:
        channel = channel_of(server)
    with pytest.raises(Retryable, match="ConnectionError"):
        channel.send(MESSAGE)


def test_a_price_that_is_known_at_once_is_kept():
    answer = (201, {"sid": "SM" + "0" * 32, "price": "-0.00750", "price_unit": "usd"})
    with running(answer=answer) as server:
        receipt = channel_of(server).send(MESSAGE)

    assert (str(receipt.cost), receipt.currency) == ("0.00750", "USD")


# -- WhatsApp and calls


def test_whatsapp_takes_a_template_and_the_code():
    _path, fields = sent_by(TwilioWhatsAppChannel, content_sid={"de": "HXde", "en": "HXen"})

    assert fields["To"] == f"whatsapp:{NUMBER}"
    assert fields["From"] == f"whatsapp:{SENDER}"
    assert fields["ContentSid"] == "HXen"
    assert json.loads(fields["ContentVariables"]) == {"1": CODE}
    assert "Body" not in fields


@pytest.mark.parametrize(("content", "chosen"), [("HX1", "HX1"), ({"de": "HXde", "fr": "HXfr"}, "HXde")])
def test_a_language_without_a_template_gets_the_first(content, chosen):
    assert sent_by(TwilioWhatsAppChannel, content_sid=content)[1]["ContentSid"] == chosen


def test_whatsapp_without_a_code_is_text():
    notice = Message(**{**vars(MESSAGE), "code": "", "text": "A passkey was added."})

    assert sent_by(TwilioWhatsAppChannel, notice, content_sid="HX1")[1]["Body"] == "A passkey was added."


@pytest.mark.parametrize(("language", "spoken"), [("en", "en-US"), ("de", "de-DE"), ("pt-br", "pt-BR")])
def test_a_call_is_spoken_in_the_language_of_the_person(language, spoken):
    message = Message(**{**vars(MESSAGE), "language": language, "text": "Your code for <A & B> is: 1, 2"})
    path, fields = sent_by(TwilioVoiceChannel, message)

    assert path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    say = ET.fromstring(fields["Twiml"]).find("Say")  # noqa: S314
    assert (say.text, say.get("language")) == ("Your code for <A & B> is: 1, 2", spoken)


# -- the settings


@pytest.mark.parametrize(
    "options",
    [{"account_sid": ""}, {"auth_token": ""}, {"api_key": "SK1"}, {"sender": ""}],
)
def test_what_is_missing_is_an_error_of_the_settings(options):
    with pytest.raises(ImproperlyConfigured, match="Twilio needs"):
        TwilioChannel(**{"account_sid": ACCOUNT, "auth_token": TOKEN, "sender": SENDER, **options})


# -- through the front door


@pytest.mark.django_db
def test_a_person_signs_in_with_a_code_that_went_through_twilio(browser, settings, sms):
    with running() as server:
        use(settings, server)
        assert browser.start(NUMBER).status_code == 303
        outbox.send_queued()
    ((_path, fields, _headers),) = server.asked
    code = fields["Body"].rpartition("#")[2]

    assert browser.submit("/login/wait/", {"code": code}).status_code == 303
    assert browser.who()["authenticated"] is True
    row = Delivery.objects.get()
    assert (row.state, row.provider, row.provider_id) == ("handed_over", "sms", "SM" + "1".zfill(32))


@pytest.mark.django_db
def test_a_person_whose_number_twilio_refuses_is_told(browser, settings, sms):
    with running(answer=(400, error(21614, "not mobile", 400))) as server:
        use(settings, server)
        waiting = browser.start(NUMBER)["Location"]
        outbox.send_queued()

    assert Delivery.objects.get().error == "Twilio 21614 (HTTP 400)"
    assert b"We could not send this message. Please check the number" in browser.get(waiting).content


@pytest.mark.django_db
def test_while_twilio_is_down_the_message_waits(browser, settings, sms):
    with running(answer=(503, b"")) as server:
        use(settings, server)
        browser.start(NUMBER)
        outbox.send_queued()
        assert Delivery.objects.get().state == "queued"
        server.answer = None
        outbox.send_queued()

    assert Delivery.objects.get().state == "handed_over"
    first, second = (fields["Body"] for _path, fields, _headers in server.asked)
    assert first == second


def use(settings, server):
    options = {"account_sid": ACCOUNT, "auth_token": TOKEN, "sender": SENDER, "base_url": server.url}
    settings.PASSWORDLESS_AUTH_CHANNELS = {
        **settings.PASSWORDLESS_AUTH_CHANNELS,
        "sms": {"BACKEND": "passwordless_auth.channels.twilio.TwilioChannel", "OPTIONS": options},
    }
