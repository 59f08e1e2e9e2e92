"""Who is measured. To add one: a module with a Contestant, and its class in ``CONTESTANTS``."""

from __future__ import annotations

from .base import Contestant, Flow
from .django_allauth import Allauth
from .django_oauth_toolkit import OAuthToolkit
from .django_otp_webauthn import OtpWebauthn
from .django_password import Password
from .django_sesame import Sesame
from .drfpasswordless import DrfPasswordless
from .floor import Floor
from .ours import Ours
from .ours_oidc import OursOidc

#: The first one is what the others are measured by.
CONTESTANTS: dict[str, type[Contestant]] = {
    kind.name: kind
    for kind in (Floor, Ours, OursOidc, Sesame, DrfPasswordless, Allauth, OtpWebauthn, OAuthToolkit, Password)
}

__all__ = ["CONTESTANTS", "Contestant", "Flow"]
