"""Never locked out: whole journeys of people who have lost something, from the first worry to the last step."""

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from passwordless_auth.flows import operator
from passwordless_auth.models import Passkey, RecoveryCode, SignIn
from passwordless_auth.requester import Operator, Requester
from passwordless_auth.testing import outbox
from passwordless_auth.testing.authenticator import Authenticator
from tests.conftest import Browser
from tests.passkeys import register, sign_in, with_passkey
from tests.recovery import ask_address, make_codes, recover, recover_by_address
from tests.views.pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


@pytest.fixture
def phone(browser, clock):
    """Ada's phone: a passkey in it, and her session."""
    browser.key = with_passkey(browser, ADA)
    sign_in(browser, browser.key)
    return browser


def at_the_old_phone(phone):
    """What whoever found the phone gets by its passkey."""
    finder = Browser(REMOTE_ADDR="203.0.113.9")
    return sign_in(finder, phone.key)


def block_the_old_one(laptop):
    old = Passkey.objects.order_by("pk").first()
    response = laptop.submit("/account/passkeys/", {"passkey": old.public_id, "action": "block"})
    assert response.status_code == 303, response.content


def add_passkey_and_sign_in(laptop):
    key, response = register(laptop, Authenticator(synced=True))
    assert response.status_code == 200, response.content
    assert sign_in(laptop, key, query="?step_up=1", step_up=True).status_code == 200
    assert laptop.who()["level"] == "phr"
    return key


def test_a_lost_phone_and_a_code_on_paper(phone, other_browser, clock):
    """The account page says what is missing, the paper is made, the phone is lost, the paper works."""
    page = visit(phone, "/account/")
    assert "Best next: make recovery codes" in page.next_steps
    codes = make_codes(phone)
    clock.shift(30 * 86400)

    laptop = other_browser
    assert recover(laptop, codes[0]).status_code == 303
    assert "A recovery code of your account" in outbox.last_message(ADA).subject
    assert laptop.get("/members/").status_code == 302
    add_passkey_and_sign_in(laptop)
    assert laptop.get("/members/").status_code == 200

    assert at_the_old_phone(phone).status_code == 200  # until it is blocked
    block_the_old_one(laptop)
    assert at_the_old_phone(phone).json()["error"] == "credential_blocked"
    assert not phone.who()["authenticated"]
    assert "is blocked" in outbox.last_message(ADA).subject
    assert "9 are left." in visit(laptop, "/account/").words


def test_a_lost_phone_without_paper_and_an_address(phone, other_browser, clock):
    clock.shift(3600)
    laptop = other_browser

    # By a plain sign-in she gets in, but adds no second passkey: whoever stole a session could.
    laptop.sign_in(ADA)
    assert laptop.who()["level"] == "single"
    clock.shift(61)
    assert Page(laptop.get("/account/passkeys/")).html.count("data-passkey-add") == 0
    laptop.submit("/logout/")

    # By recovering she does.
    assert recover_by_address(laptop).status_code == 303
    assert "was recovered" in outbox.last_message(ADA).subject
    add_passkey_and_sign_in(laptop)
    block_the_old_one(laptop)
    assert at_the_old_phone(phone).json()["error"] == "credential_blocked"


def test_a_lost_phone_that_somebody_else_uses(phone, other_browser, clock):
    """Whoever found it adds a passkey of their own; the notice stops them, and the paper lets her back in."""
    codes = make_codes(phone)
    clock.shift(3600)
    finder = Browser(REMOTE_ADDR="203.0.113.9")
    sign_in(finder, phone.key)
    stolen, response = register(finder, Authenticator())
    assert response.status_code == 200
    link = outbox.last_message(ADA).body.split("/login/report/")[1].split()[0]

    laptop = other_browser
    page = visit(laptop, f"/login/report/{link}").press(laptop, "This wasn’t me")
    assert not finder.who()["authenticated"]
    assert sign_in(Browser(), stolen).json()["error"] == "credential_blocked"
    ask_address(laptop)
    assert "changes to it are stopped for now" in outbox.last_message(ADA).body

    page = page.press(laptop, "Use a recovery code")
    assert page.name == "recovery"
    clock.shift(1)
    assert recover(laptop, codes[0]).status_code == 303
    add_passkey_and_sign_in(laptop)
    block_the_old_one(laptop)
    assert at_the_old_phone(phone).json()["error"] == "credential_blocked"


def test_an_administrator_who_lost_the_phone_needs_the_paper(phone, other_browser, settings, clock):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"
    codes = make_codes(phone)
    User.objects.update(is_staff=True, is_superuser=True)
    clock.shift(3600)
    laptop = other_browser

    ask_address(laptop)
    assert "cannot recover" in outbox.last_message(ADA).subject
    assert recover(laptop, codes[0]).status_code == 303
    assert laptop.get("/admin/", follow=True).request["PATH_INFO"] != "/admin/"
    add_passkey_and_sign_in(laptop)
    assert laptop.get("/admin/").status_code == 200


def test_everything_is_lost_and_the_people_of_the_site_help(phone, other_browser, clock, capsys):
    """No phone, no paper, and no mailbox any more. Nothing of hers opens the account, and nothing of anybody else's."""
    make_codes(phone)
    phone.cookies.clear()
    clock.shift(3600)
    laptop = other_browser
    assert recover(laptop, "AAAA-BBBB-CCCC-DDDD").status_code == 400
    assert recover(laptop, "AAAA-BBBB-CCCC-DDDD", "ada@new.example").status_code == 400
    ask_address(laptop, "ada@new.example")
    assert "There is no account for this address." in outbox.last_message("ada@new.example").body

    # Somebody who knows her enters the new address, and has her begin anew.
    user = User.objects.get(email=ADA)
    user.email = "ada@new.example"
    user.save()
    operator.reset_factors(user, operator=Operator(name="root", reason="seen her passport"), requester=Requester())
    assert not Passkey.objects.exists()
    assert not RecoveryCode.objects.exists()
    call_command("passwordless_login_link", str(user.pk), reason="seen her passport")
    link = capsys.readouterr().out.strip().splitlines()[-1]
    laptop.get(link)
    page = visit(laptop, "/login/link/")
    page = page.press(laptop, "Sign in")
    assert laptop.who()["level"] == "single"

    key, response = register(laptop, Authenticator(synced=True))
    assert response.status_code == 200
    assert sign_in(laptop, key).status_code == 200
    assert laptop.who()["level"] == "phr"
    assert make_codes(laptop)
    assert at_the_old_phone(phone).json()["error"] == "unknown_credential"
    assert SignIn.objects.live().filter(user=user).count() == 1
