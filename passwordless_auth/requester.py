"""Who asks: the only place that looks at a request's headers for it.

A Requester describes, it never proves: user agents and addresses are what the other side says. What counts is the
browser key, a random value in a long-lived HttpOnly cookie, of which rows hold the digest.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from .conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest

#: Chrome keeps no cookie longer than 400 days.
BROWSER_COOKIE_AGE: Final = 400 * 86400

_BROWSER_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}")

# In order: the first match names it, since every browser also claims to be its ancestors.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Vivaldi", "Vivaldi"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class Requester:
    """IP address ("" when unknown), user agent (cut to 256 characters), browser key ("" when there is none yet)."""

    ip: str = ""
    user_agent: str = ""
    browser_key: str = ""

    @classmethod
    def from_request(cls, request: HttpRequest) -> Requester:
        key = request.COOKIES.get(browser_cookie_name(), "")
        agent = request.META.get("HTTP_USER_AGENT", "").encode("utf-8", "replace").decode("utf-8")
        return cls(
            ip=client_ip(request.META),
            user_agent=_printable(agent[:256]),
            browser_key=key if _BROWSER_KEY.fullmatch(key) else "",
        )

    @cached_property
    def browser_digest(self) -> str:
        """SHA-256 of the browser key in hex, "" without one. The key is 256 random bits: it needs no salt."""
        return hashlib.sha256(self.browser_key.encode()).hexdigest() if self.browser_key else ""

    @property
    def network(self) -> str:
        """What limits count by: the IPv4 address, or the IPv6 /64, which one customer owns whole."""
        return network_of(self.ip)

    @property
    def wide_network(self) -> str:
        """The neighbourhood: the IPv4 /24, or the IPv6 /48, which a whole company or a rented range has."""
        return network_of(self.ip, ipv4=24, ipv6=48)


@dataclass(frozen=True)
class Operator:
    """Who acts on somebody else's account, and why: an administrator. ``name`` is for the log, without an address."""

    name: str
    reason: str

    def facts(self) -> dict[str, str]:
        """What an event keeps of it."""
        return {"operator": self.name[:150], "reason": self.reason[:500]}


def new_browser_key() -> str:
    return secrets.token_urlsafe(32)


def browser_cookie_name() -> str:
    """``__Host-`` on HTTPS: then no sibling domain and no plain-HTTP page can plant it (RFC 6265bis §4.1.3.2)."""
    return f"{'__Host-' if settings.is_https else ''}passwordless_browser"


def client_ip(meta: Mapping[str, str]) -> str:
    """The IP address of who asks, "" when there is none.

    SECURITY: ``X-Forwarded-For`` is what the sender wrote, but for the entries that our own proxies appended; so it
    counts from the right, and only as far as ``TRUSTED_PROXY_COUNT``. A header that can't be parsed falls back to
    the connection's address and never skips a limit.
    """
    connection = _address(meta.get("REMOTE_ADDR", ""))
    proxies = settings.TRUSTED_PROXY_COUNT
    if proxies < 1:
        return connection
    hops = [hop.strip() for hop in meta.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    return (_address(hops[-proxies]) if len(hops) >= proxies else "") or connection


def network_of(ip: str, *, ipv4: int = 32, ipv6: int = 64) -> str:
    length = ipv6 if ":" in ip else ipv4
    return ip if not ip or length == 32 else str(ipaddress.ip_network(f"{ip}/{length}", strict=False))


def describe(user_agent: str) -> tuple[str, str]:
    """Browser and operating system for people, such as ``("Firefox", "Windows")``; "" for what is not known."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return browser, system


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(char for char in text if char.isprintable())


def _address(text: str) -> str:
    host = text.strip().removeprefix("[").partition("]")[0]
    if host.count(":") == 1:  # IPv4 with a port
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)
