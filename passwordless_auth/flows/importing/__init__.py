"""People that were there before us: their addresses, and what other packages keep of them.

``identities.py`` takes ``user.email``; each other file reads one package, and ``base.py`` is the story that they share.
"""

from typing import Final

from .base import Skipped, Source, Tally, Unavailable, import_from
from .django_allauth import DjangoAllauth
from .django_otp_webauthn import DjangoOtpWebauthn
from .django_passkeys import DjangoPasskeys
from .django_two_factor_auth import DjangoTwoFactorAuth
from .identities import Report, import_identities

#: By the name of the distribution.
SOURCES: Final[dict[str, type[Source]]] = {
    source.name: source for source in (DjangoOtpWebauthn, DjangoPasskeys, DjangoAllauth, DjangoTwoFactorAuth)
}

__all__ = [
    "SOURCES",
    "Report",
    "Skipped",
    "Source",
    "Tally",
    "Unavailable",
    "import_from",
    "import_identities",
]
