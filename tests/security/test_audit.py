"""Each security step is told once, in a form that machines read, without a secret and with the address masked (LG)."""

import io
import json
import logging

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from passwordless_auth import signals
from passwordless_auth.channels import Channel, Rejected
from passwordless_auth.models import Challenge, Event
from tests.conftest import Browser

from .conftest import copy_of, guess, link_of, member, newest, open_link, press, stranger, wrong_code

# Told after the commit: so there have to be commits.
pytestmark = pytest.mark.django_db(transaction=True)

User = get_user_model()
ADDRESS = "somebody.special@example.com"
MASKED = "s•••@e•••.com"


class Told:
    """What the log, the signal and the table were told."""

    def __init__(self, caplog):
        self.caplog = caplog
        self.signalled = []
        self.rows = set(Event.objects.values_list("pk", flat=True))

    def hear(self, sender, kind, user, data, **_more):
        self.signalled.append((kind, user, data))

    @property
    def logged(self):
        return [record for record in self.caplog.records if record.name == "passwordless_auth.events"]

    def take(self):
        """The kinds of what was told since the last look; the same in the log and by the signal."""
        kinds = [record.event for record in self.logged]
        assert kinds == [kind for kind, _user, _data in self.signalled]
        for record in self.logged:
            assert_safe(record)
        self.caplog.clear()
        self.signalled.clear()
        return kinds

    def new_rows(self):
        fresh = Event.objects.exclude(pk__in=self.rows).order_by("pk")
        self.rows |= set(fresh.values_list("pk", flat=True))
        return [row.kind for row in fresh]


def assert_safe(record):
    fields = {name: getattr(record, name) for name in ("event", "user_id", "ip", "data")}
    assert json.loads(json.dumps(fields)) == fields  # a log of lines of JSON can hold it
    text = f"{record.getMessage()} {fields}"
    assert "somebody" not in text
    for challenge in Challenge.objects.all():
        for secret in (challenge.code(), challenge.link_token(), challenge.link_token()[22:]):
            assert secret not in text


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, logger="passwordless_auth.events")
    told = Told(caplog)
    signals.security_event.connect(told.hear)
    yield told
    signals.security_event.disconnect(told.hear)


def test_a_first_sign_in_tells_each_of_its_steps_once(told, browser):
    """LG-01: asked, sent, failed, signed up, signed in, signed out."""
    browser.start(ADDRESS)
    assert sorted(told.take()) == ["delivery_handed_over", "sign_in_started"]
    guess(browser, wrong_code(ADDRESS), ADDRESS)
    assert told.take() == ["wrong_code"]
    guess(browser, newest(ADDRESS).code(), ADDRESS)
    assert told.take() == ["signed_up", "signed_in"]
    browser.submit("/logout/")
    assert told.take() == ["signed_out"]
    assert told.new_rows() == []  # these have rows of their own: Challenge, Delivery, SignIn


def test_the_log_says_who_where_and_which_address_masked(told):
    """LG-01"""
    browser = Browser(REMOTE_ADDR="192.0.2.44")
    browser.sign_in(ADDRESS)
    record = next(record for record in told.logged if record.event == "signed_in")

    assert record.getMessage() == f"signed_in {MASKED}"
    assert (record.levelname, record.user_id, record.ip) == ("INFO", str(User.objects.get().pk), "192.0.2.44")


def test_sending_again_is_told(told, browser, clock):
    """LG-01"""
    browser.start(ADDRESS)
    told.take()
    clock.shift(61)
    browser.submit("/login/resend/", {"challenge": newest(ADDRESS).public_id})
    assert sorted(told.take()) == ["delivery_handed_over", "sign_in_resent"]


def test_the_last_wrong_code_is_told_and_kept(told, browser):
    """LG-01"""
    member(ADDRESS)
    browser.start(ADDRESS)
    told.take()
    for number in (1, 2, 3):
        guess(browser, wrong_code(ADDRESS, number), ADDRESS)

    assert told.take() == ["wrong_code", "wrong_code", "wrong_code", "too_many_tries"]
    assert told.new_rows() == ["too_many_tries"]
    row = Event.objects.get(kind="too_many_tries")
    assert (row.masked, row.user, row.ip) == (MASKED, User.objects.get(), "127.0.0.1")


def test_a_limit_is_told_each_time_and_kept_once_a_window(told, browser):
    """LG-01: an attacker can't fill the table."""
    browser.start(ADDRESS)
    told.take()
    for _turn in range(5):
        assert browser.start(ADDRESS).status_code == 429

    kinds = told.take()
    assert set(kinds) == {"limit_reached"}
    assert 1 <= len(kinds) <= 5
    assert told.new_rows() == ["limit_reached"]
    assert Event.objects.get(kind="limit_reached").data == {"scope": "sends"}


def test_a_replayed_code_is_told(told, browser):
    """LG-01: token replay; a wrong code for a used message is none."""
    browser.start(ADDRESS)
    guess(browser, newest(ADDRESS).code(), ADDRESS)
    told.take()
    assert guess(browser, newest(ADDRESS).code(), ADDRESS).status_code == 410
    assert told.take() == ["answer_replayed"]
    assert guess(browser, wrong_code(ADDRESS), ADDRESS).status_code == 410
    assert told.take() == []


def test_a_replayed_link_is_told_when_somebody_presses_and_not_when_a_scanner_looks(told, browser):
    """LG-01"""
    browser.start(ADDRESS)
    browser.get(link_of(ADDRESS))
    thief = copy_of(browser)
    press(browser, ADDRESS)
    told.take()
    assert browser.get(link_of(ADDRESS), follow=True).status_code == 410
    assert told.take() == []
    assert press(thief, ADDRESS).status_code == 410
    assert told.take() == ["answer_replayed"]


@pytest.mark.parametrize(
    ("active", "sign_up", "code"), [(False, "open", "disabled"), (None, "closed", "sign_up_closed")]
)
def test_a_proof_that_opens_nothing_is_told_and_kept(told, settings, active, sign_up, code):
    """LG-01"""
    settings.PASSWORDLESS_AUTH_SIGN_UP = sign_up
    if active is False:
        member(ADDRESS, active=False)
    browser = stranger()
    browser.start(ADDRESS)
    told.take()
    assert guess(browser, newest(ADDRESS).code(), ADDRESS).status_code == 403

    assert told.take() == [f"refused_{code}"]
    assert told.new_rows() == [f"refused_{code}"]
    assert Event.objects.get().masked == MASKED


def test_a_denied_attempt_is_told_and_kept(told, browser, other_browser):
    """LG-01: approve/deny"""
    other_browser.start(ADDRESS)
    open_link(browser, ADDRESS)
    told.take()
    press(browser, ADDRESS, action="deny")

    assert told.take() == ["sign_in_denied"]
    assert told.new_rows() == ["sign_in_denied"]


def test_what_happens_to_addresses_is_told(told, browser, clock):
    """LG-01: link, unlink, first proof, conflict."""
    user = User.objects.create_user("mallory", email=ADDRESS, password="x")
    assert told.take() == ["address_added_by_host"]
    browser.sign_in(ADDRESS)
    assert "first_proof_cleared_account" in told.take()
    assert "first_proof_cleared_account" in told.new_rows()
    user.refresh_from_db()
    user.email = "somebody.else@example.com"
    user.save()
    assert "address_changed_by_host" in told.take()
    clock.shift(61)
    stranger().sign_in(ADDRESS)
    told.take()
    user.email = ADDRESS
    user.save()
    assert told.take() == ["address_conflict"]
    assert told.new_rows()[-1] == "address_conflict"


def test_ending_sessions_is_told_for_each(told, clock):
    """LG-01"""
    places = []
    for place in range(3):
        browser = Browser(REMOTE_ADDR=f"192.0.2.{place + 1}")
        browser.sign_in(ADDRESS)
        clock.shift(61)
        places.append(browser)
    told.take()
    places[0].submit("/account/sessions/", {"scope": "everywhere"})

    assert told.take() == ["signed_out"] * 3


def test_an_administrators_link_is_told_and_kept_with_its_reason(told):
    """LG-01"""
    member(ADDRESS)
    call_command("passwordless_login_link", ADDRESS, reason="lost their phone", stdout=io.StringIO())
    told.take()

    row = Event.objects.get(kind="login_link_made")
    assert row.data["reason"] == "lost their phone"
    assert row.masked == MASKED
    assert newest(ADDRESS).link_token() not in str(row.data)


class Refusing(Channel):
    def send(self, message):
        raise Rejected("no such mailbox")


def test_a_message_that_can_not_be_sent_is_told(told, settings):
    """LG-01"""
    settings.PASSWORDLESS_AUTH_CHANNELS = {"email": {"BACKEND": f"{__name__}.Refusing"}}
    stranger().start(ADDRESS)

    assert sorted(told.take()) == ["delivery_failed", "sign_in_started"]


def test_what_is_told_is_told_only_when_it_has_happened(told, browser, monkeypatch):
    """LG-01: nothing of a step that was rolled back."""
    browser.start(ADDRESS)
    told.take()

    def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("passwordless_auth.sessions.log_in", broken)
    with pytest.raises(ZeroDivisionError):
        guess(browser, newest(ADDRESS).code(), ADDRESS)

    assert told.take() == []
    assert not User.objects.exists()
    monkeypatch.undo()
    assert guess(browser, newest(ADDRESS).code(), ADDRESS).status_code == 303
    assert told.take() == ["signed_up", "signed_in"]


def test_a_receiver_that_breaks_stops_nothing(told, browser, caplog):
    """LG-01"""

    def broken(**_told):
        raise ZeroDivisionError

    signals.security_event.connect(broken)
    try:
        assert browser.sign_in(ADDRESS).status_code == 303
    finally:
        signals.security_event.disconnect(broken)
    assert browser.who()["authenticated"]
