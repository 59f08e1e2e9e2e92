"""What the stories share: people of a host, an import, and the way in afterwards."""

import io
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import TestCase, override_settings

from passwordless_auth.models import Event, Identity, ImportedRow, Passkey, Profile, RecoveryCode, SignIn, Totp
from passwordless_auth.testing import outbox
from tests.conftest import Browser
from tests.passkeys import ORIGIN, sign_in

#: All that an import may write.
OURS = (Event, Identity, ImportedRow, Passkey, Profile, RecoveryCode, Totp)
PASSWORD = "a password of before"


def imported(source, *arguments):
    """Run the import. Returns its lines."""
    out = io.StringIO()
    call_command("passwordless_import", source, *arguments, stdout=out)
    return out.getvalue().splitlines()


def person(name="ada", **fields):
    return User.objects.create_user(name, fields.pop("email", ""), PASSWORD, **fields)


@override_settings(
    PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS="",
    PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER="",
    SESSION_COOKIE_SECURE=False,
)
class Stories(TestCase):
    def setUp(self):
        cache.clear()
        # A time step of authenticator apps has just begun: none ends between making a code and typing it.
        clock = time_machine.travel(datetime(2026, 5, 1, 12, 0, 1, tzinfo=UTC))
        clock.start()
        self.addCleanup(clock.stop)
        self.browser = Browser()

    def browser_of(self, user):
        """A browser in which this person is signed in to the host, by a password."""
        browser = Browser(HTTP_HOST="testserver")
        browser.handler.enforce_csrf_checks = False
        browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return browser

    def assert_signs_in(self, authenticator, user, **asked):
        browser = Browser()
        response = sign_in(browser, authenticator, **asked)
        assert response.status_code == 200, response.content
        assert browser.session["_auth_user_id"] == str(user.pk)
        assert browser.who()["level"] == "phr"

    def assert_signs_in_with_app(self, address, code, user):
        """By a code in a message, and then the code of their authenticator app."""
        browser = Browser()
        browser.start(address)
        waits = browser.submit("/login/wait/", {"code": outbox.last_code(address)})
        assert waits.status_code == 303, waits.content
        assert not browser.who()["authenticated"]
        named = parse_qs(urlsplit(waits["Location"]).query)["sign_in"][0]
        wrong = f"{(int(code) + 1) % 10**6:06}"
        assert browser.submit("/login/step-up/", {"action": "totp", "code": wrong, "sign_in": named}).status_code == 400
        browser.submit("/login/step-up/", {"action": "totp", "code": code, "sign_in": named})
        assert browser.who()["level"] == "multi"
        assert browser.session["_auth_user_id"] == str(user.pk)

    def assert_recovers_once(self, address, code, user):
        """The paper of before opens the account here, to add a passkey, one time."""
        browser = Browser()
        response = browser.submit("/login/recovery/", {"identifier": address, "code": code})
        assert response.status_code == 303, response.content
        assert browser.who()["level"] == "recovered"
        assert SignIn.objects.latest("pk").user_id == user.pk
        self.assert_does_not_recover(address, code)

    def assert_does_not_recover(self, address, code):
        response = Browser().submit("/login/recovery/", {"identifier": address, "code": code})
        assert response.status_code == 400
        assert 'data-code="invalid_code"' in response.content.decode()

    def assert_refused(self, authenticator, code):
        response = sign_in(Browser(), authenticator)
        assert response.json()["error"] == code, response.content

    def assert_dry_run_tells_the_same(self, source):
        """It reports what the real one will, and writes nothing. Returns the lines of the real one."""
        before = rows()
        foretold = imported(source, "--dry-run")
        assert rows() == before
        done = imported(source)
        assert foretold == [line.replace(": imported ", ": would import ") for line in done]
        return done


def knows(user, code):
    """Whether this is a recovery code of theirs that is still good."""
    row = RecoveryCode.objects.matching(code, user_id=user.pk)
    return row is not None and row.used_at is None


def rows():
    return {model: list(model.objects.order_by("pk").values()) for model in OURS}


__all__ = ["ORIGIN", "PASSWORD", "Stories", "imported", "knows", "person", "rows"]
