"""An administrator acts while the owner, or a thief, is in the middle of something."""

from functools import partial

import pytest
from django.contrib.auth.models import User

from passwordless_auth.flows import operator
from passwordless_auth.models import Event, Passkey, SignIn
from passwordless_auth.requester import Operator, Requester
from passwordless_auth.testing import signed_in_client
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import PasskeyFactory, UserFactory
from tests.passkeys import ORIGIN, answer, asked_to_register, asked_to_sign_in, send, with_passkey

from .together import in_the_middle_of, ready, together

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"
BY = {"operator": Operator(name="root", reason="stolen"), "requester": Requester()}


@pytest.fixture
def authenticator(browser):
    authenticator = with_passkey(browser, ADDRESS)
    browser.submit("/logout/")
    return authenticator


def test_whoever_signs_in_with_a_passkey_while_its_owner_is_reset_is_out(browser, authenticator, again):
    credential = authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)
    ada = User.objects.get()

    signed, _done = in_the_middle_of(
        partial(answer, ready(browser), credential), partial(operator.reset_factors, ada, **BY)
    )

    assert signed.status_code < 500
    assert not Passkey.objects.exists()
    assert not SignIn.objects.live().exists()
    assert not browser.who()["authenticated"]


def test_whoever_signs_in_with_a_passkey_while_it_is_blocked_is_out(browser, authenticator, again):
    credential = authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)
    passkey = Passkey.objects.select_related("user").get()

    signed, blocked = in_the_middle_of(
        partial(answer, ready(browser), credential), partial(operator.block_passkeys, [passkey], **BY)
    )

    assert signed.status_code < 500
    assert blocked == 1
    assert not SignIn.objects.live().exists()
    assert not browser.who()["authenticated"]


def test_a_passkey_that_is_added_while_its_owner_is_reset_is_gone_or_refused(browser, again):
    browser.sign_in(ADDRESS)
    made = Authenticator().create(asked_to_register(browser), origin=ORIGIN)
    ada = User.objects.get()

    added, _done = together(
        [
            partial(send, ready(browser), "/account/passkeys/register/", made),
            partial(operator.reset_factors, ada, **BY),
        ]
    )

    assert added.status_code in (200, 403, 410)
    assert not Passkey.objects.exists()
    assert not SignIn.objects.live().exists()


def test_two_administrators_who_act_at_one_moment_do_not_stop_each_other(again):
    """Rows are locked in one order, whoever does what."""
    ada = UserFactory(address=ADDRESS)
    passkeys = PasskeyFactory.create_batch(3, user=ada)
    clients = [
        signed_in_client(UserFactory(username=name, is_staff=True, is_superuser=True), "phr")
        for name in ("root", "boss")
    ]
    query = "&".join(f"id={passkey.pk}" for passkey in passkeys)

    answers = together(
        [
            partial(clients[0].post, f"/admin/passwordless_auth/passkey/acts/block/?{query}", {"reason": "x"}),
            partial(clients[1].post, f"/admin/passwordless_auth/passkey/acts/block/?{query}", {"reason": "y"}),
            partial(
                clients[1].post,
                f"/admin/passwordless_auth/profile/acts/reset-factors/?id={ada.passwordless_profile.pk}",
                {"reason": "z"},
            ),
        ]
    )

    assert [each.status_code for each in answers] == [302] * 3
    assert not Passkey.objects.filter(user=ada).exists()
    assert Event.objects.filter(kind="factors_reset").count() == 1
    assert Event.objects.filter(kind="passkey_blocked").count() in (0, 3)
