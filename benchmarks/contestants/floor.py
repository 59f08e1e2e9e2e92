"""The floor: written by hand, in raw SQL, for this site alone. It does what can't be left out and nothing else.

A code: of one use, for one browser, for five minutes, for three tries. A passkey: its challenge of one use, the
signature verified by py_webauthn, the counter kept. Then one session, in Django's own table and form. No limits, no
audit, no outbox, no sign-up, no sessions to list: whatever stands above it is what those cost.
"""

from __future__ import annotations

from typing import Any

from ..browser import Browser
from ..mailbox import found
from .base import Contestant, Flow, encoded


class Floor(Contestant):
    name = "floor"
    needs = ("webauthn",)
    flows = (Flow("message", "code", "code"), Flow("passkey", "passkey", "passkey"))

    def urls(self) -> list[Any]:
        from .floor_views import urlpatterns

        return urlpatterns

    def prepare(self, people: int) -> None:
        from django.contrib.auth.models import User

        from .floor_views import prepare

        super().prepare(people)
        credentials = {
            pk: self.passkey_of(person, user_handle=str(pk).encode())
            for person, pk in enumerate(User.objects.order_by("pk").values_list("pk", flat=True))
        }
        prepare([(encoded(made.id), pk, made.cose_key) for pk, made in credentials.items()])

    def code(self, browser: Browser, person: int) -> None:
        address = self.address(person)
        browser.submit("/ask/", {"identifier": address}, expect=302)
        browser.submit("/redeem/", {"code": found(r"\b(\d{6})\b", to=address)}, expect=302)

    def passkey(self, browser: Browser, person: int) -> None:
        options = browser.send("/passkey/options/", {}).json()
        browser.send("/passkey/verify/", self.assertion(person, options))
