"""Text messages: how long they are, what phones read in them, and where they can go without a provider."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation

from passwordless_auth.channels import Message, channel
from passwordless_auth.channels.sms import Size, measure, plain, with_code
from passwordless_auth.identifiers import parse
from passwordless_auth.messages import compose
from passwordless_auth.models import Challenge, Delivery
from passwordless_auth.testing.factories import UserFactory

pytestmark = pytest.mark.django_db

ADA = "+4915123456789"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", Size("gsm7", 0, 1)),
        ("a" * 160, Size("gsm7", 160, 1)),
        ("a" * 161, Size("gsm7", 161, 2)),
        ("a" * 306, Size("gsm7", 306, 2)),
        ("a" * 307, Size("gsm7", 307, 3)),
        ("ÄÖÜäöüß@£¥", Size("gsm7", 10, 1)),
        ("€" * 80, Size("gsm7", 160, 1)),  # two places each
        ("€" * 81, Size("gsm7", 162, 2)),
        ("[{}]~^|\\", Size("gsm7", 16, 1)),
        ("ç", Size("ucs2", 1, 1)),  # Ç is there, ç is not
        ("я" * 70, Size("ucs2", 70, 1)),
        ("я" * 71, Size("ucs2", 71, 2)),
        ("я" * 135, Size("ucs2", 135, 3)),
        ("🎉", Size("ucs2", 2, 1)),  # a pair
    ],
)
def test_a_text_is_measured_as_providers_bill_it(text, size):
    assert measure(text) == size


def test_typography_costs_nothing():
    assert plain("“Ada’s” – code…\u00a0now") == '"Ada\'s" - code... now'


def test_another_script_keeps_its_marks():
    assert plain("Ваш код «Пример» — 123") == "Ваш код «Пример» — 123"


def test_the_last_line_binds_the_code_to_the_site():
    assert (
        with_code("123456 is your code.", host="example.com", code="123456").splitlines()[-1] == "@example.com #123456"
    )


def composed(
    settings, kind, language, *, site="Example", base="https://signin.example.com", medium="sms", to=ADA, **fields
):
    settings.PASSWORDLESS_AUTH_SITE_NAME = site
    settings.PASSWORDLESS_AUTH_BASE_URL = base
    challenge = Challenge(
        purpose="sign_in", kind="phone", canonical=to, key_id="k1", code_length=6, code_alphabet="digits",
        accepts_link=False, expires_at=Delivery().created_at, **fields,
    )  # fmt: skip
    return compose(
        Delivery(kind=kind, canonical=to, challenge=challenge, language=language, channel="sms"), medium=medium
    )


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("kind", ["sign_in", "step_up", "recover", "no_account", "disabled", "no_recovery"])
def test_every_message_about_a_code_is_one_segment(settings, kind, language):
    message = composed(settings, kind, language)

    assert measure(message.text).alphabet == "gsm7"
    assert measure(message.text).segments == 1, message.text
    assert message.language == language


def test_the_host_of_the_last_line_has_no_port(settings):
    assert (
        composed(settings, "sign_in", "en", base="https://example.com:8443")
        .text.splitlines()[-1]
        .startswith("@example.com #")
    )


def test_a_country_may_have_a_text_of_its_own(settings, tmp_path):
    folder = tmp_path / "passwordless_auth" / "messages"
    folder.mkdir(parents=True)
    (folder / "sign_in.sms.us.txt").write_text("{{ site_name }}: {{ code }}. Reply STOP to end.")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    assert "Reply STOP" in composed(settings, "sign_in", "en", to="+12025550123").text
    assert "Reply STOP" not in composed(settings, "sign_in", "en").text


def test_a_template_can_not_move_the_last_line(settings, tmp_path):
    folder = tmp_path / "passwordless_auth" / "messages"
    folder.mkdir(parents=True)
    (folder / "sign_in.sms.txt").write_text("{{ code }}\n\n@evil.example #{{ code }}\n\nBye\n\n")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    assert composed(settings, "sign_in", "en").text.splitlines()[-1].startswith("@signin.example.com #")


@pytest.mark.parametrize(("language", "words"), [("en", "Once more"), ("de", "Noch einmal")])
def test_a_call_says_each_sign_of_the_code_twice(settings, language, words):
    message = composed(settings, "sign_in", language, medium="voice")

    assert message.text.count(", ".join(message.code)) == 2
    assert words in message.text
    assert "@" not in message.text


def test_a_notice_by_text_message_has_its_link(browser, sms, settings):
    browser.sign_in(ADA)
    from passwordless_auth.flows import notices
    from passwordless_auth.requester import Requester

    notices.tell(
        Challenge.objects.get().user or UserFactory._meta.model.objects.get(),
        "passkey_added",
        requester=Requester(),
        now=Challenge.objects.get().created_at,
    )
    text = sms()[-1].text
    assert text.startswith("A passkey was added to your account at Testserver.")
    assert "http://testserver/login/report/" in text


# -- without a provider


def test_the_terminal_shows_it(settings, capsys):
    settings.PASSWORDLESS_AUTH_CHANNELS = {"sms": {"BACKEND": "passwordless_auth.channels.console.ConsoleChannel"}}
    message = Message(to=ADA, subject="", text="123456 is your code.", html="", language="en", idempotency_key="k")

    assert channel("sms").send(message).provider_id == ""
    assert "SMS to +4915123456789 (gsm7, segments: 1)" in capsys.readouterr().out


def test_a_failover_of_text_messages_writes_text_messages(settings):
    settings.PASSWORDLESS_AUTH_CHANNELS = {
        "one": {"BACKEND": "passwordless_auth.channels.memory.MemoryChannel"},
        "sms": {"BACKEND": "passwordless_auth.channels.failover.FailoverChannel", "OPTIONS": {"channels": ["one"]}},
    }

    assert channel("sms").medium == "sms"


def test_a_failover_does_not_mix_what_is_written_differently(settings):
    settings.PASSWORDLESS_AUTH_CHANNELS = {
        "mail": {"BACKEND": "passwordless_auth.channels.email.EmailChannel"},
        "one": {"BACKEND": "passwordless_auth.channels.memory.MemoryChannel"},
        "sms": {
            "BACKEND": "passwordless_auth.channels.failover.FailoverChannel",
            "OPTIONS": {"channels": ["one", "mail"]},
        },
    }

    with pytest.raises(ImproperlyConfigured, match="same medium"):
        channel("sms")


def test_the_language_is_that_of_who_asked(browser, sms):
    with translation.override("de"):
        browser.submit("/login/", {"identifier": ADA}, headers={"accept-language": "de"})

    assert "ist Ihr Code" in sms()[0].text
    assert parse(ADA).canonical == sms()[0].to
