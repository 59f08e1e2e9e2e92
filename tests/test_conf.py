"""The settings, as a host meets them."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from passwordless_auth import conf
from passwordless_auth.conf import settings


def names():
    return [name for name, value in vars(conf.Settings).items() if isinstance(value, property) and name.isupper()]


class OfNobody(conf.Settings):
    """The settings of a host that set none."""

    def _get(self, name, default):
        return default


def test_every_setting_has_its_documentation():
    assert [name for name in names() if not getattr(conf.Settings, name).__doc__] == []


#: Required, or made from what is required.
THAT_FOLLOW = {"BASE_URL", "SITE_NAME", "SECRET_KEYS", "PASSKEY_RP_ID", "PASSKEY_ORIGINS"}


def test_the_defaults_are_those_of_the_security_rules():
    defaults = OfNobody()

    assert {name: getattr(defaults, name) for name in names() if name not in THAT_FOLLOW} == {
        "NEW_KEY_DELAY": 600,
        "SIGN_UP": "open",
        "METHODS": ["magic_link", "one_time_code", "passkey", "recovery_code", "totp"],
        "POLICY": "passwordless_auth.policies.Policy",
        "LEVEL_FOR_STAFF": "single",
        "LEVEL_FOR_GROUPS": {},
        "LEVEL_LIFETIME": 86400,
        "PENDING_LIFETIME": 600,
        "PASSKEY_RELATED_ORIGINS": [],
        "PASSKEY_ATTESTATION": "none",
        "PASSKEY_AAGUIDS_ALLOWED": [],
        "PASSKEY_AAGUIDS_DENIED": [],
        "PASSKEY_HINTS": [],
        "PASSKEY_CHALLENGE_LIFETIME": 300,
        "ENROLMENT_LIFETIME": 300,
        "RECOVERY_CODE_COUNT": 10,
        "RECOVERED_LIFETIME": 3600,
        "REPORT_LIFETIME": 604800,
        "FREEZE_LIFETIME": 86400,
        "SMS_COUNTRIES": [],
        "SMS_LINKS": False,
        "SMS_LIMIT_PER_NUMBER": "1/60s,5/h,10/d",
        "SMS_LIMIT_PER_KNOWN_BROWSER": "1/60s,5/h,10/d",
        "SMS_LIMIT_NOTICES": "10/h,20/d",
        "SMS_LIMIT_PER_PREFIX": "20/h",
        "SMS_LIMIT_PER_IP": "10/h",
        "SMS_LIMIT_PER_NETWORK": "50/h",
        "SMS_LIMIT_TOTAL": "500/d",
        "SMS_PRICES": {"*": Decimal("0.10")},
        "SMS_CEILING_PER_DAY": Decimal(50),
        "SMS_BREAKER_MESSAGES": 15,
        "SMS_BREAKER_UNUSED": 0.7,
        "SMS_BREAKER_PAUSE": 3600,
        "CHANNELS": {"email": {"BACKEND": "passwordless_auth.channels.email.EmailChannel"}},
        "SENDER": "thread",
        "CODE_IN_SUBJECT": True,
        "CODE_LIFETIME": 300,
        "LINK_LIFETIME": 300,
        "CODE_LENGTH": 6,
        "CODE_ALPHABET": "digits",
        "CODE_TRIES": 3,
        "LIMIT_SENDS_PER_ADDRESS": "1/60s,5/15m,10/d",
        "LIMIT_SENDS_PER_KNOWN_BROWSER": "1/60s,5/15m,10/d",
        "LIMIT_STARTS_PER_IP": "50/h",
        "LIMIT_FAILURES_PER_IP": "20/10m",
        "LIMIT_FAILURES_PER_ACCOUNT": "10/h,20/d",
        "LIMIT_PASSKEY_STARTS_PER_IP": "60/60s,1000/h",
        "LIMIT_RECOVERY_FAILURES_PER_ACCOUNT": "5/h",
        "LIMIT_TOTP_FAILURES_PER_ACCOUNT": "5/15m,20/d",
        "LIMIT_STORE": "database",
        "TRUSTED_PROXY_COUNT": 0,
        "OUTBOUND_NETWORKS": [],
        "SESSION_IDLE": 43200,
        "SESSION_LIFETIME": 2592000,
        "STEP_UP_LIFETIME": 600,
        "RETENTION_CHALLENGES": 86400,
        "RETENTION_ADDRESS_MARKS": 7776000,
        "RETENTION_REQUESTERS": 7776000,
        "RETENTION_EVENTS": 31536000,
        "RETENTION_KNOWN_BROWSERS": 34560000,
    }


def test_what_is_required_says_so():
    for name in ("BASE_URL", "SECRET_KEYS"):
        with pytest.raises(ImproperlyConfigured, match=f"PASSWORDLESS_AUTH_{name} is not set"):
            getattr(OfNobody(), name)


def test_a_setting_is_read_when_it_is_used():
    assert settings.CODE_LENGTH == 6
    with override_settings(PASSWORDLESS_AUTH_CODE_LENGTH=8):
        assert settings.CODE_LENGTH == 8


def test_the_base_url_loses_its_last_slash_and_names_the_site():
    with override_settings(PASSWORDLESS_AUTH_BASE_URL="https://example.com/", PASSWORDLESS_AUTH_SITE_NAME=None):
        assert settings.BASE_URL == "https://example.com"
        assert settings.SITE_NAME == "example.com"


def test_the_settings_of_django_that_were_left_alone_mean_our_pages(client):
    """``LOGIN_URL`` and ``LOGIN_REDIRECT_URL`` are Django's defaults in our settings."""
    response = client.get("/members/")

    assert response.status_code == 302
    assert response["Location"] == "/login/?next=/members/"


def test_the_settings_of_django_that_the_host_chose_are_kept():
    code = (
        f"import sys; sys.path.append({str(Path(__file__).parents[1])!r}); "
        "import django; from django.conf import settings; "
        "settings.configure(LOGIN_URL='/door/', LOGIN_REDIRECT_URL='/hall/', "
        "INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions', "
        "'passwordless_auth']); django.setup(); print(settings.LOGIN_URL, settings.LOGIN_REDIRECT_URL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout.split() == ["/door/", "/hall/"]
    assert global_settings.LOGIN_URL != "/door/"


def test_the_first_setting_that_a_process_asks_for_is_the_host_s():
    """Before anything of Django has been asked: its settings are read by that, and no default takes their place."""
    program = "from passwordless_auth.conf import settings; print(settings.SITE_NAME)"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "Testserver\n", done.stderr
