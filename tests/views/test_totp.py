"""The page of an authenticator app, and what it is worth at the doors."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core import mail

from passwordless_auth import signals
from passwordless_auth.models import Challenge, Counter, Event, Profile, SignIn, Totp
from passwordless_auth.testing import add_passkey, add_totp, outbox, signed_in_client, totp_code
from passwordless_auth.testing.factories import UserFactory

from ..totp import ADA, another, answer, code_of, first_step, key_on, set_up, sign_in_with_app, with_app
from .pages import Page, visit

pytestmark = pytest.mark.django_db

BY_PASSWORD = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def ada():
    return UserFactory(email=ADA)


@pytest.fixture
def member(browser, ada, clock):
    """A browser that has just signed in."""
    browser.sign_in(ADA)
    return browser


def has_totp():
    return Profile.objects.get().has_totp


# -- setting up


def test_a_visitor_signs_in_first(browser):
    assert visit(browser, "/account/totp/").name == "login"


def test_the_account_leads_there_and_the_page_shows_a_key_three_ways(member, settings):
    settings.PASSWORDLESS_AUTH_SITE_NAME = "Ada: the shop"
    page = visit(member, "/account/").press(member, "Codes from an app, after a link or a code")
    assert (page.name, page.status) == ("totp", 200)
    page = page.press(member, "Set up an app")

    uri = urlsplit(page.links["Open an app on this device"])
    said = {name: values[0] for name, values in parse_qs(uri.query).items()}
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", f"/Ada%20%20the%20shop:{ADA.replace('@', '%40')}")
    assert (said["issuer"], said["digits"], said["period"]) == ("Ada  the shop", "6", "30")
    assert len(base64.b32decode(said["secret"])) == 20
    groups = [said["secret"][start : start + 4] for start in range(0, 32, 4)]
    assert " ".join(groups) in page.words
    assert "<svg" in page.html
    assert "<path" in page.html
    assert "style=" not in page.html
    assert page.response["Cache-Control"].count("no-store") == 1


def test_the_first_code_turns_it_on_and_the_key_is_never_shown_again(member):
    page = Page(member.submit("/account/totp/", {"action": "begin"}))
    key = key_on(page)
    assert not has_totp()
    page = page.press(member, "Turn it on", code=code_of(key))

    assert (page.name, page.response.redirect_chain) == ("totp", [("/account/totp/?notice=added", 303)])
    assert "The app is set up" in page.words
    app = Totp.objects.get()
    assert app.confirmed
    assert has_totp()
    secret = base64.b32decode(key)
    assert app.key() == secret
    assert secret.hex() not in app.key_sealed
    again = [
        visit(member, "/account/totp/"),
        Page(
            member.submit(
                "/account/totp/", {"action": "confirm", "setup": app.public_id, "code": code_of(key, later=30)}
            )
        ),
    ]
    for page in again:
        assert key not in page.html.replace(" ", "")
    assert again[1].code == "expired"


def test_a_wrong_code_may_be_corrected(member):
    page = Page(member.submit("/account/totp/", {"action": "begin"}))
    key = key_on(page)

    for wrong in (another(code_of(key)), "12", "", "abcdef", "１２３４５６７"):
        page = page.press(member, "Turn it on", code=wrong)
        assert (page.status, page.name, page.code) == (400, "totp", "invalid_code")
        assert key_on(page) == key
    assert not has_totp()

    page.press(member, "Turn it on", code=f" {code_of(key)[:3]} {code_of(key)[3:]} ")
    assert has_totp()


def test_what_was_begun_works_for_ten_minutes_and_only_the_newest(member, clock, settings):
    settings.PASSWORDLESS_AUTH_STEP_UP_LIFETIME = 3600
    add_totp(User.objects.get())
    sign_in_with_app(member, Totp.objects.get())
    first = Page(member.submit("/account/totp/", {"action": "begin"}))
    second = Page(member.submit("/account/totp/", {"action": "begin"}))
    page = first.press(member, "Turn it on", code=code_of(key_on(first)))
    assert (page.status, page.code) == (410, "expired")
    clock.shift(600)
    page = second.press(member, "Turn it on", code=code_of(key_on(second)))
    assert (page.status, page.code) == (410, "expired")
    assert Totp.objects.filter(confirmed=True).count() == 1


def test_somebody_else_can_not_confirm_it(member, other_browser):
    page = Page(member.submit("/account/totp/", {"action": "begin"}))
    other_browser.sign_in("eve@example.com")
    page = page.press(
        other_browser,
        "Turn it on",
        code=code_of(key_on(page)),
        csrfmiddlewaretoken=other_browser.cookies["csrftoken"].value,
    )

    assert page.code == "expired"
    assert not Totp.objects.filter(confirmed=True).exists()


def test_it_counts_in_this_session_at_once_under_a_new_key(member, clock):
    """The level has changed, and so has the key of the session (ASVS 7.2.4)."""
    thief = type(member)()
    thief.cookies["sessionid"] = member.cookies["sessionid"].value
    set_up(member)

    assert member.who()["methods"] == ["one_time_code", "totp"]
    assert member.get("/recent/multi/").status_code == 200
    assert not thief.who()["authenticated"]
    assert SignIn.objects.get().level == "multi"


def test_it_is_told_to_the_owner_the_log_and_the_receivers(member, django_capture_on_commit_callbacks):
    told = []

    def hear(**said):
        told.append((said["user"], said["authenticator"]))

    signals.authenticator_added.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        set_up(member)

    assert told == [(User.objects.get(), Totp.objects.get())]
    assert Event.objects.filter(kind="totp_added").count() == 1
    message = outbox.last_message(ADA)
    assert message.subject == "An authenticator app was set up for your account at Testserver"
    assert "no longer works" not in message.body
    assert "/login/report/" in message.body


def test_setting_up_another_one_replaces_it_and_ends_what_the_first_one_opened(member, ada, other_browser, clock):
    set_up(member)
    first = Totp.objects.get()
    clock.shift(61)
    sign_in_with_app(other_browser, first)
    key, page = set_up(member)

    assert "The app is set up" in page.words
    second = Totp.objects.get()
    assert (second.pk != first.pk, second.confirmed) == (True, True)
    assert not other_browser.who()["authenticated"]
    assert member.who()["authenticated"]
    assert "The app that was there before no longer works." in outbox.last_message(ADA).body
    clock.shift(61)
    url = first_step(other_browser)
    assert answer(other_browser, url, code_of(base64.b32encode(first.key()).decode())).status_code == 400
    assert answer(other_browser, url, code_of(key)).status_code == 303


# -- who may


def test_a_first_one_may_be_added_for_ten_minutes_after_a_sign_in(member, clock):
    clock.shift(599)
    assert Page(member.submit("/account/totp/", {"action": "begin"})).links["Open an app on this device"]
    clock.shift(1)
    response = member.submit("/account/totp/", {"action": "begin"})
    assert (response.status_code, response["Location"][:15]) == (303, "/login/step-up/")
    page = Page(member.get(response["Location"]))
    assert (page.name, page.code) == ("step_up", "step_up_required")


@pytest.mark.parametrize("add", [add_passkey, add_totp])
@pytest.mark.parametrize("blocked", [False, True])
def test_where_an_authenticator_is_a_link_or_a_code_adds_none(ada, add, blocked):
    """SECURITY: who steals a session that a code made must not add a key of their own beside the owner's."""
    row = add(ada)
    if blocked:
        type(row).objects.filter(pk=row.pk).block(now=row.created_at)
    client = signed_in_client(ada, "single")

    assert client.post("/account/totp/", {"action": "begin"}).status_code == 303
    assert Totp.objects.filter(confirmed=False, blocked_at=None).count() == 0


@pytest.mark.parametrize(("level", "status"), [("recovered", 403), ("single", 200), ("multi", 200), ("phr", 200)])
def test_which_sessions_may_begin(ada, level, status, clock):
    client = signed_in_client(ada, level)

    assert client.post("/account/totp/", {"action": "begin"}).status_code == status


def test_a_strong_session_may_for_ten_minutes_and_is_asked_again_afterwards(ada, clock, browser):
    authenticator_session = signed_in_client(ada, "phr")
    clock.shift(599)
    assert authenticator_session.post("/account/totp/", {"action": "begin"}).status_code == 200
    clock.shift(1)
    response = authenticator_session.post("/account/totp/", {"action": "begin"})
    assert response["Location"].startswith("/login/step-up/?next=%2Flogin%2Fstep-up%2Fresume%2F")
    assert response["Location"].endswith("&level=multi")


def test_a_session_of_another_backend_may_begin_while_it_is_young(browser, clock):
    browser.force_login(UserFactory(email=ADA), backend=BY_PASSWORD)
    assert Page(browser.submit("/account/totp/", {"action": "begin"})).links["Open an app on this device"]
    clock.shift(600)
    assert browser.submit("/account/totp/", {"action": "begin"}).status_code == 303


def test_after_a_report_nobody_adds_one_for_a_while(member, clock):
    """Neither is anybody sent in circles: what is due is not a confirmation."""
    set_up(member)
    Profile.objects.update(frozen_at=SignIn.objects.get().created_at, frozen_until="2026-05-02T12:00:00Z")
    clock.shift(1)
    Profile.objects.update(frozen_at="2026-05-01T12:00:01Z")
    page = Page(member.submit("/account/totp/", {"action": "begin"}))

    assert (page.status, page.name, page.code) == (403, "error", "step_up_required")
    assert "Changes to this account are stopped" in page.words


def test_a_site_without_apps_has_no_page_for_them(member, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["one_time_code", "passkey"]

    assert member.get("/account/totp/").status_code == 404
    assert "Authenticator app" not in visit(member, "/account/").words


def test_an_unknown_action_changes_nothing(member):
    assert member.submit("/account/totp/", {"action": "x"})["Location"] == "/account/totp/"
    assert member.submit("/account/totp/")["Location"] == "/account/totp/"
    assert not Totp.objects.exists()


@pytest.mark.parametrize("setup", ["", "x" * 22, "\0", "ü" * 5000])
def test_a_setup_that_is_none_is_refused(member, setup):
    page = Page(member.submit("/account/totp/", {"action": "confirm", "setup": setup, "code": "123456"}))

    assert (page.status, page.code) == (410, "expired")


# -- removing


def test_it_can_be_removed_and_a_code_is_enough_again(
    browser, other_browser, ada, clock, django_capture_on_commit_callbacks
):
    told = []

    def hear(**said):
        told.append((said["user"], said["authenticator"].pk))

    with_app(browser)
    clock.shift(61)
    app = Totp.objects.get()
    sign_in_with_app(other_browser, app)
    signals.authenticator_removed.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        page = visit(browser, "/account/totp/").press(browser, "Remove")
        assert (page.name, has_totp()) == ("totp", True)
        page = page.press(browser, "Remove it")

    assert "The app was removed." in page.words
    assert told == [(ada, app.pk)]
    assert (Totp.objects.count(), has_totp()) == (0, False)
    assert Event.objects.filter(kind="totp_removed").count() == 1
    assert outbox.last_message(ADA).subject == "The authenticator app was removed from your account at Testserver"
    assert not other_browser.who()["authenticated"]
    clock.shift(61)
    assert first_step(other_browser) == "/account/"


def test_removing_needs_a_recent_strong_proof_and_leads_back_after_it(browser, ada, clock):
    key = with_app(browser)
    clock.shift(3600)
    page = visit(browser, "/account/totp/").press(browser, "Remove")
    assert page.name == "step_up"
    page = page.press(browser, "Confirm", code=code_of(key))
    assert (page.name, has_totp()) == ("totp", True)

    assert "The app was removed." in page.press(browser, "Remove it").words
    assert not has_totp()


def test_a_proof_that_grew_old_over_the_question_goes_on_by_itself_after_a_new_one(browser, ada, clock):
    key = with_app(browser)
    page = visit(browser, "/account/totp/remove/")
    clock.shift(3600)
    page = page.press(browser, "Remove it")
    assert (page.name, Totp.objects.count()) == ("step_up", 1)
    page = page.press(browser, "Confirm", code=code_of(key))
    assert page.name == "resume"
    page = page.press(browser, "Continue")

    assert "The app was removed." in page.words
    assert not has_totp()


def test_the_last_way_in_is_not_removed(browser, clock, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "multi"
    boss = UserFactory(email=ADA, is_staff=True)
    app = add_totp(boss)
    sign_in_with_app(browser, app)
    page = visit(browser, "/account/totp/remove/").press(browser, "Remove it")

    assert (page.status, page.code) == (409, "last_way_in")
    assert (Totp.objects.count(), has_totp()) == (1, True)
    assert not Event.objects.filter(kind="totp_removed").exists()
    add_passkey(boss)
    assert "The app was removed." in visit(browser, "/account/totp/remove/").press(browser, "Remove it").words


def test_whoever_has_nothing_else_reads_what_removing_means(ada):
    client = signed_in_client(ada, "multi")
    assert "You have no passkey." in visit(client, "/account/totp/remove/").words
    add_passkey(ada)
    page = visit(client, "/account/totp/remove/")
    assert "You have no passkey." not in page.words

    page.press(client, "Keep it")
    assert has_totp()


@pytest.mark.parametrize("level", ["phr", "single"])
def test_without_an_app_there_is_nothing_to_ask(ada, level):
    client = signed_in_client(ada, level)

    assert client.get("/account/totp/remove/").headers["Location"] == "/account/totp/"


def test_removing_what_is_not_there_is_no_error(ada):
    client = signed_in_client(ada, "phr")
    sent = len(mail.outbox)

    assert client.post("/account/totp/", {"action": "remove"}).status_code == 303
    assert len(mail.outbox) == sent


# -- answering


def test_whoever_has_one_is_asked_for_it_after_a_code(browser, ada):
    app = add_totp(ada)
    url = first_step(browser, next="/members/")
    assert not browser.who()["authenticated"]
    page = Page(browser.get(url))

    assert (page.status, page.name) == (200, "step_up")
    assert "One more step" in page.words
    assert ADA in page.words
    page = page.press(browser, "Confirm", code=totp_code(app))
    assert page.response.redirect_chain == [("/members/", 303)]
    who = browser.who()
    assert (who["level"], who["methods"]) == ("multi", ["one_time_code", "totp"])
    assert SignIn.objects.get().all_proofs()[1].amr == ("otp", "mfa")


def test_a_code_works_once_in_any_browser_and_at_any_door(browser, other_browser, ada, clock):
    """MF-07, RFC 6238 §5.2."""
    app = add_totp(ada)
    url = first_step(browser)
    clock.shift(61)
    other_url = first_step(other_browser)
    code = totp_code(app)
    assert answer(browser, url, code).status_code == 303

    assert browser.submit("/login/step-up/", {"action": "totp", "level": "multi", "code": code}).status_code == 400
    assert not Totp.objects.get().verify_token(code)
    # What was used is wrong, and counted: for a browser that is known, and for whoever asks elsewhere.
    counted = Counter.objects.filter(action__startswith="failures_totp", period=900)
    assert sorted(row.count for row in counted) == [1, 1]
    assert answer(other_browser, other_url, code).status_code == 400
    assert not other_browser.who()["authenticated"]
    assert answer(other_browser, other_url, totp_code(app)).status_code == 303


@pytest.mark.parametrize(("away", "right"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_wrong_by_one_step(browser, ada, clock, away, right):
    """MF-07"""
    app = add_totp(ada)
    key = base64.b32encode(app.key()).decode()
    url = first_step(browser)
    response = answer(browser, url, code_of(key, later=away))

    assert response.status_code == (303 if right else 400)
    assert browser.who()["authenticated"] is right


def test_a_step_that_is_over_does_not_come_back(browser, ada, clock):
    """The code of a minute ago is refused when a newer one was used, though it is within the tolerance."""
    app = add_totp(ada)
    key = base64.b32encode(app.key()).decode()
    old = code_of(key)
    browser_url = first_step(browser)
    assert answer(browser, browser_url, code_of(key, later=30)).status_code == 303
    clock.shift(5)
    response = browser.submit("/login/step-up/", {"action": "totp", "level": "multi", "code": old})

    assert response.status_code == 400


def test_a_wrong_code_says_so_and_the_next_one_may_be_right(browser, ada):
    app = add_totp(ada)
    url = first_step(browser)
    code = totp_code(app)
    for wrong in (another(code), "", "12345", "\0", "٣٤٥٦٧٨"):
        page = Page(answer(browser, url, wrong))
        assert (page.status, page.name, page.code) == (400, "step_up", "invalid_code"), wrong
        said = "That is not the code that your authenticator app shows now." in page.words
        assert said == (wrong not in {"", "\0"})
    assert page.press(browser, "Confirm", code=code).name == "account"


def test_guesses_are_limited_by_account_over_all_browsers(browser, other_browser, ada, clock, settings):
    """BF: five wrong ones in a quarter of an hour, however often one begins again."""
    app = add_totp(ada)
    wrong = another(totp_code(app))
    urls = {browser: first_step(browser)}
    clock.shift(61)
    urls[other_browser] = first_step(other_browser)
    statuses = [answer(browser, urls[browser], wrong).status_code for _ in range(3)]
    statuses += [answer(other_browser, urls[other_browser], wrong).status_code for _ in range(2)]
    assert statuses == [400, 400, 410, 400, 400]

    page = Page(answer(browser, urls[browser], totp_code(app)))
    assert (page.status, page.code) == (429, "too_many_requests")
    assert int(page.response["Retry-After"]) > 800
    assert page.next_steps[1:] == ["Back"]
    clock.shift(900)
    assert answer(other_browser, first_step(other_browser), totp_code(app)).status_code == 303


def test_a_right_code_counts_for_no_limit(browser, ada, clock):
    app = add_totp(ada)
    url = first_step(browser)
    answer(browser, url, totp_code(app))
    for _ in range(8):
        clock.shift(30)
        response = browser.submit("/login/step-up/", {"action": "totp", "level": "multi", "code": totp_code(app)})
        assert response.status_code == 303


def test_the_next_press_after_three_wrong_codes_asks_anew(browser, ada):
    app = add_totp(ada)
    url = first_step(browser)
    for _ in range(3):
        page = Page(answer(browser, url, another(totp_code(app))))
    assert (page.status, page.code) == (410, "too_many_tries")

    assert page.press(browser, "Confirm", code=totp_code(app)).name == "account"
    assert list(Challenge.objects.exclude(canonical=ADA).order_by("pk").values_list("state", flat=True)) == [
        "superseded",
        "spent",
    ]


def test_an_app_that_is_blocked_answers_nothing_and_is_asked_for_nothing(browser, ada, clock):
    app = add_totp(ada)
    url = first_step(browser)
    Totp.objects.filter(pk=app.pk).block(now=app.created_at)
    assert not has_totp()

    assert Page(answer(browser, url, totp_code(app))).code == "step_up_required"
    assert not browser.who()["authenticated"]
    clock.shift(61)
    assert first_step(browser) == "/account/"
    Totp.objects.unblock()
    assert has_totp()


def test_an_app_whose_key_is_gone_lets_nobody_in(browser, ada, settings, clock):
    """SECURITY: and is no open door: the account still asks for two factors."""
    app = add_totp(ada)
    code = totp_code(app)
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("k2", "another-key-of-the-tests-" + "b" * 20)]
    url = first_step(browser)

    assert Page(answer(browser, url, code)).code == "invalid_code"
    assert not browser.who()["authenticated"]


def test_who_is_deactivated_between_the_steps_stays_out(browser, ada):
    app = add_totp(ada)
    url = first_step(browser)
    code = totp_code(app)
    ada.is_active = False
    ada.save()

    page = Page(answer(browser, url, code))
    assert (page.status, page.code) == (410, "expired")
    assert not browser.who()["authenticated"]
    ada.is_active = True
    ada.save()
    assert Page(answer(browser, url, code)).code == "expired"
