"""What a scope is called on the pages that ask for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.utils.translation import gettext_lazy as _

from .. import _dot

_SAID: Final = {
    "profile": _("Your name and language"),
    "email": _("Your e-mail address"),
    "phone": _("Your phone number"),
    "address": _("Your postal address"),
    "avatar": _("Your nickname and picture"),
    "offline_access": _("Access while you are away, until you take it back"),
}


def said_of(scopes: Iterable[str]) -> list[str]:
    """The scopes for people, in a fixed order. ``openid`` is left out: it is that they sign in. Those of the host are
    called what its ``SCOPES`` setting calls them."""
    scopes = set(scopes) - {"openid"}
    known = [str(text) for name, text in _SAID.items() if name in scopes]
    theirs = _dot.all_scopes()
    return known + [str(theirs.get(name, name)) for name in sorted(scopes - _SAID.keys())]
