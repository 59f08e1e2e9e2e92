"""Every system check: the wrong setting yields its id and no other of ours, and our own settings yield none."""

import importlib.util
import re
import sys
import types
from pathlib import Path

import django
import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.urls import include, path
from django.utils import timezone

from passwordless_auth import checks as ours
from passwordless_auth.channels import Receipt
from passwordless_auth.channels.sms import SmsChannel
from passwordless_auth.flows.importing import import_identities
from passwordless_auth.models import Challenge, SignIn

KEY = "k" * 40
GONE = object()
EMAIL = {"email": {"BACKEND": "passwordless_auth.channels.email.EmailChannel"}}
SMS = {**EMAIL, "sms": {"BACKEND": "tests.test_checks.SomeProvider"}}


def twilio(kind="TwilioChannel", **options):
    options = {"account_sid": "AC1", "auth_token": "t", "sender": "EXAMPLE", **options}
    return {**EMAIL, "sms": {"BACKEND": f"passwordless_auth.channels.twilio.{kind}", "OPTIONS": options}}


#: id: settings that it refuses. A list is several ways to be wrong.
WRONG = {
    "E001": [
        {"BASE_URL": GONE},
        {"BASE_URL": "example.com"},
        {"BASE_URL": "ftp://example.com"},
        {"BASE_URL": "https://example.com/app"},
        {"BASE_URL": "https://example.com?x=1"},
        {"BASE_URL": "https://"},
        {"BASE_URL": "http://["},
    ],
    "E002": [{"SECRET_KEYS": GONE}, {"SECRET_KEYS": []}, {"SECRET_KEYS": [KEY]}, {"SECRET_KEYS": 5}],
    "E003": [{"SECRET_KEYS": [("k1", "k" * 31)]}, {"SECRET_KEYS": [("k1", KEY), ("k0", "short")]}],
    "E004": [
        {"SECRET_KEYS": [("k1", KEY), ("k1", "l" * 40)]},
        {"SECRET_KEYS": [("", KEY)]},
        {"SECRET_KEYS": [("a:b", KEY)]},
        {"SECRET_KEYS": [("k" * 65, KEY)]},
    ],
    "E005": [
        {"SIGN_UP": "ajar"},
        {"SENDER": "pigeon"},
        {"CODE_ALPHABET": "emoji"},
        {"LEVEL_FOR_STAFF": "high"},
        {"LEVEL_FOR_GROUPS": {"editors": "high"}},
        {"PASSKEY_ATTESTATION": "enterprise"},
    ],
    "E006": [
        {"METHODS": []},
        {"METHODS": ["password"]},
        {"METHODS": ["magic_link", "password"]},
        {"METHODS": ["passkey"]},
    ],
    "E007": [
        {"METHODS": ["magic_link"], "LEVEL_FOR_STAFF": "multi"},
        {"METHODS": ["magic_link", "totp"], "LEVEL_FOR_STAFF": "phr"},
        {"METHODS": ["magic_link"], "LEVEL_FOR_GROUPS": {"editors": "multi"}},
    ],
    "E008": [
        {"CODE_LIFETIME": 0},
        {"LINK_LIFETIME": -1},
        {"CODE_LENGTH": 3},
        {"CODE_TRIES": 0},
        {"CODE_TRIES": "three"},
        {"CODE_TRIES": None},
        {"NEW_KEY_DELAY": -1},
        {"TRUSTED_PROXY_COUNT": -1},
        {"SMS_BREAKER_MESSAGES": 0},
        {"SMS_BREAKER_UNUSED": 1.5},
        {"SMS_BREAKER_PAUSE": "long"},
        {"SMS_PRICES": {"DE": "8 cents"}},
        {"SMS_PRICES": ["0.08"]},
        {"SMS_PRICES": {"DE": "-1"}},
        {"SMS_CEILING_PER_DAY": "much"},
        {"SMS_CEILING_PER_DAY": "NaN"},
        {"SMS_CEILING_PER_DAY": "1e9"},
        {"SESSION_IDLE": 59},
        {"SESSION_LIFETIME": 59},
        {"STEP_UP_LIFETIME": 29},
        {"LEVEL_LIFETIME": 59},
        {"PENDING_LIFETIME": 29},
        {"PASSKEY_CHALLENGE_LIFETIME": 29},
        {"ENROLMENT_LIFETIME": 29},
        {"REPORT_LIFETIME": 59},
        {"FREEZE_LIFETIME": -1},
        {"RECOVERY_CODE_COUNT": 0},
        {"RETENTION_CHALLENGES": -1},
        {"RETENTION_REQUESTERS": -1},
        {"RETENTION_EVENTS": -1},
        {"RETENTION_KNOWN_BROWSERS": -1},
    ],
    "E009": [
        {"POLICY": "tests.nowhere.Policy"},
        {"POLICY": "tests.test_checks.NoPolicy"},
        {"POLICY": "tests.test_checks.KEY"},
    ],
    "E010": [
        {"CHANNELS": {}},
        {"CHANNELS": {"email": {}}},
        {"CHANNELS": {"email": {"BACKEND": "tests.nowhere.Channel"}}},
        {"CHANNELS": {"email": {"BACKEND": "passwordless_auth.channels.email.EmailChannel", "OPTIONS": {"x": 1}}}},
        {"SMS_COUNTRIES": ["DE"]},
        {"SMS_COUNTRIES": ["DE"], "CHANNELS": {**EMAIL, "sms": {"BACKEND": "tests.nowhere.Channel"}}},
        {"CHANNELS": {**EMAIL, "voice": {}}},
        {
            "SMS_COUNTRIES": ["DE"],
            "CHANNELS": twilio(auth_token="", api_key="SK1", api_secret="s", status_callback=True),
        },
    ],
    "W030": [
        {"SMS_COUNTRIES": ["DE"], "CHANNELS": SMS, "SITE_NAME": "Example " * 12},
        {"SMS_COUNTRIES": ["US", "DE"], "CHANNELS": SMS, "SITE_NAME": "Łódź"},
        {"SMS_COUNTRIES": ["DE"], "CHANNELS": SMS, "CODE_LENGTH": 32, "BASE_URL": f"https://{'long-' * 9}.example.com"},
    ],
    "W029": [
        {"SMS_COUNTRIES": ["DE"], "CHANNELS": twilio()},
        {
            "SMS_COUNTRIES": ["DE"],
            "CHANNELS": twilio("TwilioVoiceChannel", auth_token="", api_key="SK1", api_secret="s"),
        },
    ],
    "E027": [
        {"SMS_COUNTRIES": ["de"], "CHANNELS": SMS},
        {"SMS_COUNTRIES": ["DE", "UK"], "CHANNELS": SMS},
        {"SMS_COUNTRIES": "DE", "CHANNELS": SMS},
        {"SMS_COUNTRIES": ["Germany"], "CHANNELS": SMS},
    ],
    "E031": [
        {"OUTBOUND_NETWORKS": ["10.20.0.0/33"]},
        {"OUTBOUND_NETWORKS": ["10.20.0.1/16"]},
        {"OUTBOUND_NETWORKS": ["rp.example"]},
        {"OUTBOUND_NETWORKS": "10.20.0.0/16"},
        {"OUTBOUND_NETWORKS": ["::/0"]},
    ],
    "E011": [
        {"LIMIT_SENDS_PER_ADDRESS": "often"},
        {"LIMIT_SENDS_PER_KNOWN_BROWSER": "0/h"},
        {"LIMIT_STARTS_PER_IP": "5/fortnight"},
        {"LIMIT_FAILURES_PER_IP": "5"},
        {"LIMIT_FAILURES_PER_ACCOUNT": "/h"},
        {"SMS_LIMIT_PER_NUMBER": "5/fortnight"},
        {"SMS_LIMIT_PER_PREFIX": "many"},
        {"SMS_LIMIT_TOTAL": "5"},
        {"SMS_LIMIT_PER_KNOWN_BROWSER": "5"},
    ],
    "E012": [{"LIMIT_STORE": "default"}, {"LIMIT_STORE": "nowhere"}],
    "E013": [
        {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"},
        {"SESSION_ENGINE": "tests.nowhere"},
        {"SESSION_ENGINE": "tests.test_checks"},
    ],
    "E014": [{"SESSION_ENGINE": "django.contrib.sessions.backends.cache"}],
    "E015": [
        {"MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware"]},
        {
            "MIDDLEWARE": [
                "django.contrib.sessions.middleware.SessionMiddleware",
                "passwordless_auth.middleware.SignInMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
            ]
        },
    ],
    "E016": [{"AUTHENTICATION_BACKENDS": ["django.contrib.auth.backends.ModelBackend"]}],
    "E018": [{"ROOT_URLCONF": "tests.test_checks"}],
    "E023": [
        {"PASSKEY_ORIGINS": ["example.com"]},
        {"PASSKEY_ORIGINS": ["https://example.com/"]},
        {"PASSKEY_RELATED_ORIGINS": ["ftp://example.org"]},
        {"PASSKEY_RELATED_ORIGINS": ["https://["]},
    ],
    "W024": [{"PASSKEY_RELATED_ORIGINS": ["http://example.org"]}],
    "E025": [
        {"PASSKEY_RP_ID": "example.org"},
        {"PASSKEY_ORIGINS": ["https://example.org"]},
        {"PASSKEY_ORIGINS": ["https://notexample.com"]},
    ],
    "W026": [{"PASSKEY_RELATED_ORIGINS": [f"https://{letter}.example" for letter in "abcdef"]}],
    "W101": [{"BASE_URL": "http://example.com"}],
    "W102": [{"CODE_LIFETIME": 601}],
    "W103": [{"LINK_LIFETIME": 601}],
    "W104": [{"CODE_TRIES": 6}],
    "W105": [{"SESSION_LIFETIME": 30 * 86400 + 1}],
    "W106": [{"STEP_UP_LIFETIME": 901}],
    "W107": [{"CODE_LENGTH": 5}, {"CODE_LENGTH": 4, "CODE_ALPHABET": "letters"}],
    "W108": [{name: ""} for name in ours.LIMITS],
    "W109": [{"LIMIT_FAILURES_PER_ACCOUNT": "101/h"}],
    "W110": [{"SENDER": "inline"}],
    "W111": [
        {"SESSION_COOKIE_SAMESITE": "None"},
        {"SESSION_COOKIE_SAMESITE": False},
        {"SESSION_COOKIE_HTTPONLY": False},
    ],
    "W112": [{"SESSION_COOKIE_SECURE": False}, {"CSRF_COOKIE_SECURE": False}],
    "W113": [{"SESSION_COOKIE_NAME": "sessionid"}],
    "W115": [{"ENROLMENT_LIFETIME": 601}],
    "W116": [{"PENDING_LIFETIME": 901}],
    "W117": [{"LEVEL_LIFETIME": 86401}],
    "W114": [{"SESSION_COOKIE_DOMAIN": ".example.com"}],
    "W120": [
        {
            "SMS_COUNTRIES": ["DE"],
            "CHANNELS": {**EMAIL, "sms": {"BACKEND": "passwordless_auth.channels.console.ConsoleChannel"}},
        },
        {
            "SMS_COUNTRIES": ["DE"],
            "CHANNELS": {**EMAIL, "sms": {"BACKEND": "passwordless_auth.channels.memory.MemoryChannel"}},
        },
    ],
    "W118": [{"LEVEL_FOR_STAFF": "multi"}, {"LEVEL_FOR_STAFF": "phr"}],
}

#: Settings as a careful host has them: no check of ours says a word, ``--deploy`` included.
RIGHT = {
    "BASE_URL": "https://example.com",
    "PASSKEY_ORIGINS": GONE,
    "SENDER": "thread",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "SESSION_COOKIE_NAME": "__Host-sessionid",
}

#: Other settings that are right, by what they might be mistaken for.
ALSO_RIGHT = [
    {"BASE_URL": "https://example.com/"},
    {"BASE_URL": "https://example.com:8443"},
    {"SECRET_KEYS": [("2026-11", KEY), ("2026-05", "l" * 40)]},
    {"SIGN_UP": "closed"},
    {"METHODS": ["magic_link"]},
    {"LEVEL_FOR_STAFF": "phr", "LEVEL_FOR_GROUPS": {"editors": "multi"}},
    {"METHODS": ["magic_link", "totp"], "LEVEL_FOR_STAFF": "multi"},
    {"PASSKEY_RP_ID": "example.com", "BASE_URL": "https://shop.example.com"},
    {"PASSKEY_ORIGINS": ["https://example.com", "android:apk-key-hash:abc"]},
    {"PASSKEY_RELATED_ORIGINS": ["https://example.org", "https://example.co.uk"]},
    {"CODE_ALPHABET": "letters", "CODE_LENGTH": 5},
    {"LIMIT_FAILURES_PER_ACCOUNT": "100/d"},
    {"SMS_COUNTRIES": ["DE", "AT", "CH"], "CHANNELS": SMS},
    {"CHANNELS": {**EMAIL, "sms": {"BACKEND": "passwordless_auth.channels.console.ConsoleChannel"}}},
    {"CHANNELS": SMS, "SITE_NAME": "Łódź"},
    {"SMS_COUNTRIES": ["DE"], "CHANNELS": SMS, "SITE_NAME": "Straßencafé Ålborg & Söhne {1}"},
    {"SMS_COUNTRIES": ["DE"], "CHANNELS": SMS, "SITE_NAME": "Ada’s – “café”"},  # written in GSM letters
    {"SMS_COUNTRIES": ["DE"], "CHANNELS": twilio("TwilioVoiceChannel", status_callback=True), "SITE_NAME": "Łódź"},
    {"CHANNELS": twilio()},
    {"SMS_COUNTRIES": ["DE"], "CHANNELS": twilio(status_callback=True)},
    {"SESSION_ENGINE": "django.contrib.sessions.backends.file"},
    {"SESSION_ENGINE": "django.contrib.sessions.backends.cached_db"},
    {"SESSION_ENGINE": "tests.test_checks.own_sessions"},
    {"SESSION_COOKIE_SAMESITE": "Strict"},
    {"POLICY": "tests.test_policies.OnlyOurs"},
    {"SESSION_ENGINE": "django.contrib.sessions.backends.cache", "CACHES": "redis"},
    {"LIMIT_STORE": "redis", "CACHES": "redis"},
]

REDIS = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}

#: For E018: a URLconf without our pages.
urlpatterns = []


class SomeProvider(SmsChannel):
    def send(self, message):
        return Receipt()


class NoPolicy:
    """Not a subclass of Policy."""


@pytest.fixture(autouse=True)
def own_sessions(monkeypatch):
    """A session engine of a host, built on one of Django's."""
    from django.contrib.sessions.backends.db import SessionStore

    engine = types.ModuleType("tests.test_checks.own_sessions")
    engine.SessionStore = type("SessionStore", (SessionStore,), {})
    monkeypatch.setitem(sys.modules, "tests.test_checks.own_sessions", engine)


@pytest.fixture
def apply(settings):
    def apply(values):
        for name, value in values.items():
            full = name if hasattr(settings, name) or "COOKIE" in name else f"PASSWORDLESS_AUTH_{name}"
            if value is GONE:
                delattr(settings, full)
            elif name == "CACHES":
                settings.CACHES = {"default": REDIS, "redis": REDIS}
            else:
                setattr(settings, full, value)

    apply(RIGHT)
    return apply


def found(*, databases=(), **options):
    """The ids of our messages, by Django's own runner."""
    tags = [checks.Tags.security, checks.Tags.database]
    messages = checks.run_checks(tags=tags, databases=list(databases), **options)
    return [m.id.removeprefix("passwordless_auth.") for m in messages if m.id.startswith("passwordless_auth.")]


def cases(ids):
    return [
        pytest.param(ident, wrong, id=f"{ident}-{number}") for ident in ids for number, wrong in enumerate(WRONG[ident])
    ]


@pytest.mark.parametrize(("ident", "wrong"), cases([ident for ident in WRONG if ident < "W100"]))
def test_a_wrong_setting_is_refused_by_its_id(apply, ident, wrong):
    apply(wrong)

    assert found() == [ident]


@pytest.mark.parametrize(("ident", "weak"), cases([ident for ident in WRONG if ident > "W100"]))
def test_a_weak_setting_is_told_where_one_deploys(apply, ident, weak):
    apply(weak)

    assert found() == []
    assert found(include_deployment_checks=True) == [ident]


@pytest.mark.parametrize("ident", ["E001", "E002", "E005", "E008", "E011"])
def test_a_setting_that_is_wrong_does_not_break_the_checks_of_weak_ones(apply, ident):
    for wrong in WRONG[ident]:
        apply(wrong)

    assert ident in found(include_deployment_checks=True)


@pytest.fixture
def our_admin(monkeypatch):
    """As in a host with PasswordlessAdminConfig."""
    site = "passwordless_auth.admin.sites.PasswordlessAdminSite"
    monkeypatch.setattr(django.apps.apps.get_app_config("admin"), "default_site", site, raising=False)


@pytest.mark.parametrize("right", [{}, *ALSO_RIGHT], ids=str)
def test_right_settings_yield_nothing(apply, our_admin, right):
    apply(right)

    assert found(include_deployment_checks=True) == []


def test_an_error_comes_with_a_hint_that_says_what_to_do(apply):
    for ident in ("E001", "E002", "E012", "E013", "E018"):
        for wrong in WRONG[ident]:
            apply(wrong)
    messages = [m for m in checks.run_checks(tags=["security"]) if m.id.startswith("passwordless_auth.")]

    assert len(messages) >= 4
    assert all(message.hint for message in messages)


@pytest.mark.django_db
def test_the_command_stops_at_an_error(settings):
    settings.PASSWORDLESS_AUTH_SIGN_UP = "ajar"

    with pytest.raises(SystemCheckError, match=r"passwordless_auth.E005"):
        call_command("check")


@pytest.mark.django_db
def test_our_own_settings_are_right():
    call_command("check", fail_level="WARNING")


# -- W030: what a text message costs


def told_of_texts():
    return [m for m in checks.run_checks(tags=["security"]) if m.id == "passwordless_auth.W030"]


def test_a_letter_that_makes_messages_long_is_named(apply):
    apply({"SMS_COUNTRIES": ["DE"], "CHANNELS": SMS, "SITE_NAME": "Łódź"})
    (told,) = told_of_texts()

    assert "sign_in (en, DE): 2" in told.msg
    assert "sign_in (de, DE): 2" in told.msg
    assert told.hint.endswith("These letters are not of the GSM alphabet: ó Ł ź.")


def test_the_text_of_one_country_and_of_one_language_is_measured(apply, settings, tmp_path):
    folder = tmp_path / "passwordless_auth" / "messages"
    folder.mkdir(parents=True)
    (folder / "sign_in.sms.us.txt").write_text("{{ code }} " + "is your code. " * 12)
    (folder / "step_up.sms.txt").write_text(
        "{% load i18n %}{% get_current_language as now %}{% if now == 'de' %}" + "Ihr Code. " * 20 + "{% endif %}"
    )
    (folder / "recover.sms.at.txt").write_text("{% if %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    apply({"SMS_COUNTRIES": ["DE", "US", "AT"], "CHANNELS": SMS})
    (told,) = told_of_texts()

    assert "one segment: sign_in (en, US): 2; sign_in (de, US): 2; step_up (de, DE): 2." in told.msg


def test_a_site_of_one_language_is_asked_for_that_one(apply, settings):
    settings.LANGUAGES = [("en", "English")]
    apply({"SMS_COUNTRIES": ["DE"], "CHANNELS": SMS, "SITE_NAME": "x" * 45})
    assert told_of_texts() == []

    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    (told,) = told_of_texts()
    assert "(en," not in told.msg


# -- W027, W028, W119: mail by Anymail


def use_anymail(settings, name, **anymail):
    settings.ANYMAIL = anymail
    mail_by(settings, f"anymail.backends.{name}.EmailBackend")


def mail_by(settings, backend):
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend


def without_webhooks():
    return type("Urls", (), {"urlpatterns": [path("", include("passwordless_auth.urls"))]})


def test_a_provider_that_is_heard_and_leaves_links_alone_is_no_word_worth(apply, settings):
    use_anymail(settings, "postmark", POSTMARK_SERVER_TOKEN="t", SEND_DEFAULTS={"track_clicks": True})
    assert found(include_deployment_checks=True) == []


def test_a_provider_that_nobody_hears_is_told(apply, settings):
    use_anymail(settings, "postmark", POSTMARK_SERVER_TOKEN="t")
    settings.ROOT_URLCONF = without_webhooks()
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "anymail"]
    assert found() == ["W027"]

    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "anymail"]
    assert found() == ["W028"]


def test_a_host_s_own_kind_of_a_provider_s_backend_is_known(apply, settings):
    use_anymail(settings, "postmark", POSTMARK_SERVER_TOKEN="t")
    mail_by(settings, f"{__name__}.own_postmark")
    settings.ROOT_URLCONF = without_webhooks()

    assert found() == ["W028"]


def own_postmark(*args, **kwargs):
    from anymail.backends.postmark import EmailBackend

    return type("Ours", (EmailBackend,), {})(*args, **kwargs)


def test_a_provider_whose_click_tracking_is_out_of_reach_is_told(apply, settings):
    use_anymail(settings, "brevo", BREVO_API_KEY="k")
    assert found() == []
    assert found(include_deployment_checks=True) == ["W119"]


def test_a_provider_without_its_settings_is_anymail_s_to_tell(apply, settings):
    use_anymail(settings, "postmark")
    assert found(include_deployment_checks=True) == []


# -- E017, W019 … W022: what lies around


def test_without_django_otp_nothing_works(apply, settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_otp"]

    assert found() == ["E017"]


@pytest.mark.parametrize(("options", "expected"), [({}, ["W019"]), ({"enable-threads": True}, [])])
def test_uwsgi_without_threads_would_never_send(apply, monkeypatch, options, expected):
    monkeypatch.setitem(sys.modules, "uwsgi", types.SimpleNamespace(opt=options))

    assert found() == expected


@pytest.mark.parametrize("name", ["AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE"])
def test_a_host_that_stops_between_requests_is_told_to_use_a_queue(apply, monkeypatch, name):
    monkeypatch.setenv(name, "x")

    assert found() == ["W020"]


def test_who_sends_by_tasks_is_not_warned_of_threads(apply, monkeypatch, settings):
    monkeypatch.setenv("K_SERVICE", "x")
    apply({"SENDER": "tasks"})
    settings.TASKS = {"default": {"BACKEND": "tests.SomeQueue"}}

    assert found() == ([] if has_tasks() else ["E021"])


def has_tasks():
    return django.VERSION >= (6, 0) or importlib.util.find_spec("django_tasks") is not None


def test_tasks_need_a_framework(apply, monkeypatch):
    apply({"SENDER": "tasks"})
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name.endswith("tasks") else real(name, *a)
    )

    assert found() == ["E021"]


@pytest.mark.skipif(not has_tasks(), reason="needs a task framework")
@pytest.mark.parametrize(
    ("backends", "expected"),
    [
        (None, ["W022"]),
        ({}, ["W022"]),
        ({"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}, ["W022"]),
        ({"default": {"BACKEND": "some.queue.Backend"}}, []),
    ],
)
def test_an_immediate_task_would_be_sent_within_the_request(apply, settings, backends, expected):
    apply({"SENDER": "tasks"})
    if backends is not None:
        settings.TASKS = backends

    assert found() == expected


# -- E201, W202: what lies in the database


@pytest.mark.django_db
def test_a_key_that_rows_still_name_must_not_be_dropped(browser, apply, settings):
    browser.sign_in()
    assert found(databases=["default"]) == []

    old = settings.PASSWORDLESS_AUTH_SECRET_KEYS
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("k2", KEY)]
    assert found(databases=["default"]) == ["E201"]
    assert found() == []  # not asked to look into the database
    assert list(ours.check_keys_in_use(databases=["other"])) == []

    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("k2", KEY), *old]
    assert found(databases=["default"]) == []

    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [("k2", KEY)]
    SignIn.objects.update(ended_at=timezone.now())
    assert found(databases=["default"]) == []


@pytest.mark.django_db
def test_a_key_of_a_code_on_its_way_must_not_be_dropped(browser, apply):
    browser.start()
    apply({"SECRET_KEYS": [("k2", KEY)]})

    assert found(databases=["default"]) == ["E201"]

    Challenge.objects.update(state="superseded")
    assert found(databases=["default"]) == []


@pytest.mark.django_db
def test_users_that_are_not_imported_are_told_of(apply):
    User.objects.create_user("nobody")
    User.objects.bulk_create(
        [User(username="ada", email="ada@example.com"), User(username="bob", email="b@example.com")]
    )

    assert found(databases=["default"]) == ["W202"]
    (warning,) = ours.check_unimported_users(databases=["default"])
    assert warning.msg.startswith("2 users")

    import_identities(dry_run=False)
    assert found(databases=["default"]) == []
    assert list(ours.check_unimported_users(databases=["other"])) == []


@pytest.mark.django_db
def test_a_database_without_tables_is_no_reason_to_fail(apply, monkeypatch):
    from django.db import DatabaseError
    from django.db.models import QuerySet

    def no_table(self):
        raise DatabaseError("no such table")

    monkeypatch.setattr(QuerySet, "exists", no_table)
    monkeypatch.setattr(QuerySet, "count", no_table)

    assert found(databases=["default"]) == []


def test_missing_keys_are_told_once_and_not_looked_for_in_the_database(apply):
    apply({"SECRET_KEYS": GONE})

    assert list(ours.check_keys_in_use(databases=["default"])) == []


# -- all of them


def ids_in_the_source(module=ours):
    source = Path(module.__file__).read_text()
    errors = re.findall(r"_error\(\s*(\d+)", source)
    warnings = re.findall(r"_(?:warning|weak)\(\s*(\d+)", source)
    in_a_table = re.findall(r"^        \((\d{3}), \"[A-Z_]+\", ", source, re.MULTILINE)
    return {f"E{int(n):03}" for n in errors} | {f"W{int(n):03}" for n in (*warnings, *in_a_table)}


def test_every_check_has_a_test():
    here = Path(__file__).read_text()
    tested = set(WRONG) | set(re.findall(r'\["([EW]\d{3})"\]', here))

    assert tested == ids_in_the_source()
    assert len(tested) > 35


def test_an_admin_site_of_ours_asks_for_the_level(apply, our_admin):
    apply({"LEVEL_FOR_STAFF": "phr"})

    assert found(include_deployment_checks=True) == []
