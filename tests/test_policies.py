"""The decisions that a host may change."""

import pytest
from django.contrib.auth.models import User

from passwordless_auth import policies
from passwordless_auth.identifiers import parse
from passwordless_auth.models import Challenge, Level, SignIn
from passwordless_auth.policies import NextStep, Policy, Rules
from passwordless_auth.requester import Requester
from passwordless_auth.testing import outbox

pytestmark = pytest.mark.django_db


class OnlyOurs(Policy):
    """Sign-up for one domain; members of staff get no code."""

    def may_sign_up(self, identifier, requester):
        return identifier.canonical.endswith("@ours.example")

    def methods_for(self, user, identifier, rules):
        return ["magic_link"] if identifier.canonical.startswith("boss@") else list(rules.methods)


def test_rules_are_those_of_the_settings_unless_the_caller_says_otherwise(settings):
    settings.PASSWORDLESS_AUTH_CODE_LENGTH = 8
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link"]

    assert Rules().code_length == 8
    assert Rules().methods == ("magic_link",)
    assert Rules(code_length=7).code_length == 7


def test_levels_are_ordered():
    assert Level.PHR.meets(Level.MULTI)
    assert Level.SINGLE.meets(Level.SINGLE)
    assert not Level.RECOVERED.meets(Level.SINGLE)


def test_staff_must_reach_the_level_of_staff(settings):
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"
    sign_in = SignIn(level=Level.SINGLE)
    person, boss = User.objects.create_user("ada"), User.objects.create_user("boss", is_staff=True)

    assert Policy().next_step(person, sign_in, Rules()) is None
    assert Policy().next_step(boss, sign_in, Rules()) == NextStep(Level.PHR)
    assert Policy().next_step(person, sign_in, Rules(minimum_level=Level.MULTI)) == NextStep(Level.MULTI)


def test_a_sign_in_that_cannot_reach_its_level_is_refused_and_leaves_no_session(browser, settings):
    User.objects.create_user("boss", "boss@example.com", is_staff=True)
    settings.PASSWORDLESS_AUTH_LEVEL_FOR_STAFF = "phr"

    browser.start("boss@example.com")
    response = browser.submit("/login/wait/", {"code": outbox.last_code("boss@example.com")})

    assert response.status_code == 403
    assert b'data-code="step_up_required"' in response.content
    assert not browser.who()["authenticated"]
    assert SignIn.objects.count() == 0
    assert Challenge.objects.get().state == "spent"


def test_the_policy_of_the_host_decides_who_may_sign_up(browser, settings):
    settings.PASSWORDLESS_AUTH_POLICY = "tests.test_policies.OnlyOurs"

    assert isinstance(policies.current(), OnlyOurs)
    assert policies.current().may_sign_up(parse("ada@ours.example"), Requester())

    browser.sign_in("ada@ours.example")
    assert browser.who()["user"]["email"] == "ada@ours.example"

    browser.start("eve@example.net")
    assert "There is no account for this address" in outbox.last_message("eve@example.net").subject


def test_the_policy_of_the_host_decides_what_a_message_carries(browser, settings):
    settings.PASSWORDLESS_AUTH_POLICY = "tests.test_policies.OnlyOurs"

    browser.start("boss@ours.example")
    challenge = Challenge.objects.get()

    assert (challenge.accepts_code, challenge.accepts_link) == (False, True)
    assert outbox.last_link("boss@ours.example")
