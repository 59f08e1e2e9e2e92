"""What is encrypted moves to the newest key, and the old one can be dropped."""

import io

import pytest
from django.core.management import call_command

from passwordless_auth import checks
from passwordless_auth.models import SignIn, Totp
from passwordless_auth.testing import add_totp, signed_in_client, totp_code
from passwordless_auth.testing.factories import UserFactory

pytestmark = pytest.mark.django_db

OLD = ("k1", "the-first-key-of-the-tests-" + "a" * 20)
NEW = ("k2", "the-next-key-of-the-tests-" + "b" * 20)


def reseal():
    """What the command says of the core's own rows."""
    out, err = io.StringIO(), io.StringIO()
    call_command("passwordless_reseal", stdout=out, stderr=err)
    return out.getvalue().splitlines()[:2], err.getvalue()


def key_ids():
    sealed = [*Totp.objects.values_list("key_sealed", flat=True)]
    sealed += SignIn.objects.exclude(session_key_sealed="").values_list("session_key_sealed", flat=True)
    return {text.partition(":")[0] for text in sealed}


def dropped():
    return [message.id for message in checks.check_keys_in_use(databases=["default"])]


def test_apps_and_running_sessions_move_to_the_newest_key_and_the_old_one_can_go(settings, clock):
    """The process has just begun, and issues with the old key still: that is for others, who don't know the new one."""
    ada = UserFactory()
    app, client = add_totp(ada), signed_in_client(ada)
    SignIn.objects.create(user=ada, level="single")  # one that waits, or whose session is not ours to end
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]
    assert dropped() == ["passwordless_auth.E201"]
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]

    assert reseal() == (["authenticator_apps: 1", "sessions: 1"], "")

    assert key_ids() == {"k2"}
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]
    assert dropped() == []
    app.refresh_from_db()
    assert app.verify_token(totp_code(app))
    sign_in = SignIn.objects.exclude(session_key_sealed="").get()
    assert sign_in.session_key() == client.cookies["sessionid"].value
    assert client.get("/members/").status_code == 200


def test_a_second_run_changes_nothing(settings):
    add_totp(UserFactory())
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]
    reseal()
    before = Totp.objects.get().key_sealed

    assert reseal() == (["authenticator_apps: 0", "sessions: 0"], "")
    assert Totp.objects.get().key_sealed == before


def test_a_name_that_differs_by_case_is_another_key(settings):
    add_totp(UserFactory())
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("K1", NEW[1]), OLD]

    assert reseal()[0][0] == "authenticator_apps: 1"
    assert key_ids() == {"K1"}


def test_what_can_not_be_read_is_told_and_left_alone(settings):
    app = add_totp(UserFactory())
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]
    out, err = reseal()

    assert out == ["authenticator_apps: 0", "sessions: 0"]
    assert err.startswith("authenticator_apps: 1 can't be read")
    assert Totp.objects.get().key_sealed == app.key_sealed


def test_more_rows_than_one_batch(settings, monkeypatch):
    monkeypatch.setattr("passwordless_auth.flows.resealing.BATCH", 2)
    for user in UserFactory.create_batch(5):
        add_totp(user)
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]

    assert reseal()[0][0] == "authenticator_apps: 5"
    assert key_ids() == {"k2"}


def test_ended_sessions_are_left_as_they_are(settings):
    signed_in_client(UserFactory())
    SignIn.objects.update(ended_at="2026-01-01T00:00:00Z")
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]

    assert reseal()[0][1] == "sessions: 0"
