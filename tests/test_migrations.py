"""The tables are what the models say."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import SwappableTuple
from django.utils import translation

LABEL = "passwordless_auth"
LABELS = (LABEL, "passwordless_auth_oidc")


@pytest.mark.django_db
@pytest.mark.parametrize("label", LABELS)
def test_no_migration_is_missing(label):
    call_command("makemigrations", label, check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
@pytest.mark.parametrize("label", LABELS)
def test_migrations_do_not_change_with_the_languages_of_a_host(settings, label):
    """A translated label in a migration would make every German host write one of its own."""
    with translation.override("de"):
        call_command("makemigrations", label, check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_the_tables_can_be_taken_back_and_made_again():
    def ours():
        return {table for table in connection.introspection.table_names() if table.startswith(LABEL)}

    before = ours()
    assert before == {model._meta.db_table for label in LABELS for model in apps.get_app_config(label).get_models()}
    call_command("migrate", LABEL, "zero", verbosity=0)  # the other apps stand on it, and go first
    assert ours() == set()
    for label in LABELS:
        call_command("migrate", label, verbosity=0)
    assert ours() == before


def test_the_user_model_is_the_hosts_own():
    migration = MigrationLoader(None).disk_migrations[LABEL, "0001_initial"]

    (dependency,) = migration.dependencies
    assert isinstance(dependency, SwappableTuple)


def test_keys_are_whole_numbers_and_ids_that_are_shown_are_not():
    for model in apps.get_app_config(LABEL).get_models():
        # django-otp verifies only Devices whose key is a whole number.
        assert model._meta.pk.get_internal_type() == "BigAutoField", model
    shown = {model.__name__ for model in apps.get_app_config(LABEL).get_models() if hasattr(model, "public_id")}
    assert shown == {"Challenge", "Delivery", "Identity", "Passkey", "SignIn", "Totp"}
