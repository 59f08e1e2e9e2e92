"""Requests of this server to addresses that somebody else has registered.

SECURITY: without these rules whoever registers a Client would reach, by our hand, what only this machine or its
network reaches: metadata of the cloud, databases, admin pages (server-side request forgery, OWASP ASVS 5.0 §1.3.6). So:
``https``; only addresses of the public internet, asked of the name server once, and then connected to by number, so
that the second answer of a name server counts for nothing (DNS rebinding); no redirects, no proxy from the environment;
one time limit over everything, however slowly an answer drips.

No library does this: requests-hardened, the maintained one, knows no networks of the host's own, takes proxies from the
environment, and its time-outs begin anew with each byte.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from django.conf import settings as django_settings

from .conf import settings

#: Seconds for all of it: name, connection, TLS, answer. Less than an outbox's lease by far.
TIMEOUT: Final = 5.0
#: Bytes of an answer's body that are read at most.
MAX_ANSWER: Final = 4096

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: IPv4 addresses within IPv6 ones (RFC 6052 §2.1): what counts is the address within. A network without IPv4 reaches
#: the internet by these.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
#: What ``is_global`` of some Python versions takes for public: relays and tunnels, whose far end says where it goes.
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(network) for network in ("192.88.99.0/24", "2002::/16", "64:ff9b:1::/48", "3fff::/20")
)
#: RFC 3986 §2, without a fragment.
_PLAIN: Final = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")


class Forbidden(Exception):
    """This address is never asked: no ``https``, or not on the public internet."""


class NoAnswer(Exception):
    """Not this time: no such name, no connection, no answer in time. The text names no address within a network."""


def post(url: str, fields: Mapping[str, str]) -> int:
    """POST a form, and wait for the answer, ``TIMEOUT`` seconds at most. Returns its status. Raises :class:`Forbidden`
    or :class:`NoAnswer`."""
    call = _Call(_checked(url), urlencode(fields).encode())
    # A thread, since nothing else ends a question to a slow name server.
    thread = threading.Thread(target=call.run, name="passwordless-auth-outbound", daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    call.abort()
    if call.status:
        return call.status
    raise call.error or NoAnswer(f"no answer within {TIMEOUT:g} seconds")


def is_allowed(address: Address) -> bool:
    """Whether requests may go to this address: it is a public one, or in one of ``OUTBOUND_NETWORKS``."""
    address = _within(address)
    if any(address in network for network in _own_networks(tuple(settings.OUTBOUND_NETWORKS))):
        return True
    if address.is_loopback:
        return bool(django_settings.DEBUG)  # what one develops with
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not getattr(address, "is_site_local", False)
        and not any(address in network for network in _NOT_PUBLIC)
    )


@lru_cache(maxsize=8)
def _own_networks(networks: tuple[str, ...]) -> list[Network]:
    return [ipaddress.ip_network(network) for network in networks]


def _within(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _checked(url: str) -> SplitResult:
    """SECURITY: what two parsers may read differently is nobody's address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forbidden("not an address of https") from None
    is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
    if not is_web or parts.username is not None or not _PLAIN.fullmatch(url):
        raise Forbidden("not an address of https")
    return parts


class _Call:
    """One request, made in a thread of its own."""

    def __init__(self, url: SplitResult, body: bytes) -> None:
        self._url, self._body = url, body
        self._lock = threading.Lock()
        self._aborted = False
        self._socket: socket.socket | None = None
        self.status = 0
        self.error: Forbidden | NoAnswer | None = None

    def abort(self) -> None:
        """Whatever is still going on ends: nobody waits for it any more."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                with suppress(OSError):  # it is over already
                    self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        try:
            self._ask()
        except (Forbidden, NoAnswer) as error:
            self.error = error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            # SECURITY: neither the system's text nor the certificate's, which tell what is where.
            self.error = NoAnswer(f"no connection ({type(error).__name__})")
        finally:
            if self._socket is not None:
                self._socket.close()

    def _ask(self) -> None:
        host = self._url.hostname or ""
        connection = http.client.HTTPConnection(host, self._port, timeout=TIMEOUT)
        connection.sock = self._connect(host)
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Connection": "close",
            "Host": self._host_header(host),
            "User-Agent": "passwordless-auth",
        }
        connection.request("POST", path, body=self._body, headers=headers)
        response = connection.getresponse()
        self.status = response.status
        response.read(MAX_ANSWER)  # who hangs up too early looks like a failure at the other end

    @property
    def _port(self) -> int:
        return self._url.port or (443 if self._url.scheme == "https" else 80)

    def _host_header(self, host: str) -> str:
        name = f"[{host}]" if ":" in host else host
        return name if self._url.port is None else f"{name}:{self._url.port}"

    def _connect(self, host: str) -> socket.socket:
        """A connection to one of the host's addresses that may be asked: to the very number that was looked at."""
        refused: OSError | None = None
        for family, address in self._addresses(host):
            try:
                reached = self._hold(socket.socket(family, socket.SOCK_STREAM))
                reached.settimeout(TIMEOUT)
                reached.connect((str(address), self._port))
                break
            except OSError as error:
                refused = error
        else:
            raise refused or NoAnswer("no connection")
        if self._url.scheme == "http":
            return reached
        context = ssl.create_default_context()
        secured = context.wrap_socket(reached, server_hostname=host, do_handshake_on_connect=False)
        self._hold(secured)
        secured.do_handshake()
        return secured

    def _addresses(self, host: str) -> Sequence[tuple[int, Address]]:
        found = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)
        addresses = [(family, ipaddress.ip_address(where[0])) for family, _type, _proto, _name, where in found]
        allowed = [(family, address) for family, address in addresses if is_allowed(address)]
        if not allowed:
            raise Forbidden("its address is not on the public internet")
        if self._url.scheme == "http" and not all(_within(address).is_loopback for _family, address in allowed):
            raise Forbidden("not an address of https")
        return allowed

    def _hold(self, made: socket.socket) -> socket.socket:
        """Keep what ``abort`` has to end."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = made
            if self._aborted:
                raise NoAnswer("nobody waits any more")
        return made
