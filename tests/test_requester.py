"""Who asks, as far as a request says it."""

import hashlib

import pytest

from passwordless_auth.requester import (
    Requester,
    browser_cookie_name,
    client_ip,
    describe,
    network_of,
    new_browser_key,
)

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"


def test_a_request_is_described_by_address_agent_and_browser_key(rf):
    key = new_browser_key()
    request = rf.get("/", REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT=CHROME)
    request.COOKIES["passwordless_browser"] = key

    requester = Requester.from_request(request)

    assert requester == Requester(ip="192.0.2.7", user_agent=CHROME, browser_key=key)
    assert requester.browser_digest == hashlib.sha256(key.encode()).hexdigest()


def test_without_a_key_there_is_no_digest():
    assert Requester().browser_digest == ""


@pytest.mark.parametrize("key", ["", "short", "x" * 42, "x" * 44, "ü" * 43, "x" * 42 + "="])
def test_a_key_that_we_did_not_make_is_no_key(rf, key):
    request = rf.get("/")
    request.COOKIES["passwordless_browser"] = key

    assert Requester.from_request(request).browser_key == ""


def test_the_user_agent_is_cut_and_cleaned(rf):
    agent = Requester.from_request(rf.get("/", HTTP_USER_AGENT="Evil\r\nX-Header: \x00\udcff" + "x" * 1000)).user_agent

    assert agent.startswith("EvilX-Header: ?xxx")
    assert len(agent) <= 256
    assert agent.isprintable()


def test_every_key_is_new():
    assert len({new_browser_key() for _ in range(100)}) == 100


def test_on_https_the_cookie_can_be_set_by_this_host_only(settings):
    assert browser_cookie_name() == "passwordless_browser"

    settings.PASSWORDLESS_AUTH_BASE_URL = "https://example.com"

    assert browser_cookie_name() == "__Host-passwordless_browser"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "", "10.0.0.1"),
        (0, "203.0.113.9", "10.0.0.1"),  # anybody can write the header
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),  # what the sender wrote stands on the left
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", "10.0.0.1"),  # it did not pass all our proxies
        (1, "", "10.0.0.1"),
        (1, "unknown", "10.0.0.1"),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_header_of_proxies_counts_from_the_right(settings, proxies, forwarded, expected):
    settings.PASSWORDLESS_AUTH_TRUSTED_PROXY_COUNT = proxies
    meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded}

    assert client_ip(meta) == expected


def test_a_server_behind_a_socket_has_no_address():
    assert client_ip({"REMOTE_ADDR": ""}) == ""
    assert Requester().network == ""


def test_limits_take_an_ipv6_network_for_one_customer():
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::") == "2001:db8:1:2::/64"
    assert Requester(ip="2001:db8:1:3::1").network == "2001:db8:1:3::/64"


@pytest.mark.parametrize(
    ("agent", "described"),
    [
        (CHROME, ("Chrome", "Windows")),
        (CHROME + " Edg/150.0", ("Edge", "Windows")),
        (CHROME + " OPR/120.0", ("Opera", "Windows")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", ("Firefox", "Linux")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/26.0 Safari/605.1.15", ("Safari", "macOS")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) CriOS/150.0 Safari/604.1", ("Chrome", "iPhone")),
        ("Mozilla/5.0 (Linux; Android 16) SamsungBrowser/29.0 Chrome/136.0", ("Samsung Internet", "Android")),
        ("curl/8.0", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_browser_is_named_for_people(agent, described):
    assert describe(agent) == described
