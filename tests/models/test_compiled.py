"""Statements whose SQL is written once do what Django's own do, with the values of each call."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, models, transaction
from django.db.models.functions import Lower
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from passwordless_auth.models import Challenge, Profile
from passwordless_auth.models.compiled import CompiledSelect, CompiledUpdate

pytestmark = pytest.mark.django_db

user_named = CompiledSelect(
    lambda username: User.objects.select_related("passwordless_profile").filter(username=username, is_active=True),
    username=str,
)
user_with_key = CompiledSelect(lambda pk: User.objects.filter(pk=pk), pk=int)


@pytest.fixture
def people(db):
    users = [User.objects.create_user(name) for name in ("ada", "grace")]
    User.objects.create_user("off", is_active=False)
    for user in users:
        Profile.objects.create(user=user, language=user.username)
    return users


def test_each_call_finds_the_row_of_its_own_value(people):
    assert [user_named(username=name) for name in ("ada", "grace", "ada")] == [people[0], people[1], people[0]]
    assert [user_with_key(pk=user.pk) for user in people] == people


def test_what_the_queryset_leaves_out_is_not_found(people):
    assert user_named(username="nobody") is None
    assert user_named(username="off") is None


def test_a_row_is_the_same_as_from_the_queryset_and_its_relations_cost_no_query(people):
    expected = User.objects.get(username="grace")

    with CaptureQueriesContext(connection) as queries:
        found = user_named(username="grace")
        language = found.passwordless_profile.language

    assert language == "grace"
    assert len(queries) == 1
    assert {field.attname: getattr(found, field.attname) for field in User._meta.concrete_fields} == {
        field.attname: getattr(expected, field.attname) for field in User._meta.concrete_fields
    }


def test_values_are_parameters_whatever_they_hold(people):
    assert user_named(username="ada' OR '1'='1") is None
    assert user_named(username="%s") is None


def test_a_value_that_the_sql_has_no_place_for_is_refused_before_anything_is_asked_for():
    everybody = CompiledSelect(lambda name: User.objects.all(), name=str)

    with pytest.raises(ValueError, match="no place for name"):
        everybody(name="ada")


renamed = CompiledUpdate(
    lambda before, after, at: User.objects.filter(username=before, is_active=True),
    lambda before, after, at: {"username": after, "last_login": at},
    before=str,
    after=str,
    at=datetime,
)
NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def test_an_update_changes_the_rows_of_its_own_values_and_says_how_many(people):
    with CaptureQueriesContext(connection) as queries:
        assert renamed(before="ada", after="lovelace", at=NOON) == 1
        assert renamed(before="grace", after="hopper", at=NOON) == 1
        assert renamed(before="off", after="on", at=NOON) == 0

    assert len(queries) == 3
    assert set(User.objects.filter(last_login=NOON).values_list("username", flat=True)) == {"lovelace", "hopper"}
    assert User.objects.filter(username="off", last_login=None).exists()


def test_an_update_that_the_database_refuses_ends_the_transaction_as_djangos_does(people):
    with transaction.atomic():
        with pytest.raises(DatabaseError):
            renamed(before="ada", after="grace", at=NOON)
        assert transaction.get_rollback()

    assert User.objects.filter(username="ada").exists()


def challenge(**fields):
    values = {"purpose": "sign_in", "kind": "email", "key_id": "k1", "expires_at": NOON}
    return Challenge(**values | fields)


def test_a_row_that_is_inserted_has_its_key_its_defaults_and_its_own_values():
    rows = [challenge(canonical=f"{name}@example.com", params={"name": name}) for name in ("ada", "grace")]
    for row in rows:
        row.save(force_insert=True)

    assert rows[0].pk != rows[1].pk
    for row in rows:
        stored = Challenge.objects.get(pk=row.pk)
        assert {field.attname: getattr(stored, field.attname) for field in Challenge._meta.concrete_fields} == {
            field.attname: getattr(row, field.attname) for field in Challenge._meta.concrete_fields
        }


def test_a_row_that_has_its_key_already_keeps_it():
    challenge(canonical="ada@example.com").save()
    challenge(pk=4711, canonical="grace@example.com").save(force_insert=True)

    assert Challenge.objects.get(pk=4711).canonical == "grace@example.com"


def test_an_expression_is_written_as_what_it_is():
    row = challenge(canonical=Lower(models.Value("ADA@example.com")))
    row.save(force_insert=True)

    assert Challenge.objects.get(pk=row.pk).canonical == "ada@example.com"


def test_receivers_of_djangos_signals_are_told(db):
    told = []

    def listen(instance, created, **_kwargs):
        told.append((instance.pk, created))

    post_save.connect(listen, sender=Challenge)
    try:
        row = challenge()
        row.save(force_insert=True)
    finally:
        post_save.disconnect(listen, sender=Challenge)

    assert told == [(row.pk, True)]
