import os

import pytest
from django.conf import settings as django_settings
from django.db import connection

from .processes import Program

#: A race that is lost one time in a hundred is lost.
TIMES = 3


def pytest_generate_tests(metafunc):
    if "again" in metafunc.fixturenames:
        metafunc.parametrize("again", range(1, TIMES + 1))


@pytest.fixture(autouse=True)
def _servers(request):
    """What a test is marked for must be there. MariaDB and "no Redis" are lanes of their own."""
    if request.node.get_closest_marker("postgres") and connection.vendor != "postgresql":
        if os.environ.get("PASSWORDLESS_AUTH_REQUIRE_SERVICES") and connection.vendor == "sqlite":
            pytest.fail("DATABASE_URL names no PostgreSQL")
        pytest.skip("needs PostgreSQL in DATABASE_URL")
    if request.node.get_closest_marker("redis") and "redis" not in django_settings.CACHES:
        pytest.skip("needs Redis in CACHE_URL")


@pytest.fixture
def four_processes():
    """Starts four programs that start sign-ins, with the given settings."""
    programs = []

    def begin(**settings):
        programs.extend(Program("tests.races.starting", **settings) for _ in range(4))
        return [program.wait_until_ready() for program in programs]

    yield begin
    for program in programs:
        program.kill()
