"""Passkeys of django-passkeys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings as host

from ...conf import settings
from ...methods import passkey as webauthn
from .base import Shelf, Source, Unavailable, Unfit, table_of
from .passkeys import Credential, PasskeyShelf, read_credential_data


class DjangoPasskeys(Source):
    name = "django-passkeys"

    def shelves(self) -> list[Shelf]:
        passkeys = table_of("passkeys.UserPasskey")
        if passkeys is None:
            raise Unavailable("Put passkeys (django-passkeys) in INSTALLED_APPS: its passkeys are read through it.")
        theirs = getattr(host, "FIDO_SERVER_ID", "")
        if isinstance(theirs, str) and theirs and theirs != settings.PASSKEY_RP_ID:
            raise Unavailable(
                f'FIDO_SERVER_ID is "{theirs}", PASSWORDLESS_AUTH_PASSKEY_RP_ID is "{settings.PASSKEY_RP_ID}": a '
                "passkey works for the one that it was made for. Make them equal."
            )
        return [_Passkeys(passkeys._default_manager.all())]


class _Passkeys(PasskeyShelf):
    def credential_of(self, row: Any) -> Credential:
        try:
            data = webauthn.decode(row.token.rstrip("="))
        except ValueError as error:
            raise Unfit("its credential can't be read") from error
        # Neither counter nor backup flags are kept: both are learned when it is first used.
        return replace(
            read_credential_data(data),
            is_security_key=row.platform == "Key",
            name=row.name,
            created_at=row.added_on,
            last_used_at=row.last_used,
            enabled=row.enabled,
        )
