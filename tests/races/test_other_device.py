"""A request for another device, and many who want it at one moment: each step of it has one winner."""

from functools import partial

import pytest

from passwordless_auth.models import Challenge, Passkey
from passwordless_auth.testing.authenticator import Authenticator
from tests.conftest import Browser
from tests.passkeys import ORIGIN, send, sign_in, with_passkey
from tests.views.pages import Page
from tests.views.test_other_device import FIRST, NEW, approved, asks, claims, link_on, scans, shows_code, types, wrong

from .together import ready, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada(browser):
    authenticator = with_passkey(browser)
    assert sign_in(browser, authenticator).status_code == 200
    return authenticator


@pytest.fixture
def phone(other_browser):
    return other_browser


def test_of_ten_browsers_that_claim_it_at_one_moment_one_has_it(browser, ada, again):
    link = link_on(shows_code(browser))
    phones = [ready(Browser()) for _ in range(10)]
    pages = [Page(phone.get(link, follow=True)) for phone in phones]

    answers = together(
        partial(phone.submit, NEW, page.forms[0].fields) for phone, page in zip(phones, pages, strict=True)
    )

    assert sorted(answer.status_code for answer in answers) == [303] + [410] * 9
    winner = phones[[answer.status_code for answer in answers].index(303)]
    assert winner.get("/enrol/status.json").json()["step"] == "claimed"


def test_wrong_numbers_at_one_moment_do_not_outrun_the_tries(browser, phone, ada, again):
    number = claims(phone, scans(phone, browser))
    challenge = Challenge.objects.get(purpose="enrol")
    guesses = [wrong(number)] * 9

    answers = together(
        partial(types, tab, guess, challenge=challenge.public_id)
        for tab, guess in zip(tabs(browser, 9), guesses, strict=True)
    )

    challenge.refresh_from_db()
    assert challenge.tries == 3
    # Whoever looks after the third was counted is told that it is over, and that may be all of them.
    assert {answer.status_code for answer in answers} <= {400, 410}
    assert types(browser, number, challenge=challenge.public_id).status_code == 410
    assert challenge.approved_at is None


def test_the_right_number_from_ten_tabs_at_one_moment_is_one_approval(browser, phone, ada, again):
    number = claims(phone, scans(phone, browser))
    challenge = Challenge.objects.get(purpose="enrol")

    answers = together(partial(types, tab, number, challenge=challenge.public_id) for tab in tabs(browser, 10))

    assert [answer.status_code for answer in answers] == [303] * 10
    challenge.refresh_from_db()
    assert (challenge.tries, challenge.state) == (0, "open")
    assert asks(phone).status_code == 200


def test_yes_and_no_at_one_moment_leave_it_stopped(browser, phone, ada, again):
    number = claims(phone, scans(phone, browser))
    challenge = Challenge.objects.get(purpose="enrol").public_id
    yes, no = tabs(browser, 2)

    together([partial(types, yes, number, challenge=challenge), partial(types, no, "", "deny", challenge)])

    assert Challenge.objects.get(purpose="enrol").state == "cancelled"
    assert asks(phone).json()["error"] == "superseded"


def test_ten_passkeys_at_one_moment_are_one(browser, phone, ada, again):
    """Each with a ceremony and a key of its own: what is used once is the approval."""
    approved(phone, browser)
    made = [Authenticator().create(asks(phone).json(), origin=ORIGIN) for _ in range(10)]

    answers = together(
        partial(send, tab, "/enrol/register/", one) for tab, one in zip(tabs(phone, 10), made, strict=True)
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [410] * 9
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"spent"}
    assert Passkey.objects.count() == 2


def test_a_stop_at_the_moment_of_the_registration_is_before_or_after_it(browser, phone, ada, again):
    approved(phone, browser)
    made = Authenticator().create(asks(phone).json(), origin=ORIGIN)
    challenge = Challenge.objects.get(purpose="enrol").public_id
    tab, phone_tab = tabs(browser, 1)[0], tabs(phone, 1)[0]

    answer, _stop = together(
        [partial(send, phone_tab, "/enrol/register/", made), partial(types, tab, "", "deny", challenge)]
    )

    added = answer.status_code == 200
    assert Passkey.objects.count() == 1 + added
    assert Challenge.objects.get(purpose="enrol").state == ("spent" if added else "cancelled")


def test_ten_new_codes_at_one_moment_leave_one(browser, ada, again):
    answers = together(partial(tab.submit, FIRST, {"action": "start"}) for tab in tabs(browser, 10))

    assert {answer.status_code for answer in answers} == {303}
    assert Challenge.objects.filter(purpose="enrol", state="open").count() == 1
