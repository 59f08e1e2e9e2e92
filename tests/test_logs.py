"""Link tokens don't reach access logs."""

import logging

import pytest

from passwordless_auth.logs import HideLinkTokens

TOKEN = "abcdefghijklmnopqrstuv" + "w" * 43


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (f"GET /login/link/{TOKEN}/ HTTP/1.1", ()),
        (f"GET /login/link/{TOKEN}/ HTTP/1.1", None),
        ('"%s" %s', (f"GET /login/link/{TOKEN}/ HTTP/1.1", "303")),
        ("%(r)s", ({"r": f"GET /login/link/{TOKEN}/"},)),
    ],
)
def test_the_token_of_a_link_is_masked_wherever_it_stands(message, args):
    record = logging.LogRecord("django.server", logging.INFO, __file__, 1, message, args, None)

    assert HideLinkTokens().filter(record) is True
    assert TOKEN[:22] not in record.getMessage()
    assert "/login/link/…" in record.getMessage()


@pytest.mark.parametrize("page", ["login/report", "enrol"])
def test_so_are_the_tokens_of_a_report_and_of_another_device(page):
    record = logging.LogRecord("django.server", logging.INFO, __file__, 1, f"GET /{page}/{TOKEN}/ HTTP/1.1", (), None)

    assert HideLinkTokens().filter(record) is True
    assert record.getMessage() == f"GET /{page}/…/ HTTP/1.1"


def test_an_id_token_that_comes_as_a_hint_is_masked():
    line = "GET /openid/logout?state=x&id_token_hint=eyJhbGci.eyJzdWIi.c2ln-_A&client_id=app HTTP/1.1"
    record = logging.LogRecord("django.server", logging.INFO, __file__, 1, '"%s" %s', (line, "303"), None)

    assert HideLinkTokens().filter(record) is True
    assert record.getMessage() == '"GET /openid/logout?state=x&id_token_hint=…&client_id=app HTTP/1.1" 303'


def test_other_lines_stay_as_they_are():
    record = logging.LogRecord("django.server", logging.INFO, __file__, 1, "GET /login/link/ %s", (200,), None)

    assert HideLinkTokens().filter(record) is True
    assert record.getMessage() == "GET /login/link/ 200"
