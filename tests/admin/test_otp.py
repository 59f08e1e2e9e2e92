"""django-otp's OTPAdminSite, as it is: in by a passkey or an app, and by nothing else."""

import pytest
from django.test import Client
from django.utils import timezone

from passwordless_auth.models import Passkey
from passwordless_auth.testing import add_recovery_codes, signed_in_client
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import PasskeyFactory
from tests.admin.test_sites import led_to
from tests.passkeys import register, sign_in
from tests.views.pages import Page

pytestmark = pytest.mark.django_db

REFUSED = (302, "/otp/login/?next=/otp/")


def visited(client, path="/otp/"):
    answer = client.get(path)
    return answer.status_code, getattr(answer, "url", "")


def test_a_passkey_opens_it(root, browser):
    authenticator = Authenticator()
    PasskeyFactory(user=root, authenticator=authenticator)
    assert visited(browser) == REFUSED

    sign_in(browser, authenticator)

    assert visited(browser) == (200, "")


def test_so_does_a_code_with_an_app(root):
    assert visited(signed_in_client(root, "multi")) == (200, "")


def test_a_message_alone_does_not(root):
    assert visited(signed_in_client(root, "single")) == REFUSED


def test_neither_does_a_recovery_code(root, browser):
    PasskeyFactory(user=root)  # there is a device, and it did not prove
    codes = add_recovery_codes(root)

    answer = browser.submit("/login/recovery/", {"identifier": "root@example.net", "code": codes[0]})

    assert answer.status_code == 303
    assert browser.who()["level"] == "recovered"
    assert visited(browser) == REFUSED
    assert Page(led_to(browser, "/ours/")[1]).code == "step_up_required"
    assert Page(led_to(browser, "/both/")[1]).code == "step_up_required"


def test_what_was_recovered_opens_it_once_its_new_passkey_is_used(root, browser):
    codes = add_recovery_codes(root)
    browser.submit("/login/recovery/", {"identifier": "root@example.net", "code": codes[0]})
    authenticator, added = register(browser)
    assert added.status_code == 200
    assert visited(browser) == REFUSED

    assert sign_in(browser, authenticator).status_code == 200

    assert visited(browser) == (200, "")
    assert led_to(browser, "/ours/")[1].status_code == 200


def test_a_blocked_passkey_closes_it_for_the_sessions_that_it_made(root, client_of_root):
    """The row alone is enough: django-otp asks it at every request."""
    assert visited(client_of_root) == (200, "")

    Passkey.objects.filter(user=root).block(now=timezone.now())

    assert visited(client_of_root) == REFUSED


def test_a_passkey_of_another_person_verifies_nobody(root, ada):
    theirs = PasskeyFactory(user=ada)
    client = signed_in_client(root, "single")
    session = client.session
    session["otp_device_id"] = theirs.persistent_id
    session.save()

    assert visited(client) == REFUSED


def test_both_together_lead_through_our_door(root, ada, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "single"
    assert led_to(Client(), "/both/")[0] == "/login/?next=/both/"
    assert led_to(signed_in_client(root, "single"), "/both/")[0] == "/login/step-up/?next=%2Fboth%2F&level=multi"
    assert led_to(signed_in_client(root, "multi"), "/both/")[1].status_code == 200
    assert Page(led_to(signed_in_client(ada, "phr"), "/both/")[1]).code == "no_access"


def test_what_neither_level_nor_device_explains_is_a_page_and_no_circle(root):
    """A session that reached its level, and whose device is gone since."""
    client = signed_in_client(root, "phr")
    Passkey.objects.filter(user=root).delete()

    assert Page(led_to(client, "/both/")[1]).code == "no_access"
