"""Rows of the factories are rows that our own code takes for its own."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone

from passwordless_auth.flows import accounts
from passwordless_auth.models import Challenge, Delivery, Identity, Level, Passkey, Profile
from passwordless_auth.requester import browser_cookie_name, new_browser_key
from passwordless_auth.testing import (
    Authenticator,
    add_recovery_codes,
    add_totp,
    last_code,
    last_link,
    send_queued,
    totp_code,
)
from passwordless_auth.testing.factories import (
    ChallengeFactory,
    DeliveryFactory,
    IdentityFactory,
    PasskeyFactory,
    RecoveryCodeFactory,
    SignInFactory,
    TotpFactory,
    UserFactory,
)
from tests import passkeys

pytestmark = pytest.mark.django_db


# -- people


def test_a_person_has_what_a_sign_up_leaves(browser):
    browser.sign_in("signed.up@example.com")
    real = User.objects.get()
    made = UserFactory()

    def left_by(user):
        identity = Identity.objects.get(user=user)
        return (
            user.has_usable_password(),
            user.get_username().startswith("user-"),
            accounts.email_of(user) == identity.canonical,
            identity.is_primary,
            identity.origin,
            identity.proven_at is not None,
            Profile.objects.filter(user=user).count(),
        )

    assert left_by(made) == left_by(real)


def test_a_made_person_signs_in(browser):
    ada = UserFactory(address="Ada@Example.com", first_name="Ada")
    browser.sign_in("ada@example.com")

    assert User.objects.get() == ada
    assert browser.who()["user"]["name"] == "Ada"


def test_the_address_goes_by_its_own_name_too():
    assert UserFactory(email="ada@example.com").passwordless_identities.get().canonical == "ada@example.com"


def test_a_person_that_an_administrator_entered_has_proven_nothing(browser):
    user = UserFactory(address="ada@example.com", proven=False)
    identity = user.passwordless_identities.get()
    assert identity.proven_at is None
    assert identity.origin == Identity.Origin.HOST

    browser.sign_in("ada@example.com")
    identity.refresh_from_db()
    assert identity.proven_at is not None


def test_a_password_is_one_that_django_takes(client):
    user = UserFactory(password="correct horse")

    assert user.has_usable_password()
    assert client.login(username=user.get_username(), password="correct horse")


def test_people_are_not_the_same():
    people = UserFactory.create_batch(5)

    assert len({user.pk for user in people}) == 5
    assert len({user.email for user in people}) == 5


def test_the_model_is_the_host_s():
    assert UserFactory._meta.get_model_class() is get_user_model()


def test_one_more_address(browser):
    ada = UserFactory()
    IdentityFactory(user=ada, canonical="countess@example.com")
    browser.sign_in("countess@example.com")

    assert User.objects.get() == ada
    assert ada.passwordless_identities.get(is_primary=True).canonical == ada.email


# -- questions and messages


def test_the_code_of_a_made_challenge_works(browser):
    browser.get("/login/")
    key = new_browser_key()
    browser.cookies[browser_cookie_name()] = key
    challenge = ChallengeFactory(browser_key=key)
    response = browser.submit("/login/wait/", {"code": challenge.code()})

    assert response.status_code == 303
    assert browser.who()["user"]["id"] == challenge.user.passwordless_profile.handle


def test_a_made_challenge_is_of_its_own_browser_only(browser):
    challenge = ChallengeFactory()
    browser.cookies[browser_cookie_name()] = new_browser_key()

    assert browser.submit("/login/wait/", {"code": challenge.code()}).status_code != 303
    assert not browser.who()["authenticated"]


def test_a_newer_question_of_the_same_browser_replaces_a_made_one(browser):
    key = new_browser_key()
    challenge = ChallengeFactory(browser_key=key, identity__canonical="ada@example.com")
    browser.cookies[browser_cookie_name()] = key
    assert browser.start("ada@example.com").status_code == 303

    challenge.refresh_from_db()
    assert challenge.state == Challenge.State.SUPERSEDED
    assert ChallengeFactory(state=Challenge.State.SPENT).open_scope is None


def test_a_challenge_of_an_unknown_address():
    challenge = ChallengeFactory(identity=None)

    assert challenge.user is None
    assert not Identity.objects.filter(canonical=challenge.canonical).exists()


def test_a_made_message_is_sent():
    delivery = DeliveryFactory()
    assert send_queued() == 1

    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.HANDED_OVER
    assert mail.outbox[0].to == [delivery.challenge.canonical]
    assert last_code(delivery.canonical) == delivery.challenge.code()
    assert last_link(delivery.canonical).endswith(f"/login/link/{delivery.challenge.link_token()}/")


# -- sign-ins


@pytest.mark.parametrize(
    ("level", "methods", "amr"),
    [
        ("recovered", ["recovery_code"], {"otp"}),
        ("single", ["one_time_code"], {"otp"}),
        ("multi", ["one_time_code", "totp"], {"otp", "mfa"}),
        ("phr", ["passkey"], {"hwk", "pop", "user", "mfa"}),
    ],
)
def test_a_sign_in_has_the_proofs_of_its_level(level, methods, amr):
    sign_in = SignInFactory(level=level)

    assert sign_in.methods == methods
    assert {value for proof in sign_in.all_proofs() for value in proof.amr} == amr
    assert Level(sign_in.level) == level
    assert bool(sign_in.otp_device_id) == (level in {"multi", "phr"})


def test_a_sign_in_by_a_link():
    assert SignInFactory(methods=["magic_link"]).methods == ["magic_link"]


# -- authenticators


@pytest.mark.parametrize("synced", [False, True])
def test_a_made_passkey_signs_in(browser, synced):
    authenticator = Authenticator(synced=synced)
    row = PasskeyFactory(authenticator=authenticator)
    response = passkeys.sign_in(browser, authenticator)

    assert response.status_code == 200, response.content
    assert browser.who()["user"]["id"] == row.user.passwordless_profile.handle
    row.refresh_from_db()
    assert row.sign_count == 1
    assert row.device_type == ("synced" if synced else "bound")


def test_a_blocked_passkey_does_not(browser):
    authenticator = Authenticator()
    PasskeyFactory(authenticator=authenticator, blocked=True)

    assert passkeys.sign_in(browser, authenticator).status_code == 403
    assert not browser.who()["authenticated"]


def test_a_passkey_that_is_only_a_row():
    ada = UserFactory()
    rows = PasskeyFactory.create_batch(3, user=ada, created_at=timezone.now())

    assert len({row.credential_digest for row in rows}) == 3
    assert Passkey.objects.of(ada).count() == 3


def test_an_app_shows_codes_that_its_row_takes():
    device = TotpFactory()
    now = timezone.now()
    code = totp_code(device, at=now)

    step = device.step_of(code, now=now)
    assert step is not None
    assert type(device).objects.use(device, step)
    assert totp_code(device, at=now) != code
    assert device.user.passwordless_profile.has_totp


def test_a_blocked_app_asks_nothing_of_its_owner():
    assert not TotpFactory(blocked=True).user.passwordless_profile.has_totp


def test_recovery_codes_are_found_by_what_is_on_the_paper():
    ada = UserFactory()
    row = RecoveryCodeFactory(user=ada, code="ABCDEFGHIJKLMNOP")
    codes = add_recovery_codes(ada)

    rows = type(row).objects
    assert rows.matching("abcd efgh ijkl mnop", user_id=ada.pk) == row
    assert len({rows.matching(code, user_id=ada.pk).pk for code in codes}) == 10
    assert rows.matching(codes[0], user_id=UserFactory().pk) is None
    assert rows.matching(RecoveryCodeFactory.build(user=ada).digest, user_id=ada.pk) is None


def test_an_app_of_somebody_who_has_a_key_already():
    device = TotpFactory.build(user=UserFactory())
    device.set_key(b"12345678901234567890")
    kept = add_totp(device.user, public_id=device.public_id, key_sealed=device.key_sealed)

    assert kept.key() == b"12345678901234567890"
