"""What text messages are made of: their alphabet, their length, the line that phones read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from .base import Channel, Medium

#: The GSM 7-bit default alphabet, and its extension, whose letters take two places (3GPP TS 23.038 §6.2.1).
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")

#: Marks that typography has and the alphabet has not. One of them would turn 160 letters a segment into 70.
_PLAIN: Final = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "‟": '"', "«": '"', "»": '"',
        "‹": "'", "›": "'", "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "…": "...", "•": "-",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\t": " ", "\u200b": None, "\u00ad": None,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """What a text message costs: in which ``alphabet`` (``"gsm7"`` or ``"ucs2"``) it goes out, how many places it takes
    there, and in how many ``segments``, which are what providers bill."""

    alphabet: str
    length: int
    segments: int


def measure(text: str) -> Size:
    """The size of a text message: 160 places in one segment, or 153 in each of several; 70 and 67 where a letter is
    not in the GSM alphabet (3GPP TS 23.040 §9.2.3.24.1)."""
    if all(letter in _BASIC or letter in _EXTENSION for letter in text):
        alphabet, length, alone, joined = "gsm7", sum(2 if letter in _EXTENSION else 1 for letter in text), 160, 153
    else:
        alphabet, length, alone, joined = "ucs2", len(text.encode("utf-16-be")) // 2, 70, 67
    return Size(alphabet, length, 1 if length <= alone else math.ceil(length / joined))


def plain(text: str) -> str:
    """The text with typographic marks written in letters of the GSM alphabet, where that makes it fit there. Another
    script stays as it is: there they cost nothing."""
    folded = text.translate(_PLAIN)
    return folded if measure(folded).alphabet == "gsm7" else text


def with_code(text: str, *, host: str, code: str) -> str:
    """The text with the line that makes a phone offer the code to the pages of ``host``, and to no other's.

    It has to be the last one (WICG, "Origin-bound one-time codes delivered via SMS"). SECURITY: so a page that only
    looks like ours is not filled in.
    """
    return f"{text}\n\n@{host} #{code}"


class SmsChannel(Channel):
    """Base of what takes text messages to phones."""

    medium: Medium = "sms"
