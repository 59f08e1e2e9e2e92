"""The keys that sign: made on first use, published before and after, read once a process."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from jwcrypto.jwk import JWK

from passwordless_auth import derivation
from passwordless_auth.oidc import keys, tokens
from passwordless_auth.oidc.models import SigningKey

DAY = 86400
ALGS = ["RS256", "ES256", "EdDSA"]


def a_token(alg="RS256"):
    return tokens.sign({"iss": "http://testserver/", "exp": 2**31}, alg=alg)


def published():
    return [key["kid"] for key in keys.jwks()["keys"]]


def another_process():
    """What another process knows of keys: nothing at first."""
    return keys._Ring()


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_in_database")
class TestInTheDatabase:
    def test_nothing_is_made_before_it_is_needed(self):
        assert not SigningKey.objects.exists()

    @pytest.mark.parametrize("alg", ALGS)
    def test_a_key_is_made_on_first_use_and_stays(self, alg):
        key = keys.signing_key(alg)
        assert (key.alg, key.signs) == (alg, True)
        assert keys.signing_key(alg).kid == key.kid
        keys.forget()
        assert keys.signing_key(alg).kid == key.kid
        assert SigningKey.objects.filter(alg=alg).count() == 1
        assert tokens.read(a_token(alg))

    def test_rsa_keys_have_2048_bits_and_are_made_anew_each_time(self):
        first = keys.signing_key("RS256")
        assert first.jwk.get_op_key("sign").key_size == 2048
        SigningKey.objects.all().delete()
        keys.forget()
        assert keys.signing_key("RS256").kid != first.kid

    def test_its_name_is_its_thumbprint(self):
        """RFC 7638 §3: SHA-256 over the required members, in order, without spaces."""
        for alg, members in (("RS256", ["e", "kty", "n"]), ("ES256", ["crv", "kty", "x", "y"])):
            public = keys.signing_key(alg).public()
            text = json.dumps({name: public[name] for name in members}, separators=(",", ":"))
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            assert public["kid"] == digest

    def test_the_database_alone_signs_nothing(self, settings):
        key = keys.signing_key("RS256")
        private = json.loads(key.jwk.export_private())
        row = SigningKey.objects.values().get(alg="RS256")
        everything = json.dumps({name: str(value) for name, value in row.items()})
        assert all(private[name] not in everything for name in ("d", "p", "q", "dp", "dq", "qi"))
        assert private["n"] in everything

        settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("other", "y" * 48)]
        keys.forget()
        with pytest.raises(derivation.UnknownKey):
            keys.signing_key("RS256")
        assert key.kid in published()  # what was signed before is still verified

    def test_a_private_key_moved_to_another_row_opens_nothing(self):
        keys.signing_key("ES256")
        stolen = SigningKey.objects.get(alg="ES256")
        SigningKey.objects.filter(alg="RS256").update(private_sealed=stolen.private_sealed)
        keys.forget()
        with pytest.raises(derivation.UnknownKey):
            keys.signing_key("RS256")

    def test_neither_key_nor_row_shows_what_is_secret(self):
        key = keys.signing_key("RS256")
        secret = json.loads(key.jwk.export_private())["d"]
        for shown in (repr(key), str(key), repr(SigningKey.objects.get(kid=key.kid)), json.dumps(keys.jwks())):
            assert secret not in shown

    def test_the_key_set_has_a_key_for_each_algorithm_before_any_was_used(self, settings):
        found = keys.jwks()["keys"]
        assert sorted(key["alg"] for key in found) == ["ES256", "RS256"]
        assert all(key["use"] == "sig" for key in found)
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_ALGORITHMS = ALGS
        assert sorted(key["alg"] for key in keys.jwks()["keys"]) == sorted(ALGS)
        assert {key["kty"]: sorted(key) for key in keys.jwks()["keys"]} == {
            "RSA": ["alg", "e", "kid", "kty", "n", "use"],
            "EC": ["alg", "crv", "kid", "kty", "use", "x", "y"],
            "OKP": ["alg", "crv", "kid", "kty", "use", "x"],
        }

    def test_an_algorithm_that_nobody_knows_is_refused(self):
        for alg in ("none", "HS256", "RS512", ""):
            with pytest.raises(ValueError, match="no algorithm of ours"):
                keys.signing_key(alg)
        assert not SigningKey.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("keys_in_database")
class TestOfAProcess:
    def test_signing_and_verifying_cost_no_statement(self, django_assert_num_queries):
        token = a_token()
        assert tokens.read(token)
        with django_assert_num_queries(0):
            assert tokens.read(a_token())
            assert tokens.read(a_token("ES256"))

    def test_it_looks_once_a_minute(self, clock, django_assert_num_queries):
        a_token()
        clock.shift(61)
        with django_assert_num_queries(1):
            a_token()
            a_token()
        clock.shift(59)
        with django_assert_num_queries(0):
            a_token()

    def test_a_clock_that_was_set_back_does_not_keep_it_from_looking(self, clock, django_assert_num_queries):
        a_token()
        clock.shift(-DAY)
        with django_assert_num_queries(1):
            a_token()

    def test_each_key_is_parsed_once(self, clock, monkeypatch):
        first = keys.signing_key("RS256")
        clock.shift(61)
        assert keys.signing_key("RS256") is first
        assert keys.key_with(first.kid) is first

    def test_a_key_that_another_process_has_just_made_is_found_at_once(self, clock):
        keys.signing_key("RS256")
        made = another_process().signer("EdDSA")
        assert keys.key_with(made.kid).kid == made.kid
        assert made.kid in published()

    def test_unknown_names_make_a_statement_a_second_and_no_more(self, clock, django_assert_num_queries):
        keys.signing_key("RS256")
        with django_assert_num_queries(1):
            assert all(keys.key_with(f"made up {number}") is None for number in range(50))
        clock.shift(1)
        with django_assert_num_queries(1):
            assert keys.key_with("made up") is None

    def test_two_that_begin_at_once_have_one_key(self):
        """The second has looked before the first has made one; the database lets one of them in."""
        assert keys._make("RS256", signs_from=keys.timezone.now())
        assert keys._make("RS256", signs_from=keys.timezone.now()) is None
        assert another_process().signer("RS256").kid == keys.signing_key("RS256").kid
        assert SigningKey.objects.filter(alg="RS256").count() == 1

    def test_a_key_that_was_never_committed_signs_nothing(self):
        """Made within a transaction that is rolled back: tokens of later must not name what is published nowhere."""
        with transaction.atomic():
            gone = tokens.sign({}, alg="RS256"), keys.signing_key("RS256").kid
            assert keys.signing_key("RS256").kid == gone[1]  # within it there is one key all the same
            transaction.set_rollback(True)
        assert not SigningKey.objects.exists()

        key = keys.signing_key("RS256")
        assert key.kid != gone[1]
        assert key.kid in published()
        assert keys.key_with(gone[1]) is None

    def test_a_key_that_was_made_within_a_transaction_signs_after_it_too(self, django_assert_num_queries):
        with transaction.atomic():
            made = keys.signing_key("RS256")
        assert keys.signing_key("RS256").kid == made.kid
        with django_assert_num_queries(0):
            keys.signing_key("RS256")


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_in_database")
class TestRotation:
    def test_the_new_one_is_published_at_once_and_signs_later(self, clock):
        old = keys.signing_key("RS256")
        new = {key.alg: key for key, _from in keys.rotate()}["RS256"]

        assert {old.kid, new.kid} < set(published())
        assert keys.signing_key("RS256").kid == old.kid
        clock.shift(DAY - 1)
        assert keys.signing_key("RS256").kid == old.kid
        clock.shift(1)
        assert keys.signing_key("RS256").kid == new.kid

    def test_every_process_signs_with_what_every_process_has_published_for_long(self, clock):
        """Those that have looked a moment ago, too."""
        keys.signing_key("RS256")
        busy = another_process()
        busy.signer("RS256")
        clock.shift(1)
        (new,) = [key for key, _from in keys.rotate() if key.alg == "RS256"]
        for _minute in range(24 * 60 + 2):
            signer = busy.signer("RS256")
            assert signer.kid in published()
            clock.shift(60)
        assert signer.kid == new.kid

    def test_the_old_one_is_published_until_its_last_token_and_its_last_session_have_ended(self, clock, settings):
        settings.PASSWORDLESS_AUTH_SESSION_LIFETIME = 10 * DAY
        old = keys.signing_key("RS256")
        keys.rotate()
        clock.shift(DAY - 1)
        last = a_token()
        clock.shift(10 * DAY + 1)
        assert old.kid in published()
        assert tokens.read(last)
        clock.shift(2 * DAY)
        assert old.kid not in published()
        assert tokens.read(last) is None
        assert tokens.read(a_token())

    def test_twice_in_a_row_leaves_every_signer_published(self, clock, settings):
        """Also where the delay was made shorter in between: then the last one signs before the one before it."""
        keys.signing_key("RS256")
        keys.rotate()
        clock.shift(3600)
        settings.PASSWORDLESS_AUTH_OIDC_NEW_KEY_DELAY = 7200
        last = {key.alg: key for key, _from in keys.rotate()}["RS256"]
        for _hour in range(24 * 40):
            signer = keys.signing_key("RS256")
            assert signer.kid in published()
            clock.shift(3600)
        assert signer.kid == last.kid
        assert SigningKey.objects.get(kid=last.kid).published_until is None

    def test_a_compromised_key_is_worth_nothing_any_more(self, clock):
        token = a_token()
        assert tokens.read(token)
        pending = {key.kid for key, _from in keys.rotate()}
        new = {key.alg: key for key, _from in keys.rotate(compromised=True)}

        assert set(published()) == {key.kid for key in new.values()}
        assert not pending & set(published())
        assert keys.signing_key("RS256").kid == new["RS256"].kid
        assert tokens.read(token) is None
        assert tokens.read(token, allow_expired=True) is None

    def test_the_first_rotation_of_a_site_makes_keys_that_sign_at_once(self):
        made = {key.alg: key.kid for key, _from in keys.rotate()}
        assert keys.signing_key("RS256").kid == made["RS256"]

    def test_an_algorithm_that_is_no_longer_offered_is_rotated_as_long_as_it_signs(self, settings):
        keys.signing_key("EdDSA")
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_ALGORITHMS = ["RS256"]
        assert "EdDSA" in {key.alg for key, _from in keys.rotate()}

    def test_a_machine_whose_clock_is_behind_signs_all_the_same(self, clock):
        key = keys.signing_key("RS256")
        clock.shift(-30)
        assert another_process().signer("RS256").kid == key.kid

    def test_a_process_with_old_secrets_signs_with_the_key_before(self, clock, settings):
        """It can't open the new one: until it is started again, the one before is as good."""
        old = keys.signing_key("RS256")
        before = settings.PASSWORDLESS_AUTH_SECRET_KEYS
        settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("new", "n" * 48), *before]
        settings.PASSWORDLESS_AUTH_NEW_KEY_DELAY = 0
        new = {key.alg: key for key, _from in keys.rotate()}["RS256"]
        clock.shift(DAY)
        assert keys.signing_key("RS256").kid == new.kid

        settings.PASSWORDLESS_AUTH_SECRET_KEYS = before
        assert another_process().signer("RS256").kid == old.kid


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.django_db
class TestInTheSettings:
    def test_pem_texts_and_jwks_sign(self, settings):
        rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        old_style = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        ec_key = ec.generate_private_key(ec.SECP256R1())
        okp = JWK.generate(kty="OKP", crv="Ed25519")
        for given in (
            [pem(rsa_key), pem(ec_key), okp.export(as_dict=True)],
            [f"\n  {old_style}\n", pem(ec_key), okp.export()],
        ):
            settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = given
            assert [key.alg for key in keys.from_settings()] == ALGS
            assert published() == [key.kid for key in keys.from_settings()]
            assert all(tokens.read(a_token(alg)) for alg in ALGS)
        assert not SigningKey.objects.exists()

    def test_the_first_of_each_algorithm_signs_and_all_are_published(self, settings, made_keys):
        second = JWK.generate(kty="RSA", size=2048)
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = [*made_keys, second.export(as_dict=True)]
        assert keys.signing_key("RS256").kid == JWK(**made_keys[0]).thumbprint()
        assert second.thumbprint() in published()
        before = a_token()

        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = [second.export(as_dict=True), *made_keys]
        assert keys.signing_key("RS256").kid == second.thumbprint()
        assert tokens.read(before)

    def test_a_public_key_verifies_and_does_not_sign(self, settings, made_keys):
        before = a_token()
        old = JWK(**made_keys[0])
        new = JWK.generate(kty="RSA", size=2048)
        for public in (old.export_public(as_dict=True), old.export_to_pem().decode()):
            settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = [public, new.export(as_dict=True)]
            assert tokens.read(before)
            assert keys.signing_key("RS256").kid == new.thumbprint()

    def test_a_name_that_a_jwk_came_with_is_kept(self, settings, made_keys):
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = [{**made_keys[0], "kid": "2019-key"}]
        assert published() == ["2019-key"]
        assert tokens.read(a_token())

    def test_what_else_came_with_a_jwk_keeps_it_from_nothing(self, settings, made_keys):
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = [{**made_keys[0], "key_ops": ["verify"], "use": "sig", "x": 1}]
        assert tokens.read(a_token())

    def test_keys_of_the_database_stay_published_when_a_site_moves_to_settings(self, settings, made_keys):
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = []
        before = a_token()
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = made_keys
        assert tokens.read(before)
        assert len(published()) == 5
        assert tokens.read(a_token())

    def test_an_algorithm_without_a_key_is_not_offered(self, settings, made_keys):
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = made_keys[:1]
        assert keys.algorithms() == ["RS256"]
        with pytest.raises(ImproperlyConfigured, match="ES256"):
            keys.signing_key("ES256")
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = made_keys
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_ALGORITHMS = ALGS
        assert keys.algorithms() == ALGS

    def test_what_is_no_key_for_us_is_told_by_its_number_and_never_by_what_it_holds(self, settings, made_keys):
        small = pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505 (that is the point)
        wrong = [
            ("less than 2048 bits", small),
            ("neither RSA", pem(ec.generate_private_key(ec.SECP384R1()))),
            ("neither RSA", pem(ed448.Ed448PrivateKey.generate())),
            ("neither RSA", {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}),
            ("something else", {**made_keys[0], "use": "enc"}),
            ("something else", {**made_keys[0], "alg": "PS256"}),
            ("can't be read", pem(ed25519.Ed25519PrivateKey.generate()).replace("M", "N")),
            ("can't be read", {**made_keys[0], "d": "AQAB"}),
            ("can't be read", {**made_keys[1], "d": made_keys[2]["d"]}),
            ("can't be read", {**made_keys[0], "n": 7}),
            ("can't be read", {"kty": ["a-secret-word"]}),
            ("can't be read", {"a-secret-word": 1}),
            ("can't be read", "not a key, but a-secret-word"),
            ("can't be read", "-----BEGIN a-secret-word"),
            *[("can't be read", text) for text in ("", "[]", "7", "null", '"x"', "[" * 5000)],
        ]
        for told, text in wrong:
            settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = [made_keys[1], text]
            with pytest.raises(ImproperlyConfigured, match="number 2") as caught:
                keys.from_settings()
            assert told in str(caught.value), (told, text)
            assert "secret" not in str(caught.value)
            assert caught.value.__cause__ is None
        for no_list in ({1: {2}}, [{"kty": object()}], [7], 7, "text"):
            settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = no_list
            with pytest.raises(ImproperlyConfigured):
                keys.from_settings()
