"""The story itself, as other doors will use it: without pages."""

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from passwordless_auth import signals
from passwordless_auth.exceptions import (
    Expired,
    InvalidCode,
    Spent,
    Superseded,
    TooManyRequests,
    TooManyTries,
    WrongBrowser,
)
from passwordless_auth.flows import sign_in, sign_out
from passwordless_auth.identifiers import parse
from passwordless_auth.methods import METHODS, Method
from passwordless_auth.models import Challenge, Delivery, Event, Level, SignIn
from passwordless_auth.policies import Rules
from passwordless_auth.requester import Requester, new_browser_key

pytestmark = pytest.mark.django_db

ADA = parse("ada@example.com")


@pytest.fixture
def asker():
    return Requester(ip="192.0.2.1", user_agent="Firefox", browser_key=new_browser_key())


def save(sign_in):
    """What a door without sessions does of a completed SignIn."""
    sign_in.save()


def verify(challenge, answer=None, *, method="one_time_code", requester=None, **options):
    return sign_in.verify(
        challenge,
        challenge.code() if answer is None else answer,
        method=method,
        requester=requester or Requester(),
        establish=save,
        **options,
    )


def wrong(challenge):
    return f"{(int(challenge.code()) + 1) % 10**6:06}"


# -- start


def test_the_rules_of_one_sign_in_are_copied_to_its_row(asker):
    rules = Rules(
        code_length=8,
        code_alphabet="letters",
        code_tries=5,
        code_lifetime=60,
        link_lifetime=120,
        methods=("one_time_code",),
        minimum_level=Level.SINGLE,
    )
    now = timezone.now()
    challenge = sign_in.start(
        ADA, requester=asker, rules=rules, client_id="shop", params={"a": 1}, next_url="/x/" * 1000, now=now
    )
    challenge.refresh_from_db()

    assert (challenge.code_length, challenge.code_alphabet, challenge.max_tries) == (8, "letters", 5)
    assert (challenge.accepts_code, challenge.accepts_link) == (True, False)
    assert [
        int((moment - now).total_seconds()) for moment in (challenge.code_expires_at, challenge.link_expires_at)
    ] == [
        60,
        120,
    ]
    assert challenge.expires_at == challenge.link_expires_at
    assert (challenge.client_id, challenge.params, challenge.minimum_level) == ("shop", {"a": 1}, "single")
    assert len(challenge.next_url) == 2000


def test_each_client_has_its_own_newest(asker, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    first = sign_in.start(ADA, requester=asker, client_id="shop")
    sign_in.start(ADA, requester=asker, client_id="forum")
    first.refresh_from_db()
    assert first.state == "open"

    sign_in.start(ADA, requester=asker, client_id="shop")
    first.refresh_from_db()
    assert first.state == "superseded"


@pytest.mark.parametrize("fault", [IntegrityError, OperationalError])
def test_two_starts_at_one_moment_are_tried_again(asker, monkeypatch, fault):
    calls = []
    real = sign_in._message

    def meets_another(*args):
        calls.append(args)
        if len(calls) < 3:
            raise fault
        return real(*args)

    monkeypatch.setattr(sign_in, "_message", meets_another)
    sign_in.start(ADA, requester=asker)

    assert len(calls) == 3
    assert (Challenge.objects.count(), Delivery.objects.count()) == (1, 1)


def test_what_goes_wrong_every_time_is_told(asker, monkeypatch):
    def fails(*args):
        raise IntegrityError

    monkeypatch.setattr(sign_in, "_message", fails)

    with pytest.raises(IntegrityError):
        sign_in.start(ADA, requester=asker)
    assert not Challenge.objects.exists()


def test_receivers_hear_of_a_start_and_of_a_refusal(asker):
    heard = []

    def started(sender, *, challenge, **_kwargs):
        heard.append(("started", challenge.masked))

    def failed(sender, *, challenge, code, **_kwargs):
        heard.append(("failed", code))

    signals.sign_in_started.connect(started)
    signals.sign_in_failed.connect(failed)
    try:
        challenge = sign_in.start(ADA, requester=asker)
        with pytest.raises(InvalidCode):
            verify(challenge, wrong(challenge))
    finally:
        signals.sign_in_started.disconnect(started)
        signals.sign_in_failed.disconnect(failed)

    assert heard == [("started", "a•••@e•••.com"), ("failed", "invalid_code")]


# -- verify


def test_a_right_answer_is_a_sign_in_and_where_the_person_wanted_to_go(asker):
    challenge = sign_in.start(ADA, requester=asker, next_url="/x/", client_id="shop")
    outcome = verify(challenge, requester=asker)

    assert (outcome.created, outcome.next_url) == (True, "/x/")
    assert (outcome.sign_in.client_id, outcome.sign_in.ip, outcome.sign_in.level) == ("shop", "192.0.2.1", "single")
    assert outcome.sign_in.user == User.objects.get()


def test_a_requester_without_a_key_is_not_remembered(asker):
    outcome = verify(sign_in.start(ADA, requester=asker), requester=Requester())

    assert outcome.sign_in.browser_digest == ""


def test_elsewhere_nothing_of_what_the_asker_wanted_is_kept(asker):
    challenge = sign_in.start(ADA, requester=asker, next_url="/x/", client_id="shop", params={"a": 1})
    outcome = verify(challenge, challenge.link_token(), method="magic_link", elsewhere=True)

    assert (outcome.next_url, outcome.sign_in.client_id) == ("", "")


def test_a_step_up_is_not_finished_elsewhere(asker):
    User.objects.create_user("ada", ADA.canonical)
    challenge = sign_in.start(ADA, requester=asker, purpose="step_up")

    with pytest.raises(WrongBrowser):
        verify(challenge, challenge.link_token(), method="magic_link", elsewhere=True)
    challenge.refresh_from_db()
    assert challenge.state == "open"


def test_wrong_answers_are_counted_and_told_with_the_tries_that_are_left(asker):
    challenge = sign_in.start(ADA, requester=asker)
    for left in (2, 1):
        with pytest.raises(InvalidCode) as refused:
            verify(challenge, wrong(challenge))
        assert refused.value.tries_left == left
    with pytest.raises(TooManyTries):
        verify(challenge, wrong(challenge))
    with pytest.raises(TooManyTries):
        verify(challenge)

    assert Event.objects.get().kind == "too_many_tries"
    assert not SignIn.objects.exists()


def test_a_wrong_link_costs_the_challenge_no_try(asker):
    challenge = sign_in.start(ADA, requester=asker)
    with pytest.raises(InvalidCode):
        verify(challenge, challenge.link_token()[:-1] + "x", method="magic_link")

    challenge.refresh_from_db()
    assert challenge.tries == 0


def test_what_another_request_did_meanwhile_counts(asker, django_capture_on_commit_callbacks):
    """Each of them read the row while it was open. A right answer that came too late is told to the log."""
    told = []
    hear = lambda kind, **_data: told.append(kind)  # noqa: E731
    signals.security_event.connect(hear)
    settings = [
        ({"state": "spent", "open_scope": None}, Spent),
        ({"state": "superseded", "open_scope": None}, Superseded),
        ({"state": "cancelled", "open_scope": None}, Superseded),
        ({"tries": 3}, TooManyTries),
    ]
    for number, (change, refusal) in enumerate(settings):
        for answer in ("right", "wrong"):
            challenge = sign_in.start(parse(f"{answer}{number}@example.com"), requester=asker)
            Challenge.objects.filter(pk=challenge.pk).update(**change)
            with pytest.raises(refusal), django_capture_on_commit_callbacks(execute=True):
                verify(challenge, challenge.code() if answer == "right" else wrong(challenge))

    assert not SignIn.objects.exists()
    assert told.count("answer_replayed") == len(settings)
    assert not Event.objects.exists()  # or whoever has the answer could fill the table


def test_a_challenge_that_was_deleted_meanwhile_has_run_out(asker):
    challenge = sign_in.start(ADA, requester=asker)
    Challenge.objects.all().delete()

    with pytest.raises(Expired):
        verify(challenge)


def test_an_account_that_can_not_be_made_is_told(asker, monkeypatch):
    from passwordless_auth.flows import accounts

    def fails(*args, **kwargs):
        raise IntegrityError

    monkeypatch.setattr(accounts, "_sign_up", fails)
    challenge = sign_in.start(ADA, requester=asker)

    with pytest.raises(IntegrityError):
        verify(challenge)
    challenge.refresh_from_db()
    assert challenge.state == "open"


# -- confirm: the first of two steps


def test_a_right_answer_is_confirmed_without_being_used_up(asker):
    challenge = sign_in.start(ADA, requester=asker)
    for _ in range(2):
        sign_in.confirm(challenge, challenge.code(), method="one_time_code", requester=asker)

    challenge.refresh_from_db()
    assert (challenge.state, challenge.tries) == ("open", 0)
    verify(challenge, requester=asker)


def test_a_wrong_answer_is_not_confirmed_and_counts(asker):
    challenge = sign_in.start(ADA, requester=asker)
    with pytest.raises(InvalidCode):
        sign_in.confirm(challenge, wrong(challenge), method="one_time_code", requester=asker)

    challenge.refresh_from_db()
    assert challenge.tries == 1


def test_what_was_spent_meanwhile_is_not_confirmed(asker):
    challenge = sign_in.start(ADA, requester=asker)
    Challenge.objects.update(state="spent", open_scope=None)

    with pytest.raises(Spent):
        sign_in.confirm(challenge, challenge.code(), method="one_time_code", requester=asker)


# -- resend, deny


def test_sending_again_is_a_new_delivery_and_counts_like_a_start(asker, clock):
    challenge = sign_in.start(ADA, requester=asker)
    with pytest.raises(TooManyRequests) as refused:
        sign_in.resend(challenge, requester=asker)
    assert (refused.value.retry_after, refused.value.scope) == (60, "sends")

    clock.shift(60)
    delivery = sign_in.resend(challenge, requester=asker)
    assert (delivery.challenge, delivery.kind, Delivery.objects.count()) == (challenge, "sign_in", 2)


def test_denying_is_written_down_once(asker):
    challenge = sign_in.start(ADA, requester=asker)
    for _ in range(2):
        sign_in.deny(challenge, requester=asker)

    assert Event.objects.get().kind == "sign_in_denied"
    challenge.refresh_from_db()
    with pytest.raises(Superseded):
        verify(challenge)


# -- sign-out


def test_all_sessions_of_a_person_end_when_none_is_to_be_kept(asker):
    user = User.objects.create_user("ada", ADA.canonical)
    for _ in range(2):
        SignIn.objects.create(user=user, level="single")

    assert sign_out.end_others(user, keep=None) == 2
    assert sign_out.end_one(user, "x" * 22) is False


# -- methods


def test_a_method_must_say_how_it_issues_and_checks():
    with pytest.raises(TypeError):
        Method()


def test_what_is_issued_is_not_shown_when_printed(asker):
    challenge = sign_in.start(ADA, requester=asker)

    assert repr(METHODS["one_time_code"].issue(challenge)) == "Issued(…)"
    assert set(METHODS) == {"magic_link", "one_time_code", "totp"}


def test_a_session_that_is_confirmed_again_and_again_keeps_one_proof_of_a_method(asker, settings):
    """Every ten minutes for a month would be thousands, in a row that is written each time."""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    first = sign_in.start(ADA, requester=asker)
    session = verify(first, first.code()).sign_in
    session.save()
    for _ in range(3):
        again = sign_in.start(ADA, requester=asker, purpose="step_up", sign_in=session)
        session = verify(again, again.code()).sign_in
        session.save()

    assert SignIn.objects.get().methods == ["one_time_code"]
    assert len(SignIn.objects.get().proofs) == 1
