"""German beside English, on every page and in every message: no sentence is left in English."""

import re

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import translation
from django.utils.html import strip_tags

from passwordless_auth import exceptions
from passwordless_auth.models import Challenge, Identity
from passwordless_auth.testing import outbox

from .conftest import Browser
from .views.pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


def walk(language, clock):
    """Through all pages and states. Yields what each of them shows."""
    browser, other = Browser(HTTP_ACCEPT_LANGUAGE=language), Browser(HTTP_ACCEPT_LANGUAGE=language)
    yield visit(browser, "/login/")
    yield Page(browser.start("nobody"))
    browser.start(ADA)
    yield visit(browser, "/login/wait/")
    yield Page(browser.start(ADA))  # too often
    link, code = outbox.last_link(ADA), outbox.last_code(ADA)
    yield Page(browser.submit("/login/wait/", {"code": f"{(int(code) + 1) % 10**6:06}"}))
    yield visit(browser, link)
    elsewhere = visit(other, link)
    yield elsewhere
    yield Page(other.submit("/login/link/", {**elsewhere.forms[0].fields, "identifier": "eve@example.com"}))
    yield visit(other, f"/login/link/{'x' * 65}/")
    yield visit(other, "/login/link/")
    browser.submit("/login/wait/", {"code": code})
    yield Page(browser.submit("/login/wait/", {"code": code}))  # spent
    for path in ("/account/", "/account/sessions/", "/logout/", "/login/"):
        yield visit(browser, path)
    clock.shift(3600)
    yield visit(browser, "/login/step-up/")
    browser.submit("/login/step-up/")
    outbox.send_queued()
    yield visit(browser, "/login/wait/")
    elsewhere = visit(other, outbox.last_link(ADA))
    yield elsewhere
    yield Page(other.submit("/login/link/", {**elsewhere.forms[0].fields, "identifier": ADA, "action": "deny"}))
    yield visit(browser, "/login/wait/")  # stopped
    browser.submit("/logout/")
    yield visit(browser, "/logout/done/")
    yield visit(browser, "/logout/done/?everywhere=1")
    clock.shift(61)
    browser.start(ADA)
    clock.shift(301)
    yield visit(browser, "/login/wait/")  # over
    User.objects.update(is_active=False)
    clock.shift(61)
    browser.start(ADA)
    outbox.send_queued()
    yield Page(browser.submit("/login/wait/", {"code": Challenge.objects.latest("pk").code()}))  # disabled
    Identity.objects.all().delete()
    User.objects.all().delete()


def test_no_page_is_left_in_english(clock):
    english = list(walk("en", clock))
    clock.shift(86400)
    german = list(walk("de", clock))

    assert [page.name for page in english] == [page.name for page in german]
    assert len({page.name for page in german}) == 11
    for one, other in zip(english, german, strict=True):
        assert (one.language, other.language) == ("en", "de"), other.name
        assert one.sentences & other.sentences == set(), (other.name, other.code)


def test_no_message_is_left_in_english(clock, settings):
    for language in ("en", "de"):
        list(walk(language, clock))
        settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"
        Browser(HTTP_ACCEPT_LANGUAGE=language).start(f"{language}@example.com")
        outbox.send_queued()
        settings.PASSWORDLESS_AUTH_SIGN_UP = "open"
        settings.PASSWORDLESS_AUTH_METHODS = ["magic_link"]
        clock.shift(86400)
        Browser(HTTP_ACCEPT_LANGUAGE=language).start(ADA)
        del settings.PASSWORDLESS_AUTH_METHODS
        outbox.send_queued()
        clock.shift(86400)

    def lines(message):
        html = re.sub(r"<style>.*?</style>", "", message.alternatives[0][0], flags=re.DOTALL)
        text = f"{message.subject}\n{message.body}\n{strip_tags(html)}"
        return {line.strip() for line in text.splitlines() if len(line.split()) > 2}

    half = len(mail.outbox) // 2
    english, german = mail.outbox[:half], mail.outbox[half:]
    assert len(english) == len(german) == 5, [message.subject for message in mail.outbox]
    for one, other in zip(english, german, strict=True):
        assert one.message()["Content-Language"] == "en"
        assert other.message()["Content-Language"] == "de"
        assert lines(one) & lines(other) == set()


def test_every_refusal_has_german_words():
    for refusal in vars(exceptions).values():
        if isinstance(refusal, type) and issubclass(refusal, exceptions.PasswordlessError):
            with translation.override("de"):
                german = str(refusal.detail)
            with translation.override("en"):
                assert german != str(refusal.detail), refusal
