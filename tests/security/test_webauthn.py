"""WA: passkeys against a software authenticator, over HTTP. Each fault beside an answer that is right in all else."""

import base64
import json

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from passwordless_auth.models import Challenge, Event, Passkey, Profile, SignIn
from passwordless_auth.testing import outbox
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.faults import FAULTS_OF_CREATE, FAULTS_OF_GET, Fault, lookalikes
from tests.passkeys import ORIGIN, answer, asked_to_register, asked_to_sign_in, register, send, sign_in, with_passkey

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
#: What a refusal may say. Everything else would be news to somebody who guesses.
CODES = {"invalid_credential", "unknown_credential", "expired", "spent", "wrong_browser"}


@pytest.fixture
def ada(browser):
    """Ada's authenticator. She is signed out, in the browser that she used."""
    authenticator = with_passkey(browser, ADA)
    browser.submit("/logout/")
    assert not browser.who()["authenticated"]
    return authenticator


# -- options (WA-01, WA-02)


def test_creation_options_are_those_of_a_passkey(browser):
    browser.sign_in(ADA)
    first, second = asked_to_register(browser), asked_to_register(browser)

    assert first["rp"] == {"id": "testserver", "name": "Testserver"}
    assert len(first["challenge"]) == 64  # 48 bytes, of which 128 + 256 bits can't be guessed
    assert first["challenge"] != second["challenge"]
    handle = Profile.objects.get().handle
    assert first["user"]["id"] == second["user"]["id"] == encoded(handle.encode())
    assert first["user"]["name"] == ADA
    assert {-8, -7, -257} <= {item["alg"] for item in first["pubKeyCredParams"]}
    assert first["authenticatorSelection"]["userVerification"] == "required"
    assert first["authenticatorSelection"]["residentKey"] == "required"
    assert "authenticatorAttachment" not in first["authenticatorSelection"]
    assert first["attestation"] == "none"
    assert first["excludeCredentials"] == []


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_what_is_there_already_is_excluded(browser):
    authenticator = with_passkey(browser)
    sign_in(browser, authenticator)

    excluded = asked_to_register(browser)["excludeCredentials"]

    assert [item["id"] for item in excluded] == [encoded(row.id) for row in authenticator.credentials]
    assert excluded[0]["transports"] == ["internal"]


def test_request_options_name_nobody_and_nothing_of_the_request_gets_into_them(browser, ada):
    asked = {"rpId": "evil.example", "userVerification": "discouraged", "allowCredentials": [{"id": "x"}]}

    options = asked_to_sign_in(browser, **asked)

    assert options["rpId"] == "testserver"
    assert options["userVerification"] == "required"
    assert options["allowCredentials"] == []
    assert options["challenge"] != asked_to_sign_in(browser)["challenge"]


def test_an_unknown_address_is_answered_like_a_known_one(browser, other_browser, ada):
    known = asked_to_sign_in(other_browser, identifier=ADA)
    unknown = asked_to_sign_in(other_browser, identifier="nobody@example.com")
    again = asked_to_sign_in(other_browser, identifier="nobody@example.com")

    def shape(options):
        (allowed,) = options["allowCredentials"]
        return sorted(options), sorted(allowed), allowed["type"]

    assert shape(known) == shape(unknown)
    assert unknown["allowCredentials"] == again["allowCredentials"]  # stable: or asking twice would tell
    assert known["allowCredentials"][0]["id"] == encoded(ada.credentials[0].id)


def test_decoys_look_as_different_as_the_passkeys_of_people(browser, settings):
    """One length, or one list of transports, would be the mark of a decoy."""
    settings.PASSWORDLESS_AUTH_LIMIT_PASSKEY_STARTS_PER_IP = ""
    seen = {
        (len(decoy["id"]), *decoy["transports"])
        for number in range(40)
        for decoy in asked_to_sign_in(browser, identifier=f"n{number}@example.com")["allowCredentials"]
    }

    assert len(seen) >= 4


def test_an_account_without_a_passkey_gets_a_decoy_too(browser, other_browser):
    browser.sign_in("bo@example.com")

    assert len(asked_to_sign_in(other_browser, identifier="bo@example.com")["allowCredentials"]) == 1


# -- the right answer


@pytest.mark.parametrize("client", ["native", "simplewebauthn", "passwordless-id"])
@pytest.mark.parametrize("algorithm", [-7, -8, -257, -48, -49, -50])
def test_every_client_and_algorithm_registers_and_signs_in(browser, other_browser, client, algorithm):
    browser.sign_in(ADA)
    authenticator, made = register(browser, Authenticator([algorithm]), client=client)
    assert made.status_code == 200, made.content

    response = sign_in(other_browser, authenticator, client=client, query="?next=/members/")

    assert response.json() == {"next": "/members/"}
    assert other_browser.who()["level"] == "phr"
    assert other_browser.who()["methods"] == ["passkey"]
    row = Passkey.objects.get()
    assert (row.algorithm, row.sign_count, row.transports) == (algorithm, 2, ["internal"])


@pytest.mark.parametrize(("synced", "kind"), [(True, "swk"), (False, "hwk")])
def test_a_session_says_how_it_was_proven(browser, other_browser, synced, kind):
    authenticator = with_passkey(browser, synced=synced)
    assert sign_in(other_browser, authenticator).status_code == 200

    (proof,) = SignIn.objects.order_by("-pk")[0].all_proofs()
    assert proof.amr == (kind, "pop", "user", "mfa")
    assert proof.authenticator == Passkey.objects.get().public_id
    assert Passkey.objects.get().device_type == ("synced" if synced else "bound")


def test_django_otp_takes_the_session_for_verified(browser, other_browser, settings):
    settings.ROOT_URLCONF = "tests.otp_urls"
    authenticator = with_passkey(browser)
    assert browser.get("/verified/").content == b"False"  # the session of the code
    assert sign_in(other_browser, authenticator).status_code == 200
    assert other_browser.get("/verified/").content == b"True"

    Passkey.objects.all().block(now=Passkey.objects.get().created_at)

    assert other_browser.get("/verified/").content == b"False"


def test_another_sign_in_in_the_same_browser_is_not_verified_by_the_old_passkey(browser, settings):
    settings.ROOT_URLCONF = "tests.otp_urls"
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER = ""
    authenticator = with_passkey(browser)
    sign_in(browser, authenticator)
    assert browser.get("/verified/").content == b"True"

    browser.sign_in(ADA)

    assert browser.get("/verified/").content == b"False"


def test_a_typed_address_is_signed_in_by_its_own_passkey(browser, other_browser, ada):
    response = sign_in(other_browser, ada, identifier=ADA, fault=Fault(user_handle=b""))

    assert response.status_code == 200  # the options named the credential: it need not say whose it is
    assert other_browser.who()["user"]["email"] == ADA


# -- faults


@pytest.mark.parametrize("name", FAULTS_OF_GET)
def test_a_fault_in_an_assertion_is_refused(browser, other_browser, ada, name):
    assert sign_in(browser, ada).status_code == 200  # the counter has moved, and the right one works
    before = Passkey.objects.get().sign_count

    response = sign_in(other_browser, ada, fault=FAULTS_OF_GET[name])

    assert 400 <= response.status_code < 500, response.content
    assert response.json()["error"] in CODES
    assert set(response.json()) <= {"error", "detail", "rpId"}
    assert not other_browser.who()["authenticated"]
    assert Passkey.objects.get().sign_count == before


@pytest.mark.parametrize("name", FAULTS_OF_CREATE)
def test_a_fault_in_a_registration_is_refused(browser, name):
    browser.sign_in(ADA)

    _authenticator, response = register(browser, fault=FAULTS_OF_CREATE[name])

    assert 400 <= response.status_code < 500, response.content
    assert response.json()["error"] in CODES
    assert not Passkey.objects.exists()
    _authenticator, response = register(browser)
    assert response.status_code == 200  # and nothing is lost


@pytest.mark.parametrize("origin", lookalikes(ORIGIN))
def test_an_origin_is_compared_exactly(browser, other_browser, ada, origin):
    response = sign_in(other_browser, ada, fault=Fault(client_data={"origin": origin}))

    assert (response.status_code, response.json()["error"]) == (400, "invalid_credential")


def test_a_related_origin_is_ours(browser, other_browser, settings):
    settings.PASSWORDLESS_AUTH_PASSKEY_RELATED_ORIGINS = ["https://shop.example"]
    authenticator = with_passkey(browser)
    options = asked_to_sign_in(other_browser)
    listed = browser.get("/.well-known/webauthn")

    made = authenticator.get(options, origin="https://shop.example", related_origins=listed.json()["origins"])

    assert listed["Content-Type"] == "application/json"
    assert answer(other_browser, made).status_code == 200


# -- challenges (WA-08, WA-20)


def test_an_answer_works_once(browser, other_browser, ada):
    made = ada.get(asked_to_sign_in(browser), origin=ORIGIN)
    assert answer(browser, made).status_code == 200
    browser.submit("/logout/")

    again, elsewhere = answer(browser, made), answer(other_browser, made)

    assert (again.status_code, again.json()["error"]) == (410, "spent")
    assert (elsewhere.status_code, elsewhere.json()["error"]) == (400, "invalid_credential")
    assert not browser.who()["authenticated"]


def test_an_answer_works_only_in_the_browser_that_was_asked(browser, other_browser, ada):
    asked_to_sign_in(other_browser)
    made = ada.get(asked_to_sign_in(browser), origin=ORIGIN)

    assert answer(other_browser, made).json()["error"] == "invalid_credential"
    assert not other_browser.who()["authenticated"]
    assert answer(browser, made).status_code == 200


def test_a_challenge_runs_out(browser, ada, clock):
    made = [ada.get(asked_to_sign_in(browser), origin=ORIGIN) for _ in range(2)]
    clock.shift(299)
    assert answer(browser, made[0]).status_code == 200
    clock.shift(2)

    assert (answer(browser, made[1]).status_code, answer(browser, made[1]).json()["error"]) == (410, "expired")


def test_a_challenge_is_for_one_purpose(browser, ada):
    assert sign_in(browser, ada).status_code == 200
    to_sign_in, to_confirm = asked_to_sign_in(browser), asked_to_sign_in(browser, step_up=True)

    assert answer(browser, ada.get(to_sign_in, origin=ORIGIN), "?step_up=1").json()["error"] == "invalid_credential"
    assert answer(browser, ada.get(to_confirm, origin=ORIGIN)).json()["error"] == "invalid_credential"
    to_confirm = asked_to_sign_in(browser, step_up=True)
    assert answer(browser, ada.get(to_confirm, origin=ORIGIN), "?step_up=1").status_code == 200


def test_a_wrong_answer_uses_the_challenge_up(browser, ada):
    options = asked_to_sign_in(browser)
    wrong = ada.get(options, origin=ORIGIN, fault=Fault(signature="flipped"))
    right = ada.get(options, origin=ORIGIN)

    assert answer(browser, wrong).json()["error"] == "unknown_credential"
    assert answer(browser, right).json()["error"] == "spent"


def test_the_challenge_of_somebody_else_is_not_answered_by_my_passkey(browser, other_browser, ada):
    bo = with_passkey(other_browser, "bo@example.com")
    options = asked_to_sign_in(browser, identifier=ADA)

    response = answer(browser, bo.get(options, origin=ORIGIN, fault=Fault(ignores_allow_credentials=True)))

    assert response.json()["error"] == "unknown_credential"
    assert not browser.who()["authenticated"]


def test_a_decoy_is_answered_by_nobody(browser, other_browser, ada):
    options = asked_to_sign_in(browser, identifier="nobody@example.com")

    made = ada.get(options, origin=ORIGIN, fault=Fault(ignores_allow_credentials=True))

    assert answer(browser, made).json()["error"] == "unknown_credential"


# -- who is told what (WA-18)


def test_an_unknown_a_removed_and_a_foreign_credential_and_a_wrong_signature_are_refused_alike(
    browser, other_browser, ada
):
    stranger = Authenticator()
    stranger.add(rp_id="testserver", user_handle=b"somebody")
    wrong = sign_in(other_browser, ada, fault=Fault(signature="flipped"))
    unknown = sign_in(other_browser, stranger)
    Passkey.objects.all().delete()
    removed = sign_in(other_browser, ada)

    answers = {(response.status_code, response.content) for response in (wrong, unknown, removed)}
    assert len(answers) == 1
    assert json.loads(unknown.content)["error"] == "unknown_credential"
    assert json.loads(unknown.content)["rpId"] == "testserver"  # what signalUnknownCredential() takes


def test_the_ids_of_a_typed_address_can_not_be_told_from_decoys_by_answering(browser, other_browser, ada):
    """Somebody has no key, and answers with the id that the options named."""
    answers = []
    for address in (ADA, "nobody@example.com"):
        options = asked_to_sign_in(other_browser, identifier=address)
        forger = Authenticator()
        named = options["allowCredentials"][0]["id"]
        forger.add(rp_id="testserver", user_handle=b"x", credential_id=base64.urlsafe_b64decode(named + "=="))
        response = answer(other_browser, forger.get(options, origin=ORIGIN))
        answers.append((response.status_code, response.content, sorted(response.headers)))

    assert answers[0] == answers[1]
    assert b"unknown_credential" in answers[0][1]


def test_a_blocked_passkey_is_refused_with_a_clear_message(browser, other_browser, ada):
    Passkey.objects.all().block(now=Passkey.objects.get().created_at)

    response = sign_in(other_browser, ada)

    assert (response.status_code, response.json()["error"]) == (403, "credential_blocked")
    assert "blocked" in response.json()["detail"]
    assert Event.objects.filter(kind="blocked_passkey_used").exists()
    # Who can't sign for it is not told.
    assert sign_in(other_browser, ada, fault=Fault(signature="flipped")).json()["error"] == "unknown_credential"
    Passkey.objects.all().unblock()
    assert sign_in(other_browser, ada).status_code == 200


def test_a_counter_that_goes_back_is_refused_noted_and_told(browser, other_browser, ada):
    assert sign_in(browser, ada).status_code == 200
    outbox.send_queued()
    told = len(outbox.mail.outbox)

    response = sign_in(other_browser, ada, fault=Fault(counter_by=-1))

    assert (response.status_code, response.json()["error"]) == (400, "invalid_credential")
    assert Event.objects.get(kind="passkey_counter_went_back").user.email == ADA
    outbox.send_queued()
    assert "copied" in outbox.mail.outbox[-1].subject
    assert len(outbox.mail.outbox) == told + 1


def test_a_counter_that_stays_zero_is_in_order(browser, other_browser):
    authenticator = with_passkey(browser, counter="zero", synced=True)

    assert [sign_in(other_browser, authenticator).status_code for _ in range(3)] == [200] * 3


def test_a_disabled_account_is_refused(browser, other_browser, ada):
    User.objects.update(is_active=False)

    assert sign_in(other_browser, ada).json()["error"] == "disabled"
    assert not other_browser.who()["authenticated"]


def test_a_credential_belongs_to_one_account(browser, other_browser, ada):
    """§7.1 step 26. A leaked id must not be registered by somebody else."""
    other_browser.sign_in("bo@example.com")

    _bo, response = register(other_browser, fault=Fault(credential_id=ada.credentials[0].id))

    assert (response.status_code, response.json()["error"]) == (400, "invalid_credential")
    assert Passkey.objects.get().user.email == ADA


# -- authenticators that a site wants, or doesn't


def test_an_aaguid_can_be_refused(browser, settings):
    settings.PASSWORDLESS_AUTH_PASSKEY_AAGUIDS_DENIED = ["70617373-776F-7264-6C65-737374657374"]
    browser.sign_in(ADA)

    _none, response = register(browser)

    assert response.json()["error"] == "invalid_credential"
    assert "kind" in response.json()["detail"]
    _other, response = register(browser, Authenticator(aaguid=bytes(range(16))))
    assert response.status_code == 200


def test_only_some_aaguids_can_be_allowed(browser, settings):
    settings.PASSWORDLESS_AUTH_PASSKEY_AAGUIDS_ALLOWED = ["70617373-776f-7264-6c65-737374657374"]
    browser.sign_in(ADA)

    _none, response = register(browser, Authenticator(aaguid=bytes(range(16))))
    assert response.json()["error"] == "invalid_credential"
    _other, response = register(browser)
    assert response.status_code == 200


def test_attestation_is_verified_where_it_is_given(browser, settings):
    settings.PASSWORDLESS_AUTH_PASSKEY_ATTESTATION = "direct"
    browser.sign_in(ADA)

    _none, wrong = register(browser, Authenticator(attestation="packed"), fault=Fault(signature="flipped"))
    assert wrong.json()["error"] == "invalid_credential"
    _other, right = register(browser, Authenticator(attestation="packed"))
    assert right.status_code == 200
    assert Passkey.objects.get().attestation_format == "packed"


# -- who may add (MF-01)


def test_a_link_or_code_may_add_only_the_first_passkey(browser, other_browser, ada, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    other_browser.sign_in(ADA)

    response = send(other_browser, "/account/passkeys/options/", {})

    assert (response.status_code, response.json()["error"]) == (403, "step_up_required")


def test_the_first_passkey_is_added_within_ten_minutes(browser, clock):
    browser.sign_in(ADA)
    clock.shift(599)
    options = asked_to_register(browser)
    clock.shift(2)

    assert send(browser, "/account/passkeys/options/", {}).json()["error"] == "step_up_required"
    late = send(browser, "/account/passkeys/register/", Authenticator().create(options, origin=ORIGIN))
    assert late.json()["error"] == "step_up_required"
    assert not Passkey.objects.exists()


def test_a_passkey_that_proved_just_now_adds_another_one(browser, other_browser, ada, clock):
    assert sign_in(browser, ada).status_code == 200
    _second, response = register(browser, Authenticator())
    assert response.status_code == 200
    clock.shift(601)

    assert send(browser, "/account/passkeys/options/", {}).json()["error"] == "step_up_required"
    assert sign_in(browser, ada, step_up=True, query="?step_up=1").status_code == 200
    _third, response = register(browser, Authenticator())
    assert response.status_code == 200
    assert SignIn.objects.live().count() == 1


def test_visitors_add_nothing(browser):
    assert send(browser, "/account/passkeys/options/", {}).json()["error"] == "step_up_required"
    assert send(browser, "/account/passkeys/register/", {}).json()["error"] == "step_up_required"


def test_the_owner_is_told_of_a_new_passkey(browser):
    with_passkey(browser)

    outbox.send_queued()

    assert "passkey was added" in outbox.mail.outbox[-1].subject
    assert outbox.mail.outbox[-1].to == [ADA]


# -- other sites (WB-03), and garbage (FZ-01)

ENDPOINTS = [
    "/login/passkey/options/",
    "/login/passkey/verify/",
    "/account/passkeys/options/",
    "/account/passkeys/register/",
]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://testserver.evil.example", ""])
def test_a_page_of_another_site_is_refused(browser, path, origin):
    browser.sign_in(ADA)

    response = send(browser, path, {}, Origin=origin)

    assert (response.status_code, response.json()["error"]) == (403, "stale_page")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_of_another_site_can_send_is_refused(browser, path, kind):
    browser.sign_in(ADA)

    response = browser.generic("POST", path, b"{}", content_type=kind, headers={"Origin": ORIGIN})

    assert response.status_code == 415


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"true",
    b"1e999",
    b"NaN",
    b'"text"',
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"[" * 30_000,
    b'{"a":' * 10_000,
    b'{"response": {}}',
    b'{"id": null, "rawId": null, "type": null, "response": null}',
    b'{"id": "", "rawId": "", "type": "public-key", "response": {"clientDataJSON": ""}}',
    b'{"id": "\\ud800", "rawId": "\\ud800", "type": "public-key", "response": {"clientDataJSON": "\\ud800"}}',
    b'{"id": "\\u0000", "rawId": "\\u0000", "type": "public-key", "response": {"clientDataJSON": "AAAA"}}',
    b'{"identifier": 5}',
    b'{"identifier": ["ada@example.com", "bo@example.com"]}',
    b'{"identifier": "ada@example.com,bo@example.com"}',
    b'{"identifier": "\\ud800@example.com"}',
    b'{"identifier": {"$ne": 1}}',
    b'{"step_up": "yes", "identifier": "ada@example.com"}',
]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body[:30]))
def test_garbage_is_refused_and_never_an_error_of_ours(browser, path, body):
    browser.sign_in(ADA)

    response = send(browser, path, body)

    assert response.status_code < 500
    if response.status_code != 200:  # an empty body asks for options
        assert set(response.json()) >= {"error", "detail"}


@pytest.mark.parametrize("path", ENDPOINTS)
def test_sixty_four_kilobytes_are_enough(browser, path):
    browser.sign_in(ADA)

    assert send(browser, path, b'"' + b"x" * 65_536 + b'"').status_code == 413


@pytest.mark.parametrize("path", ENDPOINTS)
def test_only_posts_are_answered(browser, path):
    assert browser.get(path).status_code == 405


def test_ceremonies_are_limited_by_address_of_the_network(browser, settings):
    settings.PASSWORDLESS_AUTH_LIMIT_PASSKEY_STARTS_PER_IP = "3/m"
    for _ in range(3):
        asked_to_sign_in(browser)

    response = send(browser, "/login/passkey/options/", {})

    assert (response.status_code, response.json()["error"]) == (429, "too_many_requests")
    assert int(response["Retry-After"]) > 0
    assert Challenge.objects.count() == 3


def test_the_well_known_files_say_where_to_go(browser):
    endpoints = browser.get("/.well-known/passkey-endpoints").json()

    assert endpoints == {
        "enroll": f"http://testserver{reverse('passwordless_auth:passkeys')}",
        "manage": endpoints["enroll"],
    }
    assert browser.get("/.well-known/webauthn").json() == {"origins": [ORIGIN]}
