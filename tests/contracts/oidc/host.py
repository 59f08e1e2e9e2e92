"""The process that the modules are run against: the example over HTTPS, with a clock that can be put forward.

``POST /.clock`` puts it forward by the number of seconds in the body. It is a layer around the application: the provider
knows nothing of it.
"""

import json
import os
import socketserver
import ssl
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import time_machine


def claims(user: Any, scopes: Sequence[str]) -> dict[str, Any]:
    """What the example's user model does not hold and the modules look for (``PASSWORDLESS_AUTH_OIDC_CLAIMS``)."""
    found: dict[str, Any] = {}
    if "address" in scopes:
        found["address"] = {
            "formatted": "12 St James's Square\nLondon SW1Y 4JH\nUnited Kingdom",
            "street_address": "12 St James's Square",
            "locality": "London",
            "postal_code": "SW1Y 4JH",
            "country": "GB",
        }
    if "profile" in scopes:
        found |= {
            "website": "https://example.com/~ada",
            "birthdate": "1815-12-10",
            "zoneinfo": "Europe/London",
            "updated_at": int(user.date_joined.timestamp()),
        }
    return found


class Clock:
    """A WSGI application around another one."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application
        self.traveller = time_machine.travel(datetime.now(UTC), tick=True).start()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/.clock":
            return self.application(environ, start_response)
        self.traveller.shift(float(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []


def seed(clients: Sequence[Sequence[str]]) -> None:
    """The example's people, of whom Ada has a phone number, too; and the clients, made as an operator makes them."""
    from django.core.management import call_command
    from django.utils import timezone

    from passwordless_auth.models import Identity

    call_command("migrate", verbosity=0)
    call_command("seed_demo", verbosity=0)
    ada = Identity.objects.get(kind="email", canonical="ada@example.com").user
    Identity.objects.create(user=ada, kind="phone", canonical="+4915123000001", proven_at=timezone.now())
    for arguments in clients:
        call_command("create_oidc_client", *arguments, stdout=StringIO())


def serve(port: int, certificate: str, clients: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.contracts.oidc.settings")
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Handler(WSGIRequestHandler):
        def get_environ(self) -> dict[str, Any]:
            return {**super().get_environ(), "HTTPS": "on"}

        def log_message(self, *_args: object) -> None:
            pass

    class Server(ThreadedWSGIServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Nobody listens any more: nothing to tell."""

    application = get_wsgi_application()
    seed(json.loads(clients))
    server = Server(("127.0.0.1", port), Handler, ipv6=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # Not the listening socket alone: a handshake then would hold up whoever comes next.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.set_app(Clock(application))
    socketserver.BaseServer.serve_forever(server)
