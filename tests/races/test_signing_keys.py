"""Several processes, none of which knows a key yet, or which rotate them at one moment: every token is signed by a key
that every process publishes."""

import base64
import json
from functools import partial

import pytest
from django.db import transaction

from passwordless_auth.oidc import keys, tokens
from passwordless_auth.oidc.models import SigningKey

from .processes import Program
from .together import together

pytestmark = pytest.mark.django_db(transaction=True)

ALGS = ["RS256", "ES256", "EdDSA"]


@pytest.fixture(scope="module")
def programs(django_db_setup):
    programs = [Program("tests.races.signing") for _ in range(4)]
    yield [program.wait_until_ready() for program in programs]
    for program in programs:
        program.kill()


@pytest.fixture
def processes(programs):
    """Four that know nothing yet."""
    at_once(programs, "forget")
    return programs


@pytest.fixture(autouse=True)
def no_keys_yet():
    keys.forget()
    yield
    keys.forget()


def at_once(processes, *message):
    """The same request to all of them, before anyone has answered."""
    for process in processes:
        process.tell(message)
    return [process.hear() for process in processes]


def kid_of(token):
    return json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]


def newest():
    return dict(SigningKey.objects.exclude(newest_of=None).values_list("newest_of", "kid"))


def test_four_processes_that_sign_for_the_first_time_have_one_key(processes, again):
    signed = at_once(processes, "sign", "RS256")

    assert {kid_of(token) for token in signed} == {newest()["RS256"]}
    for published in at_once(processes, "publish"):
        assert sorted(published) == sorted(SigningKey.objects.values_list("kid", flat=True))
    assert SigningKey.objects.filter(alg="RS256").count() == 1
    for token in signed:
        assert at_once(processes, "read", token) == [True] * 4


def test_a_key_that_one_process_makes_is_published_by_all_at_once(processes, again):
    before = at_once(processes, "publish")
    assert len({*map(tuple, map(sorted, before))}) == 1

    token = processes[0].ask(["sign", "EdDSA"])  # not one of the setting: nobody has made one yet
    assert at_once(processes, "read", token) == [True] * 4  # also by those that have not looked since
    assert all(kid_of(token) in published for published in at_once(processes, "publish"))


def test_rotated_by_all_at_one_moment_each_algorithm_has_one_newest_key(processes, again):
    at_once(processes, "sign", "RS256")
    made = [kid for made in at_once(processes, "rotate") for kid in made]

    # One after the other, they may each have made a successor of the last: then those are published, too.
    assert sorted([*made, *_first()]) == sorted(SigningKey.objects.values_list("kid", flat=True))
    assert sorted(newest()) == ["ES256", "RS256"]
    for published in at_once(processes, "publish"):
        assert sorted(published) == sorted(SigningKey.objects.values_list("kid", flat=True))
    assert {kid_of(token) for token in at_once(processes, "sign", "RS256")} <= set(_first())


def _first():
    """The keys that nobody rotated into being: they sign already."""
    return SigningKey.objects.order_by("signs_from").values_list("kid", flat=True)[:2]


def test_a_key_that_was_withdrawn_elsewhere_verifies_nothing_after_the_next_key_is_seen(processes, again):
    token = processes[0].ask(["sign", "RS256"])
    assert at_once(processes, "read", token) == [True] * 4
    processes[1].ask(["withdraw"])

    assert kid_of(token) not in {kid for published in at_once(processes, "publish") for kid in published}
    assert at_once(processes, "read", token) == [False] * 4
    new = {kid_of(token) for token in at_once(processes, "sign", "RS256")}
    assert new == {newest()["RS256"]}


def test_threads_of_one_process_have_one_key(again):
    signed = together(partial(tokens.sign, {}, alg=alg) for alg in ["RS256"] * 4 + ["ES256"] * 4)
    assert {kid_of(token) for token in signed} == {newest()["RS256"], newest()["ES256"]}


def test_transactions_that_make_keys_do_not_wait_for_each_other_for_ever(again):
    """Each makes what it lacks in the same order: no deadlock. One that is rolled back leaves the other its turn."""

    def within(alg, commits):
        with transaction.atomic():
            token = tokens.sign({}, alg=alg)
            if not commits:
                transaction.set_rollback(True)
        return kid_of(token) if commits else None

    signed = together(partial(within, alg, commits) for alg in ALGS for commits in (True, False))
    published = {key["kid"] for key in keys.jwks()["keys"]}
    assert {kid for kid in signed if kid} <= published
    assert sorted(newest()) == sorted(ALGS)
    assert kid_of(tokens.sign({}, alg="RS256")) == newest()["RS256"]
