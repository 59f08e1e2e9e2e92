import pytest

from . import clients
from .agent import Agent
from .plans import BASIC, HYBRID, IMPLICIT
from .provider import Provider
from .relying_party import RelyingParty
from .variants import variants_of

CLIENTS = {BASIC: clients.BASIC, IMPLICIT: clients.IMPLICIT, HYBRID: clients.HYBRID}


def pytest_generate_tests(metafunc):
    if "variant" in metafunc.fixturenames:
        variants = variants_of(metafunc.function)
        metafunc.parametrize("variant", variants, ids=[variant.id for variant in variants])


@pytest.fixture(scope="session")
def provider(tmp_path_factory):
    with Provider(tmp_path_factory.mktemp("provider"), clients.REGISTERED) as running:
        yield running


@pytest.fixture
def rp(provider, variant):
    """The client of the variant."""
    return RelyingParty(
        provider,
        CLIENTS[variant.plan],
        response_type=variant.response_type,
        response_mode=variant.response_mode,
    )


@pytest.fixture
def agent(provider):
    """A browser that has never been here."""
    return Agent(provider)


@pytest.fixture(scope="session")
def signed_in(provider):
    """A browser in which Ada is signed in, for modules that need no new sign-in."""
    agent = Agent(provider)
    agent.does_all(agent.open(f"{provider.url}/login/"))
    assert agent.is_signed_in()
    return agent
