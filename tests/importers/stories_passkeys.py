"""django-passkeys: passkeys, of which it keeps neither counter nor backup flags."""

import json

from django.core.management import CommandError
from django.db import connection
from django.test import modify_settings, override_settings
from django.test.utils import CaptureQueriesContext
from passkeys.models import UserPasskey

from passwordless_auth.flows.importing import base
from passwordless_auth.models import Passkey, SignIn
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.faults import Fault
from tests.importers.people import ORIGIN, Stories, imported, person
from tests.passkeys import asked_to_sign_in, sign_in

SOURCE = "django-passkeys"
CHROME_ON_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/150.0 Safari/537.36"
FIREFOX_ON_LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class FromDjangoPasskeys(Stories):
    def registered(self, user, authenticator=None, *, name="", agent=CHROME_ON_MAC):
        """Add a passkey through the views of django-passkeys."""
        authenticator = authenticator or Authenticator(synced=True, counter="zero")
        browser = self.browser_of(user)
        options = browser.get("/passkeys/reg/begin/").json()["publicKey"]
        made = {**authenticator.create(options, origin=ORIGIN), "key_name": name}
        response = browser.post(
            "/passkeys/reg/complete/", json.dumps(made), content_type="application/json", HTTP_USER_AGENT=agent
        )
        assert response.json() == {"status": "OK"}, response.content
        return authenticator

    def test_who_had_a_passkey_there_signs_in_here(self):
        ada = person()
        authenticator = self.registered(ada, name="Ada's laptop")
        self.assert_refused(authenticator, "unknown_credential")

        assert self.assert_dry_run_tells_the_same(SOURCE) == ["passkeys: imported 1, already there 0, left out 0."]

        row, theirs = Passkey.objects.get(), UserPasskey.objects.get()
        assert (row.name, row.algorithm, row.created_at) == ("Ada's laptop", -7, theirs.added_on)
        self.assert_signs_in(authenticator, ada)

    def test_every_algorithm_comes_along(self):
        for algorithm in (-7, -8):  # a key of RSA doesn't fit into their column
            user = person(f"person{-algorithm}")
            authenticator = self.registered(user, Authenticator([algorithm]))
            imported(SOURCE)
            self.assert_signs_in(authenticator, user)

    def test_whether_it_is_synced_is_learned_by_its_first_use_and_may_not_change_then(self):
        for synced, kind in ((True, "swk"), (False, "hwk")):
            user = person(f"person-{kind}")
            authenticator = self.registered(user, Authenticator(synced=synced))
            imported(SOURCE)
            row = Passkey.objects.get(user=user)
            assert (row.backup_eligible, row.device_type) == (None, "")

            self.assert_signs_in(authenticator, user)

            row.refresh_from_db()
            assert (row.backup_eligible, row.backed_up) == (synced, synced)
            assert row.device_type == ("synced" if synced else "bound")
            assert SignIn.objects.latest("pk").all_proofs()[0].amr[0] == kind
            other = Fault(backup_eligible=not synced, backed_up=False)
            assert sign_in(self.browser, authenticator, fault=other).json()["error"] == "invalid_credential"
            self.assert_signs_in(authenticator, user)

    def test_the_page_of_passkeys_does_not_guess(self):
        ada = person()
        authenticator = self.registered(ada, Authenticator())
        imported(SOURCE)
        self.registered(ada, Authenticator())
        imported(SOURCE)
        sign_in(self.browser, authenticator)

        page = self.browser.get("/account/passkeys/").content.decode()

        assert page.count("one device only") == 1  # the one that was used
        assert "your synced devices" not in page

    def test_it_signs_in_after_the_user_name_changed(self):
        ada = person()
        authenticator = self.registered(ada)
        ada.username = "ada.lovelace"
        ada.save()
        imported(SOURCE)

        self.assert_signs_in(authenticator, ada)

    def test_the_handle_is_learned(self):
        ada = person()
        authenticator = self.registered(ada)
        imported(SOURCE)
        self.assert_signs_in(authenticator, ada)

        assert bytes(Passkey.objects.get().user_handle) == b"YWRh"  # "ada" in base64: what django-passkeys gave it

    def test_the_counter_is_learned(self):
        ada = person()
        authenticator = self.registered(ada, Authenticator())
        imported(SOURCE)
        self.assert_signs_in(authenticator, ada)

        response = sign_in(self.browser, authenticator, fault=Fault(counter_by=0))

        assert response.json()["error"] == "invalid_credential"

    def test_transports_that_were_never_kept_do_not_tell_who_has_an_account(self):
        seen = set()
        for number in range(40):
            (decoy,) = asked_to_sign_in(self.browser, identifier=f"nobody{number}@example.com")["allowCredentials"]
            seen.add(tuple(decoy["transports"]))
        self.registered(person("mac"), agent=CHROME_ON_MAC)
        self.registered(person("key"), agent=FIREFOX_ON_LINUX)
        imported(SOURCE)

        kept = {
            user: tuple(transports) for user, transports in Passkey.objects.values_list("user__username", "transports")
        }

        assert kept == {"mac": ("hybrid", "internal"), "key": ("nfc", "usb")}
        assert set(kept.values()) <= seen

    def test_a_disabled_one_comes_blocked(self):
        ada = person()
        authenticator = self.registered(ada)
        self.browser_of(ada).post("/passkeys/toggle/", {"id": UserPasskey.objects.get().pk})
        imported(SOURCE)

        assert Passkey.objects.get().is_blocked
        self.assert_refused(authenticator, "credential_blocked")

    def test_one_whose_bytes_are_garbage_stays_behind(self):
        for token in ("", "%%%", "AAAA", "A" * 24):
            user = person(f"person{UserPasskey.objects.count()}")
            UserPasskey.objects.create(user=user, name="x", credential_id=token or "x", token=token)

        assert imported(SOURCE)[-1] == "passkeys: imported 0, already there 0, left out 4."

    def test_another_rp_id_is_said_before_anything_is_read(self):
        self.registered(person())
        with (
            override_settings(FIDO_SERVER_ID="www.testserver"),
            self.assertRaisesMessage(CommandError, 'FIDO_SERVER_ID is "www.testserver"'),
        ):
            imported(SOURCE)
        with override_settings(FIDO_SERVER_ID=lambda request: "testserver"):  # nobody can tell before a request
            assert imported(SOURCE) == ["passkeys: imported 1, already there 0, left out 0."]

    def test_the_cost_is_in_batches_and_not_in_rows(self):
        def statements(count, first):
            for number in range(first, first + count):
                user = person(f"person{number:03}")
                self.registered(user)
            with CaptureQueriesContext(connection) as captured:
                imported(SOURCE)
            return len(captured)

        one, many = statements(1, 0), statements(12, 1)

        assert one <= 14
        assert many <= one + 1

    def test_many_people_are_taken_in_batches(self):
        for number in range(7):
            self.registered(person(f"person{number}"))
        size, base.BATCH = base.BATCH, 3
        self.addCleanup(setattr, base, "BATCH", size)

        assert self.assert_dry_run_tells_the_same(SOURCE) == ["passkeys: imported 7, already there 0, left out 0."]
        assert Passkey.objects.count() == 7

    def test_a_run_that_broke_off_is_finished_by_the_next_one(self):
        for number in range(5):
            self.registered(person(f"person{number}"))
        bad = UserPasskey.objects.latest("pk")
        size, base.BATCH = base.BATCH, 2
        self.addCleanup(setattr, base, "BATCH", size)
        real = base._write

        def write(shelf, found, **options):
            if any(one.row.pk == bad.pk for one in found):
                raise KeyboardInterrupt
            real(shelf, found, **options)

        base._write = write
        try:
            with self.assertRaises(KeyboardInterrupt):
                imported(SOURCE)
        finally:
            base._write = real

        assert Passkey.objects.count() == 4
        assert imported(SOURCE) == ["passkeys: imported 1, already there 4, left out 0."]

    @modify_settings(INSTALLED_APPS={"remove": "passkeys"})
    def test_without_the_app_there_is_nothing_to_read(self):
        with self.assertRaisesMessage(CommandError, "passkeys (django-passkeys) in INSTALLED_APPS"):
            imported(SOURCE)
