"""Attacks on what guards an account: passkeys, apps, recovery codes, notices. Each was a hole once.

The thief has something of the owner's (a password, a session, a mailbox), and wants more, or to stay.
"""

import re
import threading
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db.models.signals import pre_save
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from passwordless_auth.methods import passkey as webauthn
from passwordless_auth.models import Challenge, Counter, Delivery, Event, Identity, Passkey, RecoveryCode, SignIn, Totp
from passwordless_auth.testing import add_totp, outbox, totp_code
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import PasskeyFactory, UserFactory
from tests import totp
from tests.conftest import Browser
from tests.passkeys import ORIGIN, answer, asked_to_sign_in, register, send, sign_in, with_passkey
from tests.races.together import in_the_middle_of, ready, together
from tests.recovery import make_codes, recover
from tests.views.pages import Page
from tests.views.test_report import REPORT, reports

from .conftest import FIREFOX, stranger

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
CHANGES = "/account/passkeys/"
PASSWORDS = ["passwordless_auth.backends.SignInBackend", "django.contrib.auth.backends.ModelBackend"]


def notice_of(kind):
    """The path of "this wasn't me" in the newest notice of this kind."""
    notices = [
        each for each in Challenge.objects.filter(purpose="report").order_by("-pk") if each.params["kind"] == kind
    ]
    return f"/login/report/{notices[0].link_token()}/"


def mailbox():
    """Where the owner reads mail."""
    return Browser(HTTP_USER_AGENT=FIREFOX)


def newest_sign_in():
    return SignIn.objects.live().latest("pk")


def change(browser, action, row):
    return browser.submit(CHANGES, {"action": action, "passkey": row.public_id})


# -- a second factor is met on every path (rule 27)


@pytest.fixture
def with_password(settings):
    """A host that still has passwords. Somebody knows Ada's."""
    settings.AUTHENTICATION_BACKENDS = PASSWORDS
    ada = UserFactory(email=ADA, password="correct horse")
    browser = stranger()
    assert browser.login(username=ada.username, password="correct horse")
    return browser


def asks_to_add(browser, query=""):
    return send(browser, f"/account/passkeys/options/{query}", {})


@pytest.mark.parametrize("query", ["", "?conditional=1"])
def test_a_password_is_no_way_around_an_authenticator_app(with_password, query):
    assert asks_to_add(with_password, query).status_code == 200

    add_totp(User.objects.get())

    response = asks_to_add(with_password, query)
    assert (response.status_code, response.json()["error"]) == (403, "step_up_required")
    assert not Passkey.objects.exists()


def test_a_sign_in_from_before_is_no_way_around_an_authenticator_app(browser, other_browser, settings):
    """Somebody has read one code of the mailbox. The owner notices something, and sets up an app."""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    other_browser.sign_in(ADA)
    assert asks_to_add(other_browser).status_code == 200
    totp.with_app(browser)

    response = asks_to_add(other_browser)

    assert (response.status_code, response.json()["error"]) == (403, "step_up_required")
    assert asks_to_add(browser).status_code == 200


# -- a session does not shake off what made it


@pytest.fixture
def thief(browser, other_browser):
    """With a session that Ada left open, somebody has added a passkey, and signed in with that."""
    ada = with_passkey(browser)
    assert sign_in(browser, ada).status_code == 200
    stolen, response = register(browser, Authenticator(), query="?name=Mine")
    assert response.status_code == 200
    assert sign_in(other_browser, stolen).status_code == 200
    other_browser.stolen = stolen
    return other_browser


def confirms_with_another(thief):
    """In the session that the stolen passkey made, add one more, and confirm with that."""
    another, response = register(thief, Authenticator(), query="?name=Another")
    assert response.status_code == 200
    assert sign_in(thief, another, query="?step_up=1", step_up=True).status_code == 200


def test_a_session_that_another_passkey_confirmed_ends_with_the_one_that_made_it(browser, thief):
    confirms_with_another(thief)

    assert change(browser, "block", Passkey.objects.get(name="Mine")).status_code == 303

    assert browser.who()["authenticated"]
    assert not thief.who()["authenticated"]


def test_a_report_finds_the_session_that_another_passkey_confirmed(browser, thief):
    link = notice_of("passkey_added")
    confirms_with_another(thief)

    reports(mailbox(), link)

    assert not thief.who()["authenticated"]
    assert set(Passkey.objects.filter(confirmed=False).values_list("name", flat=True)) == {"Mine", "Another"}
    assert Passkey.objects.filter(confirmed=True).count() == 1


def test_a_session_keeps_one_proof_of_each_authenticator(browser):
    authenticator = with_passkey(browser)
    for _number in range(3):
        assert sign_in(browser, authenticator, query="?step_up=1", step_up=True).status_code == 200

    assert [proof["method"] for proof in SignIn.objects.get().proofs] == ["one_time_code", "passkey"]


# -- "this wasn't me" finds all of it


def test_a_report_of_recovery_codes_finds_who_came_in_by_them(browser, other_browser):
    """A thief at an open session writes the codes down, comes back by one of them, and adds a passkey."""
    browser.sign_in(ADA)
    codes = make_codes(browser)
    link = notice_of("recovery_codes_made")
    assert recover(other_browser, codes[0]).status_code == 303
    stolen, response = register(other_browser, Authenticator())
    assert response.status_code == 200
    assert sign_in(other_browser, stolen, query="?step_up=1", step_up=True).status_code == 200

    reports(mailbox(), link)

    assert not other_browser.who()["authenticated"]
    assert Passkey.objects.get().is_blocked
    assert sign_in(other_browser, stolen).status_code == 403


def test_a_report_of_recovery_codes_leaves_who_came_in_before_them(browser, other_browser, settings):
    """Her own recovery, with the codes from before; only then somebody makes new ones."""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    browser.sign_in(ADA)
    assert recover(other_browser, make_codes(browser)[0]).status_code == 303
    mine, response = register(other_browser, Authenticator())
    assert response.status_code == 200
    assert sign_in(other_browser, mine, query="?step_up=1", step_up=True).status_code == 200
    make_codes(other_browser)

    reports(mailbox(), notice_of("recovery_codes_made"))

    assert not Passkey.objects.get().is_blocked
    assert not RecoveryCode.objects.exists()


# -- notices are no letter paper


LINKLIKE = re.compile(r"https?:\S|www\.\S|\w[.。．｡]\w|\w@\w|//")


@pytest.mark.parametrize(
    "name",
    [
        "Undo at https://evil.example/undo",
        "evil.example/undo",
        "evil。example",
        "www.evil.example",
        "mail help@evil.example",
        "evil\u200b.\u2060example",
    ],
)
def test_the_name_of_a_passkey_is_no_link_in_a_notice(browser, name):
    browser.sign_in(ADA)
    _made, response = register(browser, Authenticator(), query=f"?name={name}")
    assert response.status_code == 200

    message = outbox.last_message(ADA)
    html = next(content for content, kind in message.alternatives if kind == "text/html")
    for text in (message.body, html):
        said = re.search("“(.*?)”", text)[1]
        assert "evil" in said
        assert not LINKLIKE.search(said), said
    assert name.split()[0][:4] in Passkey.objects.get().name
    page = Page(mailbox().get(notice_of("passkey_added"), follow=True))
    assert not LINKLIKE.search(page.words.partition("“")[2].partition("”")[0])


def test_an_honest_name_is_told_as_it_is(browser):
    browser.sign_in(ADA)
    register(browser, Authenticator(), query="?name=Adas Telefon, rot (2. Etage)")

    assert "“Adas Telefon, rot (2. Etage)”" in outbox.last_message(ADA).body


# -- nobody is locked out


def test_who_has_a_session_can_not_use_up_the_wrong_codes_of_the_owners_app(browser, other_browser, settings):
    """The owner's browser has a budget of its own, as for the codes of messages."""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    app = add_totp(UserFactory(email=ADA))
    totp.sign_in_with_app(browser, app)
    url = totp.first_step(other_browser)
    wrong = totp.another(totp_code(app))
    answers = [totp.answer(other_browser, url, wrong).status_code for _number in range(7)]
    assert 429 in answers

    Totp.objects.update(last_step=-1)  # half a minute later
    browser.submit("/logout/")
    totp.sign_in_with_app(browser, app)


def test_a_first_proof_does_not_ask_for_an_app_that_it_took_away(browser):
    """Whoever waited in an account with somebody else's address has left an app there."""
    ada = UserFactory(email=ADA, proven=False)
    add_totp(ada)

    response = browser.sign_in(ADA)

    assert response["Location"] == "/account/"
    assert browser.who()["level"] == "single"
    assert not Totp.objects.exists()


@pytest.mark.parametrize("asked", [{"identifier": ADA}, {}])
def test_the_question_to_a_passkey_is_no_message(asked):
    """It names itself in the challenge that the browser gets. Guessing at it would use up the wrong codes of an
    address without one message to its owner; and sending it again, send a message with nothing in it."""
    UserFactory(email=ADA)
    browser = stranger()
    browser.raise_request_exception = False
    named = webauthn.encode(webauthn.decode(asked_to_sign_in(browser, **asked)["challenge"])[:16])
    assert Challenge.objects.get().public_id == named

    shown = browser.get(f"/login/wait/?challenge={named}")
    told = browser.get(f"/login/wait/status.json?challenge={named}")
    guessed = browser.submit("/login/wait/", {"challenge": named, "code": "123456"})
    sent = browser.submit("/login/resend/", {"challenge": named})

    assert (shown.status_code, told.status_code, guessed.status_code, sent.status_code) == (410, 404, 410, 410)
    assert Challenge.objects.get().tries == 0
    assert not Counter.objects.filter(action="failures_account").exists()
    assert not Delivery.objects.exists()


# -- the admin


@pytest.mark.urls("tests.admin.urls")
def test_a_sign_in_elsewhere_does_not_make_an_old_session_of_the_admin_recent(settings, clock):
    """With a password, in a host that lets its staff in by one. ``last_login`` moves whenever its owner signs in."""
    settings.AUTHENTICATION_BACKENDS = PASSWORDS
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "single"
    root = UserFactory(username="root", password="correct horse", is_staff=True, is_superuser=True)
    blocked = PasskeyFactory(blocked=True)
    page = f"/ours/passwordless_auth/passkey/acts/unblock/?id={blocked.pk}"
    thief, owner = Client(), Client()
    assert thief.login(username="root", password="correct horse")
    assert thief.get(page).status_code == 200

    clock.shift(3600)
    assert owner.login(username="root", password="correct horse")
    answered = thief.post(page, {"reason": "let me in"})

    assert answered["Location"].startswith("/login/step-up/")
    assert Passkey.objects.get().is_blocked
    assert User.objects.get(pk=root.pk).last_login > timezone.now() - timedelta(minutes=1)
    owner.post(page, {"reason": "she has it back"})
    assert not Passkey.objects.get().is_blocked


# -- at one moment: a thief's request is on its way when the owner acts


def while_the_report_is_at_work(press, thief_does):
    """The owner's press has blocked the passkey and stopped changes, and is not yet committed: then the thief's
    request begins. The answers to both."""
    reached, go_on = threading.Event(), threading.Event()

    def pause(sender, instance, **kwargs):
        if instance.kind == "changes_stopped":
            reached.set()
            timer = threading.Timer(0.7, go_on.set)  # by then the thief's request waits for the owner's
            timer.start()
            go_on.wait(30)
            timer.join()

    def interfere():
        assert reached.wait(30)
        return thief_does()

    pre_save.connect(pause, sender=Event)
    try:
        return together([press, interfere])
    finally:
        pre_save.disconnect(pause, sender=Event)


def unblocks(browser):
    return partial(change, browser, "unblock", Passkey.objects.get(name="Mine"))


def removes_the_owners(browser):
    return partial(change, browser, "remove", Passkey.objects.exclude(name="Mine").get())


def blocks_the_owners(browser):
    return partial(change, browser, "block", Passkey.objects.exclude(name="Mine").get())


def makes_codes(browser):
    return partial(browser.submit, "/account/recovery-codes/", {"action": "make"})


def opens_an_address(browser):
    public_id = Identity.objects.get().public_id
    return partial(browser.submit, "/account/recovery-codes/", {"action": "addresses", "identity": public_id})


def removes_the_app(browser):
    add_totp(User.objects.get(), created_at=timezone.now() - timedelta(days=1))
    return partial(browser.submit, "/account/totp/", {"action": "remove"})


def confirms_an_app(browser):
    page = Page(browser.submit("/account/totp/", {"action": "begin"}))
    fields = {"action": "confirm", "setup": page.inputs["setup"]["value"], "code": totp.code_of(totp.key_on(page))}
    return partial(browser.submit, "/account/totp/", fields)


def guards():
    """What opens the account, and how."""
    return {
        "passkeys": set(Passkey.objects.values_list("public_id", "confirmed")),
        "apps": set(Totp.objects.filter(confirmed=True).values_list("public_id", flat=True)),
        "codes": set(RecoveryCode.objects.values_list("digest", flat=True)),
        "addresses": set(Identity.objects.values_list("public_id", "for_recovery")),
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "prepares",
    [
        unblocks,
        removes_the_owners,
        blocks_the_owners,
        makes_codes,
        opens_an_address,
        removes_the_app,
        confirms_an_app,
    ],
)
def test_a_thief_whose_request_waits_for_the_report_changes_nothing_after_it(browser, thief, prepares):
    Identity.objects.update(for_recovery=False)
    link = notice_of("passkey_added")
    does = prepares(ready(thief))
    owner = ready(mailbox())
    page = Page(owner.get(link, follow=True))
    wanted = guards()
    stolen = Passkey.objects.get(name="Mine").public_id
    wanted["passkeys"] = {(public_id, public_id != stolen) for public_id, _ in wanted["passkeys"]}

    pressed, done = while_the_report_is_at_work(partial(owner.submit, REPORT, page.forms[0].fields), does)

    assert pressed.status_code == 303
    assert done.status_code < 500
    assert guards() == wanted
    assert not thief.who()["authenticated"]


@pytest.mark.django_db(transaction=True)
def test_who_comes_in_by_a_code_while_the_owner_presses_is_out(browser, other_browser):
    browser.sign_in(ADA)
    codes = make_codes(browser)
    owner = ready(mailbox())
    page = Page(owner.get(notice_of("recovery_codes_made"), follow=True))

    came, pressed = in_the_middle_of(
        partial(recover, ready(other_browser), codes[0]), partial(owner.submit, REPORT, page.forms[0].fields)
    )

    assert (came.status_code < 500, pressed.status_code) == (True, 303)
    assert not SignIn.objects.live().exists()
    assert asks_to_add(other_browser).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_a_session_that_is_confirmed_while_its_owner_ends_it_is_over(browser, thief):
    """A confirmation gives the session a new key. Whoever ends it meanwhile has to end the new one."""
    ending = {"sign_in": newest_sign_in().public_id}
    credential = thief.stolen.get(asked_to_sign_in(thief, step_up=True), origin=ORIGIN)
    rotating, go_on = threading.Event(), threading.Event()

    def pause(sender, instance, **kwargs):
        if not instance._state.adding:
            rotating.set()
            go_on.wait(30)

    def ends():
        assert rotating.wait(30)
        timer = threading.Timer(0.7, go_on.set)
        timer.start()
        try:
            return ready(browser).submit("/account/sessions/", ending)
        finally:
            timer.join()

    pre_save.connect(pause, sender=SignIn)
    try:
        confirmed, ended = together([partial(answer, ready(thief), credential, "?step_up=1"), ends])
    finally:
        pre_save.disconnect(pause, sender=SignIn)

    assert (confirmed.status_code, ended.status_code) == (200, 303)
    assert browser.who()["authenticated"]
    assert not thief.who()["authenticated"]


def changes_password(request):
    """A page of the host, which gives the session a new key. Meanwhile the owner ends it."""
    assert request.user.is_authenticated
    answered = request.owner.submit("/account/sessions/", {"sign_in": newest_sign_in().public_id})
    assert answered.status_code == 303
    request.session.cycle_key()
    return HttpResponse("changed")


urlpatterns = [path("", include("tests.urls")), path("password/", changes_password)]


@pytest.mark.urls(__name__)
def test_a_session_that_the_host_moves_while_its_owner_ends_it_is_over(browser, thief, monkeypatch):
    monkeypatch.setattr(HttpRequest, "owner", browser, raising=False)

    assert thief.get("/password/").content == b"changed"

    assert browser.who()["authenticated"]
    assert not thief.who()["authenticated"]
