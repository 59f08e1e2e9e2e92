"""The host of the conformance modules: the example, and what people can be asked about beyond it."""

from example_project.settings import *  # noqa: F403

# Everybody here comes from one address.
PASSWORDLESS_AUTH_OIDC_LIMIT_REQUESTS_PER_IP = ""

PASSWORDLESS_AUTH_OIDC_CLAIMS = "tests.contracts.oidc.host.claims"

# Clients register themselves: off by default, and on for the modules of that.
OAUTH2_PROVIDER = {
    "DCR_ENABLED": True,
    "DCR_REGISTRATION_PERMISSION_CLASSES": ["oauth2_provider.dcr.AllowAllDCRPermission"],
}
PASSWORDLESS_AUTH_OIDC_REGISTRATION_PKCE = False
PASSWORDLESS_AUTH_OIDC_LIMIT_REGISTRATIONS_PER_IP = ""
