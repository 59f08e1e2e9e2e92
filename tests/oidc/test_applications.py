"""/account/applications/: which applications a person has let in, and how they put them out."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from passwordless_auth.models import SignIn
from passwordless_auth.oidc.models import Authorization, ClientSettings, Consent
from passwordless_auth.testing.sessions import signed_in_client
from tests.conftest import Browser
from tests.views.pages import visit

from .relying_party import RelyingParty, make_client
from .test_access import from_old_times

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
HERE = "/account/applications/"


@pytest.fixture(autouse=True)
def as_often_as_one_likes(settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = ""


@pytest.fixture
def ada(signed_in):
    return User.objects.get()


def consent(user, name, scope="openid", **more):
    application = make_client(name, first_party=False, **more)
    type(application).objects.filter(pk=application.pk).update(name=name.title())
    return Consent.objects.create(user=user, application=application, scope=scope)


def names(page):
    return [words for words in page.sentences if words.startswith("App ")]


def test_nobody_else_sees_it(client, signed_in, browser):
    assert client.get(HERE)["Location"] == f"/login/?next={HERE}"
    assert client.post(HERE, {"application": "app"}).status_code in {302, 403}


def test_who_let_nothing_in_is_told_so(signed_in, browser):
    page = visit(browser, HERE)

    assert (page.status, page.name) == (200, "applications")
    assert "You have not signed in to any application with this account." in page.words
    assert page.next_steps[1:] == ["Back to your account"]


def test_the_account_page_leads_there(signed_in, browser):
    page = visit(browser, "/account/").press(browser, "Where you signed in with this account")

    assert page.name == "applications"


def test_each_application_with_what_it_learns(signed_in, browser, ada):
    consent(ada, "calendar", "email openid phone profile")
    signed_in.tokens()

    page = visit(browser, HERE)

    assert "Calendar" in page.words
    assert "Your name and language" in page.words
    assert "Your e-mail address" in page.words
    assert "The App Shared with it That it is you, and nothing more" in page.words
    assert page.next_steps.count("Remove access") == 2


def test_who_was_used_last_comes_first(signed_in, browser, ada, time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    consent(ada, "calendar")
    make_client("mail", refresh="always", first_party=True)
    mail = RelyingParty(browser, client_id="mail")
    tokens = mail.tokens()
    time_machine.move_to(now + timedelta(hours=1), tick=False)
    signed_in.tokens()
    time_machine.move_to(now + timedelta(hours=2), tick=False)
    assert mail.refresh(tokens["refresh_token"]).status_code == 200

    html = browser.get(HERE).content.decode()

    buttons = [name for name in html.split('value="') if name.startswith(("app", "mail", "calendar"))]
    assert [name.partition('"')[0] for name in buttons] == ["mail", "app", "calendar"]
    assert (now + timedelta(hours=2)).strftime("%H:%M") in html
    assert ClientSettings.objects.count() == 3


def test_removing_one_ends_its_tokens_and_what_was_allowed_and_no_others(signed_in, browser, ada):
    consent(ada, "calendar")
    tokens = signed_in.tokens()

    page = visit(browser, HERE)
    browser.submit(HERE, {"application": "calendar"})
    assert not Consent.objects.exists()
    assert signed_in.userinfo(tokens["access_token"]).status_code == 200
    browser.submit(HERE, {"application": "app"})

    assert signed_in.userinfo(tokens["access_token"]).status_code == 401
    assert "You have not signed in to any application" in visit(browser, HERE).words
    assert page.status == 200
    assert browser.who()["authenticated"]


def test_after_that_the_person_is_asked_again(signed_in, browser, ada):
    consent(ada, "calendar")
    calendar = RelyingParty(browser, client_id="calendar")
    assert "code" in calendar.answer(calendar.ask())

    browser.submit(HERE, {"application": "calendar"})

    assert calendar.answer(calendar.ask(prompt="none"))["error"] == "consent_required"


def test_a_page_of_somebody_else_removes_nothing(signed_in, browser, ada):
    consent(ada, "calendar")

    assert browser.post(HERE, {"application": "calendar"}).status_code == 403
    assert Consent.objects.exists()


@pytest.mark.parametrize("named", ["", "nobody", "x" * 5000, "\0", "CALENDAR", "é"])
def test_what_is_not_there_is_no_error(signed_in, browser, ada, named):
    consent(ada, "calendar")

    assert browser.submit(HERE, {"application": named}).status_code == 303
    assert Consent.objects.exists()


def test_other_people_are_not_touched(signed_in, browser, ada):
    given = consent(ada, "calendar")
    bob = Browser()
    bob.sign_in("bob@example.com")

    assert "Calendar" not in visit(bob, HERE).words
    bob.submit(HERE, {"application": "calendar"})

    assert Consent.objects.get() == given


def test_an_application_of_an_ended_session_is_gone_from_the_list(signed_in, browser, ada):
    signed_in.tokens()
    SignIn.objects.update(last_seen_at=timezone.now() - timedelta(days=1))
    call_command("passwordless_purge")
    other = Browser()
    other.sign_in(ADA)

    assert "The App" not in visit(other, HERE).words


def test_one_that_can_still_refresh_is_there_after_its_session(app, browser):
    ClientSettings.objects.update(refresh="always")
    browser.sign_in(ADA)
    app.tokens()
    SignIn.objects.update(last_seen_at=timezone.now() - timedelta(days=1))
    call_command("passwordless_purge")
    other = Browser()
    other.sign_in(ADA)

    assert "The App" in visit(other, HERE).words
    Authorization.objects.all().revoke(now=timezone.now())
    assert "The App" not in visit(other, HERE).words


def test_tokens_of_before_us_are_there(signed_in, browser, ada):
    from_old_times(ada)

    assert "The App" in visit(browser, HERE).words


def test_it_takes_the_same_statements_for_many(signed_in, browser, ada):
    def counted():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert browser.get(HERE).status_code == 200
        return len(captured)

    consent(ada, "first")
    signed_in.tokens()
    few = counted()
    for number in range(12):
        consent(ada, f"more{number}", "openid email")
        make_client(f"own{number}", refresh="always")
        RelyingParty(browser, client_id=f"own{number}").tokens()

    assert counted() == few


def test_in_a_recovered_session_there_is_nothing_to_see(signed_in, ada):
    consent(ada, "calendar")
    recovered = signed_in_client(ada, level="recovered", methods=["recovery_code"])

    assert "Applications" not in visit(recovered, "/account/").words
    assert visit(recovered, HERE).code == "step_up_required"


def test_it_speaks_german(signed_in, browser, ada):
    consent(ada, "calendar")

    page = visit(browser, HERE, headers={"Accept-Language": "de"})

    assert "Zugriff entziehen" in page.next_steps
    assert page.language == "de"


def test_without_our_urls_the_account_page_says_nothing_of_it(signed_in, browser, settings):
    settings.ROOT_URLCONF = "tests.oidc.core_urls"
    settings.LOGIN_URL = "/login/"

    page = visit(browser, "/account/")

    assert (page.status, page.name) == (200, "account")
    assert "Applications" not in page.words
    assert visit(Browser(), "/login/?next=/account/").name == "login"
