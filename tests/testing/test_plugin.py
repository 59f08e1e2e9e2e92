"""The fixtures, and what loading them costs."""

import subprocess
import sys
from importlib import import_module

import pytest

from passwordless_auth import testing
from passwordless_auth.testing import outbox
from passwordless_auth.testing.factories import UserFactory
from tests.passkeys import sign_in


def test_a_message_is_read(passwordless_outbox, browser):
    browser.start("ada@example.com")

    assert passwordless_outbox.last_code("ada@example.com").isdigit()
    assert passwordless_outbox is outbox


def test_somebody_is_signed_in(signed_in_client):
    client = signed_in_client(UserFactory(), level="phr")

    assert client.get("/phr/").status_code == 200


def test_a_passkey_signs_in(authenticator, browser, db):
    testing.add_passkey(UserFactory(), authenticator)

    assert sign_in(browser, authenticator).status_code == 200


def test_a_message_is_scanned(mail_scanner, passwordless_outbox, browser):
    browser.start("ada@example.com")

    assert mail_scanner(passwordless_outbox.last_message("ada@example.com"))


def test_every_name_is_found():
    assert sorted(testing.__all__) == sorted(name for names in testing._HOMES.values() for name in names)
    for module, names in testing._HOMES.items():
        for name in names:
            assert getattr(testing, name) is getattr(import_module(f"passwordless_auth.testing.{module}"), name)
    with pytest.raises(AttributeError, match="has no attribute 'outlook'"):
        _ = testing.outlook


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=60)


def test_the_plugin_and_the_authenticator_load_without_django():
    run("import sys, passwordless_auth.testing.plugin; assert 'django' not in sys.modules")
    run(
        "import sys; from passwordless_auth.testing import Authenticator; Authenticator()\n"
        "assert not {'django', 'webauthn', 'pytest'} & set(sys.modules)"
    )
