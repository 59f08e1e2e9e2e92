"""Who calls, many times at one moment: one assertion, and the first use of a secret."""

from functools import partial

import pytest
from django.test import Client
from oauth2_provider.models import get_application_model

from passwordless_auth.oidc.models import ClientSettings
from tests.oidc.relying_party import RelyingParty
from tests.oidc.test_clients import KEY, SECRET, assertion, client, keys

from .together import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def machines(again, settings):
    """Twenty, each with a connection of its own, and all with one client id."""
    settings.OAUTH2_PROVIDER = {"SCOPES": {"openid": "Sign you in", "read": "Read"}}
    found = []
    for _ in range(20):
        back = Client(raise_request_exception=False)
        back.handler.load_middleware()
        found.append(RelyingParty(None, "shop", secret=None, back=back))
    return found


def test_one_assertion_twenty_times(machines):
    client(method="private_key_jwt", secret="", jwks=keys(KEY), kind="m2m")
    once = assertion(jti="one")

    answers = together(partial(machine.token, "client_credentials", scope="read", **once) for machine in machines)

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_client"}


def test_the_first_use_of_an_old_secret_twenty_times(machines):
    application = client(row=False)
    get_application_model().objects.filter(pk=application.pk).update(authorization_grant_type="client-credentials")

    answers = together(
        partial(machine.token, "client_credentials", secret=SECRET, scope="read") for machine in machines
    )

    assert {answer.status_code for answer in answers} == {200}
    assert ClientSettings.objects.exclude(secret_digest="").count() == 1
