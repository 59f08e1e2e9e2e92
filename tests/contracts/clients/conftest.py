import os
import ssl
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from shutil import which

import pytest

from tests.contracts.oidc.agent import Agent
from tests.contracts.oidc.provider import Provider
from tests.contracts.oidc.relying_party import Client

from .programs import HERE, free_port, node, python

MODULES = HERE / "node_modules"
#: Sites of clients, by the name of the client: under http, as while one develops.
PORTS = {name: free_port() for name in ("express", "mozilla", "authlib", "spa")}
#: RFC 6749 §2.3.1: what has to be form-encoded, or be understood without, is in all of them.
SECRET = "s3cret:%41+ä/?&=~ 100% of the tests, long enough"


def client(name, *, redirect_uri="", post_logout="", **more):
    host = name.replace(":", "-")
    return Client(
        client_id=f"{name} +1 100%41 & co/ä",
        redirect_uri=redirect_uri or f"https://{host}.example/callback",
        post_logout_redirect_uri=post_logout or f"https://{host}.example/signed-out",
        **{"secret": SECRET, **more},
    )


def at(name):
    return f"http{'s' if name == 'spa' else ''}://localhost:{PORTS[name]}"


CLIENTS = {
    "openid-client": client("openid:client"),
    "oauth4webapi": client("oauth4webapi"),
    "express": client("express", redirect_uri=f"{at('express')}/callback", post_logout=at("express")),
    "mozilla": client("mozilla", redirect_uri=f"{at('mozilla')}/oidc/callback/", post_logout=f"{at('mozilla')}/out/"),
    "spa": client("spa", redirect_uri=f"{at('spa')}/", post_logout=f"{at('spa')}/", secret="", auth="none"),
}
MORE = {
    "oauth4webapi": ["--response-type", "code", "--response-type", "code id_token"],
    "spa": ["--web-origin", at("spa")],
}


def arguments(name, client):
    """Of ``create_oidc_client``."""
    return [
        *("--type", "web" if client.secret else "spa", "--name", name, "--client-id", client.client_id),
        *(("--client-secret", client.secret) if client.secret else ()),
        *("--redirect-uri", client.redirect_uri, "--post-logout-redirect-uri", client.post_logout_redirect_uri),
        *MORE.get(name, ()),
    ]


def missing(what):
    if os.environ.get("PASSWORDLESS_AUTH_REQUIRE_SERVICES"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def provider(tmp_path_factory):
    if not which("node"):
        missing("There is no Node.")
    if not MODULES.exists():
        missing("npm ci --prefix tests/contracts/clients has not been run.")
    registered = [arguments(name, client) for name, client in CLIENTS.items()]
    # The demo registers its client itself.
    with Provider(tmp_path_factory.mktemp("provider"), registered, CLIENT_URL=at("authlib")) as running:
        yield running


@pytest.fixture
def agent(provider):
    return Agent(provider, sites=[at("express"), at("mozilla"), at("authlib")])


@pytest.fixture
def run(provider, tmp_path):
    """Start a client: a script for Node, or a module."""
    running = []

    def run(program, *arguments, **environment):
        start = node if program.endswith(".mjs") else python
        options = {"certificate": provider.certificate.file, "log": tmp_path / "log", **environment}
        running.append(start(program, *arguments, **options))
        return running[-1]

    yield run
    for program in running:
        program.__exit__()


@pytest.fixture
def spa(provider):
    """The page of oidc-client-ts, over HTTPS as the provider: so both are one site to a browser, as app.example.com and
    login.example.com are."""
    files = {
        "/": HERE / "oidc-client-ts.html",
        "/oidc-client-ts.page.js": HERE / "oidc-client-ts.page.js",
        "/oidc-client-ts.min.js": MODULES / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.min.js",
    }

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path):
            return str(files.get(path.partition("?")[0], HERE / "nothing"))

        def log_message(self, *_args):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(provider.certificate.file)
    with ThreadingHTTPServer(("127.0.0.1", PORTS["spa"]), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield at("spa")
        server.shutdown()
        thread.join()
