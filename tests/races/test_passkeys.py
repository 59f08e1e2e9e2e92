"""One answer of a passkey, many times at one moment; two ways in, taken away at one moment."""

from functools import partial

import pytest
from django.contrib.sessions.models import Session
from django.db import transaction

from passwordless_auth.flows import enrolment, sign_out
from passwordless_auth.models import Challenge, Identity, Passkey, SignIn
from passwordless_auth.requester import Requester
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.faults import NO_FAULT, Fault
from tests.passkeys import ORIGIN, answer, asked_to_register, asked_to_sign_in, register, send, sign_in, with_passkey

from .together import in_the_middle_of, ready, signed_in, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"


@pytest.fixture
def authenticator(browser):
    authenticator = with_passkey(browser, ADDRESS)
    browser.submit("/logout/")
    return authenticator


def test_twenty_times_one_assertion_at_one_moment_is_one_session(browser, authenticator, again):
    credential = authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)
    before = SignIn.objects.count()

    answers = together(partial(answer, tab, credential) for tab in tabs(browser, 20))

    refused = [response.json()["error"] for response in answers if response.status_code != 200]
    assert refused == ["spent"] * 19
    assert len(signed_in(answers)) == 1
    assert SignIn.objects.count() == before + 1
    assert Session.objects.count() == 1
    assert Passkey.objects.get().sign_count == 2


def test_two_assertions_of_one_counter_at_one_moment_are_one_session(browser, authenticator, again):
    """A copy of the authenticator, used beside it: each answer is right, and both count the same."""
    credentials = [
        authenticator.get(asked_to_sign_in(browser), origin=ORIGIN, fault=fault)
        for fault in (NO_FAULT, Fault(counter_by=0))
    ]

    answers = together(partial(answer, tab, one) for tab, one in zip(tabs(browser, 2), credentials, strict=True))

    assert sorted(response.status_code for response in answers) in ([200, 400], [200, 403])
    assert len(signed_in(answers)) == 1


def test_twenty_times_one_registration_at_one_moment_is_one_passkey(browser, again):
    browser.sign_in(ADDRESS)
    made = Authenticator().create(asked_to_register(browser), origin=ORIGIN)

    answers = together(partial(send, tab, "/account/passkeys/register/", made) for tab in tabs(browser, 20))

    # Who comes when the first one is there is told that it needs more; who came in time, that the challenge is used up.
    refused = [response.status_code for response in answers if response.status_code != 200]
    assert len(refused) == 19
    assert set(refused) <= {403, 410}
    assert Passkey.objects.count() == 1


def test_one_credential_id_registered_by_two_people_at_one_moment_belongs_to_one(browser, other_browser, again):
    """Somebody saw an id and registers it while its owner does."""
    people = [ready(browser), ready(other_browser)]
    made = []
    for person, address in zip(people, (ADDRESS, "bo@example.com"), strict=True):
        person.sign_in(address)
        authenticator = Authenticator()
        made.append(
            authenticator.create(asked_to_register(person), origin=ORIGIN, fault=Fault(credential_id=b"i" * 32))
        )

    answers = together(
        partial(send, person, "/account/passkeys/register/", one) for person, one in zip(people, made, strict=True)
    )

    assert sorted(response.status_code for response in answers) == [200, 400]
    assert Passkey.objects.count() == 1


def test_of_two_last_ways_in_one_stays(browser, authenticator, again):
    """Both passkeys are removed at one moment, by two tabs, and there is no address to come back with."""
    assert sign_in(browser, authenticator).status_code == 200
    _second, response = register(browser)
    assert response.status_code == 200
    Identity.objects.update(for_sign_in=False)

    answers = together(
        partial(tab.submit, "/account/passkeys/", {"passkey": row.public_id, "action": "remove"})
        for tab, row in zip(tabs(browser, 2), Passkey.objects.all(), strict=True)
    )

    assert sorted(response.status_code for response in answers) == [303, 409]
    assert Passkey.objects.count() == 1


def test_a_passkey_that_is_blocked_while_it_signs_in_leaves_no_session(browser, authenticator, again):
    credential = authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)
    tab = tabs(browser, 1)[0]
    now = Challenge.objects.latest("pk").created_at

    def block():
        with transaction.atomic():
            row = Passkey.objects.select_related("user").get()
            Passkey.objects.filter(pk=row.pk).block(now=now)
            enrolment.after_block(row, requester=Requester(), now=now)

    response, _none = together([partial(answer, tab, credential), block])

    assert response.status_code in {200, 403}
    assert not signed_in([response])


def test_a_session_that_is_ended_while_a_passkey_confirms_it_stays_ended(browser, authenticator, again):
    assert sign_in(browser, authenticator).status_code == 200
    credential = authenticator.get(asked_to_sign_in(browser, step_up=True), origin=ORIGIN)
    confirming, ending = tabs(browser, 2)

    _confirmed, ended = in_the_middle_of(
        partial(answer, confirming, credential, "?step_up=1"),
        partial(ending.submit, "/account/sessions/", {"scope": "everywhere"}),
        is_new=False,
    )

    assert ended.url.startswith("/logout/")
    assert not SignIn.objects.live().exists()
    assert not Session.objects.exists()


def test_ending_a_session_at_the_moment_in_which_it_is_confirmed_ends_it_or_asks_who_is_there(
    browser, authenticator, again
):
    """The later of the two may come with the key that the session had before: it is nobody's any more."""
    assert sign_in(browser, authenticator).status_code == 200
    credential = authenticator.get(asked_to_sign_in(browser, step_up=True), origin=ORIGIN)
    confirming, ending = tabs(browser, 2)

    confirmed, ended = together(
        [
            partial(answer, confirming, credential, "?step_up=1"),
            partial(ending.submit, "/account/sessions/", {"scope": "everywhere"}),
        ]
    )

    if ended.url.startswith("/login/"):
        assert confirmed.status_code == 200
        assert len(signed_in([confirmed])) == 1
    else:
        assert not SignIn.objects.live().exists()
        assert not Session.objects.exists()


def test_a_session_made_by_a_passkey_while_its_account_is_deactivated_does_not_outlive_it(
    browser, authenticator, again
):
    credential = authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)
    user = Passkey.objects.get().user

    def deactivate():
        user.is_active = False
        user.save()

    signed, _done = in_the_middle_of(partial(answer, ready(browser), credential), deactivate)

    assert signed.status_code < 500
    user.is_active = True
    user.save()
    assert not browser.who()["authenticated"], "a session came back to life with its account"


def test_a_session_made_by_a_passkey_while_its_owner_signs_out_everywhere_is_ended(browser, authenticator, again):
    credential = authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)

    signed, _done = in_the_middle_of(
        partial(answer, ready(browser), credential), partial(sign_out.end_everywhere, Passkey.objects.get().user)
    )

    assert signed.status_code < 500
    assert not SignIn.objects.live().exists()
    assert not browser.who()["authenticated"]
