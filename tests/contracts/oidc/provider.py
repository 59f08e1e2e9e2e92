"""The provider as others see it: an address, and what is behind it in a process of its own."""

import http.client
import json
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tests.browser.https import Certificate
from tests.browser.site import ROOT, Site


class Response:
    def __init__(self, url: str, response: http.client.HTTPResponse) -> None:
        self.url = url
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        # Whatever is sent: a provider answers, and never with an error of its own.
        assert self.status < 500, f"{url}\n{self.status}\n{self.text}"

    def json(self) -> dict:
        assert self.headers.get_content_type() == "application/json", self.headers
        return json.loads(self.text)


class Provider(Site):
    """``clients``: for each one the arguments of ``create_oidc_client``."""

    def __init__(self, folder: Path, clients: Sequence[Sequence[str]], **environment: str) -> None:
        super().__init__(folder)
        self.url = self.inside = f"https://localhost:{self.port}"
        self.issuer = f"{self.url}/"
        self.clients = clients
        self.certificate = Certificate(folder, ["localhost"])
        self.environment |= {
            "DJANGO_SETTINGS_MODULE": "tests.contracts.oidc.settings",
            "PASSWORDLESS_AUTH_SENDER": "inline",
            "PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS": "",
            "PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER": "",
            "SITE_URL": self.url,
            # Clients of the tests are on this machine, and known by the same certificate.
            "PASSWORDLESS_AUTH_OUTBOUND_NETWORKS": "127.0.0.0/8",
            "SSL_CERT_FILE": str(self.certificate.file),
            **environment,
        }
        self._ahead = 0.0
        trust = ssl.create_default_context(cafile=str(self.certificate.file))
        self._connection = http.client.HTTPSConnection("localhost", self.port, timeout=60, context=trust)

    def command(self) -> list[str]:
        # The checkout goes to the end: where the package is installed, that is what is run.
        code = (
            f"import sys; sys.path.append({str(ROOT)!r}); from tests.contracts.oidc.host import serve;"
            f" serve({self.port}, {str(self.certificate.file)!r}, {json.dumps(self.clients)!r})"
        )
        return [sys.executable, "-c", code]

    def __exit__(self, *exception: object) -> None:
        self._connection.close()
        super().__exit__(*exception)

    def request(
        self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """One request, over a connection that stays open. The answer is given as it is: nothing is followed."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == self.url, f"not the provider's: {url}"
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection = self._connection
        try:
            try:
                connection.request(method, target, body, headers or {})
                answer = connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                connection.close()  # the server had closed it in the meantime
                connection.request(method, target, body, headers or {})
                answer = connection.getresponse()
            return Response(url, answer)
        except OSError:
            connection.close()
            raise

    def read(self, path: str) -> bytes:
        return self.request("GET", f"{self.url}{path}").text.encode()

    # -- time

    def now(self) -> float:
        """What its clock says."""
        return time.time() + self._ahead

    def wait(self, seconds: float) -> None:
        """Put its clock forward."""
        self.request("POST", f"{self.url}/.clock", str(seconds).encode())
        self._ahead += seconds

    # -- what it says of itself

    def metadata(self) -> dict:
        return self.request("GET", f"{self.url}/.well-known/openid-configuration").json()

    def keys(self, uri: str) -> list[dict]:
        """The key set, with what every module asks of it."""
        keys = self.request("GET", uri).json()["keys"]
        assert keys
        kids = [key["kid"] for key in keys]
        assert len(set(kids)) == len(kids)
        for key in keys:
            assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()
            assert key.get("use", "sig") == "sig"
        return keys

    def inbox(self, address: str) -> list[dict[str, str]]:
        return json.loads(self.read(f"/inbox/messages.json?{urlencode({'to': address})}"))["messages"]
