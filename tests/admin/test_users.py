"""A person's page in the admin: what they sign in with, and how much it takes."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from passwordless_auth.models import Event, Identity, Passkey, Profile, RecoveryCode, SignIn, Totp
from passwordless_auth.testing import add_recovery_codes, signed_in_client
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import IdentityFactory, PasskeyFactory, TotpFactory, UserFactory

pytestmark = pytest.mark.django_db


def page_of(user):
    return f"/ours/auth/user/{user.pk}/change/"


def words(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def fields_of(client, user):
    """What the form of this page would send, as a browser fills it."""
    form = client.get(page_of(user)).context["adminform"].form
    fields = {name: form.initial.get(name) for name in form.fields if name not in ("password", "groups")}
    fields |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    for formset in client.get(page_of(user)).context["inline_admin_formsets"]:
        for name, value in formset.formset.management_form.initial.items():
            fields[f"{formset.formset.prefix}-{name}"] = value
        for each in formset.forms:
            for name in each.fields:
                fields[each.add_prefix(name)] = each[name].value()
    return {name: value for name, value in fields.items() if value is not None and value is not False}


def save(client, user, **changed):
    answer = client.post(page_of(user), {**fields_of(client, user), **changed})
    assert answer.status_code == 302, re.findall(r"errorlist[^>]*>(.+?)</ul>", answer.content.decode())


@pytest.fixture
def helper():
    return UserFactory(username="helper", is_staff=True)


def allow(user, *codenames):
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


def test_it_shows_what_a_person_signs_in_with_and_no_secret(client_of_root, ada):
    IdentityFactory(user=ada, canonical="ada.lovelace@home.example.com")
    passkey = PasskeyFactory(user=ada, name="Laptop", authenticator=Authenticator(synced=True))
    app = TotpFactory(user=ada, name="Old phone")
    codes = add_recovery_codes(ada, 3)

    answer = client_of_root.get(page_of(ada))

    html, text = answer.content.decode(), words(answer)
    for shown in ("a•••@h•••.com", "Laptop", "synced", "Old phone", "3 left", "Minimum level"):
        assert shown in text
    for path in (
        f"/ours/passwordless_auth/passkey/{passkey.pk}/change/",
        f"/ours/passwordless_auth/totp/{app.pk}/change/",
        f"/ours/passwordless_auth/identity/{Identity.objects.filter(user=ada).first().pk}/change/",
    ):
        assert path in html
    for secret in (
        "ada.lovelace@home.example.com",
        bytes(passkey.credential_id).hex(),
        passkey.credential_digest,
        app.key_sealed,
        app.key().hex(),
        *codes,
    ):
        assert secret not in html


def test_it_offers_what_can_be_done(client_of_root, ada):
    html = client_of_root.get(page_of(ada)).content.decode()

    assert f'href="/ours/auth/user/acts/reset-factors/?id={ada.pk}&amp;next=' in html
    assert f'href="/ours/auth/user/acts/end-sessions/?id={ada.pk}&amp;next=' in html
    assert "/acts/lift-freeze/" not in html
    assert "History" in html  # the host's own buttons are still there


def test_factors_are_seen_by_who_may_see_them(helper, ada):
    PasskeyFactory(user=ada, name="Laptop")
    TotpFactory(user=ada, name="Old phone")
    allow(helper, "view_user")
    client = signed_in_client(helper, "phr")

    for codename, shown in (
        ("view_passkey", "Laptop"),
        ("view_totp", "Old phone"),
        ("view_identity", "a•••@e•••.com"),
        ("view_profile", "Minimum level"),
    ):
        assert shown not in words(client.get(page_of(ada)))
        allow(helper, codename)
        assert shown in words(client.get(page_of(ada)))


def test_the_page_costs_the_same_however_much_there_is(client_of_root, ada):
    def cost():
        client_of_root.get(page_of(ada))  # what is looked up once and kept
        with CaptureQueriesContext(connection) as queries:
            assert client_of_root.get(page_of(ada)).status_code == 200
        return len(queries)

    PasskeyFactory(user=ada)
    TotpFactory(user=ada)
    few = cost()
    PasskeyFactory.create_batch(20, user=ada)
    TotpFactory.create_batch(5, user=ada)
    IdentityFactory.create_batch(10, user=ada)
    add_recovery_codes(ada, 10)

    assert cost() == few


def test_the_minimum_level_is_set_and_noted(client_of_root, root, ada):
    save(client_of_root, ada, **{"passwordless_profile-0-minimum_level": "phr"})

    assert Profile.objects.get(user=ada).minimum_level == "phr"
    event = Event.objects.get(kind="minimum_level_changed")
    assert (event.user, event.data) == (
        ada,
        {"before": "", "after": "phr", "operator": f"root ({root.pk})", "reason": ""},
    )


def test_saving_the_rest_of_the_page_changes_nothing_of_it(client_of_root, ada):
    Profile.objects.filter(user=ada).update(minimum_level="multi")

    save(client_of_root, ada, first_name="Ada")

    assert User.objects.get(pk=ada.pk).first_name == "Ada"
    assert Profile.objects.get(user=ada).minimum_level == "multi"
    assert not Event.objects.exists()


def test_sessions_that_fall_short_of_a_new_minimum_end(client_of_root, ada):
    weak, strong = signed_in_client(ada, "single"), signed_in_client(ada, "phr")

    save(client_of_root, ada, **{"passwordless_profile-0-minimum_level": "multi"})

    assert not weak.get("/login/session.json").json()["authenticated"]
    assert strong.get("/login/session.json").json()["authenticated"]
    assert SignIn.objects.get(user=ada, level="single").end_reason == "level_raised"


def test_a_person_without_a_profile_gets_one_with_the_minimum(client_of_root):
    bob = User.objects.create_user("bob")
    assert not Profile.objects.filter(user=bob).exists()

    save(client_of_root, bob)
    assert not Profile.objects.filter(user=bob).exists()

    save(client_of_root, bob, **{"passwordless_profile-0-minimum_level": "multi"})
    assert Profile.objects.get(user=bob).minimum_level == "multi"


@pytest.mark.parametrize("level", ["x", "SINGLE", "phr ", "\x00"])
def test_what_is_no_level_is_refused(client_of_root, ada, level):
    fields = {**fields_of(client_of_root, ada), "passwordless_profile-0-minimum_level": level}

    assert client_of_root.post(page_of(ada), fields).status_code == 200
    assert Profile.objects.get(user=ada).minimum_level == ""


def test_who_may_change_users_may_not_therefore_change_levels(helper, ada):
    allow(helper, "view_user", "change_user", "view_profile")
    client = signed_in_client(helper, "phr")
    fields = {**fields_of(client, ada), "first_name": "Ada", "passwordless_profile-0-minimum_level": "phr"}
    forged = {
        "passwordless_profile-TOTAL_FORMS": 1,
        "passwordless_profile-INITIAL_FORMS": 1,
        "passwordless_profile-0-id": Profile.objects.get(user=ada).pk,
        "passwordless_profile-0-user": ada.pk,
    }
    assert client.post(page_of(ada), {**fields, **forged}).status_code == 302
    assert User.objects.get(pk=ada.pk).first_name == "Ada"
    assert Profile.objects.get(user=ada).minimum_level == ""

    allow(helper, "change_profile")
    save(client, ada, **{"passwordless_profile-0-minimum_level": "phr"})
    assert Profile.objects.get(user=ada).minimum_level == "phr"


def test_nobody_lowers_their_own_minimum_here(client_of_root, root):
    Profile.objects.filter(user=root).update(minimum_level="phr")
    profile = Profile.objects.get(user=root)

    save(
        client_of_root,
        root,
        **{
            "passwordless_profile-TOTAL_FORMS": 1,
            "passwordless_profile-INITIAL_FORMS": 1,
            "passwordless_profile-0-id": profile.pk,
            "passwordless_profile-0-user": root.pk,
            "passwordless_profile-0-minimum_level": "",
        },
    )
    answer = client_of_root.post(f"/ours/passwordless_auth/profile/{profile.pk}/change/", {"minimum_level": ""})

    assert answer.status_code == 403
    assert Profile.objects.get(user=root).minimum_level == "phr"


def test_a_new_user_is_added_as_in_django(client_of_root):
    answer = client_of_root.get("/ours/auth/user/add/")
    assert answer.status_code == 200
    assert "Minimum level" not in words(answer)

    client_of_root.post(
        "/ours/auth/user/add/", {"username": "new", "usable_password": "false", "password1": "", "password2": ""}
    )
    assert User.objects.filter(username="new").exists()


@pytest.mark.parametrize("alone", [True, False])
def test_who_may_delete_users_deletes_all_that_is_theirs_with_them(helper, ada, browser, alone):
    browser.sign_in("ada@example.com")
    PasskeyFactory(user=ada)
    TotpFactory(user=ada)
    add_recovery_codes(ada, 3)
    allow(helper, "view_user", "delete_user")
    client = signed_in_client(helper, "phr")

    if alone:
        answer = client.post(f"/ours/auth/user/{ada.pk}/delete/", {"post": "yes"})
    else:
        answer = client.post(
            "/ours/auth/user/", {"action": "delete_selected", "_selected_action": [ada.pk], "post": "yes"}
        )

    assert answer.status_code == 302
    for model in (User, Passkey, Totp, RecoveryCode, Identity, SignIn, Profile):
        assert not model.objects.filter(**{"pk" if model is User else "user": ada.pk}).exists()
    assert "Passkeys" not in words(client.get("/ours/"))  # which does not mean that they see, or delete, any by itself
