"""What must work with any user model. Run by Django's own runner, as a host would: see test_user_models.py."""

import io

from django.contrib.auth import get_user_model
from django.core import checks
from django.core.management import CommandError, call_command
from django.test import TestCase, override_settings

from passwordless_auth.flows import accounts
from passwordless_auth.models import (
    Challenge,
    Delivery,
    Event,
    Identity,
    KnownBrowser,
    Profile,
    SignIn,
)
from passwordless_auth.testing import outbox, signed_in_client
from passwordless_auth.testing.factories import IdentityFactory, PasskeyFactory, SignInFactory, UserFactory

ADA = "ada@example.com"
Person = get_user_model()
EMAIL = accounts.email_field()
HAS_NAMES = EMAIL != Person.USERNAME_FIELD


def make(address, name="somebody", **fields):
    """A user as the host itself would make one."""
    values = {Person.USERNAME_FIELD: name, **({EMAIL: address} if EMAIL else {}), **fields}
    return Person(**values)


def told(command, *arguments, **options):
    out = io.StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue()


WITH_SMS = {
    "email": {"BACKEND": "passwordless_auth.channels.email.EmailChannel"},
    "sms": {"BACKEND": "passwordless_auth.channels.memory.MemoryChannel"},
}


@override_settings(PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS="", PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER="")
class AnyUserModel(TestCase):
    def sign_in(self, address=ADA, client=None, next_url=""):
        client = client or self.client
        client.post("/login/", {"identifier": address, "next": next_url})
        answer = client.post("/login/wait/", {"code": outbox.last_code(address)})
        assert answer.status_code == 303, answer.content
        return answer

    def who(self, client=None):
        return (client or self.client).get("/login/session.json").json()

    def test_two_accounts_are_linked_and_separated_again(self):
        phone = self.client_class()
        self.sign_in("ada@work.example", client=phone)
        work = Identity.objects.get().user
        self.sign_in()
        ada = Identity.objects.get(canonical=ADA).user
        self.client.post("/account/identities/", {"action": "add", "identifier": "ada@work.example"})
        self.client.post("/login/wait/", {"code": outbox.last_code("ada@work.example")})
        offer = Challenge.objects.get(purpose="link_accounts")
        answer = self.client.post("/account/identities/", {"action": "link", "challenge": offer.public_id})
        assert answer["Location"] == "/account/identities/?notice=linked", answer.content

        assert set(Identity.objects.values_list("user", flat=True)) == {ada.pk}
        assert not self.who(phone)["authenticated"]
        work.refresh_from_db()
        assert accounts.email_of(work) != "ada@work.example"

        moved = Identity.objects.get(canonical="ada@work.example")
        for action in ("primary", "unlink"):
            answer = self.client.post("/account/identities/", {"action": action, "identity": moved.public_id})
            assert "notice=" in answer["Location"], answer.content
        ada.refresh_from_db()
        work.refresh_from_db()
        assert (accounts.email_of(ada), accounts.email_of(work)) == ((ADA, "ada@work.example") if EMAIL else ("", ""))
        self.sign_in("ada@work.example", client=phone)
        assert Identity.objects.get(canonical="ada@work.example").user == work
        assert SignIn.objects.live().filter(user=work).exists()

    def test_a_person_signs_up_and_comes_back(self):
        self.sign_in(next_url="/recent/")
        person = Person.objects.get()
        assert not person.has_usable_password()
        assert accounts.email_of(person) == (ADA if EMAIL else "")
        assert self.client.get("/recent/").content.decode() == f"hello {person.pk}"

        assert self.client.post("/logout/").status_code == 303
        assert not self.who()["authenticated"]

        self.client.post("/login/", {"identifier": ADA})
        self.client.get(outbox.last_link(ADA))
        named = {"challenge": Challenge.objects.latest("pk").public_id, "action": "sign_in"}
        assert self.client.post("/login/link/", named)["Location"] == "/account/"
        assert Person.objects.get() == person
        assert SignIn.objects.live().get().user == person

    @override_settings(PASSWORDLESS_AUTH_SMS_COUNTRIES=["DE"], PASSWORDLESS_AUTH_CHANNELS=WITH_SMS)
    def test_people_sign_up_by_phone_where_a_user_needs_no_address(self):
        """Two of them: where the address is unique, two empty ones would be one too many."""
        for number in ("+4915123456789", "+4915123456788"):
            client = self.client_class()
            assert client.post("/login/", {"identifier": number}).status_code == 303
            if Person.USERNAME_FIELD == EMAIL:
                assert "no account" in outbox.last_message(number).text
                assert not Person.objects.exists()
                continue
            client.post("/login/wait/", {"code": outbox.last_code(number)})
            assert self.who(client)["authenticated"]
            assert Identity.objects.get(canonical=number).user.get_username() != number

    def test_names_are_unique_and_not_the_address(self):
        for number in range(4):
            self.sign_in(f"person{number}@example.com")

        names = [person.get_username() for person in Person.objects.all()]
        assert len(set(names)) == 4
        if HAS_NAMES:
            assert not [name for name in names if "@" in name or "person" in name]
            assert all(name.startswith("user-") for name in names)
            assert all(len(name) <= Person._meta.get_field(Person.USERNAME_FIELD).max_length for name in names)

    def test_a_script_learns_who_it_is_and_not_the_key(self):
        self.sign_in()
        person = Person.objects.get()
        user = self.who()["user"]

        assert user["id"] == person.passwordless_profile.handle != str(person.pk)
        assert user["email"] == (ADA if EMAIL else None)
        assert user["name"] == (ADA if EMAIL else person.get_username())

    def test_the_pages_of_the_account(self):
        self.sign_in()

        account = self.client.get("/account/").content.decode()
        assert ADA in account
        sessions = self.client.get("/account/sessions/").content.decode()
        assert SignIn.objects.get().public_id in sessions
        assert 'data-page="login"' in self.client.get("/login/").content.decode()

    def test_a_proof_is_asked_for_again(self):
        self.sign_in()
        with override_settings(PASSWORDLESS_AUTH_STEP_UP_LIFETIME=0):
            assert self.client.get("/recent/").status_code == 302
            self.client.post("/login/step-up/", {"next": "/recent/"})
            answer = self.client.post("/login/wait/", {"code": outbox.last_code(ADA)})

        assert answer["Location"] == "/recent/"
        confirmed = SignIn.objects.get()
        assert confirmed.auth_time > confirmed.created_at

    def test_sessions_end_everywhere(self):
        other = self.client_class()
        self.sign_in(client=other)
        self.sign_in()
        self.client.post("/account/sessions/", {"scope": "everywhere"})

        assert not self.who()["authenticated"]
        assert not self.who(other)["authenticated"]

    def test_the_address_follows_the_user(self):
        self.sign_in()
        person = Person.objects.get()
        if not EMAIL:
            person.save()
            assert Identity.objects.get().canonical == ADA
            return
        setattr(person, EMAIL, "countess@example.com")
        person.save(update_fields=[EMAIL])
        assert Identity.objects.get().canonical == "countess@example.com"
        assert Identity.objects.get().proven_at is None

        setattr(person, EMAIL, None if Person._meta.get_field(EMAIL).null else "")
        person.save()
        assert not Identity.objects.exists()

    def test_a_user_that_the_host_makes_signs_in(self):
        person = make(ADA)
        person.save()
        if not EMAIL:
            assert not Identity.objects.exists()
            Identity.objects.create(user=person, kind="email", canonical=ADA, is_primary=True)
        self.sign_in()

        assert Person.objects.get() == person
        assert SignIn.objects.get().user == person

    def test_a_user_that_was_not_imported_signs_in(self):
        if not EMAIL:
            return
        (person,) = Person.objects.bulk_create([make(ADA)])
        self.sign_in()

        assert SignIn.objects.get().user.pk == person.pk

    def test_users_are_imported(self):
        if not EMAIL:
            with self.assertRaisesMessage(CommandError, "no e-mail field"):
                told("passwordless_import_identities")
            return
        people = [make(ADA, "ada"), make("bob@example.com", "bob")]
        if Person._meta.get_field(EMAIL).null:
            people.append(make(None, "nobody"))
        Person.objects.bulk_create(people)

        assert "Would import 2" in told("passwordless_import_identities", "--dry-run")
        assert not Identity.objects.exists()
        assert "Imported 2" in told("passwordless_import_identities")
        assert Identity.objects.count() == 2
        assert "Imported 0, already there 2" in told("passwordless_import_identities")

    def test_the_checks_know_who_is_not_imported(self):
        def found():
            messages = checks.run_checks(databases=["default"])
            return [message.id for message in messages if message.id.startswith("passwordless_auth.")]

        assert found() == []
        people = [make(ADA, "ada")]
        if EMAIL and Person._meta.get_field(EMAIL).null:
            people.append(make(None, "nobody"))
        Person.objects.bulk_create(people)
        assert found() == (["passwordless_auth.W202"] if EMAIL else [])
        if EMAIL:
            (warning,) = [m for m in checks.run_checks(databases=["default"]) if m.id == "passwordless_auth.W202"]
            assert warning.msg.startswith("1 users")

    def test_an_administrator_hands_out_a_link(self):
        self.sign_in()
        person = Person.objects.get()
        self.client.post("/logout/")
        for named in (str(person.pk), person.get_username(), ADA):
            link = told("passwordless_login_link", named, reason="a test").strip()
            self.client.get(link)
            public_id = Challenge.objects.latest("pk").public_id
            self.client.post("/login/link/", {"challenge": public_id, "action": "sign_in"})
            assert self.who()["authenticated"], named
        with self.assertRaises(CommandError):
            told("passwordless_login_link", "somebody else", reason="a test")

    def test_a_deactivated_user_is_out(self):
        self.sign_in()
        if not hasattr(Person, "is_active") or isinstance(Person.is_active, bool):
            return
        person = Person.objects.get()
        person.is_active = False
        person.save()

        assert not self.who()["authenticated"]
        self.client.post("/login/", {"identifier": ADA})
        assert Delivery.objects.latest("pk").kind == "disabled"

    def test_the_factories_make_people(self):
        ada, bob = UserFactory(address=ADA), UserFactory(proven=False)
        assert isinstance(ada, Person)
        assert accounts.email_of(ada) == (ADA if EMAIL else "")
        assert ada.passwordless_identities.get().proven_at is not None
        assert bob.passwordless_identities.get().proven_at is None

        IdentityFactory(user=ada, canonical="countess@example.com")
        SignInFactory(user=ada, level="multi")
        PasskeyFactory(user=ada)
        client = signed_in_client(ada, level="phr")
        assert client.get("/recent/").content.decode() == f"hello {ada.pk}"
        self.sign_in("countess@example.com")
        assert Person.objects.count() == 2

    def test_rows_age(self):
        self.sign_in()

        assert "challenges: 0" in told("passwordless_purge")
        with override_settings(PASSWORDLESS_AUTH_RETENTION_CHALLENGES=-3600):
            assert "challenges: 1" in told("passwordless_purge")
        assert self.who()["authenticated"]

    def test_a_deleted_user_leaves_nothing(self):
        self.sign_in()
        self.client.post("/login/", {"identifier": ADA})
        Person.objects.get().delete()

        assert not self.who()["authenticated"]
        for model in (Challenge, Delivery, Event, Identity, KnownBrowser, Profile, SignIn):
            assert not model.objects.exists(), model
