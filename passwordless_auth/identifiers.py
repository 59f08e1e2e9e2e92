"""What people type to say who they are: parsed, canonical, or refused.

Canonicalise first, then validate, then look up by the canonical column, so that two spellings of one mailbox can
never be two accounts (CVE-2022-35924: a list of addresses in one field reached the mailer).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from email_validator import EmailNotValidError, validate_email

from .exceptions import InvalidIdentifier

Kind = Literal["email"]

MAX_LENGTH: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets

#: Webmail by mail domain: only a convenience of the waiting page.
_MAILBOXES: Final = {
    "gmail.com": ("Gmail", "https://mail.google.com/"),
    "googlemail.com": ("Gmail", "https://mail.google.com/"),
    "outlook.com": ("Outlook", "https://outlook.live.com/mail/"),
    "outlook.de": ("Outlook", "https://outlook.live.com/mail/"),
    "hotmail.com": ("Outlook", "https://outlook.live.com/mail/"),
    "hotmail.de": ("Outlook", "https://outlook.live.com/mail/"),
    "live.com": ("Outlook", "https://outlook.live.com/mail/"),
    "msn.com": ("Outlook", "https://outlook.live.com/mail/"),
    "yahoo.com": ("Yahoo Mail", "https://mail.yahoo.com/"),
    "yahoo.de": ("Yahoo Mail", "https://mail.yahoo.com/"),
    "icloud.com": ("iCloud Mail", "https://www.icloud.com/mail/"),
    "me.com": ("iCloud Mail", "https://www.icloud.com/mail/"),
    "proton.me": ("Proton Mail", "https://mail.proton.me/"),
    "protonmail.com": ("Proton Mail", "https://mail.proton.me/"),
    "gmx.de": ("GMX", "https://www.gmx.net/"),
    "gmx.net": ("GMX", "https://www.gmx.net/"),
    "web.de": ("WEB.DE", "https://web.de/"),
    "fastmail.com": ("Fastmail", "https://app.fastmail.com/"),
}


@dataclass(frozen=True)
class Identifier:
    """A canonical address: ``kind`` and ``canonical`` together are unique among Identities."""

    kind: Kind
    canonical: str

    @property
    def masked(self) -> str:
        return mask(self.canonical)

    @property
    def mailbox(self) -> tuple[str, str] | None:
        """Name and URL of the webmail that certainly holds this mailbox, or ``None``."""
        return _MAILBOXES.get(self.canonical.rpartition("@")[2])


def parse(text: str) -> Identifier:
    """Return the Identifier that ``text`` names.

    An e-mail address is NFKC-folded, its domain IDNA-encoded, all of it lower-cased. Raises
    :class:`~passwordless_auth.exceptions.InvalidIdentifier` for anything else: lists, quoted local parts, display
    names, control characters, local parts beyond ASCII, addresses over 254 characters.
    """
    if len(text) > 4 * MAX_LENGTH:
        raise InvalidIdentifier
    # A phone's keyboard leaves spaces around an address; Unicode's look-alikes of "@" and "." are folded here.
    folded = unicodedata.normalize("NFKC", text).strip()
    # SECURITY: "=?utf-8?q?victim?=@example.com" is a valid address, and an encoded word (RFC 2047 §2) that some mailers
    # decode: the message would go to another mailbox than the one that the row names.
    if not folded.isprintable() or "=?" in folded:
        raise InvalidIdentifier
    try:
        address = validate_email(
            folded,
            allow_smtputf8=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            check_deliverability=False,
            globally_deliverable=False,
            test_environment=True,
        )
    except EmailNotValidError as refusal:
        raise InvalidIdentifier from refusal
    _rest, dot, top = address.ascii_domain.rpartition(".")
    if not dot or top.isdigit():  # "ada@gmail" is a slip; "ada@10.0.0.1" is no domain (RFC 3696 §2)
        raise InvalidIdentifier
    canonical = f"{address.ascii_local_part}@{address.ascii_domain}".lower()
    if len(canonical) > MAX_LENGTH:
        raise InvalidIdentifier
    return Identifier("email", canonical)


def mask(canonical: str) -> str:
    """The address for people who have not proven it, and for logs: ``a•••@e•••.com``.

    The length of what is hidden is not shown.
    """
    local, _at, domain = canonical.partition("@")
    name, dot, top = domain.rpartition(".")
    return f"{local[:1]}•••@{name[:1]}•••{dot}{top}" if name else f"{local[:1]}•••@{top[:1]}•••"


#: The public ids of our rows: 16 random bytes in base64url (RFC 4648 §5).
PUBLIC_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
