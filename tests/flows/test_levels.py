"""Who must reach a level reaches it at every door, or stays out: link, code, passkey, an administrator's link."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from passwordless_auth import signals
from passwordless_auth.flows import login_link, sign_in, totp
from passwordless_auth.flows.purging import purge
from passwordless_auth.identifiers import parse
from passwordless_auth.models import Challenge, Event, Level, Passkey, Profile, SignIn, Totp
from passwordless_auth.policies import NextStep, Policy
from passwordless_auth.requester import Requester
from passwordless_auth.testing import add_passkey, add_recovery_codes, add_totp, outbox, signed_in_client, totp_code
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import UserFactory

from .. import passkeys
from ..totp import ADA, answer
from ..views.pages import Page, visit

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(clock):
    return UserFactory(email=ADA)


# -- the doors


def by_code(browser, user):
    browser.start(ADA, next="/members/")
    return browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})


def by_link(browser, user):
    browser.start(ADA, next="/members/")
    return open_link(browser, outbox.last_link(ADA))


def by_link_elsewhere(browser, user):
    """Asked for in one browser, opened in another, which signs in by itself."""
    type(browser)().start(ADA)
    return open_link(browser, outbox.last_link(ADA), identifier=ADA)


def by_login_link(browser, user):
    """The link that an administrator hands out."""
    return open_link(browser, login_link.make(user, reason="a test"))


def open_link(browser, link, **typed):
    page = visit(browser, link)
    fields = next(form.fields for form in page.forms if "challenge" in form.fields)
    return browser.post("/login/link/", {**fields, "action": "sign_in", **typed})


DOORS = [by_code, by_link, by_link_elsewhere, by_login_link]


# -- what asks for more


class HigherForAda(Policy):
    """A rule of the host's own."""

    def minimum_levels(self, user, rules):
        yield from super().minimum_levels(user, rules)
        if user.email == ADA:
            yield Level.PHR


def as_staff(user, level, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = level
    user.is_staff = True
    user.save()


def by_group(user, level, settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_GROUPS = {"editors": level, "readers": "single"}
    for name in ("editors", "readers", "others"):
        user.groups.add(Group.objects.create(name=name))


def by_profile(user, level, settings):
    Profile.objects.filter(user=user).update(minimum_level=level)


def by_policy(user, level, settings):
    settings.PASSWORDLESS_AUTH_POLICY = "tests.flows.test_levels.HigherForAda"


SOURCES = [(source, level) for source in (as_staff, by_group, by_profile) for level in ("multi", "phr")]
SOURCES.append((by_policy, "phr"))

each_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
each_source = pytest.mark.parametrize(("source", "level"), SOURCES, ids=lambda each: getattr(each, "__name__", each))


# -- what there is to see for who is not signed in


def is_nobody(browser):
    """The pages of members are closed, the admin is, and no script is told of anybody."""
    closed = [browser.get(path).status_code for path in ("/members/", "/account/", "/account/sessions/", "/single/")]
    return closed == [302] * 4 and browser.get("/admin/").status_code == 302 and not browser.who()["authenticated"]


def confirm_by_passkey(browser, authenticator, url):
    query = parse_qs(urlsplit(url).query)
    named = f"?sign_in={query['sign_in'][0]}"
    options = passkeys.send(browser, f"/login/passkey/options/{named}", {"step_up": True}).json()
    credential = authenticator.get(options, origin=passkeys.ORIGIN)
    return passkeys.answer(browser, credential, f"{named}&step_up=1&next=/members/")


# -- each door, for each reason


@each_door
def test_without_a_reason_each_door_signs_in_at_once(browser, ada, door):
    response = door(browser, ada)

    assert response.status_code == 303
    assert not response["Location"].startswith("/login/")
    assert browser.who()["level"] == "single"


@each_source
@each_door
def test_each_door_asks_for_the_second_factor_and_a_passkey_gives_it(browser, ada, settings, door, source, level):
    authenticator = Authenticator()
    add_passkey(ada, authenticator)
    source(ada, level, settings)
    response = door(browser, ada)

    assert response.status_code == 303
    url = response["Location"]
    assert url.startswith("/login/step-up/?sign_in=")
    assert is_nobody(browser)
    page = Page(browser.get(url))
    assert (page.status, page.name) == (200, "step_up")
    assert "you are not signed in yet" in page.words

    response = confirm_by_passkey(browser, authenticator, url)
    assert response.json() == {"next": "/members/"}
    assert browser.get("/members/").status_code == 200
    assert browser.who()["level"] == "phr"
    assert SignIn.objects.get().pending_until is None


@each_source
@each_door
def test_each_door_takes_the_code_of_an_app_where_two_factors_are_enough(browser, ada, settings, door, source, level):
    app = add_totp(ada)
    add_passkey(ada)
    source(ada, level, settings)
    url = door(browser, ada)["Location"]
    response = answer(browser, url, totp_code(app))

    if level == "multi":
        assert response.status_code == 303
        assert browser.who()["level"] == "multi"
    else:
        assert Page(response).code == "step_up_required"
        assert "Code from your authenticator app" not in Page(browser.get(url)).words
        assert is_nobody(browser)


@each_door
def test_an_app_is_asked_for_at_each_door_though_nobody_else_asks_for_it(browser, ada, door):
    """SECURITY: who has a second factor meets it everywhere, or it guards nothing (rule 27)."""
    app = add_totp(ada)
    url = door(browser, ada)["Location"]
    assert url.startswith("/login/step-up/")
    assert is_nobody(browser)

    assert answer(browser, url, totp_code(app)).status_code == 303
    assert browser.get("/members/").status_code == 200


@each_source
def test_a_passkey_alone_is_enough_for_every_reason(browser, ada, settings, source, level):
    authenticator = Authenticator()
    add_passkey(ada, authenticator)
    add_totp(ada)
    source(ada, level, settings)
    response = passkeys.sign_in(browser, authenticator)

    assert response.status_code == 200
    assert browser.get("/members/").status_code == 200


@each_source
def test_a_recovery_meets_no_level_and_opens_nothing_but_the_way_to_a_passkey(browser, ada, settings, source, level):
    (code, *_more) = add_recovery_codes(ada)
    add_totp(ada)
    source(ada, level, settings)
    response = browser.submit("/login/recovery/", {"identifier": ADA, "code": code})

    assert (response.status_code, SignIn.objects.get().level) == (303, "recovered")
    assert browser.get("/members/").status_code == 302
    assert browser.get("/admin/").status_code == 302
    assert browser.get("/single/").status_code == 302
    assert browser.get("/recent/").status_code == 302


@each_source
def test_where_more_than_a_mailbox_is_needed_no_mailbox_recovers(browser, ada, settings, source, level):
    source(ada, level, settings)
    browser.submit("/login/recovery/", {"identifier": ADA, "action": "send"})
    browser.submit("/login/wait/", {"code": Challenge.objects.get().code()})

    assert not SignIn.objects.exists()
    assert is_nobody(browser)


def test_no_code_of_an_app_makes_a_recovery_into_two_factors(browser, ada):
    """SECURITY: what opened it may be an address that signs nobody in."""
    (code, *_more) = add_recovery_codes(ada)
    app = add_totp(ada)
    browser.submit("/login/recovery/", {"identifier": ADA, "code": code})
    assert SignIn.objects.get().level == "recovered"

    for level in ("single", "multi"):
        page = Page(browser.submit("/login/step-up/", {"action": "totp", "level": level, "code": totp_code(app)}))
        assert page.code == "step_up_required"
    assert SignIn.objects.get().level == "recovered"
    assert browser.get("/members/").status_code == 302


def requester_of(browser):
    return Requester(browser_key=browser.cookies["passwordless_browser"].value)


def test_no_message_makes_a_recovery_by_message_into_a_sign_in(browser, ada, clock):
    """SECURITY: should some caller ask for one. What recovers may be an address that signs nobody in."""
    browser.submit("/login/recovery/", {"identifier": ADA, "action": "send"})
    browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})
    recovered = SignIn.objects.get()
    clock.shift(61)
    sign_in.start(parse(ADA), requester=requester_of(browser), purpose="step_up", sign_in=recovered)
    assert browser.submit("/login/wait/", {"code": outbox.last_code(ADA)}).status_code == 303

    assert SignIn.objects.get().level == "recovered"
    assert browser.get("/members/").status_code == 302


# -- who has nothing to give


@each_source
@each_door
def test_who_has_no_means_adds_a_passkey_or_stays_out(browser, ada, settings, door, source, level):
    """SECURITY: a mailbox must not be enough to become staff; an administrator's link may let a first passkey in."""
    source(ada, level, settings)
    response = door(browser, ada)
    is_let_in = source is not as_staff or door is by_login_link

    if not is_let_in:
        page = Page(response)
        assert (page.status, page.name, page.code) == (403, "error", "step_up_required")
        assert "has none that works" in page.words
        assert not SignIn.objects.exists()
        assert is_nobody(browser)
        return
    url = response["Location"]
    page = Page(browser.get(url))
    assert (page.status, page.name) == (200, "step_up")
    assert "You have no passkey yet" in page.words
    assert is_nobody(browser)
    named = f"?sign_in={parse_qs(urlsplit(url).query)['sign_in'][0]}"
    authenticator = Authenticator()
    options = passkeys.send(browser, f"/account/passkeys/options/{named}", {}).json()
    made = authenticator.create(options, origin=passkeys.ORIGIN)
    assert passkeys.send(browser, f"/account/passkeys/register/{named}", made).status_code == 200
    assert is_nobody(browser)
    assert "Use a passkey" in Page(browser.get(url)).html

    assert confirm_by_passkey(browser, authenticator, url).status_code == 200
    assert browser.get("/members/").status_code == 200


@pytest.mark.parametrize("add", [add_passkey, add_totp])
@pytest.mark.parametrize("blocked", [False, True])
def test_where_an_authenticator_is_or_was_no_half_sign_in_adds_a_passkey(browser, ada, settings, add, blocked):
    """SECURITY: it would be the way around it. An app is one, too."""
    row = add(ada)
    if blocked:
        type(row).objects.filter(pk=row.pk).block(now=timezone.now())
    by_group(ada, "multi", settings)
    response = by_code(browser, ada)
    named = parse_qs(urlsplit(response.get("Location", "")).query).get("sign_in", ["x" * 22])[0]

    assert is_nobody(browser)
    refused = passkeys.send(browser, f"/account/passkeys/options/?sign_in={named}", {})
    assert (refused.status_code, refused.json()["error"]) == (403, "step_up_required")
    assert Passkey.objects.count() == (1 if add is add_passkey else 0)


def test_methods_that_are_switched_off_reach_no_level(browser, ada, settings):
    add_passkey(ada)
    add_totp(ada)
    by_profile(ada, "multi", settings)
    settings.PASSWORDLESS_AUTH_METHODS = ["one_time_code"]

    assert Page(by_code(browser, ada)).code == "step_up_required"
    assert is_nobody(browser)


def test_an_app_asks_for_nothing_where_the_site_has_none(browser, ada, settings):
    add_totp(ada)
    settings.PASSWORDLESS_AUTH_METHODS = ["one_time_code", "passkey"]

    assert by_code(browser, ada)["Location"] == "/members/"


# -- what the caller asks for


def test_what_the_first_step_was_asked_for_counts_for_the_second(browser, ada):
    """A Client may ask for a passkey. An app's code then is not enough, whichever door it comes through."""
    authenticator = Authenticator()
    add_passkey(ada, authenticator)
    app = add_totp(ada)
    browser.start(ADA)
    Challenge.objects.update(minimum_level="phr")
    url = browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})["Location"]
    assert SignIn.objects.get().minimum_level == "phr"

    assert Page(answer(browser, url, totp_code(app))).code == "step_up_required"
    outcome = totp.answer(  # another caller, who offers it all the same
        SignIn.objects.get(), totp_code(app), requester=requester_of(browser), establish=pytest.fail
    )
    assert outcome.due == NextStep(Level.PHR)
    assert is_nobody(browser)
    assert confirm_by_passkey(browser, authenticator, url).status_code == 200


# -- while it waits


@pytest.fixture
def waiting(browser, ada):
    """The app, and where the sign-in goes on that waits for its code."""
    return add_totp(ada), by_code(browser, ada)["Location"]


def test_it_waits_for_ten_minutes(browser, waiting, clock):
    app, url = waiting
    clock.shift(599)
    assert Page(browser.get(url)).name == "step_up"
    clock.shift(1)
    page = Page(browser.get(url))
    assert (page.status, page.name, page.code) == (410, "error", "expired")
    assert "Please start again" in page.words
    assert Page(answer(browser, url, totp_code(app))).code == "expired"
    assert is_nobody(browser)


def test_the_setting_says_how_long(browser, ada, settings, clock):
    settings.PASSWORDLESS_AUTH_PENDING_LIFETIME = 60
    add_totp(ada)
    url = by_code(browser, ada)["Location"]
    clock.shift(60)

    assert Page(browser.get(url)).code == "expired"


def test_it_belongs_to_its_browser(browser, other_browser, waiting):
    app, url = waiting
    for request in (lambda: other_browser.get(url), lambda: answer(other_browser, url, totp_code(app))):
        other_browser.get("/login/")
        assert Page(request()).code == "expired"
    other_browser.start("eve@example.com")
    assert Page(answer(other_browser, url, totp_code(app))).code == "expired"
    assert is_nobody(other_browser)

    assert answer(browser, url, totp_code(app)).status_code == 303


@pytest.mark.parametrize("named", ["", "x", "x" * 22, "\0" * 22, "ü" * 3000])
def test_a_name_of_none_is_refused(browser, named):
    page = Page(browser.get("/login/step-up/", {"sign_in": named or "0"}))

    assert (page.status, page.code) == (410, "expired")


def test_it_is_no_session_and_in_no_list_of_sessions(browser, waiting, ada):
    _app, _url = waiting
    client = signed_in_client(ada, "multi")

    assert is_nobody(browser)
    assert "_auth_user_id" not in browser.session
    assert client.get("/account/sessions/").content.count(b'name="sign_in"') == 1


def end_everywhere(ada):
    signed_in_client(ada, "multi").post("/account/sessions/", {"scope": "everywhere"})


def end_others(ada):
    signed_in_client(ada, "multi").post("/account/sessions/", {"scope": "others"})


def deactivate_and_activate(ada):
    ada.is_active = False
    ada.save()
    ada.is_active = True
    ada.save()


@pytest.mark.parametrize("end", [end_everywhere, end_others, deactivate_and_activate])
def test_it_dies_with_all_others(browser, waiting, ada, end):
    app, url = waiting
    end(ada)

    assert Page(answer(browser, url, totp_code(app))).code == "expired"
    assert is_nobody(browser)
    assert not SignIn.objects.begun().filter(level="single").exists()


def test_the_end_of_what_never_began_is_told_to_nobody(browser, waiting, ada, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        deactivate_and_activate(ada)

    assert SignIn.objects.get().end_reason == "deactivated"
    assert callbacks == []


def test_the_purge_ends_what_waited_in_vain_and_deletes_it_in_time(browser, waiting, clock, settings):
    assert purge()["sign_ins_ended"] == 0
    clock.shift(601)
    assert purge()["sign_ins_ended"] == 1
    assert SignIn.objects.get().end_reason == "run_out"
    settings.PASSWORDLESS_AUTH_RETENTION_REQUESTERS = 60
    clock.shift(61)
    purge()
    assert not SignIn.objects.exists()


def test_the_purge_drops_apps_that_nobody_confirmed(ada, clock):
    add_totp(ada, confirmed=False)
    add_totp(ada)
    clock.shift(86401)

    assert purge()["totp_unfinished"] == 1
    assert Totp.objects.get().confirmed


def test_the_page_that_waits_for_the_message_goes_on_to_the_second_step(browser, ada):
    """The link is opened in another tab of the same browser."""
    add_totp(ada)
    browser.start(ADA, next="/members/")
    url = open_link(browser, outbox.last_link(ADA))["Location"]

    assert browser.get("/login/wait/status.json").json()["next"] == url
    assert browser.get("/login/wait/")["Location"] == url


def test_the_page_of_a_sign_in_that_was_completed_in_another_tab_goes_on(browser, waiting, clock):
    app, url = waiting
    answer(browser, url, totp_code(app))

    assert browser.get(url)["Location"] == "/members/"
    assert answer(browser, url, totp_code(app))["Location"] == "/members/"
    clock.shift(61)
    browser.submit("/logout/")
    assert Page(browser.get(url)).code == "expired"


def test_two_presses_make_one_session(browser, waiting):
    app, url = waiting
    code = totp_code(app)

    assert answer(browser, url, code).status_code == 303
    assert answer(browser, url, code).status_code == 303
    assert SignIn.objects.count() == 1
    assert SignIn.objects.get().methods == ["one_time_code", "totp"]


def test_what_was_asked_for_first_stays_who_it_is_for(browser, waiting, ada):
    """A sign-in that waits is finished by its own person's app alone."""
    _app, url = waiting
    eves = add_totp(UserFactory(email="eve@example.com"))

    assert answer(browser, url, totp_code(eves)).status_code == 400
    assert is_nobody(browser)


def test_a_level_that_was_raised_meanwhile_counts(browser, waiting, ada, settings):
    app, url = waiting
    add_passkey(ada)
    by_profile(ada, "phr", settings)
    response = answer(browser, url, totp_code(app))

    assert response.status_code == 303
    assert response["Location"].startswith("/login/step-up/?sign_in=")
    assert is_nobody(browser)


def test_an_event_of_a_half_sign_in_is_no_sign_in(browser, ada, django_capture_on_commit_callbacks):
    add_totp(ada)
    told = []

    def hear(kind, **said):
        told.append(kind)

    signals.security_event.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        by_code(browser, ada)

    assert "sign_in_pending" in told
    assert "signed_in" not in told
    assert User.objects.get().last_login is None
    assert not Event.objects.filter(kind="signed_in").exists()
