"""The host of the conformance modules: the example, and what people can be asked about beyond it."""

from example_project.settings import *  # noqa: F403

PASSWORDLESS_AUTH_OIDC_CLAIMS = "tests.contracts.oidc.host.claims"
