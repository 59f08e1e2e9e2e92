"""Attacks that got through once, in a review of the running code; each must not again."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, UserManager
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import RequestFactory
from django.utils import timezone
from django.views.debug import ExceptionReporter

from passwordless_auth import outbox, sessions, throttling
from passwordless_auth.channels import Message
from passwordless_auth.exceptions import InvalidIdentifier
from passwordless_auth.flows import accounts, login_link
from passwordless_auth.identifiers import parse
from passwordless_auth.models import Challenge, Counter, Delivery, Event, Identity, KnownBrowser, SignIn
from passwordless_auth.testing.outbox import last_code, last_link, last_message
from tests.conftest import Browser

pytestmark = pytest.mark.django_db
User = get_user_model()
ADA = "ada@example.com"


def forget_limits():
    Counter.objects.all().delete()


@pytest.mark.parametrize(
    "typed", ["=?us-ascii?q?victim?=@example.com", "=?utf-8?q?attacker=40evil.test=3e?=@example.com", "=?=@example.com"]
)
def test_an_encoded_word_is_no_address(typed):
    """Some mailers decode it: the message would go to another mailbox than the one that the row names."""
    with pytest.raises(InvalidIdentifier):
        parse(typed)
    assert parse("a=b+c@example.com").canonical == "a=b+c@example.com"


def test_an_unimported_user_is_found_whatever_the_case_of_their_address(browser):
    User.objects.bulk_create([User(username="legacy", email="Legacy@Example.com")])

    browser.sign_in("legacy@example.com")

    assert User.objects.get().username == "legacy"
    assert Identity.objects.get().canonical == "legacy@example.com"


def test_what_the_database_takes_for_equal_is_compared_again(monkeypatch):
    """MariaDB's collations find "exämple.com" for "example.com" (CVE-2019-19844)."""
    User.objects.bulk_create(
        [User(username="other", email="bob@exämple.com"), User(username="bob", email="Bob@example.com")]
    )
    monkeypatch.setattr(UserManager, "filter", lambda self, **_kwargs: self.order_by("pk"))

    assert [user.username for user in accounts.users_with(parse("bob@example.com"))] == ["bob"]


def test_registering_with_the_address_of_an_unimported_user_takes_nothing_from_them(browser):
    User.objects.bulk_create([User(username="victim", email=ADA)])
    User.objects.create_user("mallory", ADA, "mallory's")

    assert not Identity.objects.exists()
    assert Event.objects.filter(kind="address_conflict").exists()
    browser.start(ADA)
    assert browser.submit("/login/wait/", {"code": last_code(ADA)}).status_code == 403  # nobody's, until it is settled
    assert not SignIn.objects.exists()


def test_browsers_of_a_user_are_strangers_to_an_address_that_the_user_never_proved(browser, other_browser):
    """Or whoever gets an address into their account guesses its codes with every browser they ever used."""
    browser.sign_in("mallory@example.com")
    mallory = User.objects.get()
    other_browser.start("mallory@example.com")
    mallory.email = ADA
    mallory.save()
    forget_limits()

    assert not KnownBrowser.objects.filter(user=mallory).exists()
    KnownBrowser.objects.create(user=mallory, browser_digest=Challenge.objects.first().browser_digest)
    browser.start(ADA)

    assert not Challenge.objects.latest("pk").from_known_browser
    assert Counter.objects.filter(action="sends", key=ADA).exists()


def test_a_link_of_an_administrator_proves_no_mailbox(browser, other_browser):
    user = User.objects.create_user("target", ADA, "squatter's")
    link = login_link.make(user, reason="lost mail")
    confirm = browser.get(link).url
    browser.get(confirm)
    page = browser.submit(confirm, {"challenge": Challenge.objects.get().public_id, "action": "sign_in"})
    assert page.status_code == 303
    assert browser.who()["authenticated"]
    assert Identity.objects.get().proven_at is None

    other_browser.sign_in(ADA)  # the owner of the mailbox comes

    assert not browser.who()["authenticated"]
    assert not User.objects.get().has_usable_password()


def test_a_known_browser_has_a_bound_on_guesses_too(browser, settings):
    """A shared computer stays known to whoever signed in there once."""
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_ACCOUNT = "2/h"
    browser.sign_in()
    forget_limits()
    browser.submit("/logout/")
    browser.start()
    right = last_code(ADA)
    wrong = "".join(str((int(digit) + 1) % 10) for digit in right)
    statuses = [browser.submit("/login/wait/", {"code": wrong}).status_code for _ in range(3)]

    assert statuses == [400, 400, 429]
    assert browser.submit("/login/wait/", {"code": right}).status_code == 429
    link = browser.get(last_link(ADA)).url
    done = browser.submit(link, {"challenge": Challenge.objects.latest("pk").public_id, "action": "sign_in"})
    assert done.status_code == 303  # the link is not guessed, and goes on working


def test_requests_without_an_address_are_limited_together(settings):
    settings.PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP = "2/h"
    statuses = [Browser(REMOTE_ADDR="").start(f"p{number}@example.com").status_code for number in range(3)]

    assert statuses == [303, 303, 429]


def test_one_window_is_not_limited_twice():
    with pytest.raises(ImproperlyConfigured):
        throttling.parse("1/60s,100/1m")


def test_a_session_whose_key_was_dropped_still_ends(browser, settings):
    browser.sign_in()
    other = Browser()
    forget_limits()
    other.sign_in()
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("k2", "another key of the tests " + "b" * 20)]

    victim = SignIn.objects.earliest("pk")
    other.submit("/account/sessions/", {"sign_in": victim.public_id})

    assert not browser.who()["authenticated"]


def test_a_purge_ends_the_sessions_that_it_says_have_run_out(browser, settings):
    browser.sign_in()
    settings.PASSWORDLESS_AUTH_SESSION_IDLE = 60
    SignIn.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))

    call_command("passwordless_purge")

    assert SignIn.objects.get().end_reason == "run_out"
    assert not browser.who()["authenticated"]


def test_signing_out_everywhere_claims_no_more_than_it_does(browser):
    """A session that was begun with a password outlives it while the password is usable: then the page must not say
    that every browser has to sign in anew."""
    browser.sign_in()
    assert browser.submit("/account/sessions/", {"scope": "everywhere"}).url.endswith("?everywhere=1")

    forget_limits()
    browser.sign_in()
    user = User.objects.get()
    user.set_password("own")
    user.save()
    browser = Browser()
    forget_limits()
    browser.sign_in()
    assert browser.submit("/account/sessions/", {"scope": "everywhere"}).url.endswith("/logout/done/")


@pytest.mark.parametrize("path", ["/login/link/", "/login/link/{token}/"])
def test_an_error_report_of_the_link_pages_shows_no_token(browser, monkeypatch, path):
    browser.start()
    token = Challenge.objects.get().link_token()
    browser.get(f"/login/link/{token}/")
    broken = "passwordless_auth.views.link." + ("see_other" if "{token}" in path else "sign_in.verify")

    def fails(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(broken, fails)
    form = {"challenge": token[:22], "action": "sign_in"}
    with pytest.raises(ZeroDivisionError) as caught:
        browser.get(path.format(token=token)) if "{token}" in path else browser.submit(path, form)
    reporter = ExceptionReporter(RequestFactory().get("/"), caught.type, caught.value, caught.tb)
    frames = [frame for frame in reporter.get_traceback_frames() if frame["filename"].endswith("views/link.py")]

    assert frames
    assert token not in repr([frame["vars"] for frame in frames])


def test_a_message_shows_neither_address_nor_code_when_it_is_printed():
    shown = repr(Message(ADA, "123456 is your code", "123456", "<b>123456", "en", "key"))

    assert ADA not in shown
    assert "123456" not in shown


@pytest.mark.parametrize("model", ["challenge", "delivery", "identity"])
@pytest.mark.parametrize("lookup", ["canonical__startswith=a", "nonce__gt=0", "session_key_sealed__startswith=k"])
def test_what_the_admin_masks_can_not_be_spelled_out_by_a_filter(admin_client, model, lookup):
    assert admin_client.get(f"/admin/passwordless_auth/{model}/?{lookup}").status_code in {302, 400}
    offered = {"challenge": "state__exact=open", "delivery": "state__exact=queued", "identity": "kind__exact=email"}[
        model
    ]
    assert admin_client.get(f"/admin/passwordless_auth/{model}/?{offered}").status_code == 200


@pytest.mark.parametrize("text", ["\0", "x" * 22 + "\0", "..", ""])
def test_an_impossible_session_id_ends_nothing(browser, text):
    browser.sign_in()

    assert browser.submit("/account/sessions/", {"sign_in": text}).status_code == 303
    assert browser.who()["authenticated"]


@pytest.mark.django_db(transaction=True)
def test_an_ended_session_is_nobodys_even_when_other_middleware_looked_first(browser, settings, tmp_path):
    settings.CACHES = {
        **settings.CACHES,
        "shared": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path)},
    }
    settings.SESSION_ENGINE, settings.SESSION_CACHE_ALIAS = "django.contrib.sessions.backends.cached_db", "shared"
    browser = Browser()
    browser.sign_in()
    request = RequestFactory().get("/")
    request.session = sessions.session_store()(browser.cookies["sessionid"].value)
    request.user = request._cached_user = User.objects.get()
    SignIn.objects.update(ended_at=timezone.now())

    sessions.refuse_ended(request)

    assert isinstance(request.user, AnonymousUser)
    assert not hasattr(request, "_cached_user")


def test_a_message_whose_lease_ran_out_in_the_queue_is_left_to_who_took_it_over(browser):
    browser.start()
    mail.outbox.clear()
    mine = Delivery.objects.create(
        kind="sign_in",
        canonical=ADA,
        challenge=Challenge.objects.get(),
        expires_at=timezone.now() + timedelta(minutes=5),
        available_at=timezone.now() - timedelta(seconds=1),
    )
    theirs = Delivery.objects.claim(mine.pk, now=timezone.now())

    assert not outbox.deliver(mine.pk, lease=mine.available_at)
    assert outbox.deliver(mine.pk, lease=theirs)
    assert len(mail.outbox) == 1


def test_a_step_up_asks_no_address_that_was_only_written_into_the_profile(browser, client):
    """Who holds a stolen session would write their own."""
    user = User.objects.create_user("ada", "thief@example.com", "pw")
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")

    assert client.post("/login/step-up/").status_code == 403
    assert not mail.outbox


def test_a_spent_message_does_not_tell_the_next_person_who_was_here(browser):
    browser.sign_in()
    browser.submit("/logout/")

    page = browser.get("/login/wait/")

    assert page.status_code == 410
    assert ADA not in page.content.decode()


def test_a_login_link_is_for_the_owner_of_the_address_and_not_for_who_took_it_as_a_name(capsys):
    boss = User.objects.create_user("boss", ADA)
    User.objects.create_user(ADA, "mallory@example.com")

    call_command("passwordless_login_link", ADA, reason="asked by phone")

    assert Challenge.objects.get().user == boss
    assert "/login/link/" in capsys.readouterr().out


def test_a_scheme_in_capitals_is_https_too(settings):
    settings.PASSWORDLESS_AUTH_BASE_URL = "HTTPS://example.com"
    settings.ALLOWED_HOSTS = ["example.com"]
    response = Browser(HTTP_HOST="example.com").get("/login/", secure=True)
    assert response.status_code == 200

    from passwordless_auth.requester import browser_cookie_name

    assert browser_cookie_name().startswith("__Host-")


def test_look_alikes_are_not_imported():
    User.objects.bulk_create([User(username="m", email="ｖictim@example.com")])

    call_command("passwordless_import_identities")

    assert not Identity.objects.exists()


def test_a_message_is_the_same_for_every_attempt(browser):
    browser.start()
    first = last_message(ADA)
    Delivery.objects.update(state="queued", available_at=timezone.now())
    assert outbox.drain() == 1
    again = mail.outbox[-1]

    assert (again.subject, again.body) == (first.subject, first.body)
    assert again.extra_headers["Message-ID"] == first.extra_headers["Message-ID"]
