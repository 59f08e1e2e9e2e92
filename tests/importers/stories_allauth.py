"""django-allauth: e-mail addresses, passkeys, authenticator apps, recovery codes."""

import json
import time

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator as Factor
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError
from django.db import connection
from django.test import modify_settings, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from passwordless_auth.models import Event, Identity, Passkey, Profile, RecoveryCode, Totp
from passwordless_auth.testing.authenticator import Authenticator
from tests.importers.people import ORIGIN, PASSWORD, Stories, imported, knows, person, rows

SOURCE = "django-allauth"


def lines_of(kind, lines):
    return [line for line in lines if line.startswith(kind)]


class FromAllauth(Stories):
    def member(self, name="ada", *, verified=True, **fields):
        """Somebody who signed up at allauth, confirmed their address, and is signed in there. Returns the browser."""
        user = person(name, email=f"{name}@example.com", **fields)
        EmailAddress.objects.create(user=user, email=user.email, verified=verified, primary=True)
        browser = self.browser
        browser = type(browser)()
        browser.handler.enforce_csrf_checks = False
        response = browser.post("/allauth/login/", {"login": name, "password": PASSWORD})
        assert response.status_code == 302, response.content
        browser.user = user
        return browser

    def with_app(self, browser):
        """Set up an authenticator app through allauth's pages. Returns its key."""
        secret = browser.get("/allauth/2fa/totp/activate/").context["form"].secret
        response = browser.post("/allauth/2fa/totp/activate/", {"code": code_of(secret)})
        assert response.status_code == 302, response.context["form"].errors
        return secret

    def recovery_codes(self, browser):
        return browser.get("/allauth/2fa/recovery-codes/").context["unused_codes"]

    def with_passkey(self, browser, authenticator=None, *, passwordless=True):
        """Add a passkey through allauth's pages."""
        authenticator = authenticator or Authenticator(synced=True)
        page = browser.get("/allauth/2fa/webauthn/add/")
        options = page.context["js_data"]["creation_options"]["publicKey"]
        if passwordless:  # what the script of the page asks for when the box is ticked
            options = {**options, "authenticatorSelection": {"residentKey": "required", "userVerification": "required"}}
        made = authenticator.create(options, origin=ORIGIN)
        data = {
            "name": "Ada's phone",
            "credential": json.dumps(made),
            **({"passwordless": "on"} if passwordless else {}),
        }
        response = browser.post("/allauth/2fa/webauthn/add/", data)
        assert response.status_code == 302, response.context["form"].errors
        return authenticator

    # -- passkeys

    def test_who_had_a_passkey_there_signs_in_here(self):
        ada = self.member()
        authenticator = self.with_passkey(ada)
        self.assert_refused(authenticator, "unknown_credential")

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert lines_of("passkeys", done) == ["passkeys: imported 1, already there 0, left out 0."]
        row, theirs = Passkey.objects.get(), Factor.objects.get(type="webauthn")
        assert (row.name, row.algorithm, row.sign_count) == ("Ada's phone", -7, 1)
        assert (row.backup_eligible, row.backed_up, row.transports) == (True, True, ["internal"])
        assert row.created_at == theirs.created_at
        self.assert_signs_in(authenticator, ada.user)
        row.refresh_from_db()
        assert bytes(row.user_handle) == authenticator.credentials[0].user_handle

    def test_a_second_factor_with_a_pin_signs_in_once_the_address_is_typed(self):
        ada = self.member()
        key = self.with_passkey(ada, Authenticator(transports=["usb"]), passwordless=False)
        assert not key.credentials[0].discoverable
        imported(SOURCE)

        self.assert_signs_in(key, ada.user, identifier="ada@example.com")

    def test_a_second_factor_without_a_pin_stays_behind(self):
        ada = self.member()
        self.with_passkey(ada, Authenticator(transports=["usb"], user_verification=False), passwordless=False)
        theirs = Factor.objects.get(type="webauthn")

        assert imported(SOURCE)[0] == (
            f"left out: mfa.authenticator {theirs.pk} (user {ada.user.pk}): "
            "it was made without verifying its user (no PIN, no finger)"
        )
        assert not Passkey.objects.exists()

    def test_one_for_another_site_stays_behind(self):
        ada = self.member()
        self.with_passkey(ada)
        with override_settings(PASSWORDLESS_AUTH_PASSKEY_RP_ID="example.com"):
            assert "another RP ID" in imported(SOURCE)[0]
        assert not Passkey.objects.exists()

    def test_data_that_is_garbage_stays_behind(self):
        user = person()
        garbage = [{}, {"credential": None}, {"credential": {"response": {"attestationObject": 1}}}]
        garbage += [{"credential": {"response": {"attestationObject": text}}} for text in ("%%%", "", "oA", "gYGBgYE")]
        for data in garbage:
            Factor.objects.create(user=user, type="webauthn", data=data)
        Factor.objects.create(user=user, type="totp", data={"secret": "1"})
        Factor.objects.create(user=user, type="recovery_codes", data={"seed": "é", "used_mask": 0})
        for number, data in enumerate(({}, {"secret": None}, {"secret": ""})):
            Factor.objects.create(user=person(f"totp{number}"), type="totp", data=data)
        for number, data in enumerate(({}, {"seed": "s"}, {"seed": "s", "used_mask": "x"}, {"migrated_codes": []})):
            Factor.objects.create(user=person(f"codes{number}"), type="recovery_codes", data=data)

        lines = imported(SOURCE)

        assert lines[-3:] == [
            "passkeys: imported 0, already there 0, left out 7.",
            "authenticator apps: imported 0, already there 0, left out 4.",
            "sets of recovery codes: imported 0, already there 0, left out 5.",
        ]
        assert not Passkey.objects.exists()
        assert not Totp.objects.exists()
        assert not RecoveryCode.objects.exists()

    # -- authenticator apps

    def test_the_app_of_before_makes_the_codes_of_now(self):
        ada = self.member()
        secret = self.with_app(ada)

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert lines_of("authenticator", done) == ["authenticator apps: imported 1, already there 0, left out 0."]
        row = Totp.objects.get()
        now = timezone.now()
        assert row.step_of(code_of(secret), now=now) == int(now.timestamp()) // 30
        assert row.step_of("000000" if code_of(secret) != "000000" else "000001", now=now) is None
        assert Profile.objects.get(user=ada.user).has_totp
        assert secret not in row.key_sealed

    def test_who_had_an_app_there_is_asked_for_its_code_here(self):
        ada = self.member()
        secret = self.with_app(ada)
        imported(SOURCE)

        self.assert_signs_in_with_app("ada@example.com", code_of(secret), ada.user)

    def test_the_code_that_was_used_there_last_is_not_good_here(self):
        ada = self.member()
        self.with_app(ada)
        used = timezone.now()
        Factor.objects.filter(type="totp").update(last_used_at=used)
        imported(SOURCE)

        row = Totp.objects.get()
        assert not Totp.objects.use(row, int(used.timestamp()) // 30)
        assert Totp.objects.use(row, int(used.timestamp()) // 30 + 1)

    def test_an_app_that_was_set_up_here_stays_the_only_one(self):
        ada = self.member()
        self.with_app(ada)
        mine = Totp(user=ada.user, name="mine")
        mine.set_key(b"1" * 20)
        mine.save()

        assert "this person has an authenticator app here" in "".join(imported(SOURCE))
        assert Totp.objects.get().name == "mine"

    def test_one_that_was_only_begun_here_is_in_nobodys_way(self):
        ada = self.member()
        self.with_app(ada)
        begun = Totp(user=ada.user, name="begun", confirmed=False)
        begun.set_key(b"1" * 20)
        begun.save()

        assert lines_of("authenticator", imported(SOURCE)) == [
            "authenticator apps: imported 1, already there 0, left out 0."
        ]

    def test_codes_of_eight_digits_stay_behind(self):
        ada = self.member()
        self.with_app(ada)
        with override_settings(MFA_TOTP_DIGITS=8):
            assert "its codes have 8 digits and change every 30 seconds; ours 6 and 30" in "".join(imported(SOURCE))
        assert not Totp.objects.exists()
        assert not Profile.objects.filter(has_totp=True).exists()

    # -- recovery codes

    def test_the_codes_on_paper_go_on_working_but_for_those_that_were_used(self):
        ada = self.member()
        self.with_app(ada)
        paper = self.recovery_codes(ada)
        assert len(paper) == 10
        Factor.objects.get(type="recovery_codes").wrap().validate_code(paper[3])
        Factor.objects.get(type="recovery_codes").wrap().validate_code(paper[9])

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert lines_of("sets", done) == ["sets of recovery codes: imported 1, already there 0, left out 0."]
        for position, code in enumerate(paper):
            spaced = f" {code[:4]} - {code[4:]} "
            for typed in (code, spaced):
                assert knows(ada.user, typed) == (position not in {3, 9}), position
        assert RecoveryCode.objects.count() == 8
        assert not any(code in str(list(RecoveryCode.objects.values())) for code in paper)

    def test_who_kept_the_paper_gets_back_in_by_it(self):
        ada = self.member()
        self.with_app(ada)
        paper = self.recovery_codes(ada)
        Factor.objects.get(type="recovery_codes").wrap().validate_code(paper[3])
        imported(SOURCE)

        self.assert_recovers_once("ada@example.com", paper[0], ada.user)
        self.assert_does_not_recover("ada@example.com", paper[3])
        imported(SOURCE)
        self.assert_does_not_recover("ada@example.com", paper[0])

    def test_they_are_of_nobody_else(self):
        ada, eve = self.member(), person("eve")
        self.with_app(ada)
        paper = self.recovery_codes(ada)
        imported(SOURCE)

        assert knows(ada.user, paper[0])
        assert not knows(eve, paper[0])

    def test_other_numbers_of_codes_and_digits_are_followed(self):
        with override_settings(MFA_RECOVERY_CODE_COUNT=12, MFA_RECOVERY_CODE_DIGITS=11):
            ada = self.member()
            self.with_app(ada)
            paper = self.recovery_codes(ada)
            imported(SOURCE)

        assert {len(code) for code in paper} == {11}
        assert len(paper) == RecoveryCode.objects.count() == 12
        assert all(knows(ada.user, code) for code in paper)

    def test_codes_that_came_to_allauth_from_elsewhere_come_along(self):
        ada = person()
        Factor.objects.create(
            user=ada, type="recovery_codes", data={"migrated_codes": ["abcd-1234", "ABCD1234", "x y"]}
        )
        imported(SOURCE)

        assert RecoveryCode.objects.count() == 2  # two of them are one, as they are typed
        assert knows(ada, "abcd1234")
        assert knows(ada, "XY")

    def test_codes_that_were_made_here_stay_the_only_ones(self):
        ada = self.member()
        self.with_app(ada)
        RecoveryCode.objects.create(user=ada.user, digest="0" * 64, key_id="k1", used_at=timezone.now())

        assert "this person has recovery codes here" in "".join(imported(SOURCE))
        assert RecoveryCode.objects.count() == 1

    def test_codes_that_were_used_up_here_do_not_come_back(self):
        ada = self.member()
        self.with_app(ada)
        imported(SOURCE)
        RecoveryCode.objects.all().delete()  # as when new ones are made

        assert lines_of("sets", imported(SOURCE)) == [
            "sets of recovery codes: imported 0, already there 1, left out 0."
        ]
        assert not RecoveryCode.objects.exists()

    def test_secrets_that_the_hosts_adapter_encrypts_are_decrypted_by_it(self):
        with override_settings(MFA_ADAPTER="tests.importers.adapters.SealingAdapter"):
            ada = self.member()
            secret = self.with_app(ada)
            paper = self.recovery_codes(ada)
            assert secret not in json.dumps(list(Factor.objects.values_list("data", flat=True)))
            imported(SOURCE)

        assert Totp.objects.get().step_of(code_of(secret), now=timezone.now())
        assert all(knows(ada.user, code) for code in paper)

    def test_settings_come_through_the_hosts_own_getter(self):
        def getter(name, default):
            return {"MFA_TOTP_DIGITS": 8}.get(name, default)

        ada = self.member()
        self.with_app(ada)
        with override_settings(ALLAUTH_SETTING_GETTER=getter):
            assert "its codes have 8 digits" in "".join(imported(SOURCE))

    # -- addresses

    def test_a_verified_address_is_a_proven_identity(self):
        ada = self.member().user
        Identity.objects.all().delete()
        EmailAddress.objects.create(user=ada, email="ada@work.example", verified=True)

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert lines_of("addresses", done) == ["addresses: imported 2, already there 0, left out 0."]
        assert set(Identity.objects.values_list("user", "canonical", "is_primary", "origin")) == {
            (ada.pk, "ada@example.com", True, "import"),
            (ada.pk, "ada@work.example", False, "import"),
        }
        assert not Identity.objects.filter(proven_at=None).exists()
        event = Event.objects.filter(kind="identity_imported").earliest("pk")
        assert (event.user_id, event.masked) == (ada.pk, "a•••@e•••.com")

    def test_who_comes_by_it_finds_their_account_as_it_was(self):
        ada = self.member()
        authenticator = self.with_passkey(ada)
        imported(SOURCE)

        self.browser.sign_in("ada@example.com")

        assert self.browser.session["_auth_user_id"] == str(ada.user.pk)
        assert User.objects.get().has_usable_password()
        self.assert_signs_in(authenticator, ada.user)

    def test_an_identity_that_was_there_unproven_is_proven_now(self):
        ada = self.member().user
        identity = Identity.objects.get()  # it follows user.email
        assert (identity.user_id, identity.proven_at, identity.origin) == (ada.pk, None, "host")

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert lines_of("addresses", done) == ["addresses: imported 1, already there 0, left out 0."]
        identity.refresh_from_db()
        assert (identity.is_primary, identity.origin) == (True, "import")
        assert identity.proven_at is not None

    def test_one_that_was_proven_here_stays_as_it_is(self):
        self.member()
        Identity.objects.update(proven_at=timezone.now(), origin="sign_up")
        before = Identity.objects.values().get()

        assert lines_of("addresses", imported(SOURCE)) == ["addresses: imported 0, already there 1, left out 0."]
        assert Identity.objects.values().get() == before

    def test_an_unverified_address_stays_behind(self):
        ada = self.member(verified=False).user
        theirs = EmailAddress.objects.get()

        assert imported(SOURCE)[0] == (
            f"left out: account.emailaddress {theirs.pk} a•••@e•••.com (user {ada.pk}): it was never verified"
        )
        assert Identity.objects.get().proven_at is None

    def test_an_address_of_somebody_else_here_is_not_taken_from_them(self):
        eve, ada = person("eve"), person()
        Identity.objects.create(user=ada, kind="email", canonical="ada@example.com", proven_at=timezone.now())
        theirs = EmailAddress.objects.create(user=eve, email="ada@example.com", verified=True, primary=True)

        assert imported(SOURCE)[0] == (
            f"left out: account.emailaddress {theirs.pk} a•••@e•••.com (user {eve.pk}): it belongs to another user here"
        )
        assert Identity.objects.get().user_id == ada.pk

    def test_one_that_another_user_merely_claims_goes_to_who_verified_it(self):
        person("eve", email="ada@example.com")
        Identity.objects.all().delete()
        ada = person()
        EmailAddress.objects.create(user=ada, email="ada@example.com", verified=True)
        imported(SOURCE)

        assert Identity.objects.get().user_id == ada.pk

    def test_one_that_two_have_verified_goes_to_neither(self):
        eve, ada = person("eve"), person()
        # One spelling twice needs ACCOUNT_UNIQUE_EMAIL = False; two spellings of one mailbox don't.
        EmailAddress.objects.create(user=eve, email="both@bücher.example", verified=True)
        EmailAddress.objects.create(user=ada, email="both@xn--bcher-kva.example", verified=True)

        lines = imported(SOURCE)

        assert lines[-4] == "addresses: imported 0, already there 0, left out 2."
        assert lines[0].endswith("several users have verified it")
        assert not Identity.objects.exists()

    def test_the_primary_one_is_the_one_in_the_users_row(self):
        ada = person(email="old@example.com")
        Identity.objects.all().delete()
        for address, primary in (("new@example.com", True), ("old@example.com", False)):
            EmailAddress.objects.create(user=ada, email=address, verified=True, primary=primary)
        imported(SOURCE)
        assert Identity.objects.get(is_primary=True).canonical == "old@example.com"

        ada.save()  # which would replace a primary Identity that isn't user.email
        assert Identity.objects.count() == 2

    def test_without_one_in_the_users_row_it_is_what_allauth_says(self):
        ada = person()
        for address, primary in (("one@example.com", False), ("two@example.com", True)):
            EmailAddress.objects.create(user=ada, email=address, verified=True, primary=primary)
        imported(SOURCE)

        assert Identity.objects.get(is_primary=True).canonical == "two@example.com"

    def test_an_address_that_nobody_could_have_mailed_to_stays_behind(self):
        for number, address in enumerate(("\uff44ave@example.com", "see file 17", "a@b")):
            EmailAddress.objects.create(user=person(f"p{number}"), email=address, verified=True)

        lines = imported(SOURCE)

        assert lines[-4] == "addresses: imported 0, already there 0, left out 3."
        assert all("it can't be read as an address" in line for line in lines[:3])
        assert "file" not in "".join(lines)

    # -- all of it

    def test_the_second_run_changes_nothing(self):
        ada = self.member()
        self.with_app(ada)
        self.with_passkey(ada)
        imported(SOURCE)

        before = rows()

        assert imported(SOURCE) == [
            "addresses: imported 0, already there 1, left out 0.",
            "passkeys: imported 0, already there 1, left out 0.",
            "authenticator apps: imported 0, already there 1, left out 0.",
            "sets of recovery codes: imported 0, already there 1, left out 0.",
        ]
        assert rows() == before

    def test_nobody_gets_a_message_and_allauth_keeps_all_it_has(self):
        ada = self.member()
        self.with_app(ada)
        self.with_passkey(ada)
        kept = [list(model.objects.values()) for model in (EmailAddress, Factor)]
        sent = len(mail.outbox)
        imported(SOURCE)

        assert [list(model.objects.values()) for model in (EmailAddress, Factor)] == kept
        assert len(mail.outbox) == sent

    def test_nothing_secret_is_printed(self):
        ada = self.member()
        secret = self.with_app(ada)
        paper = self.recovery_codes(ada)
        authenticator = self.with_passkey(ada)
        RecoveryCode.objects.create(user=ada.user, digest="0" * 64, key_id="k1")
        EmailAddress.objects.create(user=ada.user, email="hidden@work.example")

        printed = "\n".join(imported(SOURCE))

        assert "left out" in printed
        for word in (secret, *paper, authenticator.credentials[0].id.hex(), "hidden", "ada@"):
            assert word not in printed

    def test_the_cost_is_in_batches_and_not_in_rows(self):
        def statements(*names):
            for name in names:
                browser = self.member(name)
                self.with_app(browser)
                self.with_passkey(browser)
            with CaptureQueriesContext(connection) as captured:
                imported(SOURCE)
            return len(captured)

        one = statements("ada")
        assert one <= 56  # four tables, each in a batch of its own
        assert statements(*(f"p{number}" for number in range(6))) <= one + 4

    @modify_settings(INSTALLED_APPS={"remove": ["allauth.mfa", "allauth.account"]})
    def test_without_the_apps_there_is_nothing_to_read(self):
        with self.assertRaisesMessage(CommandError, "allauth.account"):
            imported(SOURCE)

    @modify_settings(INSTALLED_APPS={"remove": "allauth.mfa"})
    def test_who_uses_its_addresses_alone_imports_those(self):
        EmailAddress.objects.create(user=person(), email="ada@example.com", verified=True)

        assert imported(SOURCE) == ["addresses: imported 1, already there 0, left out 0."]


def code_of(secret):
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))
