"""Virtual authenticators: what a person's device does, by the DevTools protocol's WebAuthn domain."""

import time

from playwright.sync_api import Page

#: A phone or laptop with a passkey manager that syncs, and a person who holds a finger to it when asked.
DEVICE = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
    "defaultBackupEligibility": True,
    "defaultBackupState": True,
}


class VirtualAuthenticator:
    """One authenticator of one window. It answers each request at once, the offer in a field as well, unless its person
    ``looks_away()``: then a request waits, and goes on waiting."""

    def __init__(self, page: Page, **options: object) -> None:
        self._devtools = page.context.new_cdp_session(page)
        self._send("enable")
        self.id = self._send("addVirtualAuthenticator", options={**DEVICE, **options})["authenticatorId"]

    def _send(self, command: str, **parameters: object) -> dict:
        return self._devtools.send(f"WebAuthn.{command}", parameters)

    def credentials(self) -> list[dict]:
        return self._send("getCredentials", authenticatorId=self.id)["credentials"]

    def forgets_all(self) -> None:
        """Wait until it holds no passkey any more: signals reach it a moment after the page has sent them."""
        end = time.monotonic() + 15
        while held := self.credentials():
            assert time.monotonic() < end, held
            time.sleep(0.05)

    def take_over(self, credential: dict) -> None:
        """Hold a passkey that another authenticator made."""
        self._send("addCredential", authenticatorId=self.id, credential=credential)

    def remove(self) -> None:
        self._send("removeVirtualAuthenticator", authenticatorId=self.id)

    def answers(self) -> None:
        self._send("setAutomaticPresenceSimulation", authenticatorId=self.id, enabled=True)

    def looks_away(self) -> None:
        """Leave requests alone from now on."""
        self._send("setAutomaticPresenceSimulation", authenticatorId=self.id, enabled=False)

    def recognises(self, person: bool = True) -> None:
        """Whether the fingerprint is the right one."""
        self._send("setUserVerified", authenticatorId=self.id, isUserVerified=person)
