"""Whose address is this; and ``user.email`` and the primary Identity, in step."""

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError

from passwordless_auth import signals
from passwordless_auth.flows import accounts
from passwordless_auth.identifiers import parse
from passwordless_auth.models import Challenge, Event, Identity, KnownBrowser, Profile, SignIn
from passwordless_auth.testing import outbox

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


def primary(user):
    """The address and the origin of the primary Identity, and whether it is proven."""
    identity = accounts.primary_of(user)
    return identity and (identity.canonical, identity.origin, identity.proven_at is not None)


# -- signing up


def test_a_new_person_gets_a_user_an_identity_and_a_profile(browser):
    browser.sign_in(ADA)

    user = User.objects.get()
    assert user.email == ADA
    assert user.username.startswith("user-")
    assert not set(user.username.removeprefix("user-")) & set("aeiou01")
    assert not user.has_usable_password()
    assert user.is_active
    assert not user.is_staff
    assert primary(user) == (ADA, "sign_up", True)
    assert user.passwordless_profile.language == "en"
    assert len(user.passwordless_profile.handle) == 32


def test_user_names_are_unique_and_not_the_address(browser):
    for number in range(5):
        browser.sign_in(f"person{number}@example.com")

    names = set(User.objects.values_list("username", flat=True))
    assert len(names) == 5
    assert not any("person" in name or "@" in name for name in names)


def test_a_user_name_finds_room_in_a_short_field(monkeypatch):
    field = User._meta.get_field("username")
    monkeypatch.setattr(field, "max_length", 10)

    assert len(accounts.new_user(parse(ADA)).username) == 10


def test_the_second_sign_in_makes_nothing_new(browser, clock):
    browser.sign_in(ADA)
    clock.shift(61)
    browser.sign_in(ADA)

    assert (User.objects.count(), Identity.objects.count(), Profile.objects.count()) == (1, 1, 1)
    assert SignIn.objects.count() == 2
    assert KnownBrowser.objects.count() == 1
    assert str(KnownBrowser.objects.get()) == KnownBrowser.objects.get().browser_digest[:8]


def test_an_address_that_got_an_identity_meanwhile_signs_in_to_it(browser):
    browser.start(ADA)
    user = User.objects.create_user("ada", ADA)

    browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})

    assert SignIn.objects.get().user == user


def test_an_address_that_went_to_somebody_else_meanwhile_does_not_sign_in_to_its_old_owner(browser):
    old = User.objects.create_user("old", ADA)
    browser.start(ADA)
    code = outbox.last_code(ADA)
    # Past the receiver, which would have cancelled
    Identity.objects.update(canonical="old@example.com")
    User.objects.filter(pk=old.pk).update(email="old@example.com")
    new = User.objects.create_user("new", ADA)

    browser.submit("/login/wait/", {"code": code})

    assert SignIn.objects.get().user == new != old


def test_when_the_account_is_made_by_two_at_once_the_later_one_signs_in_to_it(browser, monkeypatch):
    """The first attempt meets the unique address, rolls back, and asks again."""
    real, calls = accounts._sign_up, []

    def meets_another(challenge, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise IntegrityError
        return real(challenge, **kwargs)

    monkeypatch.setattr(accounts, "_sign_up", meets_another)

    browser.sign_in(ADA)

    assert len(calls) == 2
    assert browser.who()["authenticated"]


def test_a_receiver_of_the_host_may_change_a_new_user_at_once(browser):
    def receive(sender, *, user, created, **_kwargs):
        user.email = "other@example.com"
        user.save()

    signals.signed_in.connect(receive)
    try:
        browser.sign_in(ADA)
    finally:
        signals.signed_in.disconnect(receive)

    assert primary(User.objects.get()) == ("other@example.com", "host", False)


# -- user.email changes


def test_a_user_that_the_host_makes_gets_an_unproven_identity():
    user = User.objects.create_user("ada", "Ada@Example.com")

    assert primary(user) == (ADA, "host", False)


def test_a_changed_address_is_followed_unproven(browser):
    browser.sign_in(ADA)
    user = User.objects.get()
    user.email = "Countess@example.com"
    user.save()

    assert primary(user) == ("countess@example.com", "host", False)
    assert Identity.objects.count() == 1


def test_receivers_hear_of_it_once_it_is_committed(django_capture_on_commit_callbacks):
    user = User.objects.create_user("ada", ADA)
    heard = []

    def added(sender, *, user, identity, **_kwargs):
        heard.append(("added", user, identity.canonical))

    def removed(sender, *, user, identity, **_kwargs):
        heard.append(("removed", user, identity.canonical))

    signals.identity_added.connect(added)
    signals.identity_removed.connect(removed)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            user.email = "countess@example.com"
            user.save()
            assert heard == []
    finally:
        signals.identity_added.disconnect(added)
        signals.identity_removed.disconnect(removed)

    assert heard == [("removed", user, ADA), ("added", user, "countess@example.com")]


@pytest.mark.parametrize(
    ("fields", "followed"), [(["email"], True), (["email", "is_active"], True), (["username"], False)]
)
def test_only_a_save_of_the_field_is_followed(fields, followed):
    user = User.objects.create_user("ada", ADA)
    user.email = "countess@example.com"
    user.save(update_fields=fields)

    assert (primary(user)[0] == "countess@example.com") is followed


def test_a_save_that_does_not_touch_us_costs_nothing(django_assert_num_queries):
    user = User.objects.create_user("ada", ADA)

    with django_assert_num_queries(1):
        user.save(update_fields=["last_login"])


def test_a_save_without_a_change_changes_nothing():
    user = User.objects.create_user("ada", ADA)
    before = Identity.objects.get()
    user.first_name = "Ada"
    user.save()

    assert Identity.objects.get().pk == before.pk
    assert not Event.objects.exists()


def test_what_is_on_its_way_to_the_old_address_stops(browser):
    user = User.objects.create_user("ada", ADA)
    browser.start(ADA)
    user.email = "countess@example.com"
    user.save()

    assert Challenge.objects.get().state == "cancelled"
    response = browser.submit("/login/wait/", {"code": Challenge.objects.get().code()})
    assert response.status_code == 410


def test_an_emptied_address_takes_the_identity_away():
    user = User.objects.create_user("ada", ADA)
    user.email = ""
    user.save()

    assert primary(user) is None
    assert not Identity.objects.exists()


def test_emptying_what_is_empty_is_nothing():
    user = User.objects.create_user("ada", "")
    user.save()

    assert not Identity.objects.exists()


def test_an_address_of_somebody_else_is_a_conflict_that_is_written_down():
    User.objects.create_user("bob", "bob@example.com")
    user = User.objects.create_user("ada", ADA)
    user.email = "bob@example.com"
    user.save()

    assert primary(user) == (ADA, "host", False)
    event = Event.objects.get()
    assert (event.kind, event.user, event.masked) == ("address_conflict", user, "b•••@e•••.com")
    assert Identity.objects.get(canonical="bob@example.com").user.username == "bob"


def test_an_address_that_its_owner_proved_at_the_same_moment_is_a_conflict_too(monkeypatch):
    user = User.objects.create_user("ada", ADA)

    def taken(*args, **kwargs):
        raise IntegrityError

    monkeypatch.setattr(accounts, "attach", taken)
    user.email = "countess@example.com"
    user.save()

    assert primary(user) == (ADA, "host", False)
    assert Event.objects.get().kind == "address_conflict"


def test_another_address_of_the_same_person_becomes_the_primary_one():
    user = User.objects.create_user("ada", ADA)
    Identity.objects.create(user=user, kind="email", canonical="countess@example.com", origin="sign_up")
    user.email = "countess@example.com"
    user.save()

    assert primary(user) == ("countess@example.com", "sign_up", False)
    assert list(Identity.objects.filter(is_primary=True).values_list("canonical", flat=True)) == [
        "countess@example.com"
    ]
    assert Identity.objects.count() == 2


def test_what_no_message_could_reach_is_left_alone():
    user = User.objects.create_user("ada", ADA)
    user.email = "see staff file 17"
    user.save()

    assert primary(user) == (ADA, "host", False)


def test_loading_a_fixture_makes_no_identities(tmp_path):
    """They would be in the fixture, or imported."""
    file = tmp_path / "users.json"
    file.write_text('[{"model": "auth.user", "fields": {"username": "ada", "email": "ada@example.com"}}]')
    call_command("loaddata", str(file), verbosity=0)

    assert User.objects.get().email == ADA
    assert not Identity.objects.exists()


# -- deactivated, deleted


@pytest.mark.parametrize("fields", [None, ["is_active"]])
def test_a_deactivated_user_loses_sessions_and_what_is_on_its_way(browser, other_browser, fields):
    browser.sign_in(ADA)
    other_browser.start(ADA)
    user = User.objects.get()
    user.is_active = False
    user.save(update_fields=fields)

    assert SignIn.objects.get().end_reason == "deactivated"
    assert not Challenge.objects.filter(state="open").exists()
    assert not browser.who()["authenticated"]

    user.is_active = True
    user.save(update_fields=fields)
    assert not browser.who()["authenticated"]


def test_deactivating_by_a_save_of_another_field_is_no_deactivation(browser):
    browser.sign_in(ADA)
    user = User.objects.get()
    user.is_active = False
    user.save(update_fields=["first_name"])

    assert browser.who()["authenticated"]


def test_a_user_deactivated_by_an_update_is_out_at_the_next_request(browser):
    browser.sign_in(ADA)
    User.objects.update(is_active=False)

    assert not browser.who()["authenticated"]
    assert SignIn.objects.get().end_reason == "deactivated"
    User.objects.update(is_active=True)
    assert not browser.who()["authenticated"]


def test_deleting_a_user_leaves_nothing_of_them(browser, clock):
    browser.sign_in(ADA)
    clock.shift(61)
    browser.start(ADA)
    browser.start("bob@example.com")

    User.objects.all().delete()

    assert not browser.who()["authenticated"]
    for model in (Identity, Profile, SignIn, KnownBrowser, Event):
        assert not model.objects.exists()
    assert [challenge.canonical for challenge in Challenge.objects.all()] == ["bob@example.com"]
    browser.submit("/login/wait/", {"code": outbox.last_code("bob@example.com")})
    assert browser.who()["authenticated"]


# -- users who were there before us


def unimported(**fields):
    """A user whom the receivers of ours never saw."""
    (user,) = User.objects.bulk_create([User(**{"username": "ada", "email": ADA, **fields})])
    return user


def test_a_user_who_was_not_imported_is_adopted_by_the_proof_of_the_address(browser):
    user = unimported(password="md5$x$y")
    browser.sign_in(ADA)

    assert SignIn.objects.get().user == user
    assert primary(user) == (ADA, "host", True)
    user.refresh_from_db()
    assert not user.has_usable_password()
    assert Event.objects.get().kind == "first_proof_cleared_account"


@pytest.mark.parametrize("reason", ["staff", "two users", "another address"])
def test_who_is_not_adopted_is_refused_and_an_administrator_can_see_why(browser, reason):
    user = unimported(is_staff=reason == "staff")
    if reason == "two users":
        unimported(username="also ada")
    if reason == "another address":
        Identity.objects.create(user=user, kind="email", canonical="old@example.com", is_primary=True)

    browser.start(ADA)
    response = browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})

    assert (response.status_code, b'data-code="disabled"' in response.content) == (403, True)
    event = Event.objects.get(kind="adoption_refused")
    assert str(user.pk) in event.data["users"]
    assert not SignIn.objects.exists()


def test_a_user_whose_address_has_another_spelling_is_adopted_too(browser):
    user = unimported(email="Ada@Example.COM")
    browser.sign_in(ADA)

    assert SignIn.objects.get().user == user
    assert User.objects.count() == 1


def test_whoever_registers_with_the_address_of_a_user_who_was_not_imported_does_not_get_it():
    unimported()
    eve = User.objects.create_user("eve", ADA)

    assert primary(eve) is None
    assert Event.objects.get().kind == "address_conflict"


def test_a_user_whom_another_browser_adopted_meanwhile_is_found():
    user = unimported()
    identity = Identity.objects.create(user=user, kind="email", canonical=ADA, is_primary=True, origin="host")

    assert accounts.adopt(parse(ADA), now=identity.created_at) == identity


def test_where_users_have_no_address_nobody_is_adopted(browser, monkeypatch):
    monkeypatch.setattr(accounts, "email_field", lambda: None)
    unimported()

    browser.sign_in(ADA)

    assert User.objects.count() == 2


# -- first proof


def test_an_imported_address_keeps_what_it_had(browser):
    user = unimported(password="md5$x$y")
    call_command("passwordless_import_identities", verbosity=0)
    browser.sign_in(ADA)

    user.refresh_from_db()
    assert user.password == "md5$x$y"
    assert primary(user) == (ADA, "import", True)
    assert not Event.objects.exists()


def test_the_first_proof_of_an_entered_address_clears_what_was_there(browser, other_browser, clock):
    user = User.objects.create_user("ada", ADA, "a password")
    Identity.objects.create(user=user, kind="email", canonical="eve@example.net", origin="sign_up")
    other_browser.sign_in("eve@example.net")
    other_browser.start("eve@example.net")

    browser.sign_in(ADA)

    user.refresh_from_db()
    assert not user.has_usable_password()
    assert [identity.canonical for identity in Identity.objects.all()] == [ADA]
    assert SignIn.objects.live().get().methods == ["one_time_code"]
    assert not other_browser.who()["authenticated"]
    assert KnownBrowser.objects.count() == 1
    assert {sign_in.end_reason for sign_in in SignIn.objects.all()} == {"first_proof", ""}
