import pytest
from django.db import connection

from . import servers
from .processes import Program

#: A race that is lost one time in a hundred is lost. On SQLite, which has one writer at a time, there is no luck in it.
TIMES = 3 if connection.vendor == "postgresql" else 1


def pytest_generate_tests(metafunc):
    if "again" in metafunc.fixturenames:
        metafunc.parametrize("again", range(1, TIMES + 1))


def pytest_runtest_setup(item):
    servers.require(item)


@pytest.fixture(scope="module", params=["database", pytest.param("redis", marks=pytest.mark.redis)])
def four_processes(request, django_db_setup):
    """Four programs that start sign-ins: five may be from one IP address, and to one address. Counted in each store."""
    programs = [
        Program(
            "tests.races.starting",
            PASSWORDLESS_AUTH_LIMIT_STORE=request.param,
            PASSWORDLESS_AUTH_LIMIT_STARTS_PER_IP="5/h",
            PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS="5/h",
        )
        for _ in range(4)
    ]
    yield [program.wait_until_ready() for program in programs]
    for program in programs:
        program.kill()
