"""Which servers a test needs, by its marks."""

import os

import pytest
from django.conf import settings
from django.db import connection


def require(item):
    """Skip a test whose server nobody named; fail where it was said that all are there.

    A lane of another database and a lane without Redis are no failure: they never run these tests.
    """
    if item.get_closest_marker("postgres") and connection.vendor != "postgresql":
        if os.environ.get("PASSWORDLESS_AUTH_REQUIRE_SERVICES") and connection.vendor == "sqlite":
            pytest.fail("DATABASE_URL names no PostgreSQL", pytrace=False)
        pytest.skip("needs PostgreSQL in DATABASE_URL")
    if item.get_closest_marker("redis") and "redis" not in settings.CACHES:
        pytest.skip("needs Redis in CACHE_URL")
