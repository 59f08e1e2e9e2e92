"""The helpers that we ship for the tests of hosts, used as a host uses them."""

import pytest
from django.core import mail
from django.test import TestCase, override_settings

from passwordless_auth.models import Challenge
from passwordless_auth.testing import outbox


class SignInTest(TestCase):
    """As in docs/howto/testing.rst: Django's own TestCase, which never commits."""

    def test_a_person_signs_in_by_the_code(self):
        self.client.post("/login/", {"identifier": "ada@example.com"})
        self.client.post("/login/wait/", {"code": outbox.last_code("ada@example.com")})

        assert self.client.get("/login/session.json").json()["authenticated"]

    def test_a_person_signs_in_by_the_link(self):
        self.client.post("/login/", {"identifier": "ada@example.com"})
        self.client.get(outbox.last_link("Ada@Example.com"))
        self.client.post("/login/link/", {"challenge": Challenge.objects.get().public_id, "action": "sign_in"})

        assert self.client.get("/login/session.json").json()["authenticated"]

    @override_settings(PASSWORDLESS_AUTH_SENDER="thread")
    def test_whatever_the_sender_is(self):
        self.client.post("/login/", {"identifier": "ada@example.com"})

        assert outbox.send_queued() == 1
        assert outbox.send_queued() == 0
        assert len(mail.outbox) == 1

    @override_settings(PASSWORDLESS_AUTH_CODE_ALPHABET="letters", PASSWORDLESS_AUTH_CODE_LENGTH=8)
    def test_a_code_of_letters_comes_without_its_dash(self):
        self.client.post("/login/", {"identifier": "ada@example.com"})

        assert outbox.last_code("ada@example.com") == Challenge.objects.get().code()

    def test_whatever_the_session_engine_is(self):
        for engine in ("db", "cached_db", "cache"):
            with self.subTest(engine), override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}"):
                client = self.client_class()
                client.post("/login/", {"identifier": f"{engine}@example.com"})
                answer = client.post("/login/wait/", {"code": outbox.last_code(f"{engine}@example.com")})

                assert answer.status_code == 303
                assert client.get("/login/session.json").json()["authenticated"]

    @override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cached_db")
    def test_a_test_that_runs_what_waits_for_a_commit_saves_the_session_once(self):
        self.client.post("/login/", {"identifier": "ada@example.com"})
        code = outbox.last_code("ada@example.com")
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post("/login/wait/", {"code": code})

        assert self.client.get("/login/session.json").json()["authenticated"]

    def test_the_newest_message_counts(self):
        with override_settings(PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS=""):
            for _ in range(2):
                self.client.post("/login/", {"identifier": "ada@example.com"})
                outbox.send_queued()

        assert outbox.last_code("ada@example.com") == Challenge.objects.latest("pk").code()

    def test_a_member_is_made_without_a_message(self):
        from django.contrib.auth.models import User

        user = User.objects.create_user("ada", "ada@example.com")
        self.client.force_login(user, backend="passwordless_auth.backends.SignInBackend")

        assert self.client.get("/members/").status_code == 200
        assert self.client.get("/recent/").status_code == 302


@pytest.mark.django_db
def test_what_is_not_there_fails_the_test_with_a_sentence(browser, settings):
    with pytest.raises(AssertionError, match="No message to ada@"):
        outbox.last_message("ada@example.com")

    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"
    browser.start()
    with pytest.raises(AssertionError, match="No code in the message"):
        outbox.last_code("ada@example.com")
    with pytest.raises(AssertionError, match="No link in the message"):
        outbox.last_link("ada@example.com")
