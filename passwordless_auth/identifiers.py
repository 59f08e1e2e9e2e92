"""What people type to say who they are: parsed, canonical, or refused.

Canonicalise first, then validate, then look up by the canonical column, so that two spellings of one mailbox can
never be two accounts (CVE-2022-35924: a list of addresses in one field reached the mailer).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from email_validator import EmailNotValidError, validate_email

from .conf import settings
from .exceptions import CountryNeeded, CountryNotServed, InvalidIdentifier, InvalidPhone, NeitherAddress, NotMobile

Kind = Literal["email", "phone"]

#: For columns that hold a Kind.
KINDS: Final[Sequence[tuple[str, str | Promise]]] = (("email", _("e-mail")), ("phone", _("phone number")))

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

#: What makes a text a phone number: digits of any script, and what people put between them. "@" decides for e-mail.
_PHONE: Final = re.compile(r"\+?[\d()\[\]./\s\-‐‑‒–—−~]*")

#: Marks without a width, which phones' address books put around the numbers that are copied from them.
_INVISIBLE: Final = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")

#: Where most people who read a language are, for languages that are mostly read in one country.
_COUNTRY_OF_LANGUAGE: Final = {
    "bg": "BG", "cs": "CZ", "da": "DK", "de": "DE", "el": "GR", "et": "EE", "fi": "FI", "fr": "FR", "he": "IL",
    "hr": "HR", "hu": "HU", "id": "ID", "is": "IS", "it": "IT", "ja": "JP", "ko": "KR", "lt": "LT", "lv": "LV",
    "nb": "NO", "nl": "NL", "nn": "NO", "pl": "PL", "ro": "RO", "sk": "SK", "sl": "SI", "sv": "SE", "th": "TH",
    "tr": "TR", "uk": "UA", "vi": "VN",
}  # fmt: skip


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

    @property
    def channel(self) -> str:
        """The alias in ``CHANNELS`` of what takes messages to it."""
        return "sms" if self.kind == "phone" else "email"

    @property
    def country(self) -> str:
        """The country of a phone number (ISO 3166-1 alpha-2), "" for an e-mail address.

        Not the calling code: "+44" is Guernsey, too, and "+1" a good part of the Caribbean.
        """
        if self.kind != "phone":
            return ""
        return _numbers().region_code_for_number(_number(self.canonical)) or ""

    @property
    def prefix(self) -> str:
        """The block that a phone number belongs to: its calling code and five more digits, "+4915123"."""
        number = _number(self.canonical)
        return self.canonical[: 1 + len(str(number.country_code)) + 5]

    @property
    def display(self) -> str:
        """As people write it: "+49 1512 3456789"."""
        if self.kind != "phone":
            return self.canonical
        return _formatted(_number(self.canonical), "INTERNATIONAL")

    @property
    def is_reachable(self) -> bool:
        """Whether this site sends messages to it, by its settings."""
        return self.kind == "email" or self.country in settings.SMS_COUNTRIES


def accept(text: str, *, country: str = "", language: str = "") -> Identifier:
    """The Identifier that somebody typed at one of our doors: an e-mail address, and where ``SMS_COUNTRIES`` names a
    country, a mobile phone number. Takes and raises what ``parse`` does, and CountryNotServed."""
    if not settings.SMS_COUNTRIES:
        return parse_email(text)
    try:
        identifier = parse(text, country=country, language=language)
    except InvalidIdentifier as refusal:
        if type(refusal) is InvalidIdentifier and "@" not in text:
            raise NeitherAddress from refusal
        raise
    require_reachable(identifier)
    return identifier


def require_reachable(identifier: Identifier) -> None:
    """Raise CountryNotServed for a phone number to which this site sends nothing.

    SECURITY: whoever may choose a country chooses an expensive one, and shares what it earns (SMS pumping).
    """
    if not identifier.is_reachable:
        raise CountryNotServed


def parse(text: str, *, country: str = "", language: str = "") -> Identifier:
    """Return the Identifier that ``text`` names: an e-mail address, or a phone number.

    Says nothing of whether messages are sent to it: see ``accept``. Raises what ``parse_email`` and ``parse_phone`` do.
    """
    if len(text) <= MAX_LENGTH and _looks_like_phone(text):
        return parse_phone(text, country=country, language=language)
    return parse_email(text)


def parse_email(text: str) -> Identifier:
    """Return the Identifier of an e-mail address.

    It is NFKC-folded, its domain IDNA-encoded, all of it lower-cased. Raises
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


def parse_phone(text: str, *, country: str = "", language: str = "") -> Identifier:
    """Return the Identifier of a mobile phone number, in E.164 (ITU-T), typed with its country code or as at home.

    ``country``: the one that the person chose (ISO 3166-1 alpha-2), for a number without a country code. Without it,
    the only one of ``SMS_COUNTRIES`` counts, or the one of ``language`` (``"de"``, ``"pt-br"``) if it is among them.
    Raises InvalidPhone, CountryNeeded when it takes the country to read the number, and NotMobile for numbers that get
    no text messages: landlines, free, shared-cost and premium numbers, and all that is neither.
    """
    digits = _folded_phone(text)
    if not digits or not _PHONE.fullmatch(digits):
        raise InvalidPhone
    if digits.startswith("00"):  # the way out of most countries; no number at home begins so
        digits = "+" + digits[2:]
    if digits.startswith("+"):
        return _mobile(digits, None)
    if is_country(country):
        return _mobile(digits, country)
    guess = home_country(language)
    if not guess:
        raise CountryNeeded
    try:
        return _mobile(digits, guess)
    except InvalidPhone as refusal:  # a number of a neighbour, perhaps
        if len(settings.SMS_COUNTRIES) > 1:
            raise CountryNeeded from refusal
        raise


def home_country(language: str = "") -> str:
    """The country whose numbers are read without its code when nobody chose one, "" when that can't be known."""
    served = settings.SMS_COUNTRIES
    if len(served) == 1:
        return served[0]
    country = country_of_language(language)
    return country if country in served else ""


def country_of_language(language: str) -> str:
    """Where a language is read: "AT" for ``de-at``, "DE" for ``de``, "" for one that is at home in many countries."""
    tag = language.lower().replace("_", "-")
    return tag.rpartition("-")[2].upper() if "-" in tag else _COUNTRY_OF_LANGUAGE.get(tag, "")


def calling_code(country: str) -> int:
    """The calling code of a country: 49 for DE. 0 for what is no country."""
    return int(_numbers().country_code_for_region(country))


def example_number(country: str) -> Identifier | None:
    """A mobile number as they are made there, which is nobody's if the country keeps one for that."""
    phonenumbers = _numbers()
    number = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    return Identifier("phone", _formatted(number, "E164")) if number else None


def is_country(code: str) -> bool:
    """Whether this is the ISO 3166-1 alpha-2 code of a country that has phone numbers."""
    return code in _numbers().SUPPORTED_REGIONS


def _looks_like_phone(text: str) -> bool:
    folded = _folded_phone(text)
    return _PHONE.fullmatch(folded) is not None and any(letter.isdecimal() for letter in folded)


def _folded_phone(text: str) -> str:
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).strip()


def _mobile(digits: str, country: str | None) -> Identifier:
    phonenumbers = _numbers()
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException as refusal:
        raise InvalidPhone from refusal
    if not phonenumbers.is_valid_number(number):
        raise InvalidPhone
    # In some plans (the North American one) a number doesn't say which of the two it is.
    types = phonenumbers.PhoneNumberType
    if phonenumbers.number_type(number) not in {types.MOBILE, types.FIXED_LINE_OR_MOBILE}:
        raise NotMobile
    return Identifier("phone", _formatted(number, "E164"))


def _number(canonical: str) -> Any:
    return _numbers().parse(canonical)


def _formatted(number: Any, style: str) -> str:
    library = _numbers()
    return str(library.format_number(number, getattr(library.PhoneNumberFormat, style)))


def _numbers() -> Any:
    """The library of numbering plans, loaded by the first number: a site without SMS never waits for it."""
    import phonenumbers

    return phonenumbers


def is_address(text: str) -> bool:
    """Whether a text begins with what ``mask`` hides: an e-mail address or an E.164 number."""
    return "@" in text or text[:1] == "+"


def mask(canonical: str) -> str:
    """The address for people who have not proven it, and for logs: ``a•••@e•••.com``, ``+49•••89``.

    The length of what is hidden is not shown.
    """
    if canonical.startswith("+") and "@" not in canonical:
        number = _number(canonical)
        return f"+{number.country_code}•••{canonical[-2:]}"
    local, _at, domain = canonical.partition("@")
    name, dot, top = domain.rpartition(".")
    return f"{local[:1]}•••@{name[:1]}•••{dot}{top}" if name else f"{local[:1]}•••@{top[:1]}•••"


#: The public ids of our rows: 16 random bytes in base64url (RFC 4648 §5).
PUBLIC_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
