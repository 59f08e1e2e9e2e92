"""What is kept, and what is written down, opens nothing and stays no longer than it must (PR)."""

import base64
import hashlib
import io
import logging
import os
import pickle
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import django
import pytest
from _pytest.logging import LogCaptureHandler
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.views.debug import ExceptionReporter

from passwordless_auth.channels import Channel
from passwordless_auth.flows import login_link
from passwordless_auth.logs import HideLinkTokens
from passwordless_auth.models import Challenge, Counter, Delivery, Event, Identity, KnownBrowser, Profile, SignIn
from passwordless_auth.testing import outbox
from tests.conftest import CHROME, Browser

from .conftest import copy_of, guess, link_of, member, newest, open_link, press, stranger

pytestmark = pytest.mark.django_db(transaction=True)

User = get_user_model()
ADA = "ada@example.com"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def long_codes(settings):
    """Twelve letters: six digits occur by chance in a dump this long."""
    settings.PASSWORDLESS_AUTH_CODE_LENGTH = 12
    settings.PASSWORDLESS_AUTH_CODE_ALPHABET = "letters"


@pytest.fixture
def no_limits(settings):
    for name in (
        "SENDS_PER_ADDRESS",
        "SENDS_PER_KNOWN_BROWSER",
        "STARTS_PER_IP",
        "FAILURES_PER_IP",
        "FAILURES_PER_ACCOUNT",
    ):
        setattr(settings, f"PASSWORDLESS_AUTH_LIMIT_{name}", "")


# -- what there is to find, and where to look


def secrets_of(rows):
    """Codes and links as they are sent, and what they are made of."""
    for row in rows:
        code, token = row.code(), row.link_token()
        yield from (code, "-".join(code[start : start + 4] for start in (0, 4, 8)), token, token[22:])
        mac = base64.urlsafe_b64decode(token[22:] + "=")
        yield from (mac.hex(), base64.b64encode(mac).decode().rstrip("="))


def shapes_of(secret):
    """A secret, and all that may stand for it: four digests, in hex and in both alphabets of base64."""
    yield secret
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, secret.encode(), usedforsecurity=False).digest()
        yield digest.hex()
        yield base64.b64encode(digest).decode().rstrip("=")
        yield base64.urlsafe_b64encode(digest).decode().rstrip("=")


def found_in(haystack, rows):
    """The secrets of these challenges that a text holds, in whatever shape and case."""
    haystack = haystack.lower()
    by_beginning = {}
    for secret in secrets_of(rows):
        for shape in shapes_of(secret):
            by_beginning.setdefault(shape[:12].lower(), []).append(shape.lower())
    # One walk through the text, however many needles there are.
    return [
        shape
        for start in range(len(haystack) - 11)
        if haystack[start : start + 12] in by_beginning
        for shape in by_beginning[haystack[start : start + 12]]
        if haystack.startswith(shape, start)
    ]


def tables():
    """Every row of every table, sessions decoded too."""
    lines = []
    for model in apps.get_models(include_auto_created=True):
        for row in model._base_manager.values():
            lines += [f"{model.__name__}.{name}={show(value)}" for name, value in row.items()]
    lines += [f"{row.session_key} {row.get_decoded()!r}" for row in Session.objects.all()]
    return "\n".join(lines)


def show(value):
    if isinstance(value, memoryview | bytes):
        return f"{bytes(value).hex()} {base64.b64encode(bytes(value)).decode()} {bytes(value).decode('latin-1')}"
    return str(value)


def cached():
    """Everything in the cache of this process, unpickled."""
    return "\n".join(f"{key} {pickle.loads(value)!r}" for key, value in caches["default"]._cache.items())  # noqa: S301


@pytest.fixture
def everything_logged():
    """The root logger at DEBUG, with tracebacks, and the statements of the database; through the shipped filter."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s %(event)s %(data)s", defaults=EXTRAS))
    handler.addFilter(HideLinkTokens())
    root = logging.getLogger()
    names = [
        "",
        "django",
        "django.db.backends",
        "django.request",
        "django.server",
        "django.template",
        "passwordless_auth",
    ]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    # pytest's own handlers keep every record, and a record of a template keeps the frames of its traceback: gigabytes.
    pytests = [kept for kept in root.handlers if isinstance(kept, LogCaptureHandler)]
    for kept in pytests:
        root.removeHandler(kept)
    root.addHandler(handler)
    connection.force_debug_cursor = True
    yield written
    connection.force_debug_cursor = False
    root.removeHandler(handler)
    for kept in pytests:
        root.addHandler(kept)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


EXTRAS = {"event": "", "data": ""}


def a_hundred_starts():
    """All that can happen to a message, a few times each."""
    for number in range(80):
        stranger(f"192.0.2.{number}").start(f"person{number}@example.com")
    member("gone@example.com", active=False)
    stranger().start("gone@example.com")
    for number in range(4):
        address = f"visitor{number}@example.com"
        browser = stranger()
        browser.start(address)
        browser.get("/login/wait/")
        browser.get("/login/wait/status.json")
        guess(browser, "BCDFGHJKLMNP", address)
        browser.submit("/login/resend/", {"challenge": newest(address).public_id})
        elsewhere = Browser()
        open_link(elsewhere, address)
        press(elsewhere, address, identifier="somebody@example.com")
        elsewhere.post(link_of(address))
        elsewhere.get(link_of(address).rstrip("/") + ".")
        elsewhere.get(f"{link_of(address)[:-1]}%3E/")
        if number == 0:
            guess(browser, newest(address).code(), address)
        elif number == 1:
            open_link(browser, address)
            press(browser, address)
        elif number == 2:
            press(elsewhere, address)
        else:
            press(elsewhere, address, action="deny")
        guess(browser, newest(address).code(), address)  # late, or twice
    members = []
    for number in range(5):
        browser = Browser()
        browser.sign_in(f"member{number}@example.com")
        browser.submit("/login/step-up/", {"next": "/members/"})
        browser.get("/account/")
        guess(browser, newest(f"member{number}@example.com").code(), f"member{number}@example.com")
        members.append(browser)
    members[0].submit("/account/sessions/", {"scope": "everywhere"})
    members[1].submit("/logout/")
    for address in ("member2@example.com", "member3@example.com", "visitor0@example.com"):
        stranger().start(address)
        stranger().start(address)
    login_link.make(User.objects.get(email="member4@example.com"), reason="they lost their phone", operator="root")


def admin_pages():
    """Lists and pages of every row that the admin shows."""
    root = User.objects.create_superuser("root", "root@example.com", "x")
    browser = Browser()
    browser.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    texts = []
    logging.disable()  # the admin's templates have thousands of lines to say at DEBUG
    for model in (Challenge, Delivery, SignIn, Identity, Event):
        name = f"admin:passwordless_auth_{model._meta.model_name}"
        texts.append(browser.get(reverse(f"{name}_changelist")).content.decode())
        for row in model.objects.order_by("-pk")[:3]:
            answer = browser.get(reverse(f"{name}_change", args=[row.pk]))
            assert answer.status_code == 200
            texts.append(answer.content.decode())
    logging.disable(logging.NOTSET)
    return "\n".join(texts)


def test_after_a_hundred_starts_nothing_that_is_kept_or_logged_holds_a_code_or_a_link(
    long_codes, no_limits, everything_logged
):
    """PR-01, PR-02: tables, sessions, cache, logs at DEBUG, the admin's pages."""
    a_hundred_starts()
    rows = list(Challenge.objects.all())
    assert len(rows) >= 100
    assert len(outbox.mail.outbox) >= 100
    places = {
        "tables": tables(),
        "cache": cached(),
        "logs": everything_logged.getvalue(),
        "admin": admin_pages(),
        "texts of rows": "\n".join(f"{row} {row!r}" for row in [*rows, *Delivery.objects.all(), *Event.objects.all()]),
    }

    for place, text in places.items():
        assert found_in(text, rows) == [], place
    # That the search would find, and that there was something to be searched:
    sent = "\n".join(f"{message.subject} {message.body}" for message in outbox.mail.outbox)
    assert len(found_in(sent, rows)) >= 300
    assert rows[0].public_id in places["tables"]
    assert "INSERT INTO" in places["logs"]
    assert "signed_in" in places["logs"]
    assert "/login/link/…" in places["logs"]
    assert "•••" in places["admin"]
    assert "Session" in places["tables"]


@pytest.mark.parametrize("engine", ["cached_db", "cache"])
def test_sessions_in_a_cache_hold_no_code_and_no_link(settings, long_codes, no_limits, engine):
    """PR-01"""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    for number in range(5):
        browser = Browser()
        browser.start(f"person{number}@example.com")
        open_link(browser, f"person{number}@example.com")
        guess(browser, newest(f"person{number}@example.com").code(), f"person{number}@example.com")
        browser.submit("/login/step-up/")

    assert "_passwordless_auth" in cached()
    assert found_in(cached(), Challenge.objects.all()) == []


def test_limits_that_a_cache_counts_name_no_secret(settings, long_codes, monkeypatch):
    """PR-01: nor an address."""
    from passwordless_auth import throttling

    settings.PASSWORDLESS_AUTH_LIMIT_STORE = "default"
    assert throttling.CACHES_THAT_COUNT  # LocMemCache is none of them; in one process it will do for a look
    browser = stranger()
    browser.start()
    guess(browser, "BCDFGHJKLMNP")

    assert "sends" in cached()
    assert "failures_account" in cached()
    assert ADA not in cached()
    assert found_in(cached(), Challenge.objects.all()) == []


def test_a_task_carries_the_number_of_a_row_and_nothing_else(settings, long_codes):
    """PR-01: what a queue stores, or a dashboard of it shows."""
    package = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.dummy.DummyBackend"}}
    settings.PASSWORDLESS_AUTH_SENDER = "tasks"
    backend = __import__(package, fromlist=["task_backends"]).task_backends["default"]
    for number in range(5):
        stranger().start(f"person{number}@example.com")

    payloads = [(list(result.args), dict(result.kwargs)) for result in backend.results]
    assert payloads == [([pk], {}) for pk in Delivery.objects.order_by("pk").values_list("pk", flat=True)]
    text = "\n".join(f"{result!r} {result.args!r} {result.kwargs!r}" for result in backend.results)
    assert found_in(text, Challenge.objects.all()) == []
    assert "@example.com" not in text


# -- when something goes wrong while a message is written


class Broken(Channel):
    """A channel with a bug."""

    def send(self, message):
        raise RuntimeError("the provider's library has a bug")


def test_a_report_of_an_error_in_a_channel_holds_no_code(settings, long_codes, everything_logged, reports):
    """PR-02: what Django mails to the administrators, variables of every frame included."""
    settings.PASSWORDLESS_AUTH_CHANNELS = {"email": {"BACKEND": f"{__name__}.Broken"}}
    stranger().start()

    assert Delivery.objects.get().error == "RuntimeError"
    written = everything_logged.getvalue()
    (report,) = reports()
    assert "in send" in report
    assert found_in(f"{report}\n{written}\n{tables()}", Challenge.objects.all()) == []


@pytest.fixture
def reports():
    """The error reports that Django would mail for what our code logs, made when they are asked for."""
    seen = []

    class Mailing(logging.Handler):
        def emit(self, record):
            seen.append(record)

    handler = Mailing(logging.ERROR)
    logging.getLogger("passwordless_auth").addHandler(handler)
    yield lambda: [ExceptionReporter(None, *record.exc_info).get_traceback_text() for record in seen if record.exc_info]
    logging.getLogger("passwordless_auth").removeHandler(handler)


MISTAKES = {
    "a variable that is not there": "{{ no_such_thing }} {{ code.no_such_thing }}",
    "an argument that is not there": "{{ code|default:no_such_thing }} {{ site_name|add:no_such_thing }}",
    "an include that is not there": "{% include 'no/such/template.txt' %}",
    "a condition that is not there": "{% if no_such_thing == code %}{% endif %}",
    "a loop over what is not there": "{% for part in code.no_such_thing %}{% endfor %}{% widthratio code 1 no_such_thing %}",
    "code that breaks": "{% url 'no-such-page' code %}",
    "a syntax error": "{% endif %}",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_message_template_writes_no_code_into_a_log(
    settings, long_codes, everything_logged, reports, tmp_path, mistake
):
    """PR-02: a host's own template; what Django logs of it, at DEBUG too, and what its error report shows."""
    folder = tmp_path / "passwordless_auth" / "messages"
    folder.mkdir(parents=True)
    (folder / "sign_in.txt").write_text(MISTAKES[mistake])
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    stranger().start()

    assert Delivery.objects.count() == 1
    written = everything_logged.getvalue()
    assert "passwordless_auth.events INFO sign_in_started a•••@e•••.com" in written
    written = "\n".join([written, *reports(), tables()])
    assert found_in(written, Challenge.objects.all()) == []


def test_what_our_own_log_says_masks_the_address(everything_logged, no_limits):
    """PR-02, LG-01"""
    browser = stranger()
    browser.start("somebody.special@example.com")
    guess(browser, "123456", "somebody.special@example.com")
    browser.sign_in("somebody.special@example.com")
    browser.submit("/logout/")
    lines = [line for line in everything_logged.getvalue().splitlines() if line.startswith("passwordless_auth")]

    assert len(lines) >= 5
    assert not any("somebody" in line or "example.com" in line for line in lines)
    assert any("s•••@e•••.com" in line for line in lines)


# -- PR-02: the access log of a real server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(tmp_path):
    """Django's own server as a process, with a host's LOGGING."""
    port = free_port()
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('migrate', verbosity=0)\n"
        f"call_command('runserver', '127.0.0.1:{port}', use_reloader=False, use_threading=False, skip_checks=True)\n"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COV")},
        "DJANGO_SETTINGS_MODULE": "tests.security.server_settings",
        "PASSWORDLESS_AUTH_TEST_FOLDER": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr.read().decode()
                assert time.monotonic() < end
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=10)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


class Visitor:
    """A browser of the standard library."""

    def __init__(self, base):
        self.base = base
        self.jar = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar), NoRedirect)
        self.opener.addheaders = [("User-Agent", CHROME)]

    def ask(self, path, data=None, method=None):
        if data is not None:
            token = next(cookie.value for cookie in self.jar if cookie.name == "csrftoken")
            data = urllib.parse.urlencode({**data, "csrfmiddlewaretoken": token}).encode()
        try:
            with self.opener.open(urllib.request.Request(self.base + path, data, method=method), timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code


def last_mail(folder):
    (path,) = list((folder / "mail").iterdir())
    return path.read_text().replace("=\n", "").replace("=3D", "=")


@pytest.mark.django_db(transaction=False)
def test_the_access_log_of_a_real_server_masks_the_token(server, tmp_path):
    """PR-02: whoever opens the link, whatever they make of it; and the log of a host without the filter shows it."""
    visitor, scanner = Visitor(server), Visitor(server)
    for person in (visitor, scanner):
        assert person.ask("/login/") == 200
    assert visitor.ask("/login/", {"identifier": ADA}) == 303
    token = re.search(r"/login/link/([\w-]{65})/", last_mail(tmp_path))[1]
    assert scanner.ask(f"/login/link/{token}/", method="HEAD") == 303
    assert scanner.ask(f"/login/link/{token}/", {}) in {403, 405}
    assert scanner.ask(f"/login/link/{token}./") == 400
    assert scanner.ask(f"/login/link/{token}%3E/") == 400
    assert scanner.ask(f"/login/link/%{ord(token[0]):02X}{token[1:]}/?utm_source=mail") == 303
    assert scanner.ask(f"/login/link/{token}") == 404
    assert scanner.ask(f"/login/link/{token}/more/") == 404
    assert visitor.ask(f"/login/link/{token}/") == 303
    assert visitor.ask("/login/link/") == 200
    assert visitor.ask("/login/link/", {"challenge": token[:22], "action": "sign_in"}) == 303
    assert visitor.ask("/members/") == 200
    assert visitor.ask("/open/") == 200  # the line before it is written by now

    plain, masked = ((tmp_path / f"{name}.log").read_text() for name in ("plain", "masked"))
    assert plain.count(token[1:]) >= 10
    assert masked.count("/login/link/…") >= 10
    assert '"GET /members/ HTTP/1.1" 200' in masked
    for length in (65, 43, 30, 23):  # nor a piece that would be enough to go on with
        assert not any(token[start : start + length] in masked for start in range(1, 66 - length))


@pytest.mark.parametrize(
    "record",
    [
        ('"%s" %s %s', ("GET /login/link/{token}/ HTTP/1.1", "303", "0")),
        ("%(r)s %(s)s", ({"r": "GET /login/link/{token}/ HTTP/1.1", "s": "303", "U": "/login/link/{token}/"},)),
        ('%s - "%s %s HTTP/%s" %d', ("127.0.0.1:5", "GET", "/login/link/{token}/?a=1", "1.1", 303)),
        ("Not Found: /login/link/{token}", ()),
        ("%s: %s", ("Not Found", "/accounts/login/link/{token}/")),
    ],
)
def test_the_log_filter_masks_what_servers_write(record):
    """PR-02: Django's, gunicorn's and uvicorn's ways to say it."""
    token = f"{'a1_-' * 16}z"
    message, args = record
    args = tuple(
        {key: value.format(token=token) for key, value in arg.items()}
        if isinstance(arg, dict)
        else arg.format(token=token)
        if isinstance(arg, str)
        else arg
        for arg in args
    )
    message = message.replace("{token}", token)
    entry = logging.LogRecord("access", logging.INFO, "", 0, message, args, None)
    assert HideLinkTokens().filter(entry)

    assert token not in entry.getMessage()
    assert "login/link/…" in entry.getMessage()
    kept = logging.LogRecord("access", logging.INFO, "", 0, "GET %s %d", ("/login/link/ /login/wait/?a=1", 200), None)
    HideLinkTokens().filter(kept)
    assert kept.getMessage() == "GET /login/link/ /login/wait/?a=1 200"


# -- PR-09: how long


def lived(clock):
    """A few days of a small site."""
    browser = Browser(REMOTE_ADDR="203.0.113.77")
    browser.sign_in()
    stranger("203.0.113.78").start("never-came@example.com")
    failing = stranger("203.0.113.79")
    failing.start("failing@example.com")
    for _turn in range(3):
        guess(failing, "123456", "failing@example.com")
    clock.shift(61)
    browser.submit("/logout/")
    browser.sign_in()
    login_link.make(User.objects.get(), reason="a test")
    return browser


def purge():
    call_command("passwordless_purge", stdout=io.StringIO())


def test_challenges_go_a_day_after_their_end(clock):
    """PR-09"""
    lived(clock)
    attempts = Challenge.objects.count()
    assert attempts == Delivery.objects.count() + 1 == 5
    clock.shift(86400 + 260)  # the last one has run out less than a day ago
    purge()
    assert {row.canonical for row in Challenge.objects.all()} == {ADA}
    clock.shift(120)
    purge()

    assert Challenge.objects.count() == Delivery.objects.count() == 0
    assert "never-came" not in tables()
    assert Identity.objects.count() == 1  # the person stays


def test_ip_addresses_and_user_agents_go_after_ninety_days(clock):
    """PR-09: wherever they are."""
    browser = lived(clock)
    clock.shift(89 * 86400)
    purge()
    assert "203.0.113.77" in tables()
    assert "203.0.113.79" in tables()
    assert "Mozilla" in tables()
    clock.shift(2 * 86400)
    purge()

    left = tables()
    assert "203.0.113." not in left
    assert "Mozilla" not in left
    assert Event.objects.exists()
    assert User.objects.get().email == ADA
    assert not browser.who()["authenticated"]
    browser.sign_in()
    assert browser.who()["authenticated"]


def test_a_purge_takes_nothing_that_is_still_of_use(clock):
    """PR-09, the twin"""
    browser = Browser()
    browser.sign_in()
    waiting = stranger()
    clock.shift(61)
    waiting.start()
    purge()

    assert browser.who()["authenticated"]
    assert SignIn.objects.live().count() == 1
    assert stranger().start().status_code == 429  # limits go on counting
    assert guess(waiting, newest().code()).status_code == 303


def test_known_browsers_are_forgotten_in_time(clock):
    """PR-09"""
    Browser().sign_in()
    clock.shift(399 * 86400)
    purge()
    assert KnownBrowser.objects.count() == 1
    clock.shift(2 * 86400)
    purge()
    assert KnownBrowser.objects.count() == 0


# -- PR-10: the account goes


@pytest.mark.parametrize("way", ["delete", "queryset"])
def test_deleting_an_account_leaves_nothing_of_it_and_its_id_is_never_used_again(clock, way):
    """PR-10"""
    browser = lived(clock)
    bystander = stranger("198.51.100.1")
    bystander.sign_in("bob@example.com")
    clock.shift(61)
    waiting = stranger("198.51.100.2")
    waiting.start(ADA)
    attempt, thief = newest(ADA), copy_of(browser)
    user = User.objects.get(email=ADA)
    handle, pk = browser.who()["user"]["id"], user.pk
    assert Event.objects.filter(user=user).exists()
    if way == "delete":
        user.delete()
    else:
        User.objects.filter(pk=pk).delete()

    assert not browser.who()["authenticated"]
    assert not thief.who()["authenticated"]
    assert waiting.submit("/login/wait/", {"code": attempt.code(), "challenge": attempt.public_id}).status_code == 410
    for model in (Identity, SignIn, KnownBrowser, Profile, Event):
        assert not model.objects.filter(user_id=pk).exists()
    assert not Challenge.objects.filter(canonical=ADA).exists()
    assert not Delivery.objects.filter(canonical=ADA).exists()
    assert handle not in tables()
    # Only limits still know the address, for as long as they count: or deleting an account would reset them.
    left = [line for line in tables().splitlines() if ADA in line]
    assert left
    assert all(line.startswith("Counter.key=") for line in left)
    assert bystander.who()["authenticated"]

    clock.shift(86401)
    purge()
    assert ADA not in tables()
    assert not Counter.objects.exists()
    browser.sign_in()
    assert browser.who()["user"]["id"] != handle
    assert User.objects.get(email=ADA).pk != pk
    assert not thief.who()["authenticated"]
