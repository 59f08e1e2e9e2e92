"""Requests to addresses that others have registered reach the public internet, and nothing else."""

import socket
import threading
import time
from ipaddress import ip_address

import pytest

from passwordless_auth import outbound
from tests.browser.https import Certificate
from tests.receiver import Receiver

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
PRIVATE = [
    "127.0.0.1", "127.255.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
    "3fff::1", "fc00::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def in_reach(settings):
    """This machine is one of the host's own networks."""
    settings.PASSWORDLESS_AUTH_OUTBOUND_NETWORKS = ["127.0.0.0/8", "::1/128"]


@pytest.fixture
def names(monkeypatch):
    """What the name server says: a name, and its addresses at the first question, the second …"""
    said = {}
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        if host not in said:
            return real(host, port, *args, **kwargs)
        answers = said[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [each for number in found for each in real(number, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return said


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(outbound, "TIMEOUT", 0.6)


@pytest.mark.parametrize("number", PUBLIC)
def test_public_addresses_may_be_asked(number):
    assert outbound.is_allowed(ip_address(number))


@pytest.mark.parametrize("number", PRIVATE)
def test_no_other_addresses_may_be(number):
    assert not outbound.is_allowed(ip_address(number))


def test_a_host_may_name_networks_of_its_own(settings):
    settings.PASSWORDLESS_AUTH_OUTBOUND_NETWORKS = ["10.20.0.0/16", "fd00:1::/32"]

    assert outbound.is_allowed(ip_address("10.20.3.4"))
    assert outbound.is_allowed(ip_address("::ffff:10.20.3.4"))
    assert outbound.is_allowed(ip_address("fd00:1::5"))
    assert not outbound.is_allowed(ip_address("10.21.0.1"))
    assert not outbound.is_allowed(ip_address("127.0.0.1"))


def test_a_developer_reaches_this_machine_and_no_more(settings):
    settings.DEBUG = True

    assert outbound.is_allowed(ip_address("127.0.0.1"))
    assert outbound.is_allowed(ip_address("::1"))
    assert not outbound.is_allowed(ip_address("10.0.0.1"))


def test_a_form_is_posted_and_the_status_comes_back(receiver, in_reach):
    assert outbound.post(f"{receiver.url}/told?by=us", {"logout_token": "a.b+c/=", "n": "ü"}) == 204

    ((path, fields, headers),) = receiver.told
    assert (path, fields) == ("/told?by=us", {"logout_token": "a.b+c/=", "n": "ü"})
    assert headers["Host"] == receiver.url.removeprefix("http://")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Cookie" not in headers


def test_by_ipv6(in_reach):
    try:
        receiver = Receiver(host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    try:
        assert outbound.post(receiver.url, {}) == 204
        assert receiver.told[0][2]["Host"] == f"[::1]:{receiver.server_port}"
    finally:
        receiver.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0177.0.0.1"])
def test_however_this_machine_is_written_it_is_not_asked(receiver, host):
    with pytest.raises(outbound.Forbidden):
        outbound.post(f"http://{host}:{receiver.server_port}/", {})

    assert not receiver.told


@pytest.mark.parametrize("number", ["169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_a_name_that_leads_into_the_network_is_not_asked(names, number):
    names["rp.example"] = [[number]]

    with pytest.raises(outbound.Forbidden, match="public internet"):
        outbound.post("https://rp.example/", {})


@pytest.mark.parametrize(
    "url",
    [
        "", "/", "rp.example", "ftp://rp.example/", "file:///etc/passwd", "https:///x", "https://", "gopher://rp.example/",
        "https://user@rp.example/", "https://user:pass@rp.example/", "https://rp.example:0/", "https://rp.example:99999/",
        "https://rp.example/#x", "https://rp.example\\@127.0.0.1/", "https://rp.example/ x", "https://rp.example/\r\nX: y",
        "https://rp.example/\0", "https://[::1", "https://exämple.com/", "https://rp.example:port/",
    ],
)  # fmt: skip
def test_what_is_no_plain_https_address_is_not_asked(url):
    with pytest.raises(outbound.Forbidden):
        outbound.post(url, {})


def test_http_is_for_this_machine_alone(settings, names):
    settings.PASSWORDLESS_AUTH_OUTBOUND_NETWORKS = ["10.0.0.0/8"]
    names["rp.example"] = [["10.0.0.1"]]
    names["public.example"] = [["8.8.8.8"]]

    for host in ("rp.example", "public.example"):
        with pytest.raises(outbound.Forbidden, match="https"):
            outbound.post(f"http://{host}/", {})


def test_the_second_answer_of_a_name_server_counts_for_nothing(receiver, names, at_once, monkeypatch):
    """DNS rebinding: a public address for who looks, this machine for who connects."""
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, where: connected.append(where[0]) or _refuse())
    names["rp.example"] = [["192.88.99.7", "8.8.8.8"], ["127.0.0.1"]]

    with pytest.raises(outbound.NoAnswer):
        outbound.post(f"https://rp.example:{receiver.server_port}/", {})

    assert connected == ["8.8.8.8"]
    assert not receiver.told


def _refuse():
    raise ConnectionRefusedError


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_follows_a_redirect(receiver, in_reach, status):
    inside = Receiver()
    receiver.answers, receiver.location = [status], f"{inside.url}/admin/"
    try:
        assert outbound.post(receiver.url, {}) == status
        assert not inside.told
    finally:
        inside.stop()


@pytest.mark.parametrize("behaviour", ["hangs", "drips"])
def test_who_does_not_answer_in_time_is_given_up(receiver, in_reach, at_once, behaviour):
    receiver.behaviour = behaviour
    before = threading.active_count()

    with pytest.raises(outbound.NoAnswer):
        outbound.post(receiver.url, {})

    end = time.monotonic() + 20
    while threading.active_count() > before + 1:  # the receiver's own thread
        assert time.monotonic() < end, "somebody still listens"
        time.sleep(0.02)


def test_a_name_server_that_does_not_answer_is_given_up(in_reach, at_once, monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: asked.wait(20) and [])

    with pytest.raises(outbound.NoAnswer, match="no answer"):
        outbound.post("https://rp.example/", {})
    asked.set()


def test_of_a_flood_no_more_than_the_beginning_is_read(receiver, in_reach):
    receiver.behaviour = "floods"

    assert outbound.post(receiver.url, {}) == 200


def test_who_hangs_up_or_is_not_there_did_not_answer(receiver, in_reach):
    receiver.behaviour = "drops"
    with pytest.raises(outbound.NoAnswer, match="RemoteDisconnected"):
        outbound.post(receiver.url, {})

    receiver.stop()
    with pytest.raises(outbound.NoAnswer, match="ConnectionRefusedError"):
        outbound.post(receiver.url, {})


def test_a_name_that_nobody_has_did_not_answer(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(outbound.NoAnswer, match="gaierror"):
        outbound.post("https://nobody.example/", {})


def test_no_proxy_of_the_environment_is_asked(receiver, in_reach, monkeypatch):
    proxy = Receiver()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    try:
        assert outbound.post(receiver.url, {}) == 204
        assert not proxy.told
    finally:
        proxy.stop()


@pytest.fixture
def certificate(tmp_path):
    return Certificate(tmp_path, ["rp.example"]).file


def test_by_tls_the_name_is_proven(certificate, names, in_reach, monkeypatch):
    receiver = Receiver(certificate=certificate)
    names["rp.example"] = names["other.example"] = [["127.0.0.1"]]
    try:
        with pytest.raises(outbound.NoAnswer, match="SSLCertVerificationError"):
            outbound.post(f"https://rp.example:{receiver.server_port}/", {})

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert outbound.post(f"https://rp.example:{receiver.server_port}/", {}) == 204
        with pytest.raises(outbound.NoAnswer, match="SSLCertVerificationError"):
            outbound.post(f"https://other.example:{receiver.server_port}/", {})
        assert len(receiver.told) == 1
    finally:
        receiver.stop()
