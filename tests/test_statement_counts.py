"""What each step costs the database: data statements, written down exactly, beside a hundred old rows of every kind.

The promises are those of the design: start ≤ 6 (≤ 4 with limits in Redis), send ≤ 2, finish by code or link ≤ 7 (≤ 6),
passkey options ≤ 2 (≤ 1), passkey sign-in ≤ 7, register ≤ 8, an authenticated request ≤ 2. BEGIN, COMMIT and savepoints are not counted.
"""

import os
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from passwordless_auth import derivation
from passwordless_auth.models import (
    Challenge,
    Counter,
    Delivery,
    Event,
    Identity,
    KnownBrowser,
    Passkey,
    Profile,
    RecoveryCode,
    SignIn,
)
from passwordless_auth.testing import outbox
from passwordless_auth.testing.authenticator import Authenticator
from passwordless_auth.testing.faults import Fault
from tests.passkeys import ORIGIN, answer, asked_to_register, asked_to_sign_in, register, send, with_passkey

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
PHONE = "+4915123456789"
MANY = 100
#: MariaDB and MySQL can't return what they have counted: there counting is a second statement.
MORE = int(connection.vendor == "mysql")

in_both_stores = pytest.mark.parametrize(
    "store",
    [
        "database",
        pytest.param(
            "redis",
            marks=[
                pytest.mark.redis,
                pytest.mark.skipif("CACHE_URL" not in os.environ, reason="needs Redis in CACHE_URL"),
            ],
        ),
    ],
    indirect=True,
)


@pytest.fixture
def store(request):
    if request.param == "redis":
        request.getfixturevalue("in_redis")
    return request.param


@pytest.fixture
def old_rows(clock):
    """A site that has been running for a while."""
    make_old_rows(MANY)


def make_old_rows(number):
    now = timezone.now()
    earlier = now - timedelta(hours=1)
    users = User.objects.bulk_create(
        [User(username=f"old{n}", email=f"old{n}@example.com", password="!") for n in range(number)]
    )
    Profile.objects.bulk_create([Profile(user=user) for user in users])
    identities = Identity.objects.bulk_create(
        [
            Identity(
                user=user, kind="email", canonical=user.email, is_primary=True, origin="sign_up", proven_at=earlier
            )
            for user in users
        ]
    )
    sign_ins = SignIn.objects.bulk_create(
        [SignIn(user=user, level="single", proofs=[], ended_at=earlier, browser_digest="b") for user in users]
    )
    challenges = Challenge.objects.bulk_create(
        [
            Challenge(
                purpose="sign_in",
                kind="email",
                canonical=identity.canonical,
                identity=identity,
                user=identity.user,
                sign_in=sign_in,
                key_id="k1",
                nonce=derivation.new_nonce(),
                code_length=6,
                code_alphabet="digits",
                max_tries=3,
                state="spent",
                browser_digest="b" * 64,
                code_expires_at=earlier,
                link_expires_at=earlier,
                expires_at=earlier,
            )
            for identity, sign_in in zip(identities, sign_ins, strict=True)
        ]
    )
    Delivery.objects.bulk_create(
        [
            Delivery(
                kind="sign_in",
                canonical=challenge.canonical,
                challenge=challenge,
                user=challenge.user,
                state="handed_over",
                expires_at=earlier,
            )
            for challenge in challenges
        ]
    )
    Counter.objects.bulk_create(
        [Counter(action="sends", key=user.email, period=60, count=1, resets_at=earlier) for user in users]
    )
    Event.objects.bulk_create([Event(kind="limit_reached", user=user) for user in users])
    KnownBrowser.objects.bulk_create([KnownBrowser(user=user, browser_digest="b" * 64) for user in users])
    Session.objects.bulk_create(
        [Session(session_key=f"old{n}", session_data="x", expire_date=earlier) for n in range(number)]
    )


@contextmanager
def statements(number):
    """Exactly so many data statements, and one more would be told with all of them."""
    with CaptureQueriesContext(connection) as queries:
        yield
    control = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    sent = [query["sql"] for query in queries if not query["sql"].startswith(control)]
    assert len(sent) == number, "\n".join([f"{len(sent)} statements:", *sent])


def ready(browser):
    """A browser that has looked at the page, and so has its CSRF cookie."""
    browser.get("/login/")
    return browser


@pytest.fixture
def known(browser, clock, settings):
    """A browser that has signed in before, an hour ago, and out again."""
    browser.sign_in(ADA)
    browser.submit("/logout/")
    ready(browser)
    clock.shift(3600)
    return browser


# -- start


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_start(browser, store):
    """Whoever asks, for whichever address: known, unknown or disabled."""
    User.objects.create_user("off", "off@example.com", is_active=False)
    ready(browser)

    for address in ("old7@example.com", "new@example.com", "off@example.com"):
        with statements({"database": 6 + MORE, "redis": 4}[store]):
            response = browser.start(address)
        assert response.status_code == 303


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_start_and_finish_by_phone(browser, store, sms, clock):
    """What they cost by e-mail, for a known number and an unknown one."""
    ready(browser)
    by_phone, by_code = ({"database": n, "redis": r}[store] for n, r in ((6 + MORE, 4), (7 + MORE, 6)))

    with statements(by_phone):
        browser.start(PHONE)
    browser.submit("/login/wait/", {"code": outbox.last_code(PHONE)})
    browser.submit("/logout/")
    ready(browser)
    clock.shift(3600)
    with statements(by_phone):
        browser.start(PHONE)
    code = outbox.last_code(PHONE)
    with statements(by_code):
        response = browser.submit("/login/wait/", {"code": code})
    assert response.status_code == 303
    assert browser.who()["authenticated"]


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_start_by_a_browser_that_is_known(known, store):
    with statements({"database": 6 + MORE, "redis": 4}[store]):
        response = known.start(ADA)
    assert response.status_code == 303
    assert Challenge.objects.latest("pk").from_known_browser


# -- send


@pytest.mark.usefixtures("old_rows")
def test_send(browser, django_capture_on_commit_callbacks):
    ready(browser)
    with django_capture_on_commit_callbacks() as callbacks:
        browser.start(ADA)

    with statements(2):
        for callback in callbacks:
            callback()
    assert Delivery.objects.latest("pk").state == "handed_over"


# -- finish


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_finish_by_code(known, store):
    known.start(ADA)
    code = outbox.last_code(ADA)

    with statements({"database": 7 + MORE, "redis": 6}[store]):
        response = known.submit("/login/wait/", {"code": code})
    assert response.status_code == 303
    assert known.who()["authenticated"]


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_finish_by_code_in_a_browser_that_is_a_stranger_to_the_account(known, other_browser, store, clock):
    clock.shift(61)
    ready(other_browser).start(ADA)
    code = outbox.last_code(ADA)

    # No more: what was read at the beginning says that there is no other address to tell.
    with statements({"database": 7 + MORE, "redis": 6}[store]):
        response = other_browser.submit("/login/wait/", {"code": code})
    assert response.status_code == 303


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_finish_by_link(known, store):
    known.start(ADA)
    known.get(outbox.last_link(ADA))
    challenge = Challenge.objects.latest("pk").public_id

    with statements(6):  # a known browser's link is in no budget of guesses
        response = known.submit("/login/link/", {"challenge": challenge, "action": "sign_in"})
    assert response.status_code == 303
    assert known.who()["authenticated"]


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_finish_by_link_in_a_browser_that_is_a_stranger_to_the_account(known, other_browser, store, clock):
    clock.shift(61)
    ready(other_browser).start(ADA)
    other_browser.get(outbox.last_link(ADA))
    challenge = Challenge.objects.latest("pk").public_id

    with statements({"database": 7 + MORE, "redis": 6}[store]):
        response = other_browser.submit("/login/link/", {"challenge": challenge, "action": "sign_in"})
    assert response.status_code == 303


# -- passkeys


@pytest.fixture
def authenticator(browser, clock):
    """A passkey of Ada's, added an hour ago. She is signed out."""
    authenticator = with_passkey(browser, ADA)
    browser.submit("/logout/")
    clock.shift(3600)
    return authenticator


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_passkey_options(browser, authenticator, store):
    with statements({"database": 2 + MORE, "redis": 1}[store]):
        asked_to_sign_in(browser)


@in_both_stores
@pytest.mark.usefixtures("old_rows", "authenticator")
def test_passkey_options_for_a_typed_address(browser, store):
    """The same for an address with a passkey, without one, and of nobody."""
    for address in (ADA, "old7@example.com", "nobody@example.com"):
        with statements({"database": 3 + MORE, "redis": 2}[store]):
            asked_to_sign_in(browser, identifier=address)


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_passkey_sign_in(browser, authenticator, store):
    options = asked_to_sign_in(browser)
    credential = authenticator.get(options, origin=ORIGIN)

    with statements(7):
        response = answer(browser, credential)
    assert response.json() == {"next": "/account/"}


@pytest.mark.usefixtures("old_rows")
def test_passkey_sign_in_that_is_refused(browser, authenticator):
    """An unknown credential costs what a wrong signature costs."""
    stranger = Authenticator()
    stranger.add(rp_id="testserver", user_handle=b"x")
    for wrong in (stranger, authenticator):
        credential = wrong.get(asked_to_sign_in(browser), origin=ORIGIN, fault=Fault(signature="flipped"))
        with statements(2):
            response = answer(browser, credential)
        assert response.json()["error"] == "unknown_credential"


@in_both_stores
@pytest.mark.usefixtures("old_rows")
def test_register(browser, store, clock):
    """The session and the user included."""
    browser.sign_in(ADA)
    made = Authenticator().create(asked_to_register(browser), origin=ORIGIN)

    with statements(8):
        response = send(browser, "/account/passkeys/register/", made)
    assert response.status_code == 200


def test_a_request_of_a_passkey_session_costs_one_more_that_django_otp_asks(browser, authenticator):
    assert answer(browser, authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)).status_code == 200

    with statements(3):
        assert browser.get("/members/").status_code == 200


def test_the_list_of_passkeys_costs_the_same_for_any_number(browser, authenticator):
    assert answer(browser, authenticator.get(asked_to_sign_in(browser), origin=ORIGIN)).status_code == 200
    costs = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert browser.get("/account/passkeys/").status_code == 200
        costs.append(len(queries))
        for _more in range(5):
            register(browser)
    assert costs[0] == costs[1]


def test_finish_by_the_visitor_of_a_shop_costs_three_more(known, client):
    """A visitor who has a session already (a basket): it is read, and its old key is deleted, for which Django takes
    two statements."""
    session = client.session
    session["basket"] = [1, 2, 3]
    session.save()
    known.cookies["sessionid"] = session.session_key
    known.start(ADA)
    code = outbox.last_code(ADA)

    with statements(10 + MORE):
        response = known.submit("/login/wait/", {"code": code})
    assert response.status_code == 303
    assert known.session["basket"] == [1, 2, 3]


def test_the_first_sign_in_makes_an_account(browser):
    """Beside the seven: whose address is it, has a user of the host it, and the rows User, Identity, Profile."""
    ready(browser).start(ADA)
    code = outbox.last_code(ADA)

    with statements(12 + MORE):
        response = browser.submit("/login/wait/", {"code": code})
    assert response.status_code == 303
    assert User.objects.get(email=ADA)


def test_a_wrong_code(browser):
    ready(browser).start(ADA)
    wrong = f"{(int(outbox.last_code(ADA)) + 1) % 10**6:06}"

    with statements(6 + MORE):
        response = browser.submit("/login/wait/", {"code": wrong})
    assert response.status_code == 400


# -- afterwards


@pytest.mark.usefixtures("old_rows")
def test_an_authenticated_request_costs_what_django_costs(browser):
    browser.sign_in(ADA)

    for path in ("/members/", "/recent/", "/single/", "/login/session.json"):
        with statements(2):
            response = browser.get(path)
        assert response.status_code == 200


def test_a_visitor_costs_nothing(browser):
    for path in ("/login/", "/open/", "/login/session.json"):
        with statements(0):
            assert browser.get(path).status_code == 200


def test_a_session_that_was_used_five_minutes_ago_is_noted_once(browser, clock):
    browser.sign_in(ADA)
    clock.shift(301)

    with statements(4):  # and the note on the SignIn, and the session itself
        browser.get("/members/")
    with statements(2):
        browser.get("/members/")


def test_the_waiting_page_and_its_question(browser):
    browser.start(ADA)

    with statements(3):
        browser.get("/login/wait/")
    with statements(3):
        browser.get("/login/wait/status.json")


def test_the_page_behind_a_link(browser):
    browser.start(ADA)
    link = outbox.last_link(ADA)

    with statements(0):
        browser.get(link)
    with statements(1):
        browser.get("/login/link/")


@pytest.mark.usefixtures("old_rows")
def test_the_list_of_sessions_costs_the_same_for_any_number(browser):
    browser.sign_in(ADA)
    user = User.objects.get(email=ADA)
    for shown in (1, 51, 100):
        with statements(3):
            page = browser.get("/account/sessions/")
        assert page.content.count(b'name="sign_in"') == shown
        SignIn.objects.bulk_create([SignIn(user=user, level="single") for _ in range(50)])


def test_the_account_page(browser):
    """Beside session and user: addresses, sign-in, passkeys, profile, recovery codes; however many there are."""
    browser.sign_in(ADA)
    user = User.objects.get(email=ADA)

    for shown in (1, 11):
        with statements(7):
            page = browser.get("/account/")
        assert page.content.count(b"pa-who") == shown
        make_recoverable(user, shown)


def make_recoverable(user, number):
    """A person with that many more addresses and recovery codes, and passkeys."""
    for n in range(10):
        name = f"{number}-{n}"
        Identity.objects.create(user=user, kind="email", canonical=f"{name}@example.com", proven_at=timezone.now())
        RecoveryCode.objects.create(user=user, digest=name, key_id="k1")
        Passkey.objects.create(
            user=user, name=name, credential_digest=name, credential_id=b"x", public_key=b"x", algorithm=-7
        )


def test_signing_out(browser):
    browser.sign_in(ADA)

    with statements(8):  # two of which are for apps that were given something in this session
        browser.submit("/logout/")


# -- the admin


@pytest.mark.parametrize("model", ["challenge", "delivery", "signin", "identity", "event"])
def test_a_list_in_the_admin_costs_the_same_for_ten_rows_and_for_two_hundred(client, model, clock):
    client.force_login(
        User.objects.create_superuser("root", "root@example.com"), backend="django.contrib.auth.backends.ModelBackend"
    )
    make_old_rows(10)
    costs = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            response = client.get(f"/admin/passwordless_auth/{model}/")
        assert response.status_code == 200
        costs.append(len(queries))
        Session.objects.filter(session_key__startswith="old").delete()
        User.objects.filter(username__startswith="old").delete()
        Challenge.objects.all().delete()
        Delivery.objects.all().delete()
        Counter.objects.all().delete()
        make_old_rows(200)

    assert costs[0] == costs[1] <= 6
