"""What a Client was given ends when it has to: with the session, the account, the authenticator; and not before."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
    set_token_value,
)

from passwordless_auth.flows import enrolment, operator, sign_out
from passwordless_auth.models import Event, Identity, Passkey, SignIn
from passwordless_auth.oidc.flows import access
from passwordless_auth.oidc.models import Authorization, ClientSettings, Consent
from passwordless_auth.requester import Operator, Requester
from passwordless_auth.testing import outbox
from passwordless_auth.testing.enrolment import add_passkey
from tests.conftest import Browser
from tests.views.pages import Page

from .relying_party import RelyingParty, make_client

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
BY = {"operator": Operator(name="root", reason="asked"), "requester": Requester()}


@pytest.fixture(autouse=True)
def as_often_as_one_likes(settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = ""


@pytest.fixture
def app(browser, db):
    make_client(refresh="always")
    return RelyingParty(browser)


@pytest.fixture
def given(signed_in):
    return signed_in.tokens()


@pytest.fixture
def ada(given):
    return User.objects.get()


def works(app, given):
    """Whether what was given opens anything: both tokens do, or neither."""
    opens = app.userinfo(given["access_token"]).status_code == 200
    fresh = app.refresh(given["refresh_token"])
    assert (fresh.status_code == 200) == opens, "one of the two tokens is alive"
    if opens:
        given.update(fresh.json())
    else:
        assert fresh.json()["error"] == "invalid_grant"
    return opens


def run_out():
    SignIn.objects.update(last_seen_at=timezone.now() - timedelta(days=1))
    call_command("passwordless_purge")
    assert SignIn.objects.get().end_reason == "run_out"


def from_old_times(user, application_name="app"):
    """Tokens that django-oauth-toolkit has given, before us."""
    application = ClientSettings.objects.get(application__client_id=application_name).application
    access_token = get_access_token_model()(
        user=user, application=application, scope="openid", expires=timezone.now() + timedelta(hours=1)
    )
    set_token_value(access_token, "old-access")
    access_token.save()
    refresh_token = get_refresh_token_model()(user=user, application=application, access_token=access_token)
    set_token_value(refresh_token, "old-refresh")
    refresh_token.save()
    return {"access_token": "old-access", "refresh_token": "old-refresh"}


def by_the_passkey(browser, ada):
    """End the session by blocking the passkey that made it."""
    passkey = Passkey.objects.get()
    with transaction.atomic():
        enrolment.enforce_block(passkey, requester=Requester(), now=timezone.now())


ENDS = {
    "signed out": lambda browser, ada: browser.submit("/logout/"),
    "ended in the list": lambda browser, ada: sign_out.end_one(ada, SignIn.objects.get().public_id),
    "everywhere": lambda browser, ada: browser.submit("/account/sessions/", {"scope": "everywhere"}),
    "everywhere else": lambda browser, ada: sign_out.end_others(ada, keep=None),
    "replaced": lambda browser, ada: browser.sign_in("bob@example.com"),
    "deactivated": lambda browser, ada: User.objects.filter(pk=ada.pk).update(is_active=False),
    "ended by an operator": lambda browser, ada: operator.end_sessions(ada, **BY),
    "factors reset": lambda browser, ada: operator.reset_factors(ada, **BY),
    "level raised": lambda browser, ada: operator.set_minimum_level(ada, "phr", **BY),
    "removed": lambda browser, ada: browser.submit("/account/applications/", {"application": "app"}),
}


@pytest.mark.parametrize("end", ENDS)
def test_tokens_end_with(signed_in, browser, given, ada, end):
    assert works(signed_in, given)

    ENDS[end](browser, ada)

    assert not works(signed_in, given)


def test_a_session_that_runs_out_by_itself_leaves_an_app_its_access(signed_in, given, ada):
    run_out()

    assert works(signed_in, given)


LATER = {name: ENDS[name] for name in ("everywhere else", "ended by an operator", "factors reset", "level raised")}
LATER["everywhere"] = lambda browser, ada: sign_out.end_everywhere(ada)
LATER["deactivated"] = lambda browser, ada: (setattr(ada, "is_active", False), ada.save())
LATER["the passkey is blocked"] = by_the_passkey


@pytest.mark.parametrize("end", LATER)
def test_what_a_session_left_behind_ends_with(signed_in, browser, given, ada, end):
    add_passkey(ada)
    SignIn.objects.update(otp_device_id=Passkey.objects.get().persistent_id)
    run_out()
    assert works(signed_in, given)

    LATER[end](browser, ada)

    assert not works(signed_in, given)


def test_who_is_reactivated_begins_anew(signed_in, browser, given, ada):
    run_out()
    ada.is_active = False
    ada.save()
    ada.is_active = True
    ada.save()

    assert not works(signed_in, given)


def test_another_session_keeps_what_was_given_in_it(signed_in, browser, given, ada):
    other = Browser()
    other.sign_in(ADA)
    theirs = RelyingParty(other)
    kept = theirs.tokens()

    browser.submit("/logout/")

    assert not works(signed_in, given)
    assert works(theirs, kept)


def test_this_was_not_me_takes_tokens_and_what_was_allowed(app, browser):
    get_application_model().objects.update(skip_authorization=False)
    browser.sign_in(ADA)
    ada = User.objects.get()
    proven = {"origin": Identity.Origin.OWNER, "proven_at": timezone.now()}
    Identity.objects.create(user=ada, kind="email", canonical="ada@work.example", **proven)
    thief = Browser(HTTP_USER_AGENT="Thief/1.0")
    thief.sign_in(ADA)
    theirs = RelyingParty(thief)
    stolen = theirs.redeem(theirs.answer(allow(thief, theirs.ask()))["code"]).json()
    assert works(theirs, stolen)
    assert Consent.objects.exists()

    owner = Browser()
    page = Page(owner.get(outbox.last_link("ada@work.example"), follow=True))
    owner.submit("/login/report/", page.forms[0].fields)

    assert not works(theirs, stolen)
    assert not Consent.objects.exists()


def allow(browser, response):
    page = Page(browser.get(response["Location"]))
    assert page.name == "consent"
    form = page.forms[0]
    response = browser.submit(form.action, {**form.fields, "allow": "1"})
    while response.url.startswith("/"):
        response = browser.get(response.url)
    return response


def test_the_first_proof_of_an_address_takes_what_was_given_before(signed_in, browser, given, ada):
    """AL-01: the account was made with somebody else's address, and apps were let in before its owner came."""
    Consent.objects.create(user=ada, application=Authorization.objects.get().application, scope="openid email")
    run_out()
    old = from_old_times(ada)
    assert works(signed_in, given)
    assert works(signed_in, old)
    Identity.objects.update(proven_at=None, origin=Identity.Origin.HOST)

    owner = Browser()
    owner.sign_in(ADA)

    assert not works(signed_in, given)
    assert not works(signed_in, old)
    assert not Consent.objects.exists()
    assert works(RelyingParty(owner), RelyingParty(owner).tokens())


@pytest.mark.parametrize("end", ["everywhere", "deactivated", "removed"])
def test_tokens_of_before_us_end_too(signed_in, browser, given, ada, end):
    old = from_old_times(ada)
    bob = Browser()
    bob.sign_in("bob@example.com")
    assert signed_in.userinfo("old-access").status_code == 200

    if end == "deactivated":
        ada.is_active = False
        ada.save()
        ada.is_active = True
        ada.save()
    else:
        ENDS[end](browser, ada)

    assert not works(signed_in, old)


def test_other_people_keep_theirs(signed_in, browser, given, ada):
    bob = Browser()
    bob.sign_in("bob@example.com")
    theirs = RelyingParty(bob)
    kept, old = theirs.tokens(), from_old_times(User.objects.latest("pk"))

    sign_out.end_everywhere(ada)
    access.revoke(ada, Authorization.objects.first().application, requester=Requester())

    assert works(theirs, kept)
    assert works(theirs, old)


def test_removing_access_is_written_down_and_no_false_alarm_follows(signed_in, browser, given, ada):
    browser.submit("/account/applications/", {"application": "app"})
    assert not works(signed_in, given)

    kinds = set(Event.objects.values_list("kind", flat=True))
    assert "access_revoked" in kinds
    assert "refresh_token_reused" not in kinds
    assert Event.objects.get(kind="access_revoked").data == {"client_id": "app"}


def test_what_is_alive_is_the_same_for_one_row_and_for_all(signed_in, browser, given, ada):
    def agree():
        alive = set(Authorization.objects.alive())
        rows = Authorization.objects.select_related("sign_in", "user")
        assert alive == {row for row in rows if row.is_alive()}
        return len(alive)

    assert agree() == 1
    run_out()
    assert agree() == 1
    SignIn.objects.update(end_reason="everywhere")
    assert agree() == 0
    SignIn.objects.all().delete()
    assert agree() == 1
    User.objects.update(is_active=False)
    assert agree() == 0
    User.objects.update(is_active=True)
    Authorization.objects.all().revoke(now=timezone.now())
    assert agree() == 0
