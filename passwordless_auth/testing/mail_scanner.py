"""The program between a mailbox and its owner that opens every link, looks at it, and submits nothing.

What it opens must go on working for the person. A browser that runs scripts sees more: test that with a browser.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.test import Client

from ..conf import settings

#: Some look once, some look twice, and some ask before they look.
METHODS: Final = ("HEAD", "GET", "GET", "OPTIONS")

USER_AGENT: Final = "Mozilla/5.0 (compatible; MailScanner/1.0)"


@dataclass(frozen=True)
class Visit:
    """One request of the scanner: where it ended after redirects, and what it saw there."""

    method: str
    url: str
    status: int
    ended_at: str
    content: str


def links_in(message: Any) -> list[str]:
    """Every link to this site (``BASE_URL``) in a message: its text, its HTML, each once, in order."""
    parts = [message] if isinstance(message, str) else [message.body]
    parts += [str(alternative[0]) for alternative in getattr(message, "alternatives", ())]
    found = re.findall(r"https?://[^\s\"'<>]+", "\n".join(html.unescape(part) for part in parts))
    ours = [link for link in found if link == settings.BASE_URL or link.startswith(f"{settings.BASE_URL}/")]
    return list(dict.fromkeys(ours))


def scan(message: Any) -> list[Visit]:
    """Open every link of a message (Django's ``EmailMessage``, or its text) as a mail scanner does.

    Each link by HEAD, by GET twice and by OPTIONS, every redirect followed, in a browser of its own. Returns the
    visits in order.
    """
    scanner = Client(HTTP_USER_AGENT=USER_AGENT)
    return [_visit(scanner, method, link) for link in links_in(message) for method in METHODS]


def _visit(scanner: Client, method: str, link: str) -> Visit:
    address = urlsplit(link)
    response = getattr(scanner, method.lower())(
        address._replace(scheme="", netloc="", fragment="").geturl() or "/",
        follow=True,
        secure=address.scheme == "https",
        headers={"host": address.netloc},
    )
    ended_at = response.redirect_chain[-1][0] if response.redirect_chain else link
    return Visit(
        method=method,
        url=link,
        status=response.status_code,
        ended_at=ended_at,
        content=b"".join(response).decode(response.charset or "utf-8"),
    )
