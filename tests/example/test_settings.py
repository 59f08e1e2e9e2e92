"""The example's settings, read as a file, with one environment after the other."""

import runpy
from pathlib import Path

import django
import pytest
from django.core.exceptions import ImproperlyConfigured

from passwordless_auth.conf import Settings
from passwordless_auth.oidc.conf import OidcSettings

FILE = Path(__file__).parents[2] / "example_project" / "settings.py"
PRODUCTION = {
    "DEBUG": "0",
    "SECRET_KEY": "s" * 50,
    "PASSWORDLESS_AUTH_SECRET_KEYS": "2026-2:" + "b" * 40 + ", 2026-1:" + "a" * 20 + ":" + "a" * 20,
    "SITE_URL": "https://example.com/",
}


@pytest.fixture
def read(clean_environment):
    def read(**values):
        for name, value in values.items():
            clean_environment.setenv(name, value)
        return runpy.run_path(str(FILE))

    return read


def mailer(settings):
    """BACKEND and options, however this Django is told."""
    if django.VERSION >= (6, 1):
        assert not [name for name in settings if name.startswith("EMAIL_")]
        return settings["MAILERS"]["default"]
    assert "MAILERS" not in settings
    names = {"HOST": "host", "PORT": "port", "HOST_USER": "username", "HOST_PASSWORD": "password"}
    names |= {"USE_TLS": "use_tls", "USE_SSL": "use_ssl", "TIMEOUT": "timeout"}
    options = {option: settings[f"EMAIL_{name}"] for name, option in names.items() if f"EMAIL_{name}" in settings}
    return {"BACKEND": settings["EMAIL_BACKEND"], **({"OPTIONS": options} if options else {})}


def test_with_an_empty_environment_it_runs_on_this_machine(read):
    settings = read()

    assert settings["DEBUG"] is True
    assert settings["INBOX"] is False
    assert settings["PASSWORDLESS_AUTH_BASE_URL"] == "http://localhost:8000"
    assert settings["ALLOWED_HOSTS"] == ["localhost", "localhost", "127.0.0.1", "[::1]"]
    assert settings["CACHES"]["default"]["BACKEND"].endswith("LocMemCache")
    assert settings["SESSION_ENGINE"] == "django.contrib.sessions.backends.db"
    assert mailer(settings) == {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
    assert "TASKS" not in settings
    assert "SECURE_HSTS_SECONDS" not in settings


def test_the_default_database_is_a_file_of_the_example_that_takes_parallel_writers(read):
    database = read()["DATABASES"]["default"]

    assert database["ENGINE"] == "django.db.backends.sqlite3"
    assert Path(database["NAME"]) == FILE.parent / "db.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["OPTIONS"]["timeout"] == 20
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]


@pytest.mark.parametrize(
    ("url", "engine", "name"),
    [
        ("postgres://me@db:5433/site", "django.db.backends.postgresql", "site"),
        ("mysql://root@127.0.0.1/site", "django.db.backends.mysql", "site"),
    ],
)
def test_another_database_gets_nothing_that_is_for_sqlite(read, url, engine, name):
    database = read(DATABASE_URL=url)["DATABASES"]["default"]

    assert (database["ENGINE"], database["NAME"]) == (engine, name)
    assert "transaction_mode" not in database.get("OPTIONS", {})


def test_a_sqlite_file_of_ones_own_is_treated_as_the_default_one(read):
    database = read(DATABASE_URL="sqlite:////somewhere/site.sqlite3")["DATABASES"]["default"]

    assert database["NAME"] == "/somewhere/site.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_a_cache_by_url(read):
    cache = read(CACHE_URL="redis://127.0.0.1:6379/3")["CACHES"]["default"]

    assert cache == {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:6379/3",
    }


def test_while_developing_the_key_for_codes_follows_from_the_secret_key(read):
    first = read()["PASSWORDLESS_AUTH_SECRET_KEYS"]
    other = read(SECRET_KEY="another")["PASSWORDLESS_AUTH_SECRET_KEYS"]

    assert [key_id for key_id, _key in first] == ["development"]
    assert len(first[0][1]) >= 32
    assert first[0][1] != other[0][1]


def test_in_production_keys_come_from_the_environment(read):
    assert read(**PRODUCTION)["PASSWORDLESS_AUTH_SECRET_KEYS"] == [
        ("2026-2", "b" * 40),
        ("2026-1", "a" * 20 + ":" + "a" * 20),
    ]


@pytest.mark.parametrize("missing", ["SECRET_KEY", "PASSWORDLESS_AUTH_SECRET_KEYS"])
def test_without_debug_a_missing_key_is_named(read, missing):
    with pytest.raises(ImproperlyConfigured, match=f"DEBUG is off, so {missing} must be set"):
        read(**{**PRODUCTION, missing: ""})


@pytest.mark.parametrize("keys", ["only-a-key", "id:", ":key"])
def test_keys_that_are_no_pairs_are_refused(read, keys):
    with pytest.raises(ImproperlyConfigured, match="id:key"):
        read(PASSWORDLESS_AUTH_SECRET_KEYS=keys)


def test_https_brings_cookies_that_only_this_host_can_set(read):
    settings = read(**PRODUCTION)

    assert settings["ALLOWED_HOSTS"][0] == "example.com"
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://example.com"]
    assert settings["PASSWORDLESS_AUTH_BASE_URL"] == "https://example.com"
    assert settings["SESSION_COOKIE_NAME"] == "__Host-sessionid"
    assert settings["CSRF_COOKIE_NAME"] == "__Host-csrftoken"
    assert settings["SESSION_COOKIE_SECURE"] is settings["CSRF_COOKIE_SECURE"] is True
    assert settings["SECURE_HSTS_SECONDS"] > 0


def test_a_header_of_a_proxy_is_trusted_only_when_somebody_says_so(read):
    assert "SECURE_PROXY_SSL_HEADER" not in read(**PRODUCTION) or read()["SECURE_PROXY_SSL_HEADER"] is None
    assert read(SECURE_PROXY_SSL_HEADER="1")["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.mark.parametrize("url", ["example.com", "ftp://example.com", "https://"])
def test_a_site_url_that_is_none_is_refused(read, url):
    with pytest.raises(ImproperlyConfigured, match="SITE_URL"):
        read(SITE_URL=url)


def test_mail_goes_to_a_server_that_may_take_five_seconds(read):
    settings = read(EMAIL_HOST="mail.example.com", EMAIL_PORT="587", EMAIL_HOST_USER="me", EMAIL_USE_TLS="yes")

    assert mailer(settings) == {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": "mail.example.com",
            "port": 587,
            "username": "me",
            "password": "",
            "use_tls": True,
            "use_ssl": False,
            "timeout": 5,
        },
    }


def test_the_inbox_takes_the_mail_that_a_server_would_get(read):
    settings = read(INBOX="1", EMAIL_HOST="mail.example.com")

    assert mailer(settings) == {"BACKEND": "example_project.inbox.email.EmailBackend"}


def test_a_task_queue_is_named_by_its_path(read):
    settings = read(PASSWORDLESS_AUTH_SENDER="tasks", TASKS_BACKEND="queue.Backend", TASKS_APPS="queue, queue.db")

    assert settings["TASKS"]["default"]["BACKEND"] == "queue.Backend"
    assert settings["INSTALLED_APPS"][-2:] == ["queue", "queue.db"]
    assert ("django_tasks" in settings["INSTALLED_APPS"]) is (django.VERSION < (6, 0))


def test_every_setting_can_be_given_by_environment(read):
    """All that are numbers, text or switches; with the type that the package reads."""
    kinds = {"int": ("7", 7), "bool": ("0", False), "str": ("words", "words"), "Sequence[str]": ("a, b", ["a", "b"])}
    wanted = {}
    for name, setting in {**vars(Settings), **vars(OidcSettings)}.items():
        kind = name.isupper() and setting.fget.__annotations__["return"]
        if kind in kinds and name != "BASE_URL":
            wanted[f"PASSWORDLESS_AUTH_{name}"] = kinds[kind]

    settings = read(**{name: text for name, (text, _value) in wanted.items()})

    assert len(wanted) > 20
    assert {name: settings.get(name) for name in wanted} == {name: value for name, (_text, value) in wanted.items()}


def test_a_limit_can_be_switched_off_by_an_empty_value(read):
    assert read(PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP="")["PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP"] == ""


def test_an_empty_number_counts_as_not_given(read):
    assert "PASSWORDLESS_AUTH_CODE_TRIES" not in read(PASSWORDLESS_AUTH_CODE_TRIES="")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PASSWORDLESS_AUTH_CODE_TRIES", "many", "PASSWORDLESS_AUTH_CODE_TRIES must be a whole number, not 'many'."),
        ("DEBUG", "perhaps", "DEBUG must be 1 or 0, not 'perhaps'."),
        ("CACHE_URL", "memcached://here", "CACHE_URL must begin with"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(read, name, value, sentence):
    with pytest.raises(ImproperlyConfigured, match=sentence):
        read(**{name: value})
