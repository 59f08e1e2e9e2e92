"""``passwordless_import_identities``: users that were there before us."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from passwordless_auth.flows import accounts, importing
from passwordless_auth.flows.importing import identities as module
from passwordless_auth.models import Identity

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = io.StringIO()
    call_command("passwordless_import_identities", *arguments, stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def users():
    """A site's users, as sites have them."""
    made = User.objects.bulk_create(
        [
            User(username="ada", email="Ada@Example.com"),
            User(username="bob", email="bob@example.com"),
            User(username="bob2", email="BOB@example.com"),
            User(username="nobody", email=""),
            User(username="staff", email="see file 17", is_staff=True),
            User(username="eve", email="eve@example.com", is_active=False),
            User(username="late", email="mine@example.com"),
            User(username="here", email="here@example.com"),
            User(username="like", email="\uff44ave@example.com"),  # a full-width letter: nobody ever mailed to it
        ]
    )
    users = {user.username: user for user in made}
    Identity.objects.create(user=users["here"], kind="email", canonical="here@example.com", is_primary=True)
    Identity.objects.create(user=users["here"], kind="email", canonical="mine@example.com")
    return users


def identities():
    return set(Identity.objects.values_list("user__username", "canonical", "origin", "is_primary"))


def test_a_dry_run_reports_and_changes_nothing(users):
    before = identities()
    lines = run("--dry-run")

    assert identities() == before
    assert lines == [
        f"shared by several users, left out: bob@example.com (users {users['bob'].pk}, {users['bob2'].pk})",
        f"can't be read as an address, left out: see file 17 (users {users['staff'].pk})",
        f"can't be read as an address, left out: \uff44ave@example.com (users {users['like'].pk})",
        f"belongs to another user already, left out: mine@example.com (users {users['late'].pk})",
        "Would import 2, already there 1, without an address 1, left out 4.",
    ]


def test_who_has_an_address_of_their_own_gets_an_identity(users):
    before = identities()
    lines = run()

    assert lines[-1] == "Imported 2, already there 1, without an address 1, left out 4."
    assert identities() - before == {
        ("ada", "ada@example.com", "import", True),
        ("eve", "eve@example.com", "import", True),
    }
    assert accounts.primary_of(users["ada"]).proven_at is None


def test_importing_twice_changes_nothing(users):
    run()
    before = set(Identity.objects.values_list("pk", "canonical"))

    assert run()[-1] == "Imported 0, already there 3, without an address 1, left out 4."
    assert set(Identity.objects.values_list("pk", "canonical")) == before


def test_a_conflict_that_was_settled_is_imported_the_next_time(users):
    run()
    User.objects.filter(username="bob2").update(email="bob2@example.com")

    assert run()[-1].startswith("Imported 2, ")
    assert ("bob", "bob@example.com", "import", True) in identities()
    assert ("bob2", "bob2@example.com", "import", True) in identities()


def test_a_person_who_was_imported_signs_in_to_their_account(users, browser):
    run()
    browser.sign_in("ADA@example.com")

    assert browser.who()["user"]["name"] == "Ada@Example.com"
    assert User.objects.count() == 9


def test_many_users_are_imported_in_chunks(django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 10)
    User.objects.bulk_create([User(username=f"u{n}", email=f"u{n}@example.com") for n in range(25)])

    assert importing.import_identities(dry_run=False).imported == 25
    assert Identity.objects.count() == 25


def test_somebody_who_signs_in_meanwhile_is_no_error(users, monkeypatch):
    real = module._create

    def create(wanted):
        Identity.objects.create(user=users["ada"], kind="email", canonical="ada@example.com", is_primary=True)
        real(wanted)

    monkeypatch.setattr(module, "_create", create)
    run()

    assert Identity.objects.filter(canonical="ada@example.com").count() == 1
    assert Identity.objects.filter(canonical="eve@example.com").count() == 1


def test_without_an_e_mail_field_there_is_nothing_to_import(monkeypatch):
    from passwordless_auth.management.commands import passwordless_import_identities as command

    monkeypatch.setattr(command, "email_field", lambda: None)

    with pytest.raises(CommandError, match="no e-mail field"):
        run()
