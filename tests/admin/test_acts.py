"""What an administrator does to somebody's account: who may, what happens, and who is told."""

import re
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client

from passwordless_auth import signals
from passwordless_auth.models import Challenge, Event, Identity, Passkey, Profile, RecoveryCode, SignIn, Totp
from passwordless_auth.testing import add_recovery_codes, outbox, signed_in_client
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import IdentityFactory, PasskeyFactory, TotpFactory, UserFactory
from tests.passkeys import sign_in as sign_in_by_passkey
from tests.views.pages import visit

pytestmark = pytest.mark.django_db

REASON = "Her laptop was stolen, she called from the office"
CHROME_OF_ROOT = {"HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


@pytest.fixture
def authenticator():
    return Authenticator()


@pytest.fixture
def laptop(ada, authenticator):
    return PasskeyFactory(user=ada, name="Laptop", authenticator=authenticator)


@pytest.fixture
def helper():
    """A member of staff, by name, who may see passkeys and users, and in whom tests put what more they may."""
    helper = UserFactory(username="helper", address="helper@example.net", is_staff=True)
    allow(helper, "view_passkey", "view_user", "view_profile")
    return helper


def allow(user, *codenames):
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


def on_passkey(act, *passkeys):
    return f"/ours/passwordless_auth/passkey/acts/{act}/?" + "&".join(f"id={passkey.pk}" for passkey in passkeys)


def on_user(act, *users):
    return f"/ours/auth/user/acts/{act}/?" + "&".join(f"id={user.pk}" for user in users)


def do(client, path, reason=REASON):
    answer = client.post(path, {"reason": reason})
    assert answer.status_code == 302, answer.content.decode()
    return answer


def told(*addresses):
    """The newest message to each of these, and that nobody else got one."""
    outbox.send_queued()
    assert sorted(to for message in mail.outbox for to in message.to) == sorted(addresses)
    return outbox.last_message(addresses[0])


# -- passkeys


def test_a_stolen_passkey_is_blocked(client_of_root, ada, laptop, authenticator, browser, other_browser):
    sign_in_by_passkey(browser, authenticator)
    assert browser.who()["authenticated"]

    page = client_of_root.get(on_passkey("block", laptop))
    assert page.status_code == 200
    assert "“Laptop” of ada" in page.content.decode()
    do(client_of_root, on_passkey("block", laptop))

    laptop.refresh_from_db()
    assert laptop.is_blocked
    assert laptop.blocked_at
    assert not browser.who()["authenticated"]
    assert SignIn.objects.get(user=ada).end_reason == "passkey_blocked"
    refused = sign_in_by_passkey(other_browser, authenticator)
    assert (refused.status_code, refused.json()["error"]) == (403, "credential_blocked")


def test_it_is_written_down_with_operator_and_reason(client_of_root, root, ada, laptop):
    do(client_of_root, on_passkey("block", laptop))

    event = Event.objects.get(kind="passkey_blocked")
    assert event.user == ada
    assert event.data == {"passkey": laptop.public_id, "operator": f"root ({root.pk})", "reason": REASON}
    assert event.ip == "127.0.0.1"
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, REASON in entry.change_message) == (root, str(laptop.pk), True)
    text = client_of_root.get("/ours/passwordless_auth/event/").content.decode()
    assert f"root ({root.pk})" in text
    assert REASON in text


def test_an_operator_whose_user_name_is_an_address_is_masked_in_the_log(laptop):
    boss = UserFactory(username="boss@example.net", address="boss@example.net", is_staff=True, is_superuser=True)

    do(signed_in_client(boss, "phr"), on_passkey("block", laptop))

    assert Event.objects.get(kind="passkey_blocked").data["operator"] == f"b•••@e•••.net ({boss.pk})"


def test_the_owner_is_told_that_it_was_the_site_and_neither_who_nor_where_nor_why(root, ada, laptop):
    IdentityFactory(user=ada, canonical="ada@home.example.com")
    IdentityFactory(user=ada, canonical="unproven@example.com", proven_at=None)
    client = signed_in_client(root, "phr", **CHROME_OF_ROOT)

    do(client, on_passkey("block", laptop))

    message = told("ada@example.com", "ada@home.example.com")
    for text in (message.body, message.alternatives[0][0]):
        assert "“Laptop” is refused from now on" in text
        assert "The people who run Testserver did this." in text
        for private in ("Firefox", "Linux", "127.0.0.1", "root (", "stolen"):
            assert private not in text


def test_signals_tell_of_it(client_of_root, ada, laptop, django_capture_on_commit_callbacks):
    heard = []

    def hear(sender, user, authenticator, **kwargs):
        heard.append((sender, user, authenticator.pk))

    signals.authenticator_blocked.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        do(client_of_root, on_passkey("block", laptop))

    assert heard == [(Passkey, ada, laptop.pk)]
    signals.authenticator_blocked.disconnect(hear)


def test_blocking_twice_changes_and_tells_once(client_of_root, laptop):
    do(client_of_root, on_passkey("block", laptop))
    do(client_of_root, on_passkey("block", laptop))

    assert Event.objects.filter(kind="passkey_blocked").count() == 1
    told("ada@example.com")


def test_a_blocked_passkey_is_let_in_again(client_of_root, root, ada, laptop, authenticator, browser):
    do(client_of_root, on_passkey("block", laptop))
    told("ada@example.com")
    mail.outbox.clear()

    do(client_of_root, on_passkey("unblock", laptop))

    assert sign_in_by_passkey(browser, authenticator).status_code == 200
    event = Event.objects.get(kind="passkey_unblocked")
    assert event.data == {"passkey": laptop.public_id, "operator": f"root ({root.pk})", "reason": REASON}
    assert "works again" in told("ada@example.com").subject


def test_several_are_blocked_from_the_list(client_of_root, ada, laptop):
    phone, other = PasskeyFactory(user=ada), PasskeyFactory()

    answer = client_of_root.post(
        "/ours/passwordless_auth/passkey/", {"action": "block", "_selected_action": [laptop.pk, phone.pk]}
    )
    page = client_of_root.get(answer.url)
    assert page.status_code == 200
    assert "No other passkey of ada works" in page.content.decode()
    back = do(client_of_root, answer.url)

    assert back.url.startswith("/ours/passwordless_auth/passkey/")
    assert "2 passkeys are blocked." in client_of_root.get(back.url).content.decode()
    assert set(Passkey.objects.filter(confirmed=False)) == {laptop, phone}
    assert not Passkey.objects.get(pk=other.pk).is_blocked


def test_more_than_a_pageful_at_once_is_refused(client_of_root):
    PasskeyFactory.create_batch(51)
    everything = list(Passkey.objects.values_list("pk", flat=True))

    answer = client_of_root.post(
        "/ours/passwordless_auth/passkey/",
        {"action": "block", "_selected_action": everything[:50], "select_across": "1"},
        follow=True,
    )

    assert "Please choose at most 50 at once." in answer.content.decode()
    assert not Passkey.objects.filter(confirmed=False).exists()


# -- the last way in


def test_the_last_passkey_is_blocked_where_an_address_remains_and_the_page_says_what_that_means(
    client_of_root, ada, laptop, settings
):
    assert "They can still sign in by a message" in client_of_root.get(on_passkey("block", laptop)).content.decode()

    Profile.objects.filter(user=ada).update(minimum_level="phr")
    assert "asks for more than a message" in client_of_root.get(on_passkey("block", laptop)).content.decode()

    PasskeyFactory(user=ada)
    assert "No other passkey" not in client_of_root.get(on_passkey("block", laptop)).content.decode()
    do(client_of_root, on_passkey("block", laptop))
    assert Passkey.objects.get(pk=laptop.pk).is_blocked


def test_nobody_is_left_without_any_way_to_begin_anew(client_of_root, ada, laptop):
    Identity.objects.filter(user=ada).delete()
    assert "can’t be blocked" in client_of_root.get(on_passkey("block", laptop)).content.decode()

    for path in (on_passkey("block", laptop), on_user("reset-factors", ada)):
        answer = client_of_root.post(path, {"reason": REASON})
        assert answer.status_code == 200
        assert "there is no address" in answer.content.decode()

    laptop.refresh_from_db()
    assert not laptop.is_blocked
    assert not Event.objects.exists()
    assert not LogEntry.objects.exists()


# -- people


@pytest.fixture
def guarded(ada, laptop):
    """Ada with everything: two passkeys, an app, codes, a session, and somebody who waits for her code."""
    PasskeyFactory(user=ada)
    TotpFactory(user=ada)
    add_recovery_codes(ada, 3)
    return signed_in_client(ada, "single")


def test_factors_are_reset(client_of_root, root, ada, guarded, browser, django_capture_on_commit_callbacks):
    browser.start("ada@example.com")
    code = outbox.last_code("ada@example.com")
    mail.outbox.clear()
    gone = []

    def hear(user, authenticator, **kwargs):
        gone.append((user, type(authenticator), authenticator.pk is not None))

    signals.authenticator_removed.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        do(client_of_root, on_user("reset-factors", ada))
    signals.authenticator_removed.disconnect(hear)

    for model in (Passkey, Totp, RecoveryCode):
        assert not model.objects.filter(user=ada).exists()
    assert gone == [(ada, Passkey, True)] * 2 + [(ada, Totp, True)]
    assert not Profile.objects.get(user=ada).has_totp
    assert not guarded.get("/login/session.json").json()["authenticated"]
    assert browser.submit("/login/wait/", {"code": code}).status_code == 410
    event = Event.objects.get(kind="factors_reset")
    assert (event.user, event.data) == (
        ada,
        {"passkeys": 2, "apps": 1, "recovery_codes": 3, "operator": f"root ({root.pk})", "reason": REASON},
    )
    message = told("ada@example.com")
    assert "Your ways to sign in at Testserver were reset" in message.subject
    assert "The people who run Testserver did this." in message.body


def test_after_a_reset_the_person_begins_anew_with_their_address(client_of_root, ada, guarded, browser, clock):
    do(client_of_root, on_user("reset-factors", ada))
    clock.shift(61)

    browser.sign_in("ada@example.com")

    assert browser.who()["level"] == "single"


def test_nothing_of_others_is_reset(client_of_root, root, ada, guarded):
    other = PasskeyFactory()
    add_recovery_codes(other.user, 2)

    do(client_of_root, on_user("reset-factors", ada))

    assert Passkey.objects.filter(user=other.user).exists()
    assert RecoveryCode.objects.filter(user=other.user).count() == 2
    assert client_of_root.get("/ours/").status_code == 200


def test_sessions_are_ended(client_of_root, root, ada, guarded, laptop, authenticator, browser):
    sign_in_by_passkey(browser, authenticator)
    outbox.send_queued()
    mail.outbox.clear()

    do(client_of_root, on_user("end-sessions", ada))

    assert not browser.who()["authenticated"]
    assert not guarded.get("/login/session.json").json()["authenticated"]
    assert set(SignIn.objects.filter(user=ada).values_list("end_reason", flat=True)) == {"ended_by_operator"}
    assert Event.objects.get(kind="sessions_ended").data == {
        "ended": 2,
        "operator": f"root ({root.pk})",
        "reason": REASON,
    }
    assert "/report/" not in told("ada@example.com").body  # there is nothing to undo
    assert sign_in_by_passkey(browser, authenticator).status_code == 200
    assert client_of_root.get("/ours/").status_code == 200


def report(message):
    """The address of "this wasn't me" in a notice."""
    return re.search(r"^http://testserver(/\S+)$", message.body, re.M)[1]


def test_a_freeze_is_lifted(client_of_root, root, ada, laptop, browser):
    do(client_of_root, on_passkey("block", laptop))
    page = visit(browser, report(told("ada@example.com")))
    assert "The people who run this site" in page.words
    assert page.press(browser, "I did not ask for this").status == 200
    assert Profile.objects.get(user=ada).frozen_until
    assert "Allow changes again" in client_of_root.get(f"/ours/auth/user/{ada.pk}/change/").content.decode()
    outbox.send_queued()
    mail.outbox.clear()

    do(client_of_root, on_user("lift-freeze", ada))

    profile = Profile.objects.get(user=ada)
    assert (profile.frozen_at, profile.frozen_until) == (None, None)
    assert Event.objects.get(kind="freeze_lifted").data == {"operator": f"root ({root.pk})", "reason": REASON}
    assert "can be changed again" in told("ada@example.com").subject
    assert "Allow changes again" not in client_of_root.get(f"/ours/auth/user/{ada.pk}/change/").content.decode()


def test_lifting_what_is_not_frozen_tells_nobody(client_of_root, ada):
    do(client_of_root, on_user("lift-freeze", ada))

    assert not Event.objects.exists()
    outbox.send_queued()
    assert mail.outbox == []


def test_who_did_not_ask_for_a_reset_stops_what_came_of_it(client_of_root, ada, guarded, browser, clock):
    """Somebody talked the help desk into it, and has ada's mailbox."""
    do(client_of_root, on_user("reset-factors", ada))
    message = told("ada@example.com")
    clock.shift(61)
    thief = Client()
    thief.cookies.update(signed_in_client(ada, "single").cookies)
    passkey = PasskeyFactory(user=ada, name="The thief's")

    page = visit(browser, report(message)).press(browser, "I did not ask for this")

    assert page.status == 200
    passkey.refresh_from_db()
    assert passkey.is_blocked
    assert not thief.get("/login/session.json").json()["authenticated"]
    assert Profile.objects.get(user=ada).frozen_until


def test_people_are_acted_on_from_their_lists(client_of_root, ada):
    for path, key in (
        ("/ours/auth/user/", ada.pk),
        ("/ours/passwordless_auth/profile/", Profile.objects.get(user=ada).pk),
    ):
        for action in ("reset_factors", "end_sessions", "lift_freeze"):
            answer = client_of_root.post(path, {"action": action, "_selected_action": [key]})
            assert f"/acts/{action.replace('_', '-')}/?id={key}&" in answer.url
            assert "ada" in client_of_root.get(answer.url).content.decode()
            do(client_of_root, answer.url)

    assert Event.objects.filter(kind="factors_reset", user=ada).count() == 2


# -- who may

ACTS = {
    "block": ("block_passkey", on_passkey),
    "unblock": ("block_passkey", on_passkey),
    "reset-factors": ("reset_factors", on_user),
    "end-sessions": ("end_sessions", on_user),
    "lift-freeze": ("change_profile", on_user),
}


@pytest.mark.parametrize("act", ACTS)
def test_each_act_needs_its_permission(helper, ada, laptop, act):
    permission, path_of = ACTS[act]
    allow(helper, *({codename for codename, _path in ACTS.values()} - {permission}))
    path = path_of(act, laptop if path_of is on_passkey else ada)
    client = signed_in_client(helper, "phr")

    assert client.get(path).status_code == 403
    assert client.post(path, {"reason": REASON}).status_code == 403
    assert not Event.objects.exists()

    allow(helper, permission)
    assert client.get(path).status_code == 200
    do(client, path)


def test_the_lists_offer_what_may_be_done(helper, laptop, ada):
    client = signed_in_client(helper, "phr")
    change = f"/ours/passwordless_auth/passkey/{laptop.pk}/change/"
    assert "Block selected passkeys" not in client.get("/ours/passwordless_auth/passkey/").content.decode()
    assert "/acts/" not in client.get(change).content.decode()
    answer = client.post("/ours/passwordless_auth/passkey/", {"action": "block", "_selected_action": [laptop.pk]})
    assert "/acts/" not in getattr(answer, "url", "")

    allow(helper, "block_passkey")
    assert "Block selected passkeys" in client.get("/ours/passwordless_auth/passkey/").content.decode()
    assert "/acts/block/" in client.get(change).content.decode()
    assert "/acts/unblock/" not in client.get(change).content.decode()


def test_who_may_act_but_not_see_does_not_act(laptop, ada):
    blind = UserFactory(username="blind", is_staff=True)
    allow(blind, "block_passkey", "reset_factors")
    client = signed_in_client(blind, "phr")

    for path in (on_passkey("block", laptop), on_user("reset-factors", ada)):
        assert client.get(path).status_code == 403
        assert client.post(path, {"reason": REASON}).status_code == 403
    assert not Event.objects.exists()


def test_nobody_does_it_to_their_own_account(client_of_root, root):
    """An open session of the admin is less than the account pages ask for."""
    own = Passkey.objects.get(user=root)
    for path in (
        on_passkey("block", own),
        on_user("reset-factors", root),
        on_user("end-sessions", root),
        on_user("lift-freeze", root),
    ):
        assert "Left out: your own account" in client_of_root.get(path).content.decode()
        assert client_of_root.post(path, {"reason": REASON}).status_code == 200
    assert not Event.objects.exists()
    assert "/acts/" not in client_of_root.get(f"/ours/auth/user/{root.pk}/change/").content.decode()


def test_no_helper_touches_a_superuser(helper, root, ada, laptop):
    allow(helper, "block_passkey", "reset_factors", "end_sessions", "change_profile")
    client = signed_in_client(helper, "phr")
    of_root = PasskeyFactory(user=root)

    do(client, on_passkey("block", of_root, laptop))
    do(client, on_user("reset-factors", root, ada))

    of_root.refresh_from_db()
    assert not of_root.is_blocked
    assert {event.user for event in Event.objects.all()} == {ada}
    assert "superusers, unless you are one" in client.get(on_user("end-sessions", root)).content.decode()
    assert "/acts/" not in client.get(f"/ours/auth/user/{root.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("act", "opens"),
    [("block", False), ("end-sessions", False), ("unblock", True), ("reset-factors", True), ("lift-freeze", True)],
)
def test_what_opens_something_needs_a_recent_proof(root, ada, laptop, clock, act, opens):
    path_of = ACTS[act][1]
    path = path_of(act, laptop if path_of is on_passkey else ada)
    client = signed_in_client(root, "phr")
    assert client.get(path).status_code == 200

    clock.shift(601)

    for answer in (client.get(path), client.post(path, {"reason": REASON})):
        if opens:
            assert answer.status_code in (302, 303)
            assert answer.url.startswith("/login/step-up/?")
        else:
            assert answer.status_code == 200 or "/acts/" not in answer.url
    assert Event.objects.exists() is (not opens)


def test_with_a_password_what_opens_needs_a_recent_one(root, ada, clock):
    """On Django's own site, whose sessions other code makes."""
    client = Client()
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    path = f"/djangos/auth/user/acts/reset-factors/?id={ada.pk}"
    assert client.get(path).status_code == 200

    clock.shift(601)
    assert client.get(path).url.startswith("/login/step-up/?")


# -- what is sent


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b"])
def test_without_a_reason_nothing_happens(client_of_root, laptop, reason):
    answer = client_of_root.post(on_passkey("block", laptop), {"reason": reason})

    assert answer.status_code == 200
    assert 'class="errorlist"' in answer.content.decode()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "query",
    ["", "?id=", "?id=0", "?id=-1", "?id=x", "?id=%00", "?id=" + "9" * 40, "?id=1e3", "?ids=1", "?id=%ff"],
)
def test_what_names_no_row_does_nothing(client_of_root, query):
    for path in ("/ours/passwordless_auth/passkey/acts/block/", "/ours/auth/user/acts/end-sessions/"):
        for answer in (client_of_root.get(path + query), client_of_root.post(path + query, {"reason": REASON})):
            assert answer.status_code in (302, 400)
    assert not Event.objects.exists()


def test_an_act_that_there_is_not_is_not_found(client_of_root, laptop):
    assert client_of_root.get(on_passkey("reset-factors", laptop)).status_code == 404
    assert client_of_root.get(on_passkey("delete", laptop)).status_code == 404


def test_a_get_changes_nothing(client_of_root, laptop):
    client_of_root.get(on_passkey("block", laptop) + f"&reason={uuid.uuid4()}")

    assert not Passkey.objects.get(pk=laptop.pk).is_blocked
    assert not Event.objects.exists()


def test_an_act_leads_back_to_where_it_began_and_never_off_the_site(client_of_root, laptop):
    here = on_passkey("block", laptop)
    assert do(client_of_root, f"{here}&next=/ours/auth/user/").url == "/ours/auth/user/"
    assert do(client_of_root, f"{here}&next=//evil.example/").url == "/ours/passwordless_auth/passkey/"


def test_a_form_of_another_site_does_nothing(root, laptop):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies.update(signed_in_client(root, "phr").cookies)

    assert strict.post(on_passkey("block", laptop), {"reason": REASON}).status_code == 403
    assert not Passkey.objects.get(pk=laptop.pk).is_blocked


def test_a_person_who_is_gone_meanwhile_is_no_error(client_of_root, ada, laptop):
    path = on_user("reset-factors", ada)
    User.objects.filter(pk=ada.pk).delete()

    answer = client_of_root.post(path, {"reason": REASON}, follow=True)
    assert "Nothing was chosen, or it is gone." in answer.content.decode()
    assert Challenge.objects.count() == 0
