"""django-otp-webauthn: passkeys."""

import json

from django.core.management import CommandError
from django.test import modify_settings, override_settings
from django_otp_webauthn.models import WebAuthnAttestation, WebAuthnCredential, WebAuthnUserHandle

from passwordless_auth.models import Event, Identity, ImportedRow, Passkey, Profile, SignIn
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.faults import Fault
from tests.importers.people import ORIGIN, Stories, imported, person
from tests.passkeys import asked_to_sign_in, sign_in

SOURCE = "django-otp-webauthn"


class FromDjangoOtpWebauthn(Stories):
    def registered(self, user, authenticator=None, **faults):
        """Add a passkey through the views of django-otp-webauthn."""
        authenticator = authenticator or Authenticator()
        browser = self.browser_of(user)
        options = browser.post("/otp-webauthn/registration/begin/").json()
        made = authenticator.create(options, origin=ORIGIN, fault=Fault(**faults))
        response = browser.post(
            "/otp-webauthn/registration/complete/", json.dumps(made), content_type="application/json"
        )
        assert response.status_code == 200, response.content
        return authenticator

    def test_who_had_a_passkey_there_signs_in_here(self):
        ada = person()
        authenticator = self.registered(ada, Authenticator(synced=True))
        self.assert_refused(authenticator, "unknown_credential")

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert done == ["passkeys: imported 1, already there 0, left out 0."]
        self.assert_signs_in(authenticator, ada)
        row, theirs = Passkey.objects.get(), WebAuthnCredential.objects.get()
        assert (row.algorithm, row.transports, row.aaguid) == (-7, ["internal"], theirs.aaguid)
        assert (row.backup_eligible, row.backed_up, row.attestation_format) == (True, True, "none")
        assert row.created_at == theirs.created_at
        assert row.name

    def test_the_handle_that_it_was_made_with_is_the_only_one_from_then_on(self):
        ada = person()
        authenticator = self.registered(ada)
        imported(SOURCE)
        assert Passkey.objects.get().user_handle is None

        self.assert_signs_in(authenticator, ada)

        assert bytes(Passkey.objects.get().user_handle) == WebAuthnUserHandle.objects.get().handle
        self.assert_signs_in(authenticator, ada)
        response = sign_in(self.browser, authenticator, fault=Fault(user_handle=b"of somebody else"))
        assert response.json()["error"] == "unknown_credential"

    def test_a_handle_that_no_browser_gives_is_not_learned(self):
        authenticator = self.registered(person())
        imported(SOURCE)

        response = sign_in(self.browser, authenticator, fault=Fault(user_handle=b"x" * 65))

        assert response.json()["error"] == "unknown_credential"
        assert Passkey.objects.get().user_handle is None
        assert sign_in(self.browser, authenticator, fault=Fault(user_handle=b"x" * 64)).status_code == 200

    def test_another_key_does_not_sign_in_by_an_imported_id(self):
        authenticator = self.registered(person())
        imported(SOURCE)

        response = sign_in(self.browser, authenticator, fault=Fault(signature="other_key"))
        assert response.json()["error"] == "unknown_credential"
        assert not SignIn.objects.exists()
        assert Passkey.objects.get().user_handle is None

    def test_a_passkey_that_is_named_for_an_address_needs_to_give_no_handle(self):
        ada = person()
        Identity.objects.create(user=ada, kind="email", canonical="ada@example.com", proven_at=ada.date_joined)
        authenticator = self.registered(ada, Authenticator(transports=["usb"], discoverable=True))
        authenticator.credentials[0].discoverable = False
        imported(SOURCE)

        assert len(asked_to_sign_in(self.browser, identifier="ada@example.com")["allowCredentials"]) == 1
        self.assert_signs_in(authenticator, ada, identifier="ada@example.com")
        assert Passkey.objects.get().user_handle is None

    def test_the_counter_goes_on_from_where_it_was(self):
        ada = person()
        authenticator = self.registered(ada)
        authenticator.credentials[0].counter = 41
        WebAuthnCredential.objects.update(sign_count=41)
        imported(SOURCE)

        response = sign_in(self.browser, authenticator, fault=Fault(counter_by=-1))
        assert response.json()["error"] == "invalid_credential"
        assert Event.objects.filter(kind="passkey_counter_went_back").exists()
        authenticator.credentials[0].counter = 41
        self.assert_signs_in(authenticator, ada)

    def test_a_disabled_one_comes_blocked(self):
        authenticator = self.registered(person())
        WebAuthnCredential.objects.update(confirmed=False)
        imported(SOURCE)

        row = Passkey.objects.get()
        assert row.is_blocked
        assert row.blocked_at is not None
        self.assert_refused(authenticator, "credential_blocked")

    def test_a_name_and_the_last_use_come_along(self):
        ada = person()
        self.registered(ada)
        used = ada.date_joined
        WebAuthnCredential.objects.update(name="  My\tphone " + "x" * 40, last_used_at=used)
        imported(SOURCE)

        row = Passkey.objects.get()
        assert row.name == "My phone " + "x" * 40
        assert row.last_used_at == used

    def test_one_for_another_site_stays_behind(self):
        with override_settings(
            OTP_WEBAUTHN_RP_ID="other.example", OTP_WEBAUTHN_ALLOWED_ORIGINS=["https://other.example"]
        ):
            browser = self.browser_of(person())
            options = browser.post("/otp-webauthn/registration/begin/").json()
            made = Authenticator().create(options, origin="https://other.example")
            browser.post("/otp-webauthn/registration/complete/", json.dumps(made), content_type="application/json")
        theirs = WebAuthnCredential.objects.get()

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert done == [
            f"left out: {theirs._meta.label_lower} {theirs.pk} (user {theirs.user_id}): it was made for another RP ID than PASSKEY_RP_ID",
            "passkeys: imported 0, already there 0, left out 1.",
        ]
        assert not Passkey.objects.exists()

    def test_one_without_user_verification_stays_behind(self):
        self.registered(person(), Authenticator(user_verification=False))

        assert "without verifying its user" in imported(SOURCE)[0]
        assert not Passkey.objects.exists()

    def test_one_of_a_forbidden_kind_stays_behind(self):
        self.registered(person())
        with override_settings(PASSWORDLESS_AUTH_PASSKEY_AAGUIDS_DENIED=[WebAuthnCredential.objects.get().aaguid]):
            assert "not allowed here" in imported(SOURCE)[0]
        assert imported(SOURCE) == ["passkeys: imported 1, already there 0, left out 0."]

    def test_an_aaguid_is_tidied(self):
        ada = person()
        authenticator = self.registered(ada)
        for kept, ours in (("EA9B8D66-4D01-1D21-3CE4-B6B48CB575D4", "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"), ("x", "")):
            ImportedRow.objects.all().delete()
            Passkey.objects.all().delete()
            WebAuthnCredential.objects.update(aaguid=kept)
            imported(SOURCE)
            assert Passkey.objects.get().aaguid == ours
            assert sign_in(self.browser, authenticator).status_code == 200
            assert self.browser.get("/account/passkeys/").status_code == 200

    def test_one_whose_bytes_are_garbage_stays_behind(self):
        for number, (model, column) in enumerate(
            [(WebAuthnCredential, "public_key"), (WebAuthnAttestation, "data"), (WebAuthnCredential, "credential_id")]
        ):
            self.registered(person(f"person{number}"))
            row = model.objects.order_by("-pk")[0]
            setattr(row, column, b"" if column == "credential_id" else b"\xff garbage")
            row.save()

        lines = imported(SOURCE)

        assert lines[-1] == "passkeys: imported 0, already there 0, left out 3."
        assert "its public key can't be read" in lines[0]
        assert "its attestation object can't be read" in lines[1]
        assert "its credential id is not 1 to 1023 bytes long" in lines[2]

    def test_the_second_run_takes_what_is_new_and_nothing_else(self):
        ada = person()
        self.registered(ada)
        imported(SOURCE)
        before = set(Passkey.objects.values_list("pk", "credential_digest", "public_id"))
        bob = person("bob")
        authenticator = self.registered(bob)

        assert self.assert_dry_run_tells_the_same(SOURCE) == ["passkeys: imported 1, already there 1, left out 0."]
        assert before < set(Passkey.objects.values_list("pk", "credential_digest", "public_id"))
        assert Passkey.objects.count() == 2
        self.assert_signs_in(authenticator, bob)

    def test_what_its_owner_removed_does_not_come_back(self):
        authenticator = self.registered(person())
        imported(SOURCE)
        Passkey.objects.all().delete()

        assert imported(SOURCE) == ["passkeys: imported 0, already there 1, left out 0."]
        self.assert_refused(authenticator, "unknown_credential")

    def test_a_passkey_of_another_user_here_is_not_taken_from_them(self):
        eve, ada = person("eve"), person()
        self.registered(eve)
        imported(SOURCE)
        Passkey.objects.update(user=ada)
        theirs = WebAuthnCredential.objects.get()
        ImportedRow.objects.all().delete()

        assert imported(SOURCE)[0] == (
            f"left out: django_otp_webauthn.webauthncredential {theirs.pk} (user {eve.pk}): "
            "this passkey belongs to another user here"
        )
        assert Passkey.objects.get().user_id == ada.pk

    def test_each_person_gets_a_profile_and_a_note_in_the_audit_trail(self):
        ada = person()
        self.registered(ada)
        Profile.objects.all().delete()
        imported(SOURCE)

        assert Profile.objects.get().user_id == ada.pk
        event = Event.objects.get(kind="passkey_imported")
        assert event.user_id == ada.pk
        assert event.data == {"source": SOURCE, "row": str(WebAuthnCredential.objects.get().pk)}

    def test_theirs_is_only_read(self):
        self.registered(person())
        before = list(WebAuthnCredential.objects.values())
        imported(SOURCE)

        assert list(WebAuthnCredential.objects.values()) == before

    @modify_settings(INSTALLED_APPS={"remove": "django_otp_webauthn"})
    def test_without_the_app_there_is_nothing_to_read(self):
        with self.assertRaisesMessage(CommandError, "django_otp_webauthn in INSTALLED_APPS"):
            imported(SOURCE)
