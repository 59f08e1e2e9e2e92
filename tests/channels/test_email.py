"""Plain Django mail: whatever the host configured for it works, and what goes wrong is told without the address."""

import smtplib
import subprocess
import sys
from pathlib import Path

import anymail.exceptions
import django
import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from passwordless_auth.channels import Message, Rejected, Retryable, channel
from passwordless_auth.channels.base import Channel
from passwordless_auth.channels.email import TIMEOUT, EmailChannel
from passwordless_auth.models import Delivery
from passwordless_auth.models.delivery import LEASE
from passwordless_auth.testing import outbox

ROOT = Path(__file__).parents[2]
MESSAGE = Message(
    to="ada@example.com", subject="Hello", text="Hello", html="<p>Hello</p>", language="en", idempotency_key="k" * 22
)


def use_backend(settings, backend, **options):
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
    else:
        settings.EMAIL_BACKEND = backend


class Broken(BaseEmailBackend):
    """A mail server with a fault."""

    fault: Exception

    def send_messages(self, messages):
        raise self.fault


# -- choosing


def test_a_channel_is_made_as_the_settings_say(settings):
    settings.PASSWORDLESS_AUTH_CHANNELS = {
        "email": {
            "BACKEND": "passwordless_auth.channels.email.EmailChannel",
            "OPTIONS": {"from_email": "door@example.com"},
        }
    }

    channel("email").send(MESSAGE)

    assert mail.outbox[0].from_email == "door@example.com"


@pytest.mark.parametrize("channels", [{}, {"email": {}}, {"email": {"BACKEND": "tests.nowhere.Channel"}}])
def test_a_channel_that_is_not_there_is_an_error_of_the_settings(settings, channels):
    settings.PASSWORDLESS_AUTH_CHANNELS = channels

    with pytest.raises(ImproperlyConfigured, match="no usable channel 'email'"):
        channel("email")


def test_a_channel_must_say_how_it_sends():
    with pytest.raises(TypeError):
        Channel()


def test_a_message_shows_neither_its_text_nor_its_code_when_printed():
    assert "<p>" not in repr(MESSAGE)
    assert "text" not in repr(MESSAGE)


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")
def test_one_of_several_mailers_may_be_named(settings):
    settings.MAILERS = {
        "default": {"BACKEND": "tests.nowhere.Backend"},
        "sign-in": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"},
    }

    EmailChannel(using="sign-in").send(MESSAGE)

    assert len(mail.outbox) == 1


# -- the time that a silent server gets


def test_a_server_without_a_time_out_gets_one_and_a_host_keeps_its_own(settings):
    use_backend(settings, "django.core.mail.backends.smtp.EmailBackend", host="localhost")
    connection = EmailChannel().connection()
    assert isinstance(connection, SmtpBackend)
    assert connection.timeout == TIMEOUT

    use_backend(settings, "django.core.mail.backends.smtp.EmailBackend", host="localhost", timeout=3)
    if django.VERSION < (6, 1):
        settings.EMAIL_TIMEOUT = 3
    assert EmailChannel().connection().timeout == 3


def test_a_provider_s_api_gets_less_time_than_a_message_is_leased_for(settings):
    """Anymail's own 30 seconds are for each of connecting and answering."""
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "t"}
    use_backend(settings, "anymail.backends.postmark.EmailBackend")
    assert 2 * EmailChannel().connection().timeout < LEASE.total_seconds()

    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "t", "REQUESTS_TIMEOUT": 3}
    assert EmailChannel().connection().timeout == 3


# -- what went wrong


class ProviderError(Exception):
    def __init__(self, status_code):
        super().__init__("ada@example.com was refused")
        self.status_code = status_code


@pytest.mark.parametrize(
    ("fault", "outcome", "text"),
    [
        (ConnectionRefusedError("ada@example.com"), Retryable, "ConnectionRefusedError"),
        (TimeoutError(), Retryable, "TimeoutError"),
        (smtplib.SMTPServerDisconnected("gone"), Retryable, "SMTPServerDisconnected"),
        (smtplib.SMTPAuthenticationError(535, b"no"), Retryable, "SMTPAuthenticationError 535"),
        (smtplib.SMTPDataError(451, b"greylisted ada@example.com"), Retryable, "SMTPDataError 451"),
        (smtplib.SMTPDataError(554, b"spam"), Rejected, "SMTPDataError 554"),
        (smtplib.SMTPSenderRefused(550, b"no", "x@y.example"), Rejected, "SMTPSenderRefused 550"),
        (
            smtplib.SMTPRecipientsRefused({"ada@example.com": (550, b"unknown")}),
            Rejected,
            "SMTPRecipientsRefused [550]",
        ),
        (
            smtplib.SMTPRecipientsRefused({"ada@example.com": (450, b"busy")}),
            Retryable,
            "SMTPRecipientsRefused [450]",
        ),
        (smtplib.SMTPRecipientsRefused({}), Retryable, "SMTPRecipientsRefused []"),
        (ProviderError(400), Rejected, "ProviderError 400"),
        (ProviderError(408), Retryable, "ProviderError 408"),
        (ProviderError(429), Retryable, "ProviderError 429"),
        (ProviderError(503), Retryable, "ProviderError 503"),
        (anymail.exceptions.AnymailRecipientsRefused(), Rejected, "AnymailRecipientsRefused"),
        (anymail.exceptions.AnymailAPIError("ada@example.com"), Retryable, "AnymailAPIError"),
    ],
)
def test_a_fault_is_named_by_its_class_and_status_and_never_by_its_text(settings, monkeypatch, fault, outcome, text):
    use_backend(settings, "tests.channels.test_email.Broken")
    monkeypatch.setattr(Broken, "fault", fault, raising=False)

    with pytest.raises(outcome) as told:
        channel("email").send(MESSAGE)

    assert str(told.value) == text


# -- Anymail


@pytest.mark.django_db
def test_anymail_works_unchanged_and_its_id_is_kept(browser, settings):
    use_backend(settings, "anymail.backends.test.EmailBackend")
    mail.outbox.append("something that was sent before")  # Anymail's test backend numbers its messages from 0
    browser.start()

    assert outbox.send_queued() == 1

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.provider_id) == ("handed_over", "1")
    message = mail.outbox.pop()
    assert message.anymail_status.status == {"sent"}
    assert message.anymail_test_params["extra_headers"]["Auto-Submitted"] == "auto-generated"


@pytest.mark.django_db
def test_a_recipient_that_the_provider_refuses_is_refused_for_good(browser, settings, monkeypatch):
    use_backend(settings, "anymail.backends.test.EmailBackend")
    from anymail.backends.test import EmailBackend
    from anymail.message import AnymailRecipientStatus

    refused = AnymailRecipientStatus(message_id=None, status="invalid")
    monkeypatch.setattr(EmailBackend, "parse_recipient_status", lambda *args: {"ada@example.com": refused})
    browser.start()

    assert outbox.send_queued() == 0
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == ("failed", "AnymailRecipientsRefused")


# -- the settings of mail, old and new, in a process of their own where every warning is an error


STORY = """
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x" * 50, DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    ROOT_URLCONF="passwordless_auth.urls", STATIC_URL="/static/", ALLOWED_HOSTS=["*"], USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                    "django.contrib.staticfiles", "django_otp", "passwordless_auth"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "passwordless_auth.middleware.SignInMiddleware"],
    AUTHENTICATION_BACKENDS=["passwordless_auth.backends.SignInBackend"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    PASSWORDLESS_AUTH_BASE_URL="http://testserver", PASSWORDLESS_AUTH_SENDER="inline",
    PASSWORDLESS_AUTH_SECRET_KEYS=[("k1", "k" * 40)],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", DEFAULT_FROM_EMAIL="door@example.com", **MAIL)
django.setup()
from django.core import mail
from django.core.management import call_command
from django.urls import include, path
call_command("migrate", verbosity=0)
from django.test import Client
from passwordless_auth.identifiers import parse
from passwordless_auth.requester import Requester
from passwordless_auth.flows.sign_in import start
import passwordless_auth.urls
settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("", include("passwordless_auth.urls"))]})
mail.outbox = []
start(parse("ada@example.com"), requester=Requester())
print(len(mail.outbox), mail.outbox[0].to[0])
"""


def run(mail, *flags):
    done = subprocess.run(
        [sys.executable, *flags, "-c", f"import sys; sys.path.append({str(ROOT)!r}); MAIL = {mail!r}" + STORY],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


LOCMEM = "django.core.mail.backends.locmem.EmailBackend"


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")
def test_mailers_work_without_a_deprecation_warning():
    assert run({"MAILERS": {"default": {"BACKEND": LOCMEM}}}, "-W", "error") == ["1", "ada@example.com"]


@pytest.mark.skipif(django.VERSION >= (6, 1), reason="deprecated by Django 6.1")
def test_the_one_backend_works_without_a_deprecation_warning():
    assert run({"EMAIL_BACKEND": LOCMEM}, "-W", "error") == ["1", "ada@example.com"]


@pytest.mark.skipif(django.VERSION < (6, 1), reason="deprecated by Django 6.1")
def test_a_host_that_has_not_moved_to_mailers_yet_is_served():
    assert run({"EMAIL_BACKEND": LOCMEM}) == ["1", "ada@example.com"]
