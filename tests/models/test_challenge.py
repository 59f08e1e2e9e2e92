"""Rows guard themselves: each change of state is one conditional statement."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from passwordless_auth.identifiers import parse
from passwordless_auth.models import Challenge, SignIn
from passwordless_auth.models.challenge import scope_of, spend, supersede
from passwordless_auth.requester import Requester

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def make(**fields):
    return Challenge.objects.create(
        **{
            "purpose": "sign_in",
            "kind": "email",
            "canonical": "ada@example.com",
            "key_id": "k1",
            "code_length": 6,
            "code_alphabet": "digits",
            "max_tries": 3,
            "open_scope": "scope",
            "code_expires_at": LATER,
            "link_expires_at": LATER,
            "expires_at": LATER,
            **fields,
        }
    )


def state(challenge):
    challenge.refresh_from_db()
    return challenge.state, challenge.tries, challenge.open_scope


@pytest.mark.parametrize("method", ["one_time_code", "magic_link"])
def test_it_is_spent_once(method, django_assert_num_queries):
    challenge = make()

    with django_assert_num_queries(1):
        assert spend(challenge, method=method, now=NOW)
    assert state(challenge) == ("spent", 0, None)
    assert (challenge.spent_by, challenge.ended_at) == (method, NOW)
    assert not spend(challenge, method=method, now=NOW)
    assert not Challenge.objects.count_try(challenge, method=method, now=NOW)
    assert not Challenge.objects.touch(challenge, method=method, now=NOW)


def test_tries_are_counted_up_to_the_limit():
    challenge = make()
    counted = [Challenge.objects.count_try(challenge, method="one_time_code", now=NOW) for _ in range(5)]

    assert counted == [True, True, True, False, False]
    assert state(challenge)[1] == 3
    assert challenge.tries_left == 0
    assert not spend(challenge, method="magic_link", now=NOW)


def test_touching_confirms_and_changes_nothing():
    challenge = make()

    assert Challenge.objects.touch(challenge, method="one_time_code", now=NOW)
    assert state(challenge) == ("open", 0, "scope")


def test_each_method_has_its_own_time():
    challenge = make(code_expires_at=NOW, link_expires_at=LATER)

    assert not Challenge.objects.touch(challenge, method="one_time_code", now=NOW)
    assert Challenge.objects.touch(challenge, method="magic_link", now=NOW)
    assert not Challenge.objects.touch(challenge, method="magic_link", now=LATER)


def test_a_newer_one_of_the_same_scope_takes_its_place():
    old, other = make(), make(open_scope="other")
    supersede(open_scope="scope", now=NOW)

    assert state(old) == ("superseded", 0, None)
    assert state(other) == ("open", 0, "other")
    make()


def test_a_scope_has_one_open_challenge():
    make()
    with pytest.raises(IntegrityError), transaction.atomic():
        make()
    make(open_scope=None)
    make(open_scope=None)


def test_cancelling_closes_what_is_open_and_leaves_what_is_over():
    opened, spent = make(), make(open_scope=None, state="spent")

    assert Challenge.objects.all().cancel(now=NOW) == 1
    assert state(opened) == ("cancelled", 0, None)
    assert state(spent)[0] == "spent"


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "step_up"},
        {"identifier": parse("bob@example.com")},
        {"client_id": "shop"},
        {"browser_digest": "other"},
    ],
)
def test_newest_only_holds_for_purpose_address_client_and_browser(change):
    asked = {
        "purpose": "sign_in",
        "identifier": parse("ada@example.com"),
        "client_id": "",
        "browser_digest": "digest",
    }

    assert scope_of(**asked) == scope_of(**asked)
    assert scope_of(**asked) != scope_of(**{**asked, **change})


def test_a_browser_without_a_key_asked_for_nothing():
    make(browser_digest="")

    assert not Challenge.objects.of_browser(Requester()).exists()
    assert not Challenge.objects.get().asked_by(Requester())


def test_who_asked_is_told_in_words():
    challenge = make(user_agent="Firefox/140.0 (Linux)", ip="192.0.2.1")

    assert challenge.asker == {"browser": "Firefox", "os": "Linux", "ip": "192.0.2.1"}
    assert make(open_scope=None).asker == {"browser": "", "os": "", "ip": ""}


# -- another device: each step is one UPDATE, which asks for itself whether it may


@pytest.fixture
def request_for_a_device(db):
    user = User.objects.create(username="ada")
    sign_in = SignIn.objects.create(user=user, level="phr")
    later = LATER
    return Challenge.objects.create(
        purpose="enrol",
        user=user,
        sign_in=sign_in,
        key_id="k1",
        max_tries=3,
        code_expires_at=later,
        link_expires_at=later,
        expires_at=later,
    )


PHONE = Requester(ip="198.51.100.7", user_agent="Phone", browser_key="p" * 43)


def steps(challenge, requester=PHONE):
    """Each step of a request that is ready for it."""
    now, rows = NOW, Challenge.objects.filter(pk=challenge.pk)
    ready = {"claim": {"browser_digest": ""}, "approve": {"approved_at": None}, "hold": {"approved_at": now}}
    for name, columns in ready.items():
        rows.update(**{"browser_digest": PHONE.browser_digest, "approved_at": None, **columns})
        arguments = {"now": now} if name == "approve" else {"now": now, "requester": requester}
        yield name, getattr(Challenge.objects, name)(challenge, **arguments)


def test_each_step_is_taken_while_the_request_runs(request_for_a_device):
    assert dict(steps(request_for_a_device)) == {"claim": True, "approve": True, "hold": True}


@pytest.mark.parametrize(
    "over",
    [
        {"state": "cancelled"},
        {"state": "spent"},
        {"tries": 3},
        {"code_expires_at": NOW},
        {"purpose": "report"},
    ],
    ids=str,
)
def test_no_step_is_taken_when_it_is_over(request_for_a_device, over):
    Challenge.objects.update(**over)

    assert not any(dict(steps(request_for_a_device)).values())


@pytest.mark.parametrize("over", [{"ended_at": NOW}, {"pending_until": NOW}], ids=["ended", "half"])
def test_no_step_is_taken_without_the_session_that_made_it(request_for_a_device, over):
    SignIn.objects.update(**over)

    assert not any(dict(steps(request_for_a_device)).values())


def test_only_the_browser_that_claimed_it_goes_on_and_only_when_it_was_approved(request_for_a_device):
    challenge, now = request_for_a_device, NOW
    other = Requester(browser_key="o" * 43)

    assert not Challenge.objects.approve(challenge, now=now), "nobody has claimed it"
    assert Challenge.objects.claim(challenge, requester=PHONE, now=now)
    assert not Challenge.objects.claim(challenge, requester=other, now=now)
    assert not Challenge.objects.hold(challenge, requester=PHONE, now=now), "nobody has approved it"
    assert Challenge.objects.approve(challenge, now=now)
    assert not Challenge.objects.approve(challenge, now=now), "once is enough"
    assert not Challenge.objects.hold(challenge, requester=other, now=now)
    assert not Challenge.objects.hold(challenge, requester=Requester(), now=now)
    assert Challenge.objects.hold(challenge, requester=PHONE, now=now)
