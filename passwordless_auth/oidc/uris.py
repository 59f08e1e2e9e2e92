"""The addresses that a client registers: each is checked once, when it is written down, and compared character by
character ever after (RFC 9700 §4.1.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

#: As long as the columns that take one.
LONGEST: Final = 2000
#: What a browser calls this machine. RFC 8252 §7.3 wants the numbers; "localhost" is what developers write.
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
#: RFC 8252 §7.1: a domain that the app's maker has, turned round. SECURITY: so no app takes another's name by chance,
#: and what a browser runs or opens by itself (``javascript:``, ``data:``, ``file:``) is never among them.
_OWN_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
#: RFC 3986 §2: everything else is percent-encoded.
_LETTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")


def check_redirect_uri(uri: str, *, is_native: bool = False) -> None:
    """Whether answers may be sent there (also: people, after signing out). Raises ValidationError.

    ``https``; ``http`` on this machine, for native apps (RFC 8252 §7.3) and while one develops; and for native apps a
    scheme of their own.
    """
    url = _parsed(uri)
    if "#" in uri:
        raise _wrong(uri, _("%(uri)s has a fragment (“#…”), which belongs to answers. Leave it out."))
    if "*" in uri:
        raise _wrong(
            uri, _("%(uri)s has a “*”. Addresses are compared character by character: list each one that you use.")
        )
    if url.scheme in {"http", "https"}:
        _check_web(uri, url)
    elif not is_native:
        raise _wrong(uri, _("%(uri)s does not begin with “https://”. A scheme of its own is for native apps."))
    elif not _OWN_SCHEME.fullmatch(url.scheme):
        raise _wrong(
            uri, _("The scheme of %(uri)s is not a domain turned round, such as “com.example.app:/signed-in”.")
        )


def check_web_uri(uri: str) -> None:
    """Whether it is a page or an endpoint: ``https``, or ``http`` on this machine. Raises ValidationError."""
    url = _parsed(uri)
    if url.scheme not in {"http", "https"}:
        raise _wrong(uri, _("%(uri)s does not begin with “https://”."))
    _check_web(uri, url)


def check_endpoint_uri(uri: str) -> None:
    """Whether our server may be asked to call it: as ``check_web_uri``, without a fragment. Raises ValidationError."""
    check_web_uri(uri)
    if "#" in uri:
        raise _wrong(uri, _("%(uri)s has a fragment (“#…”), which no server sees. Leave it out."))


def check_https_uri(uri: str) -> None:
    """As ``check_endpoint_uri``, and ``https`` everywhere (OpenID Connect Core §4). Raises ValidationError."""
    check_endpoint_uri(uri)
    if not uri.startswith("https:"):
        raise _wrong(uri, _("%(uri)s does not begin with “https://”."))


def check_origin(uri: str) -> None:
    """Whether it is what a browser says in ``Origin``: scheme, host, and the port where it is not the scheme's own.
    Raises ValidationError."""
    url = _parsed(uri)
    if url.scheme not in {"http", "https"}:
        raise _wrong(uri, _("%(uri)s does not begin with “https://”."))
    _check_web(uri, url)
    port = {"http": 80, "https": 443}[url.scheme]
    if url.path or url.query or uri != f"{url.scheme}://{url.netloc.lower()}" or url.port == port:
        example = f"{url.scheme}://{_host_of(url)}" + (f":{url.port}" if url.port not in (None, port) else "")
        raise ValidationError(
            _("%(uri)s is more than an origin. Write scheme and host alone, in small letters: %(example)s."),
            params={"uri": uri, "example": example},
        )


def web_host(uri: str) -> str:
    """The host of an address on the web; "" for what can't be read, and for one on the person's own device, which is
    nobody's for certain."""
    try:
        url = urlsplit(uri)
    except ValueError:
        return ""
    host = url.hostname or ""
    return host if url.scheme in {"http", "https"} and host not in LOOPBACK else ""


def lines(text: str) -> list[str]:
    """What somebody wrote down line by line, each once."""
    return list(dict.fromkeys(text.split()))


def faults(uris: Iterable[str], check: Callable[[str], None]) -> list[ValidationError]:
    """What is wrong with any of them."""
    found = []
    for uri in uris:
        try:
            check(uri)
        except ValidationError as fault:
            found.append(fault)
    return found


def _parsed(uri: str) -> SplitResult:
    try:
        url = urlsplit(uri)
        url.port  # noqa: B018 (raises where it is none)
    except ValueError:
        raise _wrong(uri, _("%(uri)s can’t be read as an address.")) from None
    if len(uri) > LONGEST:
        raise _wrong(uri[:60] + "…", _("%(uri)s is too long."))
    if not _LETTERS.fullmatch(uri) or re.search("%(?![0-9A-Fa-f]{2})", uri):
        raise _wrong(
            uri,
            _("%(uri)s has letters that addresses do not have. Write it as a browser sends it: “%%C3%%BC” for “ü”."),
        )
    if not url.scheme or not uri.startswith(f"{url.scheme}:"):
        raise _wrong(uri, _("%(uri)s does not begin with a scheme in small letters, such as “https://”."))
    return url


def _check_web(uri: str, url: SplitResult) -> None:
    host = url.hostname
    if not host or "@" in url.netloc or url.netloc.endswith(":") or not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        raise _wrong(uri, _("%(uri)s has no host that can be read, or a user name before it."))
    if url.scheme == "http" and host not in LOOPBACK:
        raise _wrong(
            uri, _("%(uri)s is not encrypted. “http://” is for this machine alone: 127.0.0.1, [::1] or localhost.")
        )


def _host_of(url: SplitResult) -> str:
    host = url.hostname or ""
    return f"[{host}]" if ":" in host else host


def _wrong(uri: str, text: object) -> ValidationError:
    return ValidationError(text, params={"uri": uri})  # type: ignore[arg-type]
