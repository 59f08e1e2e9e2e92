"""Queries whose SQL is written once give what the querysets give, with the values of each call."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from passwordless_auth.models import Profile
from passwordless_auth.models.compiled import CompiledSelect

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


def test_a_value_that_the_sql_would_change_is_refused_before_it_is_asked_for():
    looks_alike = CompiledSelect(lambda name: User.objects.filter(username__contains=name), name=str)

    with pytest.raises(ValueError, match="does not compare name"):
        looks_alike(name="ada")
