"""A Client sends a person to sign out: OpenID Connect RP-Initiated Logout 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .. import claims, clients, tokens
from ..models import ClientSettings

#: What is kept while the person is asked. ``logout_hint`` is not among them: who is asked needs no hint.
KEPT: Final = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")


@dataclass(frozen=True)
class LogoutRequest:
    """``application``: who asks; ``None`` where nobody said so. ``hint``: the claims of the ID token that came as a
    hint. ``way_back``: the registered post-logout redirect URI that was asked for, else "". ``is_in_order``: everything
    that was sent is what it should be; where it is not, there is none of the other three."""

    params: Mapping[str, str]
    application: Any | None = None
    hint: Mapping[str, Any] | None = None
    way_back: str = ""
    is_in_order: bool = False

    @property
    def state(self) -> str:
        return self.params.get("state", "")

    @property
    def kept(self) -> dict[str, str]:
        return {name: self.params[name] for name in KEPT if name in self.params}

    def proves(self, sign_in_id: str) -> bool:
        """Whether it certainly comes of this session: nobody but a Client that this session signed in to has an ID
        token of ours with its ``sid``. Then nobody is asked.

        SECURITY: everything else may be anybody's link, which would sign people out at will (§6).
        """
        if self.hint is None or self.application is None:
            return False
        return bool(self.hint.get("sid") == claims.session_id(sign_in_id, ClientSettings.of(self.application)))


def read(params: Mapping[str, str]) -> LogoutRequest:
    """Weigh a request's parameters.

    An ID token as a hint may have run out (§2), but it has to be ours: signed by us, by one of our published keys. Who
    asks is its audience, and ``client_id`` must not say otherwise. SECURITY: the way back is compared character by
    character with what that very Client has registered (§3); nobody is sent anywhere else, in whatever case.
    """
    given = params.get("id_token_hint")
    hint = tokens.read(given, allow_expired=True) if given else None
    named = {params.get("client_id"), str(hint["aud"]) if hint else None} - {None}
    application = clients.load(str(*named)) if len(named) == 1 else None
    if (given and hint is None) or (named and application is None):
        return LogoutRequest(params)
    wanted = params.get("post_logout_redirect_uri", "")
    if wanted and (application is None or wanted not in application.post_logout_redirect_uris.split()):
        return LogoutRequest(params)
    return LogoutRequest(params, application, hint, wanted, is_in_order=True)
