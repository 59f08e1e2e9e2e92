"""The example, as a site that sends through providers.

Text messages leave through Twilio and, while that is down, through a second provider, the inbox. Mail to addresses that
begin with "by-postmark" leaves through Postmark, whose webhooks tell what became of it; all other mail into the inbox.
"""

import os

from example_project.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "anymail"]  # noqa: F405
ROOT_URLCONF = "tests.browser.provider_host.urls"

FAILOVER = "passwordless_auth.channels.failover.FailoverChannel"
EMAIL = "passwordless_auth.channels.email.EmailChannel"

PASSWORDLESS_AUTH_CHANNELS = {
    "sms": {"BACKEND": FAILOVER, "OPTIONS": {"channels": ["twilio", "second"]}},
    "twilio": {
        "BACKEND": "passwordless_auth.channels.twilio.TwilioChannel",
        "OPTIONS": {
            "account_sid": os.environ["TWILIO_ACCOUNT_SID"],
            "auth_token": os.environ["TWILIO_AUTH_TOKEN"],
            "sender": "EXAMPLE",
            "timeout": 1,
            "base_url": os.environ["TWILIO_URL"],
        },
    },
    "second": {"BACKEND": "example_project.inbox.sms.SmsChannel"},
    "email": {"BACKEND": FAILOVER, "OPTIONS": {"channels": ["mail"], "routes": {"by-postmark": ["postmark"]}}},
    "mail": {"BACKEND": EMAIL},
    "postmark": {"BACKEND": EMAIL, "OPTIONS": {"using": "postmark"}},
}

MAILERS = {**MAILERS, "postmark": {"BACKEND": "anymail.backends.postmark.EmailBackend"}}  # noqa: F405
ANYMAIL = {
    "POSTMARK_SERVER_TOKEN": "of-the-tests",
    "POSTMARK_API_URL": os.environ["POSTMARK_URL"],
    "WEBHOOK_SECRET": os.environ["WEBHOOK_SECRET"],
}
