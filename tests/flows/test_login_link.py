"""``passwordless_login_link``: a link that an administrator hands out."""

import getpass
import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from passwordless_auth.flows import login_link
from passwordless_auth.models import Challenge, Delivery, Event, Identity, SignIn
from tests.views.pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


def link_for(user, reason="lost her mailbox"):
    out = io.StringIO()
    call_command("passwordless_login_link", str(user), reason=reason, stdout=out)
    return out.getvalue().strip()


@pytest.fixture
def ada():
    return User.objects.create_user("ada", ADA)


def test_one_button_signs_in_whatever_browser_opens_it(browser, ada):
    page = visit(browser, link_for("ada"))

    assert (page.status, page.name) == (200, "link")
    assert ADA in page.words
    assert "auto-submit" not in page.html
    assert not browser.who()["authenticated"]

    page = page.press(browser, "Sign in")
    assert page.name == "account"
    assert browser.who()["user"]["email"] == ADA
    assert SignIn.objects.get().methods == ["magic_link"]


def test_it_works_once(browser, other_browser, ada):
    link = link_for("ada")
    visit(browser, link).press(browser, "Sign in")
    page = visit(other_browser, link)

    assert (page.status, page.code) == (410, "spent")
    assert not other_browser.who()["authenticated"]


def test_it_works_shortly(browser, ada, clock):
    link = link_for("ada")
    challenge = Challenge.objects.get()
    assert challenge.link_expires_at - challenge.created_at == timedelta(minutes=5)

    clock.shift(299)
    assert visit(browser, link).name == "link"
    clock.shift(1)
    assert visit(browser, link).code == "expired"


def test_a_new_one_replaces_the_old_one(browser, ada):
    old, new = link_for("ada"), link_for("ada")

    assert visit(browser, old).code == "superseded"
    assert visit(browser, new).name == "link"


def test_it_opens_by_no_code_and_is_no_ones_attempt(browser, ada):
    link_for("ada")
    challenge = Challenge.objects.get()
    assert (challenge.accepts_code, challenge.browser_digest, challenge.ip) == (False, "", None)

    browser.get("/login/")
    page = Page(browser.submit("/login/wait/", {"code": challenge.code(), "challenge": challenge.public_id}))
    assert (page.status, page.code) == (403, "wrong_browser")


def test_it_is_written_down_with_the_reason_and_who_made_it(ada, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "grace")
    link_for("ada", reason="lost her mailbox " + "x" * 1000)

    event = Event.objects.get()
    assert (event.kind, event.user, event.masked) == ("login_link_made", ada, "a•••@e•••.com")
    assert event.data["operator"] == "grace"
    assert event.data["reason"].startswith("lost her mailbox")
    assert len(event.data["reason"]) == 500
    assert event.data["challenge"] == Challenge.objects.get().public_id
    assert Challenge.objects.get().link_token() not in str(event.data)
    assert not Delivery.objects.exists()


def test_where_the_operator_has_no_name_it_is_written_down_without(ada, monkeypatch):
    def nobody():
        raise OSError("no login name")

    monkeypatch.setattr(getpass, "getuser", nobody)
    link_for("ada")

    assert Event.objects.get().data["operator"] == ""


@pytest.mark.parametrize("named", ["ada", " Ada@Example.COM", "pk"])
def test_the_person_is_named_by_user_name_address_or_key(browser, ada, named):
    visit(browser, link_for(ada.pk if named == "pk" else named)).press(browser, "Sign in")

    assert browser.who()["user"]["email"] == ADA


@pytest.mark.parametrize("named", ["eve", "eve@example.com", "999999", ""])
def test_nobody_is_an_error(ada, named):
    with pytest.raises(CommandError, match="There is no user"):
        link_for(named)


def test_a_reason_is_required(ada):
    with pytest.raises(CommandError, match="--reason"):
        call_command("passwordless_login_link", "ada")


def test_who_may_not_sign_in_gets_no_link(ada):
    ada.is_active = False
    ada.save()

    with pytest.raises(CommandError, match="This account cannot sign in"):
        link_for("ada")
    assert not Challenge.objects.exists()


@pytest.mark.parametrize("case", ["no address", "not for sign-in"])
def test_who_has_no_address_to_sign_in_with_gets_no_link(ada, case):
    Identity.objects.all().delete() if case == "no address" else Identity.objects.update(for_sign_in=False)

    with pytest.raises(CommandError, match="cannot sign in"):
        link_for("ada")


def test_a_user_who_is_deactivated_meanwhile_is_refused(browser, ada):
    link = link_for("ada")
    ada.is_active = False
    ada.save()

    assert visit(browser, link).code == "superseded"


def test_the_flow_is_there_for_a_hosts_own_tools(ada):
    assert login_link.make(ada, reason="by our support desk").startswith("http://testserver/login/link/")
    assert Event.objects.get().data["operator"] == ""
