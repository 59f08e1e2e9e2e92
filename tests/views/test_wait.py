"""The page that waits: true at every moment, and never without a next step."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from passwordless_auth.flows import receipts
from passwordless_auth.models import AddressMark, Challenge, Delivery, SignIn
from passwordless_auth.testing import outbox

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
WAIT = "/login/wait/"


def wrong(address=ADA):
    return f"{(int(outbox.last_code(address)) + 1) % 10**6:06}"


def status(browser, **query):
    return browser.get("/login/wait/status.json", query).json()


@pytest.fixture
def asked(browser, clock):
    """A browser that asked to sign in."""
    browser.start(next="/members/")
    return browser


# -- what it shows


def test_it_says_where_the_message_went_and_takes_the_code(asked):
    page = visit(asked, WAIT)

    assert (page.status, page.name, page.code) == (200, "wait", "")
    assert "Check your e-mail" in page.words
    assert ADA in page.words
    assert page.inputs["code"]["autocomplete"] == "one-time-code"
    assert page.inputs["code"]["inputmode"] == "numeric"
    assert "The message works for about 5 more minutes." in page.words
    assert page.inputs["challenge"]["value"] == Challenge.objects.get().public_id

    page = page.press(asked, "Sign in", code=outbox.last_code(ADA))
    assert asked.who()["authenticated"]
    assert page.response.redirect_chain == [("/members/", 303)]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("queued", "On its way to the mail server."),
        ("handed_over", "Handed over to the mail server."),
        ("sent", "Handed over to the mail server."),
        ("deferred", "Your mail provider lets the message wait."),
        ("delivered", "Delivered to your mailbox."),
        ("complained", "Delivered to your mailbox."),
        ("rejected", "This message could not be delivered. Please use another way."),
        ("bounced", "This message could not be delivered. Please use another way."),
        ("failed", "We could not send this message."),
    ],
)
def test_it_says_how_the_message_really_is(asked, state, words):
    Delivery.objects.update(state=state)
    page = visit(asked, WAIT)

    shown = status(asked)["delivery"]
    assert shown == {"sent": "handed_over", "complained": "delivered", "rejected": "undeliverable"}.get(
        state, {"bounced": "undeliverable"}.get(state, state)
    )
    assert f'data-state="{shown}"' in page.html
    assert words in page.words


def test_it_says_since_when(asked, clock):
    assert status(asked)["delivery_seconds"] is None
    outbox.send_queued()
    clock.shift(3)
    assert "3 seconds ago" in visit(asked, WAIT).words
    assert status(asked)["delivery_seconds"] == 3
    clock.shift(87)
    assert "2 minutes ago" in visit(asked, WAIT).words

    delivery = Delivery.objects.get()
    receipts.record(delivery.provider, "", "delivered", key=delivery.public_id)
    clock.shift(1)
    page = visit(asked, WAIT)
    assert "Delivered to your mailbox." in page.words
    assert "1 second ago" in page.words


# -- another way


def offers(browser):
    """Whether another way is offered, by the page and by its script's answer alike."""
    page, offered = visit(browser, WAIT), status(browser)["other_way"]
    assert ("data-other-way>" in page.html) is offered
    return offered


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ("queued", False),
        ("handed_over", False),
        ("deferred", False),
        ("delivered", False),
        ("failed", True),
        ("rejected", True),
        ("bounced", True),
    ],
)
def test_another_way_is_offered_when_the_message_is_lost(asked, state, offered):
    Delivery.objects.update(state=state)

    assert offers(asked) is offered


@pytest.mark.parametrize(("state", "offered"), [("queued", True), ("handed_over", True), ("delivered", False)])
def test_another_way_is_offered_when_the_message_takes_too_long(asked, clock, state, offered):
    Delivery.objects.update(state=state)
    clock.shift(29)
    assert not offers(asked)
    clock.shift(1)
    assert offers(asked) is offered


def test_the_other_ways_are_those_of_the_site(asked, settings):
    Delivery.objects.update(state="failed")
    page = visit(asked, WAIT)
    assert page.links["Change the address"] == "/login/?next=%2Fmembers%2F"
    assert page.links["Use a recovery code"] == "/login/recovery/?next=%2Fmembers%2F"
    assert "A passkey needs no message" in page.words

    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link", "one_time_code"]
    page = visit(asked, WAIT)
    assert "Use a recovery code" not in page.links
    assert "passkey" not in page.words


def test_who_confirms_that_it_is_them_is_led_back_to_what_else_there_is(browser, clock):
    browser.sign_in()
    clock.shift(61)
    browser.submit("/login/step-up/", {"action": "message", "next": "/recent/"})
    Delivery.objects.update(state="failed")
    page = visit(browser, WAIT)

    assert page.links["Choose another way"] == "/login/step-up/?next=%2Frecent%2F"


def test_who_recovers_an_account_may_use_another_address(browser):
    browser.submit("/login/recovery/", {"identifier": ADA, "action": "send"})
    Delivery.objects.update(state="failed")

    page = visit(browser, WAIT)
    assert "Another address may work." in page.words
    assert page.links["Change the address"] == "/login/recovery/"


def test_an_address_whose_messages_came_back_is_told_so_and_still_gets_its_message(browser, clock):
    AddressMark.objects.create(canonical=ADA, reason="bounced", marked_at=timezone.now())
    browser.start(ADA)
    page = visit(browser, WAIT)

    assert status(browser)["trouble"]
    assert "data-trouble>" in page.html
    assert offers(browser)
    assert outbox.last_code(ADA)
    Delivery.objects.update(state="delivered")
    assert not status(browser)["trouble"]
    assert "data-trouble hidden>" in visit(browser, WAIT).html


def test_the_state_follows_what_the_mail_server_does(asked, settings, monkeypatch):
    assert status(asked)["delivery"] == "queued"
    outbox.send_queued()
    assert status(asked)["delivery"] == "handed_over"


def test_a_message_whose_delivery_was_purged_is_on_its_way_for_all_we_know(asked):
    Delivery.objects.all().delete()

    assert visit(asked, WAIT).status == 200
    assert status(asked)["delivery"] == "queued"


def test_time_passes(asked, clock):
    clock.shift(200)
    assert "The message works for about 2 more minutes." in visit(asked, WAIT).words
    assert status(asked)["seconds_left"] == 100
    clock.shift(90)
    assert "The message works for less than a minute more." in visit(asked, WAIT).words


def test_the_mailbox_is_one_press_away_where_the_address_says_whose_it_is(browser):
    browser.start("ada@gmail.com")
    page = visit(browser, WAIT)
    assert page.links["Open Gmail(opens in a new tab)"] == "https://mail.google.com/"

    browser.start()
    assert "Open" not in visit(browser, WAIT).words


def test_it_survives_a_closed_tab(asked):
    """No session, no address in the URL: the browser's own cookie finds the newest attempt."""
    assert visit(asked, WAIT).inputs["challenge"]["value"] == Challenge.objects.get().public_id


def test_the_address_can_be_changed(asked):
    page = visit(asked, WAIT).press(asked, "Change the address")

    assert page.name == "login"
    assert page.inputs["next"]["value"] == "/members/"


def test_who_asked_for_nothing_is_led_to_the_beginning(browser):
    assert browser.get(WAIT + "?next=/members/")["Location"] == "/login/?next=%2Fmembers%2F"
    assert visit(browser, WAIT).name == "login"


# -- the code


def test_a_wrong_code_says_so_and_how_many_tries_are_left(asked):
    page = visit(asked, WAIT).press(asked, "Sign in", code=wrong())

    assert (page.status, page.name, page.code) == (400, "wait", "invalid_code")
    assert "That is not the code from the newest message. You have 2 tries left." in page.words
    assert page.inputs["code"]["aria-invalid"] == "true"
    assert "value" not in page.inputs["code"]
    assert "You have 1 try left." in page.press(asked, "Sign in", code=wrong()).words
    assert Challenge.objects.get().tries == 2


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "hello", "x" * 100])
def test_what_can_not_be_the_code_costs_no_try(asked, typed):
    page = visit(asked, WAIT).press(asked, "Sign in", code=typed)

    assert (page.status, page.code) == (400, "invalid_code")
    assert Challenge.objects.get().tries == 0


def test_a_code_without_any_attempt_leads_to_the_beginning(browser):
    page = Page(browser.submit(WAIT, {"code": "123456"}))

    assert (page.status, page.name, page.code) == (410, "error", "expired")
    assert page.press(browser, "Go to sign-in").name == "login"


def test_the_right_code_makes_one_session_of_what_was_proven(asked):
    visit(asked, WAIT).press(asked, "Sign in", code=outbox.last_code(ADA))

    sign_in, challenge = SignIn.objects.get(), Challenge.objects.get()
    assert (challenge.state, challenge.spent_by, challenge.open_scope) == ("spent", "one_time_code", None)
    assert (sign_in.level, sign_in.methods) == ("single", ["one_time_code"])
    assert [(proof.method, proof.amr) for proof in sign_in.all_proofs()] == [("one_time_code", ("otp",))]
    assert sign_in.user.email == ADA
    assert sign_in.user.username != ADA
    assert not sign_in.user.has_usable_password()


# -- what no longer counts: which it is, and a next step that works


def test_too_many_tries(asked, clock):
    for _ in range(2):
        visit(asked, WAIT).press(asked, "Sign in", code=wrong())
    page = visit(asked, WAIT).press(asked, "Sign in", code=wrong())

    assert (page.status, page.name, page.code) == (410, "error", "too_many_tries")
    assert status(asked)["state"] == "dead"
    assert Page(asked.submit(WAIT, {"code": outbox.last_code(ADA)})).code == "too_many_tries"
    assert visit(asked, WAIT).code == "too_many_tries"

    clock.shift(61)
    page = page.press(asked, "Send a new message")
    assert page.name == "wait"
    page.press(asked, "Sign in", code=outbox.last_code(ADA))
    assert asked.who()["authenticated"]


def test_expired(asked, clock):
    old = outbox.last_code(ADA)
    clock.shift(300)
    page = visit(asked, WAIT)

    assert (page.status, page.name, page.code) == (410, "error", "expired")
    assert "The time is over" in page.words
    assert status(asked)["state"] == "expired"
    assert Page(asked.submit(WAIT, {"code": old})).code == "expired"
    assert Page(asked.submit(WAIT, {"code": "x"})).code == "expired"
    assert page.press(asked, "Use another address").name == "login"

    page = page.press(asked, "Send a new message")
    assert (page.name, page.inputs["next"]["value"]) == ("wait", "/members/")
    page.press(asked, "Sign in", code=outbox.last_code(ADA))
    assert asked.who()["authenticated"]


def test_superseded(asked, clock):
    first = Challenge.objects.get()
    old = outbox.last_code(ADA)
    clock.shift(61)
    asked.start()
    page = Page(asked.submit(WAIT, {"code": old, "challenge": first.public_id}))

    assert (page.status, page.name, page.code) == (410, "error", "superseded")
    assert "A newer message was sent" in page.words
    assert status(asked, challenge=first.public_id)["state"] == "superseded"

    page = page.press(asked, "Go on with the newest message")
    assert page.name == "wait"
    page.press(asked, "Sign in", code=outbox.last_code(ADA))
    assert asked.who()["authenticated"]


def test_superseded_by_one_that_is_over_itself(asked, clock):
    first = Challenge.objects.get()
    clock.shift(61)
    asked.start()
    asked.submit(WAIT, {"code": outbox.last_code(ADA)})
    asked.submit("/logout/")
    page = visit(asked, f"{WAIT}?challenge={first.public_id}")

    assert page.code == "superseded"
    assert page.next_steps[1:] == ["Send a new message", "Use another address"]


def test_spent(asked):
    code = outbox.last_code(ADA)
    asked.submit(WAIT, {"code": code})
    page = Page(asked.submit(WAIT, {"code": code}))

    assert (page.status, page.name, page.code) == (410, "error", "spent")
    assert page.next_steps[1:] == ["Continue"]
    assert page.links["Continue"] == "/members/"
    # Whoever comes back to the page itself just goes on.
    assert asked.get(WAIT)["Location"] == "/members/"
    assert status(asked) == {
        "state": "spent",
        "delivery": "handed_over",
        "delivery_seconds": 0,
        "trouble": False,
        "other_way": False,
        "seconds_left": 300,
        "resend_seconds": 60,
        "next": "/members/",
    }


def test_spent_elsewhere(asked, other_browser, clock):
    """The link was opened on the phone: this browser is not signed in by it."""
    link = outbox.last_link(ADA)
    page = visit(other_browser, link)
    page.press(other_browser, "Sign in here instead", identifier=ADA)
    assert other_browser.who()["authenticated"]

    assert status(asked)["next"] is None
    page = visit(asked, WAIT)
    assert (page.status, page.code) == (410, "spent")
    assert ADA not in page.html  # whoever comes next to a shared computer is not told who was here
    assert "Go to sign-in" in page.html


def test_of_another_browser(asked, other_browser):
    other_browser.get("/login/")
    other_browser.start("bob@example.com")
    challenge = Challenge.objects.get(canonical=ADA)

    page = Page(other_browser.submit(WAIT, {"code": outbox.last_code(ADA), "challenge": challenge.public_id}))
    assert (page.status, page.name, page.code) == (403, "error", "wrong_browser")
    response = other_browser.get(f"/login/wait/status.json?challenge={challenge.public_id}")
    assert (response.status_code, response.json()["error"]) == (403, "wrong_browser")


@pytest.mark.parametrize("named", ["x", "x" * 22, "x" * 23, "'; --"])
def test_an_attempt_that_is_not_there_has_run_out(asked, named):
    page = visit(asked, f"{WAIT}?challenge={named}")
    assert (page.status, page.code) == (410, "expired")

    response = asked.get("/login/wait/status.json", {"challenge": named})
    assert (response.status_code, response.json()["error"]) == (404, "expired")


def test_the_state_of_nothing_is_not_found(browser):
    assert browser.get("/login/wait/status.json").status_code == 404


def test_sign_up_closed(browser, settings):
    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"
    browser.start()
    page = Page(browser.submit(WAIT, {"code": Challenge.objects.get().code()}))

    assert (page.status, page.name, page.code) == (403, "error", "sign_up_closed")
    assert page.press(browser, "Use another address").name == "login"
    assert not User.objects.exists()


def test_disabled(browser):
    User.objects.create_user("ada", ADA, is_active=False)
    browser.start()
    page = Page(browser.submit(WAIT, {"code": Challenge.objects.get().code()}))

    assert (page.status, page.name, page.code) == (403, "error", "disabled")
    assert not SignIn.objects.exists()


# -- sending it again


def test_it_says_when_the_message_can_be_sent_again_and_then_sends_it(asked, clock):
    clock.shift(20)
    page = visit(asked, WAIT)
    assert "You can ask again in 40 seconds." in page.words
    assert status(asked)["resend_seconds"] == 40

    clock.shift(40)
    page = visit(asked, WAIT)
    assert "You can ask again" not in page.words
    assert status(asked)["resend_seconds"] == 0
    code = outbox.last_code(ADA)

    page = page.press(asked, "Send it again")
    assert (page.name, page.status) == ("wait", 200)
    assert "Here comes the message once more." in page.words
    assert Delivery.objects.count() == 2
    assert Challenge.objects.count() == 1
    assert outbox.last_code(ADA) == code


def test_sending_again_too_early_says_how_long_to_wait_and_leads_back(asked, clock):
    clock.shift(20)
    page = visit(asked, WAIT).press(asked, "Send it again")

    assert (page.status, page.name, page.code) == (429, "error", "too_many_requests")
    assert page.response["Retry-After"] == "40"
    assert Delivery.objects.count() == 1
    page = page.press(asked, "Back")
    assert page.name == "wait"
    page.press(asked, "Sign in", code=outbox.last_code(ADA))
    assert asked.who()["authenticated"]


def test_what_no_longer_counts_is_not_sent_again(asked, clock):
    clock.shift(301)
    page = Page(asked.submit("/login/resend/"))

    assert (page.status, page.code) == (410, "expired")
    assert Delivery.objects.count() == 1


def test_nothing_is_sent_again_to_who_asked_for_nothing(browser):
    page = Page(browser.submit("/login/resend/"))

    assert (page.status, page.code) == (410, "expired")
    assert browser.get("/login/resend/").status_code == 405


def test_a_browser_that_the_account_knows_has_its_own_budget(browser, other_browser, clock):
    browser.sign_in()
    clock.shift(61)
    other_browser.start()  # a stranger uses up the budget of strangers
    browser.start()
    assert Challenge.objects.latest("pk").from_known_browser

    clock.shift(59)
    assert Page(browser.submit("/login/resend/")).status == 429
    clock.shift(1)
    assert browser.submit("/login/resend/").status_code == 303
    assert status(browser)["resend_seconds"] == 60


# -- two tabs, two addresses: the next step is that of the address whose message ended


def two_tabs(browser):
    browser.start(ADA)
    ada = Challenge.objects.get(canonical=ADA)
    browser.start("bob@example.com")
    return f"{WAIT}?challenge={ada.public_id}"


def test_a_new_message_goes_to_the_address_of_this_tab(browser, clock):
    tab = two_tabs(browser)
    clock.shift(301)

    page = visit(browser, tab)
    assert page.code == "expired"
    page.press(browser, "Send a new message")

    assert Challenge.objects.latest("pk").canonical == ADA


def test_going_on_with_the_newest_message_stays_with_the_address_of_this_tab(browser, clock):
    tab = two_tabs(browser)
    clock.shift(61)
    browser.start(ADA)
    newest = Challenge.objects.latest("pk")
    clock.shift(61)
    browser.start("bob@example.com")

    page = visit(browser, tab)
    assert page.code == "superseded"
    page = page.press(browser, "Go on with the newest message")

    assert page.inputs["challenge"]["value"] == newest.public_id


def test_a_link_that_another_browser_asked_for_offers_no_message_of_this_one(asked, other_browser, clock):
    """On the phone: the link is too old, and the phone once waited for something else."""
    other_browser.start("bob@example.com")
    link = outbox.last_link(ADA)
    clock.shift(301)

    page = visit(other_browser, link)

    assert page.code == "expired"
    assert "bob@example.com" not in page.html
    assert "Go to sign-in" in page.next_steps


def test_when_no_further_message_can_come_in_time_it_offers_none(asked, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "1/d"

    page = visit(asked, WAIT)

    assert "Send it again" not in page.next_steps
    assert page.status == 200
