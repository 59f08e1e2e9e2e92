"""What rows of this app keep encrypted (see the core's ``sealing``)."""

from __future__ import annotations

from django.utils import timezone

from ..sealing import Sealed, register
from .models import ClientSettings, PairwiseSalt, SigningKey


def register_all() -> None:
    register(
        Sealed(
            "signing_keys",
            lambda: SigningKey.objects.published(timezone.now()),
            "private_sealed",
            "signing_key",
            lambda row: str(row.kid),
        )
    )
    register(
        Sealed(
            "client_secrets",
            ClientSettings.objects.all,
            "secret_sealed",
            "client_secret",
            lambda row: str(row.secret_of),
        )
    )
    register(Sealed("pairwise_salt", PairwiseSalt.objects.all, "sealed", "pairwise", lambda _row: "salt"))
