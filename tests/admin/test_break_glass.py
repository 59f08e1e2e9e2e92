"""``passwordless_login_link``: the way in for a member of staff who needs a passkey and has none."""

import io
import re

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from passwordless_auth.models import Event, Passkey, Profile, RecoveryCode, SignIn
from passwordless_auth.testing import add_recovery_codes, outbox, signed_in_client
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import PasskeyFactory, UserFactory
from tests.passkeys import ORIGIN, send
from tests.passkeys import sign_in as sign_in_by_passkey
from tests.views.pages import Page, visit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def staff_need_a_passkey(settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"


def link_for(user, *options):
    out = io.StringIO()
    call_command("passwordless_login_link", user.username, *options, reason="new laptop", stdout=out)
    return out.getvalue().strip()


def behind(browser, link):
    """Press the button behind a link. Returns where it leads."""
    page = visit(browser, link)
    assert page.name == "link"
    return browser.submit("/login/link/", page.form("Sign in").fields | {"action": "sign_in"})


def waiting_in(answer):
    return re.search(r"sign_in=([\w-]{22})", answer.url)[1]


def add_the_first(browser, waiting):
    """Add a passkey to the sign-in that waits. Returns the authenticator that holds it."""
    authenticator = Authenticator()
    options = send(browser, f"/account/passkeys/options/?sign_in={waiting}", {})
    assert options.status_code == 200, options.content
    made = authenticator.create(options.json(), origin=ORIGIN)
    assert send(browser, f"/account/passkeys/register/?sign_in={waiting}", made).status_code == 200
    return authenticator


def use(browser, authenticator, waiting):
    options = send(browser, f"/login/passkey/options/?sign_in={waiting}", {"step_up": True})
    assert options.status_code == 200, options.content
    answer = authenticator.get(options.json(), origin=ORIGIN)
    return send(browser, f"/login/passkey/verify/?step_up=1&sign_in={waiting}&next=/ours/", answer)


def test_a_member_of_staff_without_a_passkey_comes_in_by_a_link_adds_one_and_uses_it(root, browser, other_browser):
    # A message to their address is not enough, and may not add a passkey, either.
    browser.start("root@example.net")
    refused = browser.submit("/login/wait/", {"code": outbox.last_code("root@example.net")})
    assert refused.status_code == 403
    assert not SignIn.objects.exists()

    answer = behind(browser, link_for(root))
    assert answer.status_code == 303
    assert answer.url.startswith("/login/step-up/?sign_in=")
    waiting = waiting_in(answer)
    page = Page(browser.get(answer.url))
    assert (page.status, page.name) == (200, "step_up")
    assert f"/account/passkeys/register/?sign_in={waiting}" in page.html

    # Nothing is open yet.
    assert not browser.who()["authenticated"]
    assert browser.get("/ours/").url == "/ours/login/?next=/ours/"

    authenticator = add_the_first(browser, waiting)
    assert not browser.who()["authenticated"]
    assert browser.get("/ours/").status_code == 302

    assert use(browser, authenticator, waiting).json() == {"next": "/ours/"}
    assert browser.get("/ours/").status_code == 200
    assert browser.who()["level"] == "phr"

    # And from now on with the passkey alone.
    assert sign_in_by_passkey(other_browser, authenticator).status_code == 200
    assert other_browser.get("/ours/").status_code == 200


def test_it_is_written_down_and_the_owner_is_told_of_the_passkey(root, browser):
    waiting = waiting_in(behind(browser, link_for(root)))
    add_the_first(browser, waiting)

    assert Event.objects.get(kind="login_link_made").data["reason"] == "new laptop"
    outbox.send_queued()
    assert [message.to for message in mail.outbox] == [["root@example.net"]]
    assert "passkey" in mail.outbox[0].subject


def test_only_the_browser_that_opened_the_link_may_add_the_passkey(root, browser, other_browser):
    waiting = waiting_in(behind(browser, link_for(root)))
    other_browser.get("/login/")

    for path in ("/account/passkeys/options/", "/login/passkey/options/"):
        assert send(other_browser, f"{path}?sign_in={waiting}", {"step_up": True}).status_code == 403
    add_the_first(browser, waiting)


def test_only_one_passkey_comes_of_a_link(root, browser):
    waiting = waiting_in(behind(browser, link_for(root)))
    authenticator = add_the_first(browser, waiting)

    again = send(browser, f"/account/passkeys/options/?sign_in={waiting}", {})
    assert (again.status_code, again.json()["error"]) == (403, "step_up_required")
    assert use(browser, authenticator, waiting).status_code == 200


def test_it_is_no_way_around_a_passkey_that_is_there(root, browser):
    PasskeyFactory(user=root)

    waiting = waiting_in(behind(browser, link_for(root)))

    refused = send(browser, f"/account/passkeys/options/?sign_in={waiting}", {})
    assert (refused.status_code, refused.json()["error"]) == (403, "step_up_required")


def test_lost_passkeys_are_taken_away_first_when_it_is_said(root, browser):
    PasskeyFactory(user=root, blocked=True)
    add_recovery_codes(root, 2)
    elsewhere = signed_in_client(root, "phr")

    link = link_for(root, "--reset-factors")

    assert not Passkey.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert not elsewhere.get("/login/session.json").json()["authenticated"]
    event = Event.objects.get(kind="factors_reset")
    assert (event.data["reason"], event.data["passkeys"], event.user) == ("new laptop", 2, root)
    outbox.send_queued()
    assert "were reset" in mail.outbox[0].subject
    waiting = waiting_in(behind(browser, link))
    assert use(browser, add_the_first(browser, waiting), waiting).status_code == 200
    assert browser.get("/ours/").status_code == 200


def test_nothing_is_reset_where_no_link_can_be_made(root):
    PasskeyFactory(user=root)
    type(root).objects.update(is_active=False)

    with pytest.raises(CommandError):
        link_for(root, "--reset-factors")

    assert Passkey.objects.exists()
    assert not Event.objects.filter(kind="factors_reset").exists()


def test_after_a_reset_in_the_admin_the_link_is_the_way_in(root, browser):
    """The whole story: a colleague lost her only passkey."""
    carol = UserFactory(username="carol", address="carol@example.com", is_staff=True)
    PasskeyFactory(user=carol)
    client = signed_in_client(root, "phr")
    client.post(f"/ours/auth/user/acts/reset-factors/?id={carol.pk}", {"reason": "lost her phone, seen her passport"})

    browser.start("carol@example.com")
    assert browser.submit("/login/wait/", {"code": outbox.last_code("carol@example.com")}).status_code == 403

    waiting = waiting_in(behind(browser, link_for(carol)))
    assert use(browser, add_the_first(browser, waiting), waiting).status_code == 200
    assert browser.get("/ours/").status_code == 200


def test_who_is_no_staff_adds_their_first_passkey_after_a_message(ada, browser):
    """The positive twin: a minimum of their own, and nobody has to hand out anything."""
    Profile.objects.filter(user=ada).update(minimum_level="phr")

    browser.start("ada@example.com")
    answer = browser.submit("/login/wait/", {"code": outbox.last_code("ada@example.com")})

    waiting = waiting_in(answer)
    assert use(browser, add_the_first(browser, waiting), waiting).status_code == 200
    assert browser.who()["level"] == "phr"
