"""The floor: written by hand, in raw SQL, for this site alone. It does what can't be left out and nothing else.

A code: of one use, for one browser, for five minutes, for three tries. A passkey: its challenge of one use, the
signature verified by py_webauthn, the counter kept. Then one session, in Django's own table and form. An OpenID
provider for one client. No limits, no audit, no outbox, no sign-up, no sessions to list: whatever stands above it is
what those cost.
"""

from __future__ import annotations

from typing import Any

from ..browser import Browser
from ..mailbox import found
from . import oidc
from .base import Contestant, Flow, encoded


class Floor(Contestant):
    name = "floor"
    needs = ("webauthn",)
    flows = (
        Flow("message", "code", "code"),
        Flow("passkey", "passkey", "passkey"),
        Flow("oidc", "oidc", "public client"),
    )

    def urls(self) -> list[Any]:
        from . import floor_oidc, floor_views

        return [*floor_views.urlpatterns, *floor_oidc.urlpatterns]

    def prepare(self, people: int) -> None:
        from django.contrib.auth.models import User

        from . import floor_oidc, floor_views

        super().prepare(people)
        credentials = {
            pk: self.passkey_of(person, user_handle=str(pk).encode())
            for person, pk in enumerate(User.objects.order_by("pk").values_list("pk", flat=True))
        }
        floor_oidc.prepare()
        floor_views.prepare([(encoded(made.id), pk, made.cose_key) for pk, made in credentials.items()])

    def code(self, browser: Browser, person: int) -> None:
        address = self.address(person)
        browser.submit("/ask/", {"identifier": address}, expect=302)
        browser.submit("/redeem/", {"code": found(r"\b(\d{6})\b", to=address)}, expect=302)

    def passkey(self, browser: Browser, person: int) -> None:
        options = browser.send("/passkey/options/", {}).json()
        browser.send("/passkey/verify/", self.assertion(person, options))

    def oidc(self, browser: Browser, person: int) -> None:
        oidc.begin_session(browser, self.address(person))
        oidc.walk(browser, oidc.Endpoints("/oidc/authorize", "/oidc/token", "/oidc/userinfo"))
