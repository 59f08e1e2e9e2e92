"""passwordless_auth as it comes: limits in the database, outbox, audit log, binding to the browser. One setting differs
from the defaults: the message is sent within the request (``SENDER``), so that its cost can be measured apart; on a
real site the sender's thread or the task queue does that work."""

from __future__ import annotations

from typing import Any

from ..browser import ORIGIN, Browser
from ..mailbox import found
from ..meter import meter
from .base import Contestant, Flow


class Ours(Contestant):
    name = "passwordless_auth"
    distribution = "passwordless-auth"
    flows = (Flow("message", "code", "code"), Flow("message", "link", "link"), Flow("passkey", "passkey", "passkey"))
    apps = ("django_otp", "passwordless_auth")
    middleware = ("django_otp.middleware.OTPMiddleware", "passwordless_auth.middleware.SignInMiddleware")
    settings = {
        "AUTHENTICATION_BACKENDS": ["passwordless_auth.backends.SignInBackend"],
        "PASSWORDLESS_AUTH_BASE_URL": ORIGIN,
        "PASSWORDLESS_AUTH_SECRET_KEYS": [("k1", "a-key-of-the-benchmark-" + "k" * 32)],
        "PASSWORDLESS_AUTH_SENDER": "inline",
    }

    @classmethod
    def version(cls) -> str:
        import passwordless_auth

        return f"{cls.distribution} {passwordless_auth.__version__}"  # of the checkout, where it is not installed

    def urls(self) -> list[Any]:
        from django.urls import include, path

        return [path("", include("passwordless_auth.urls"))]

    def prepare(self, people: int) -> None:
        from django.contrib.auth.models import User
        from django.utils import timezone

        from passwordless_auth import outbox
        from passwordless_auth.models import Identity, Passkey, Profile

        super().prepare(people)
        now = timezone.now()
        users = list(User.objects.order_by("pk"))
        profiles = Profile.objects.bulk_create([Profile(user=user) for user in users])
        Identity.objects.bulk_create(
            [
                Identity(
                    user=user, kind="email", canonical=user.email, is_primary=True, origin="sign_up", proven_at=now
                )
                for user in users
            ]
        )
        passkeys = []
        for person, profile in enumerate(profiles):
            credential = self.passkey_of(person, user_handle=profile.handle.encode())
            passkeys.append(
                Passkey(
                    user=profile.user,
                    name="Phone",
                    credential_id=credential.id,
                    credential_digest=Passkey.digest_of(credential.id),
                    public_key=credential.cose_key,
                    algorithm=credential.algorithm,
                    transports=["internal"],
                    backup_eligible=True,
                    backed_up=True,
                )
            )
        Passkey.objects.bulk_create(passkeys)
        outbox.deliver = meter.is_mail(outbox.deliver)

    def code(self, browser: Browser, person: int) -> None:
        address = self.address(person)
        waiting = browser.submit("/login/", {"identifier": address}, expect=303).headers["Location"]
        browser.submit(waiting, {"code": found(r"\b(\d{6}|\d{3} \d{3})\b", to=address)}, expect=303)

    def link(self, browser: Browser, person: int) -> None:
        """With the page that says where the link leads: GET, GET, POST."""
        address = self.address(person)
        waiting = browser.submit("/login/", {"identifier": address}, expect=303).headers["Location"]
        challenge = waiting.partition("challenge=")[2]
        page = browser.get(found(rf"{ORIGIN}(/login/link/\S+)", to=address), expect=303).headers["Location"]
        browser.get(page, expect=200)
        browser.submit(page, {"challenge": challenge, "action": "sign_in"}, expect=303)

    def passkey(self, browser: Browser, person: int) -> None:
        options = browser.send("/login/passkey/options/", {}).json()
        browser.send("/login/passkey/verify/", self.assertion(person, options))
