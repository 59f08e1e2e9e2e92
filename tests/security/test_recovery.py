"""RE: recovery codes and recovered sessions, as whoever stole a paper or a mailbox meets them."""

from __future__ import annotations

import asyncio

import pytest
from django.contrib import admin, auth
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.models import User
from django.contrib.auth.views import LogoutView, PasswordChangeView
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpResponse
from django.test import AsyncClient
from django.urls import include, path
from django.utils import timezone
from django_otp.admin import OTPAdminSite

from passwordless_auth import sessions
from passwordless_auth.decorators import level_required, recent_sign_in_required
from passwordless_auth.models import Counter, Event, Identity, KnownBrowser, RecoveryCode, SignIn
from passwordless_auth.testing import outbox
from passwordless_auth.testing.faults import Fault
from tests.conftest import Browser
from tests.passkeys import register, send, sign_in, with_passkey
from tests.recovery import ask_address, make_codes, recover, recover_by_address

from .conftest import error_code, member, statements, stranger, wrong_code
from .test_enumeration import compare, disabled, known, not_for_sign_in, not_imported, seen_of, unproven

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@example.com"


# -- the host's own views


def hello(request):
    return HttpResponse(f"hello {request.user}")


def tell(request):
    """Each way that a view of a host asks who is there."""
    from_session = auth.get_user(request)
    return HttpResponse(
        f"{request.user.is_authenticated} {from_session.is_authenticated} {request.sign_in} {request.user.is_verified()}"
    )


async def tell_later(request):
    user = await request.auser()
    return HttpResponse(f"{user.is_authenticated}")


class VerifiedAdmin(OTPAdminSite):
    name = "verified"


verified_admin = VerifiedAdmin(name="verified")

urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("admin/", admin.site.urls),
    path("verified/", verified_admin.urls),
    path("open/", hello),
    path("tell/", tell),
    path("tell-later/", tell_later),
    path("members/", login_required(hello)),
    path("permitted/", permission_required("auth.view_user")(hello)),
    path("recent/", recent_sign_in_required(hello)),
    path("recovered/", level_required("recovered")(hello)),
    path("password/", PasswordChangeView.as_view(success_url="/open/")),
    path("leave/", LogoutView.as_view(next_page="/open/")),
]


@pytest.fixture(autouse=True)
def urls(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def ada(browser):
    """Ada, an administrator with a passkey and ten codes on paper."""
    key = with_passkey(browser, ADA)
    sign_in(browser, key)
    User.objects.update(is_staff=True, is_superuser=True)
    return make_codes(browser)


@pytest.fixture
def thief(ada):
    """Somebody who got in with one of her codes."""
    browser = stranger()
    assert recover(browser, ada[0]).status_code == 303
    assert browser.who()["level"] == "recovered"
    return browser


# -- RE-01, RE-02, RE-06


def test_ten_codes_of_eighty_bits_of_which_only_digests_are_kept(ada):
    """RE-01"""
    assert len(set(ada)) == 10
    assert {len(code.replace("-", "")) for code in ada} == {16}  # of 32 letters: 80 bits
    assert {len(digest) for digest in RecoveryCode.objects.values_list("digest", flat=True)} == {64}


def test_the_twin_of_a_used_code_is_an_unused_one(ada, thief):
    """RE-02"""
    another = stranger("192.0.2.7")
    assert recover(another, ada[0]).status_code == 400
    assert recover(another, ada[1]).status_code == 303


def test_no_claim_of_resistance_to_phishing_and_no_two_factors(ada, thief):
    """RE-06: flagged, told, and nothing beside it makes two factors of it but a passkey."""
    row = SignIn.objects.latest("pk")
    assert (row.level, row.all_proofs()[0].amr, row.otp_device_id) == ("recovered", ("otp",), "")
    assert "A recovery code of your account" in outbox.last_message(ADA).subject
    assert Event.objects.filter(kind="recovery_code_used").exists()
    assert not KnownBrowser.objects.filter(browser_digest=row.browser_digest).exists()


# -- what a recovered session may do


NOBODY = ["/admin/", "/verified/", "/members/", "/permitted/", "/recent/", "/recovered/", "/password/"]


@pytest.mark.parametrize("url", NOBODY)
def test_the_views_of_the_host_ask_it_to_sign_in(thief, browser, url):
    assert thief.get(url).status_code == 302
    assert "login" in thief.get(url)["Location"]
    assert browser.get(url).status_code == 200, "the twin: she herself, with her passkey"


def test_to_every_question_of_a_host_the_answer_is_nobody(thief, browser):
    assert thief.get("/open/").content == b"hello AnonymousUser"
    assert thief.get("/tell/").content == b"False False None False"
    assert browser.get("/tell/").content.startswith(b"True True ")
    assert browser.get("/tell/").content.endswith(b" True")


def test_to_an_asynchronous_view_too(thief, browser):
    async def ask(visitor):
        client = AsyncClient()
        client.cookies["sessionid"] = visitor.cookies["sessionid"].value
        return (await client.get("/tell-later/")).content

    assert asyncio.run(ask(thief)) == b"False"
    assert asyncio.run(ask(browser)) == b"True"


class Early:
    """A middleware of a host that asks who is there before it calls the others."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.seen = request.user.is_authenticated
        response = self.get_response(request)
        response["X-Seen"] = f"{request.seen}"
        return response


@pytest.mark.parametrize("place", ["behind", "before"])
def test_middleware_finds_nobody_wherever_it_stands(thief, browser, settings, place):
    ours = settings.MIDDLEWARE.index("passwordless_auth.middleware.SignInMiddleware")
    middleware = list(settings.MIDDLEWARE)
    middleware.insert(ours + (place == "behind"), f"{__name__}.Early")
    settings.MIDDLEWARE = middleware

    def through(visitor, url):
        again = Browser()
        again.cookies = visitor.cookies
        return again.get(url)

    for url in ("/open/", "/account/"):
        assert through(thief, url)["X-Seen"] == "False"
        assert through(browser, url)["X-Seen"] == "True"
    assert through(thief, "/account/").status_code == 200  # and our own pages know them all the same


@pytest.mark.parametrize("place", ["behind", "before"])
def test_a_site_that_asks_everybody_to_sign_in_asks_them(thief, browser, settings, place):
    ours = settings.MIDDLEWARE.index("passwordless_auth.middleware.SignInMiddleware")
    middleware = list(settings.MIDDLEWARE)
    middleware.insert(ours + (place == "behind"), "django.contrib.auth.middleware.LoginRequiredMiddleware")
    settings.MIDDLEWARE = middleware
    again = Browser()
    again.cookies = thief.cookies

    assert again.get("/open/")["Location"] == "/login/?next=/open/"
    assert again.get("/account/").status_code == 200


def test_without_our_middleware_it_is_nobody_too(thief, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith("passwordless_auth")]
    again = Browser()
    again.cookies = thief.cookies

    assert again.get("/members/").status_code == 302


def test_of_our_own_pages_it_sees_the_account_and_its_passkeys_and_changes_nothing(thief, ada):
    for url in ("/account/", "/account/passkeys/", "/login/", "/login/recovery/", "/logout/"):
        assert thief.get(url).status_code == 200, url
    for url in ("/account/sessions/", "/account/recovery-codes/", "/account/totp/", "/account/passkeys/signal.json"):
        assert thief.get(url).status_code == 403, url
    for url, data in (
        ("/account/sessions/", {"scope": "others"}),
        ("/account/sessions/", {"scope": "everywhere"}),
        ("/account/recovery-codes/", {"action": "make"}),
        ("/account/recovery-codes/", {"action": "addresses"}),
        ("/account/totp/", {"action": "start"}),
    ):
        refused = thief.submit(url, data)
        assert (refused.status_code, error_code(refused)) == (403, "step_up_required"), url
    passkey = User.objects.get().passkeys.get()
    for action in ("block", "remove", "rename"):
        thief.submit("/account/passkeys/", {"passkey": passkey.public_id, "action": action, "name": "mine"})
    passkey.refresh_from_db()
    assert (passkey.confirmed, passkey.name) == (True, "Passkey on Chrome · Windows")
    assert RecoveryCode.objects.filter(used_at=None).count() == 9
    assert SignIn.objects.live().count() == 2


def test_the_page_of_a_refused_view_says_what_to_do_and_does_not_go_round_in_circles(thief):
    answer = thief.get("/members/", follow=True)

    assert answer.redirect_chain == [("/login/?next=/members/", 302)]
    words = answer.content.decode()
    assert "Now add a passkey" in words
    assert "data-passkey-add" in words
    assert ">Continue<" not in words


def test_a_template_of_a_host_in_which_our_pages_stand_knows_them(thief, settings, tmp_path):
    """Context processors, and what they say of django-otp, on our pages and on others."""
    (tmp_path / "passwordless_auth").mkdir()
    (tmp_path / "passwordless_auth" / "account.html").write_text(
        "{{ user.email }} {{ user.is_verified }} {{ perms.auth.view_user }}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]

    assert thief.get("/account/").content == b"ada@example.com False True"


def test_a_passkey_of_its_own_signs_in_and_opens_the_admin(thief):
    key, _response = register(thief)
    assert thief.get("/admin/").status_code == 302
    assert sign_in(thief, key, query="?step_up=1", step_up=True).status_code == 200

    for url in NOBODY:
        assert thief.get(url).status_code == 200, url


def test_a_passkey_of_somebody_else_does_not_end_a_recovery(thief):
    mallory = stranger("192.0.2.66")
    key = with_passkey(mallory, "mallory@example.com")

    fault = Fault(ignores_allow_credentials=True)
    assert sign_in(thief, key, query="?step_up=1", step_up=True, fault=fault).status_code == 404
    assert thief.who()["level"] == "recovered"


# -- how it ends


def test_a_host_that_signs_somebody_in_over_it_has_them_and_not_the_recovered(thief, client):
    bob = member("bob@example.com")
    client.cookies = thief.cookies
    client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")

    who = client.get("/login/session.json").json()
    assert (who["user"]["email"], who["level"], who["methods"]) == ("bob@example.com", None, [])
    assert b"ada@" not in client.get("/account/").content
    assert send(client, "/account/passkeys/options/", {}).json()["user"]["name"] == "bob@example.com"


def test_signing_in_over_it_ends_it(thief):
    thief.sign_in("bob@example.com")

    assert thief.who()["user"]["email"] == "bob@example.com"
    assert SignIn.objects.get(level="recovered").end_reason == "replaced"


@pytest.mark.parametrize("url", ["/logout/", "/leave/"])
def test_it_is_signed_out_by_our_page_and_by_the_hosts(thief, url):
    thief.submit(url)

    assert not thief.who()["authenticated"]
    assert SignIn.objects.get(level="recovered").end_reason == "signed_out"


def test_a_copied_cookie_dies_with_it(thief):
    copy = Browser()
    copy.cookies["sessionid"] = thief.cookies["sessionid"].value
    assert copy.who()["authenticated"]
    thief.submit("/logout/")

    assert not copy.who()["authenticated"]


def deactivate():
    user = User.objects.get()
    user.is_active = False
    user.save()


def deactivate_behind_our_back():
    User.objects.update(is_active=False)


def change_the_password():
    user = User.objects.get()
    user.set_password("correct horse")
    user.save()


def delete_the_account():
    User.objects.get().delete()


@pytest.mark.parametrize("what", [deactivate, deactivate_behind_our_back, change_the_password, delete_the_account])
@pytest.mark.parametrize("engine", ["db", "cached_db", "cache"])
def test_what_ends_other_sessions_ends_it(ada, settings, what, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    thief = stranger()
    recover(thief, ada[0])
    assert thief.who()["authenticated"]
    what()

    assert not thief.who()["authenticated"]
    assert thief.get("/account/").status_code == 302
    User.objects.update(is_active=True)
    assert not thief.who()["authenticated"], "it came back to life"


@pytest.mark.parametrize("scope", ["others", "everywhere"])
def test_the_owner_ends_it_from_elsewhere(thief, browser, scope):
    assert b"Firefox on Linux" in browser.get("/account/sessions/").content
    browser.submit("/account/sessions/", {"scope": scope})

    assert not thief.who()["authenticated"]


def test_the_list_of_sessions_forgets_it_after_its_hour(thief, browser, clock):
    assert browser.get("/account/sessions/").content.count(b'name="sign_in"') == 2
    clock.shift(3601)

    assert browser.get("/account/sessions/").content.count(b'name="sign_in"') == 1


# -- sessions of every engine


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"])
def test_with_every_engine_it_is_the_same(ada, settings, tmp_path, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    thief = stranger()
    before = thief.get("/login/").cookies["csrftoken"].value
    assert recover(thief, ada[0]).status_code == 303

    assert thief.cookies["csrftoken"].value != before
    assert thief.get("/members/").status_code == 302
    assert thief.get("/account/").status_code == 200
    assert thief.who()["level"] == "recovered"
    key, _response = register(thief)
    assert sign_in(thief, key, query="?step_up=1", step_up=True).status_code == 200
    assert thief.get("/members/").status_code == 200


def test_a_session_row_names_nobody_to_django(thief):
    session = SessionStore(thief.cookies["sessionid"].value)

    assert auth.SESSION_KEY not in session
    assert session[sessions.DATA]["level"] == "recovered"


def test_it_costs_no_query_more(thief):
    for url, number in (("/open/", 1), ("/members/", 1), ("/login/session.json", 2)):
        with statements() as work:
            thief.get(url)
        assert len([sql for sql in work if sql.startswith("SELECT")]) == len(work) == number, work


# -- nobody learns who has an account, or codes


def has_codes(address):
    user = member(address)
    RecoveryCode.objects.create(user=user, digest=address, key_id="k1")


def has_recovered_by_a_code_before(address):
    user = member(address)
    RecoveryCode.objects.create(user=user, digest=address, key_id="k1", used_at=timezone.now())


def may_not_recover(address):
    member(address)
    Identity.objects.filter(canonical=address).update(for_recovery=False)


PEOPLE = [
    known,
    has_codes,
    has_recovered_by_a_code_before,
    may_not_recover,
    disabled,
    not_for_sign_in,
    unproven,
    not_imported,
]


def walk(address, clock):
    """Everything that can be asked without reading the mailbox or the paper."""
    browser, steps = Browser(REMOTE_ADDR="203.0.113.50"), []

    def step(name, ask):
        with statements() as work:
            answer = ask()
        steps.append((name, seen_of(answer, address), work))
        return answer

    browser.get("/login/recovery/")
    for number in range(5):
        step(f"wrong code {number}", lambda: recover(browser, "AAAA-BBBB-CCCC-DDDD", address))
    step("one too many", lambda: recover(browser, "AAAA-BBBB-CCCC-DDDD", address))
    asked = step("by address", lambda: ask_address(browser, address))
    step("by address again", lambda: ask_address(browser, address))
    step("waiting page", lambda: browser.get(asked["Location"]))
    step("status", lambda: browser.get("/login/wait/status.json"))
    step("wrong code of the message", lambda: browser.submit("/login/wait/", {"code": wrong_code(address)}))
    clock.shift(61)
    step("send again", lambda: browser.submit("/login/resend/"))
    clock.shift(301)
    step("too late", lambda: browser.submit("/login/wait/", {"code": wrong_code(address)}))
    return steps


@pytest.mark.parametrize("person", PEOPLE)
def test_who_has_an_account_or_codes_is_answered_and_worked_for_like_who_has_none(clock, person):
    person("somebody@example.com")
    clock.shift(3600)
    theirs = walk("somebody@example.com", clock)
    clock.shift(3600)
    nobodys = walk("nobodyyy@example.com", clock)

    assert [seen["status"] for _name, seen, _work in theirs] == [400] * 5 + [429, 303, 429, 200, 200, 400, 303, 410]
    assert len(theirs[0][2]) > 3  # the statements were seen
    compare(theirs, nobodys)


def test_a_used_code_is_answered_like_a_wrong_one(ada, thief):
    another = stranger("192.0.2.7")
    another.get("/login/recovery/")
    with statements() as used_work:
        used = seen_of(recover(another, ada[0]), ADA)
    with statements() as wrong_work:
        wrong = seen_of(recover(another, "AAAA-BBBB-CCCC-DDDD"), ADA)

    assert used == wrong
    assert used_work == wrong_work


# -- guessing


def test_five_wrong_codes_an_hour_for_an_account_from_wherever(ada, clock):
    for number in range(5):
        assert recover(stranger(f"192.0.2.{number}"), "AAAA-BBBB-CCCC-DDDD").status_code == 400
    refused = recover(stranger("192.0.2.9"), ada[0])
    assert (refused.status_code, error_code(refused)) == (429, "too_many_requests")
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert Event.objects.filter(kind="limit_reached", masked="a•••@e•••.com").count() == 1
    assert RecoveryCode.objects.filter(used_at=None).count() == 10

    clock.shift(3601)
    assert recover(stranger("192.0.2.9"), ada[0]).status_code == 303


def test_strangers_who_use_up_the_tries_do_not_lock_her_own_browser_out(ada, browser):
    browser.submit("/logout/")
    for number in range(6):
        recover(stranger(f"192.0.2.{number}"), "AAAA-BBBB-CCCC-DDDD")

    assert recover(browser, ada[0]).status_code == 303


def test_her_own_browser_has_five_of_its_own(ada, browser):
    browser.submit("/logout/")
    assert [recover(browser, "AAAA-BBBB-CCCC-DDDD").status_code for _try in range(6)] == [400] * 5 + [429]


def test_wrong_codes_from_one_network_stop_it_for_all_accounts(ada, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_FAILURES_PER_IP = "3/10m"
    attacker = stranger()
    for number in range(3):
        assert recover(attacker, "AAAA-BBBB-CCCC-DDDD", f"{number}@example.com").status_code == 400

    assert recover(attacker, ada[0]).status_code == 429
    assert recover(stranger("192.0.2.9"), ada[0]).status_code == 303


def test_right_codes_use_up_no_tries(ada, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_RECOVERY_FAILURES_PER_ACCOUNT = "1/h"
    for code in ada:
        assert recover(stranger(), code).status_code == 303
    assert not Counter.objects.filter(action__startswith="failures", count__gt=0).exists()


# -- by address, as whoever reads the mailbox


def test_who_reads_the_mailbox_of_an_administrator_gets_nowhere(ada, clock):
    clock.shift(3600)
    mallory = stranger()
    ask_address(mallory)

    assert "cannot recover" in outbox.last_message(ADA).subject
    assert not mallory.who()["authenticated"]


def test_who_reads_the_mailbox_of_a_member_gets_a_recovered_session_that_the_owner_hears_of(browser, clock):
    with_passkey(browser, "bob@example.com")
    clock.shift(3600)
    Identity.objects.create(
        user=User.objects.get(), kind="email", canonical="bob@work.example", proven_at=timezone.now()
    )
    mallory = stranger()
    assert recover_by_address(mallory, "bob@example.com").status_code == 303

    assert mallory.get("/members/").status_code == 302
    assert "was recovered" in outbox.last_message("bob@work.example").subject
    register(mallory)
    assert "A passkey was added" in outbox.last_message("bob@work.example").subject


# -- forms of other sites


@pytest.mark.parametrize(
    ("url", "data"),
    [
        ("/login/recovery/", {"identifier": ADA, "code": "x"}),
        ("/login/recovery/", {"identifier": ADA, "action": "send"}),
        ("/account/recovery-codes/", {"action": "make"}),
        ("/account/recovery-codes/", {"action": "addresses"}),
    ],
)
def test_no_post_without_the_token_of_our_form(ada, browser, url, data):
    before = RecoveryCode.objects.latest("pk").pk
    refused = browser.post(url, data)

    assert (refused.status_code, error_code(refused)) == (403, "stale_page")
    assert RecoveryCode.objects.latest("pk").pk == before
    assert Identity.objects.get().for_recovery
