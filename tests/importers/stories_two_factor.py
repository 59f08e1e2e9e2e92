"""django-two-factor-auth, and django-otp's own apps without it: authenticator apps and backup tokens."""

import time

from django.core.management import CommandError
from django.db import connection
from django.test import modify_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_email.models import EmailDevice
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from two_factor.plugins.phonenumber.models import PhoneDevice

from passwordless_auth.models import Event, Identity, Profile, RecoveryCode, Totp
from tests.importers.people import Stories, imported, knows, person, rows

SOURCE = "django-two-factor-auth"
SETUP = "/account/two_factor/setup/"


class FromDjangoTwoFactorAuth(Stories):
    def with_app(self, user):
        """Set up an authenticator app through the wizard of django-two-factor-auth. Returns the browser."""
        browser = self.browser_of(user)

        def step(name, **fields):
            fields = {f"{name}-{field}": value for field, value in fields.items()}
            return browser.post(SETUP, {"setup_view-current_step": name, **fields})

        browser.get(SETUP)
        step("welcome")
        step("method", method="generator")
        key = browser.session["wizard_setup_view"]["extra_data"]["keys"]["generator"]
        done = step("generator", token=totp(bytes.fromhex(key)))
        assert done.status_code == 302, done.content
        return browser

    def with_tokens(self, browser):
        """Make backup tokens through its page. Returns them."""
        browser.post("/account/two_factor/backup/tokens/")
        page = browser.get("/account/two_factor/backup/tokens/")
        return [kept.token for kept in page.context["device"].token_set.order_by("pk")]

    # -- authenticator apps

    def test_the_app_of_before_makes_the_codes_of_now(self):
        ada = person()
        self.with_app(ada)
        theirs = TOTPDevice.objects.get()

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert done == [
            "authenticator apps: imported 1, already there 0, left out 0.",
            "sets of recovery codes: imported 0, already there 0, left out 0.",
            "phones: imported 0, already there 0, left out 0.",
            "e-mail devices: imported 0, already there 0, left out 0.",
        ]
        row, now = Totp.objects.get(), timezone.now()
        code = f"{totp(theirs.bin_key):06}"
        assert row.step_of(code, now=now) == int(now.timestamp()) // 30
        assert row.created_at == theirs.created_at
        assert row.name == "Authenticator app"
        assert theirs.key not in row.key_sealed
        assert Profile.objects.get(user=ada).has_totp
        assert Event.objects.get(kind="totp_imported").user_id == ada.pk

    def test_who_had_an_app_there_is_asked_for_its_code_here(self):
        ada = person(email="ada@example.com")
        self.with_app(ada)
        Identity.objects.update(origin="import")  # as passwordless_import_identities makes it
        imported(SOURCE)

        self.assert_signs_in_with_app("ada@example.com", f"{totp(TOTPDevice.objects.get().bin_key):06}", ada)

    def test_addresses_that_nobody_has_proven_are_told_of(self):
        self.with_app(person(email="ada@example.com"))
        bob = person("bob", email="bob@example.com")
        TOTPDevice.objects.create(user=bob, name="x")
        TOTPDevice.objects.create(user=person("nobody"), name="x")
        Identity.objects.filter(user=bob).update(origin="import")

        lines = self.assert_dry_run_tells_the_same(SOURCE)

        assert lines[0] == "authenticator apps: imported 3, already there 0, left out 0."
        assert lines[1].startswith("authenticator apps: 1 people have an address that was neither proven nor imported.")
        Identity.objects.update(proven_at=timezone.now())
        assert "neither proven" not in "".join(imported(SOURCE))

    def test_whoever_proves_such_an_address_first_gets_the_account_without_what_was_imported(self):
        """Or who registered with somebody else's address before would keep a way in (Sudhodanan and Paverd 2022)."""
        eve = person("eve", email="ada@example.com")
        self.with_app(eve)
        imported(SOURCE)
        assert Totp.objects.exists()

        self.browser.sign_in("ada@example.com")

        assert not Totp.objects.exists()
        assert imported(SOURCE)[0] == "authenticator apps: imported 0, already there 1, left out 0."
        assert not Totp.objects.exists()

    def test_the_code_that_was_used_there_last_is_not_good_here(self):
        ada = person()
        self.with_app(ada)
        device = TOTPDevice.objects.get()
        assert device.verify_token(totp(device.bin_key))
        imported(SOURCE)

        row = Totp.objects.get()
        assert row.last_step == TOTPDevice.objects.get().last_t == int(time.time()) // 30
        assert not Totp.objects.use(row, row.last_step)
        assert Totp.objects.use(row, row.last_step + 1)
        assert row.last_used_at is not None

    def test_of_several_apps_the_one_that_was_used_last_is_taken(self):
        ada = person()
        for name, used in (("old", None), ("new", timezone.now()), ("older", None)):
            TOTPDevice.objects.create(user=ada, name=name, last_used_at=used)

        lines = imported(SOURCE)

        assert Totp.objects.get().name == "new"
        assert sum("this person has an authenticator app here" in line for line in lines) == 2
        assert imported(SOURCE) == [
            line.replace("imported 1, already there 0", "imported 0, already there 1") for line in lines
        ]

    def test_what_ours_can_not_do_stays_behind(self):
        kinds = {
            "its codes have 8 digits and change every 30 seconds; ours 6 and 30": {"digits": 8},
            "its codes have 6 digits and change every 60 seconds; ours 6 and 30": {"step": 60},
            "its clock is more than one code off: set it up anew": {"drift": -2},
            "its clock is more than one code off: set it up anew ": {"t0": 1},
            "it was never confirmed": {"confirmed": False},
            "its key can't be read": {"key": "no hex"},
            "its key is empty": {"key": ""},
        }
        for number, fields in enumerate(kinds.values()):
            TOTPDevice.objects.create(user=person(f"p{number}"), name="x", **fields)

        lines = imported(SOURCE)

        assert [line.rpartition("): ")[2] for line in lines[: len(kinds)]] == [reason.strip() for reason in kinds]
        assert lines[len(kinds)] == "authenticator apps: imported 0, already there 0, left out 7."
        assert not Totp.objects.exists()
        assert not Profile.objects.filter(has_totp=True).exists()

    def test_a_clock_that_is_one_code_off_is_near_enough(self):
        TOTPDevice.objects.create(user=person(), name="x", drift=1)
        imported(SOURCE)

        row, now = Totp.objects.get(), timezone.now()
        late = totp(TOTPDevice.objects.get().bin_key, drift=1)
        assert row.step_of(f"{late:06}", now=now) == int(now.timestamp()) // 30 + 1

    # -- backup tokens

    def test_the_tokens_on_paper_go_on_working_but_for_those_that_were_used(self):
        ada = person()
        paper = self.with_tokens(self.with_app(ada))
        assert len(paper) == 10
        assert StaticDevice.objects.get().verify_token(paper[4])

        self.assert_dry_run_tells_the_same(SOURCE)

        assert RecoveryCode.objects.count() == 9
        for position, token in enumerate(paper):
            for typed in (token, token.upper(), f" {token[:4]} {token[4:]} "):
                assert knows(ada, typed) == (position != 4)
        assert not any(token in str(list(RecoveryCode.objects.values())) for token in paper)
        event = Event.objects.get(kind="recovery_codes_imported")
        assert event.data == {"source": SOURCE, "row": str(StaticDevice.objects.get().pk)}

    def test_who_kept_the_paper_gets_back_in_by_it(self):
        ada = person(email="ada@example.com")
        used, first, *_rest = self.with_tokens(self.with_app(ada))
        assert StaticDevice.objects.get().verify_token(used)
        Identity.objects.update(origin="import")  # as passwordless_import_identities makes it
        imported(SOURCE)

        self.assert_recovers_once("ada@example.com", first, ada)
        self.assert_does_not_recover("ada@example.com", used)
        imported(SOURCE)
        self.assert_does_not_recover("ada@example.com", first)

    def test_two_sets_of_one_person_are_taken_both(self):
        ada = person()
        for name, tokens in (
            ("one", ("aaaa-1111", "bbbb2222")),
            ("two", ("AAAA1111", "cccc3333")),
            ("three", ("aaaa1111", "--")),
        ):
            device = StaticDevice.objects.create(user=ada, name=name)
            for token in tokens:
                StaticToken.objects.create(device=device, token=token)

        lines = imported(SOURCE)

        assert RecoveryCode.objects.count() == 3
        assert "no unused code is left" in lines[0]
        assert "sets of recovery codes: imported 2, already there 0, left out 1." in lines

    def test_a_set_that_is_used_up_or_switched_off_stays_behind(self):
        StaticDevice.objects.create(user=person("p1"), name="x")
        device = StaticDevice.objects.create(user=person("p2"), name="x", confirmed=False)
        StaticToken.objects.create(device=device, token="aaaa1111")

        lines = imported(SOURCE)

        assert lines[0].endswith("no unused code is left")
        assert lines[1].endswith("it was never confirmed")
        assert not RecoveryCode.objects.exists()

    # -- what stays behind

    def test_phones_and_mail_devices_stay_behind_and_are_named(self):
        ada = person()
        phone = PhoneDevice.objects.create(user=ada, name="backup", number="+31101234567", key="00" * 20, method="sms")
        mail = EmailDevice.objects.create(user=ada, name="default", email="ada@example.com")

        done = self.assert_dry_run_tells_the_same(SOURCE)

        assert (
            f"left out: phonenumber.phonedevice {phone.pk} (user {ada.pk}): "
            "text messages and calls are no way to sign in here yet"
        ) in done
        assert (
            f"left out: otp_email.emaildevice {mail.pk} (user {ada.pk}): "
            "whoever proves an address here needs no device for it"
        ) in done
        assert "phones: imported 0, already there 0, left out 1." in done
        assert "31101234567" not in "".join(done)
        assert "ada@" not in "".join(done)
        assert not Event.objects.filter(kind="").exists()

    # -- all of it

    def test_the_second_run_changes_nothing(self):
        self.with_tokens(self.with_app(person()))
        imported(SOURCE)
        before = rows()

        assert imported(SOURCE)[:2] == [
            "authenticator apps: imported 0, already there 1, left out 0.",
            "sets of recovery codes: imported 0, already there 1, left out 0.",
        ]
        assert rows() == before

    def test_theirs_is_only_read_and_nothing_secret_is_printed(self):
        paper = self.with_tokens(self.with_app(person()))
        kept = [list(model.objects.values()) for model in (TOTPDevice, StaticDevice, StaticToken)]

        printed = "".join(imported(SOURCE))

        assert [list(model.objects.values()) for model in (TOTPDevice, StaticDevice, StaticToken)] == kept
        assert not any(word in printed for word in (*paper, TOTPDevice.objects.get().key))

    def test_the_cost_is_in_batches_and_not_in_rows(self):
        def statements(*names):
            for name in names:
                self.with_tokens(self.with_app(person(name)))
            with CaptureQueriesContext(connection) as captured:
                imported(SOURCE)
            return len(captured)

        one = statements("ada")
        assert one <= 32
        assert statements(*(f"p{number}" for number in range(6))) <= one + 2

    @modify_settings(
        INSTALLED_APPS={"remove": ["two_factor", "two_factor.plugins.email", "two_factor.plugins.phonenumber"]}
    )
    def test_django_otps_own_tables_are_enough(self):
        TOTPDevice.objects.create(user=person(), name="mine")

        assert imported(SOURCE)[0] == "authenticator apps: imported 1, already there 0, left out 0."
        assert Totp.objects.get().name == "mine"

    @modify_settings(INSTALLED_APPS={"remove": ["django_otp.plugins.otp_totp", "django_otp.plugins.otp_static"]})
    def test_without_the_apps_there_is_nothing_to_read(self):
        with self.assertRaisesMessage(CommandError, "django_otp.plugins.otp_totp"):
            imported(SOURCE)
