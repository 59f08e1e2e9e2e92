"""The commands. What they do is told beside their flows; here is how they meet an operator."""

import io
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import call_command, get_commands, load_command_class
from django.utils import timezone

from passwordless_auth.models import Delivery

pytestmark = pytest.mark.django_db


def send(**options):
    out = io.StringIO()
    call_command("passwordless_send", stdout=out, **options)
    return out.getvalue().strip()


def test_there_are_six_and_each_says_what_it_does():
    ours = {name for name, app in get_commands().items() if app == "passwordless_auth"}

    assert ours == {
        "passwordless_import",
        "passwordless_import_identities",
        "passwordless_login_link",
        "passwordless_purge",
        "passwordless_reseal",
        "passwordless_send",
    }
    for name in ours:
        command = load_command_class("passwordless_auth", name)
        assert command.help.endswith(".")
        assert name in command.create_parser("manage.py", name).format_help()


def test_what_is_due_is_sent_and_what_others_hold_is_left_to_them(browser):
    browser.start("ada@example.com")
    browser.start("bob@example.com")
    assert send() == "0 messages handed over."  # both are held by the process that made them

    Delivery.objects.filter(canonical="ada@example.com").update(available_at=timezone.now() - timedelta(seconds=1))

    assert send() == "1 messages handed over."
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]
    assert send() == "0 messages handed over."


def test_a_limit_is_kept(browser):
    for number in range(3):
        browser.start(f"person{number}@example.com")
    Delivery.objects.update(available_at=timezone.now() - timedelta(seconds=1))

    assert send(limit=2) == "2 messages handed over."
    assert send() == "1 messages handed over."
