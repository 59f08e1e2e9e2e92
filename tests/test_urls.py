"""The agreed names and paths."""

import pytest
from django.urls import resolve, reverse

from passwordless_auth import urls, views

TOKEN = "x" * 65
AAGUID = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"

AGREED = {
    "login": "/login/",
    "wait": "/login/wait/",
    "wait_status": "/login/wait/status.json",
    "resend": "/login/resend/",
    "link_confirm": "/login/link/",
    "link": f"/login/link/{TOKEN}/",
    "recovery": "/login/recovery/",
    "recovery_codes": "/account/recovery-codes/",
    "step_up": "/login/step-up/",
    "resume": "/login/step-up/resume/",
    "passkey_options": "/login/passkey/options/",
    "passkey_verify": "/login/passkey/verify/",
    "report_confirm": "/login/report/",
    "report": f"/login/report/{TOKEN}/",
    "session": "/login/session.json",
    "logout": "/logout/",
    "signed_out": "/logout/done/",
    "account": "/account/",
    "totp": "/account/totp/",
    "totp_remove": "/account/totp/remove/",
    "identities": "/account/identities/",
    "identity_change": "/account/identities/change/",
    "sessions": "/account/sessions/",
    "passkeys": "/account/passkeys/",
    "passkey_register_options": "/account/passkeys/options/",
    "passkey_register": "/account/passkeys/register/",
    "other_device": "/account/passkeys/other-device/",
    "other_device_status": "/account/passkeys/other-device/status.json",
    "enrol_confirm": "/enrol/",
    "enrol_status": "/enrol/status.json",
    "enrol_options": "/enrol/options/",
    "enrol_register": "/enrol/register/",
    "enrol": f"/enrol/{TOKEN}/",
    "passkey_offer": "/account/passkeys/offer/",
    "passkey_change": "/account/passkeys/change/",
    "passkey_icon": f"/account/passkeys/icons/{AAGUID}/light/",
    "passkey_signal": "/account/passkeys/signal.json",
    "twilio_tracking": "/twilio/sms/tracking/",
    "related_origins": "/.well-known/webauthn",
    "passkey_endpoints": "/.well-known/passkey-endpoints",
}


@pytest.mark.parametrize(("name", "path"), AGREED.items())
def test_a_name_is_a_path(name, path):
    arguments = [TOKEN] if name in {"link", "report", "enrol"} else []
    if name == "passkey_icon":
        arguments = [AAGUID, "light"]
    if name == "twilio_tracking":
        arguments = ["sms"]

    assert reverse(f"passwordless_auth:{name}", args=arguments) == path
    assert resolve(path).view_name == f"passwordless_auth:{name}"


def test_there_are_no_others():
    assert {pattern.name for pattern in urls.urlpatterns} == set(AGREED)
    assert {pattern.callback.view_class.__name__ for pattern in urls.urlpatterns} == set(views.__all__)
