"""The plan Back-Channel Logout: each module is a test of its name."""

import http.server
import queue
import ssl
import threading
from urllib.parse import parse_qsl

import pytest

from . import clients
from .agent import Landing
from .relying_party import RelyingParty

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
def calls(provider):
    """What comes to the address that the client has registered: path, headers, fields."""
    came = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            came.put((self.path, self.headers, dict(parse_qsl(body, strict_parsing=True))))
            self.send_response(200)
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(provider.certificate.file)
    with http.server.ThreadingHTTPServer(("127.0.0.1", clients.BACK_CHANNEL_PORT), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield came
        server.shutdown()
        thread.join()


@pytest.fixture
def rp(provider):
    return RelyingParty(provider, clients.BACK_CHANNEL)


def test_oidcc_backchannel_logout_discovery_endpoint_verification(provider):
    metadata = provider.metadata()

    assert metadata["backchannel_logout_supported"] is True
    assert metadata["backchannel_logout_session_supported"] is True
    assert metadata["end_session_endpoint"].startswith(provider.url)


def test_oidcc_backchannel_rp_initiated_logout(rp, agent, calls):
    session = rp.signs_in(agent)

    gone = rp.leave(
        agent,
        id_token_hint=session.id_token,
        post_logout_redirect_uri=rp.client.post_logout_redirect_uri,
        state="s",
    )
    path, headers, fields = calls.get(timeout=20)

    assert path == "/ended?by=us"
    assert headers.get_content_type() == "application/x-www-form-urlencoded"
    assert fields.keys() == {"logout_token"}
    header, claims = rp.opened(fields["logout_token"])
    now = rp.provider.now()
    assert header["typ"] in {"logout+jwt", "JWT"}
    assert claims["iss"] == rp.provider.issuer
    assert claims["aud"] in (rp.client.client_id, [rp.client.client_id])
    assert now - 60 < claims["iat"] <= now + 1
    assert now < claims["exp"] <= now + 600
    assert claims["jti"]
    assert claims["events"] == {EVENT: {}}
    assert claims["sid"] == session.claims["sid"]
    assert claims["sub"] == session.claims["sub"]
    assert "nonce" not in claims

    assert gone.outcome == Landing(rp.client.post_logout_redirect_uri, "query", {"state": "s"})
    rp.refused(rp.begin(agent, prompt="none"), "login_required")


def test_who_signs_out_at_the_provider_itself_is_told_of_too(rp, agent, calls):
    session = rp.signs_in(agent)

    page = agent.open(f"{rp.provider.url}/logout/")
    agent.presses(page, "allow")

    _path, _headers, fields = calls.get(timeout=20)
    assert rp.opened(fields["logout_token"])[1]["sid"] == session.claims["sid"]
