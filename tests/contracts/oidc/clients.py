"""The clients that are registered with the provider, one for each plan and what differs within it."""

import socket

from .relying_party import Client

#: What has to be encoded before it is sent (RFC 6749 §2.3.1) is in ids and secrets.
_SECRET = "s3cret:%41+ä/?&=~ of the tests, long enough"


def _client(name: str, *, auth: str = "client_secret_basic", query: str = "") -> Client:
    return Client(
        client_id=f"{name}: 100% of +1&co",
        secret="" if auth == "none" else _SECRET,
        redirect_uri=f"https://{name}.example/callback{query}",
        post_logout_redirect_uri=f"https://{name}.example/signed-out",
        auth=auth,
    )


BASIC = _client("basic")
#: Another one, to try the first one's tokens with.
OTHER = _client("other", query="?dummy1=lorem&dummy2=ipsum")
POST = _client("post", auth="client_secret_post")
IMPLICIT = _client("implicit")
HYBRID = _client("hybrid")
HYBRID_POST = _client("hybrid-post", auth="client_secret_post")
#: Asks with PKCE, as all clients have to that are not told otherwise.
PKCE = _client("pkce")

with socket.socket() as _probe:
    _probe.bind(("127.0.0.1", 0))
    BACK_CHANNEL_PORT = _probe.getsockname()[1]
#: Is told when a session ends.
BACK_CHANNEL = _client("back-channel")

_HYBRID = ("code", "code id_token", "code token", "code id_token token")


def _arguments(
    client: Client, *more: str, response_types: tuple[str, ...] = ("code",), pkce: bool = False
) -> list[str]:
    """What ``create_oidc_client`` is told."""
    return [
        *("--type", "web", "--name", client.redirect_uri.split("/")[2].partition(".")[0]),
        *("--client-id", client.client_id, "--client-secret", client.secret),
        *("--redirect-uri", client.redirect_uri, "--post-logout-redirect-uri", client.post_logout_redirect_uri),
        *(argument for each in response_types for argument in ("--response-type", each)),
        *(() if pkce else ("--no-pkce",)),
        *more,
    ]


REGISTERED = [
    _arguments(BASIC),
    _arguments(OTHER),
    _arguments(POST),
    _arguments(IMPLICIT, response_types=("id_token", "id_token token")),
    _arguments(HYBRID, response_types=_HYBRID),
    _arguments(HYBRID_POST, response_types=_HYBRID),
    _arguments(PKCE, pkce=True),
    _arguments(BACK_CHANNEL, "--backchannel-logout-uri", f"https://localhost:{BACK_CHANNEL_PORT}/ended?by=us"),
]
