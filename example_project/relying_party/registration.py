"""What both sides have to know of the client: the example when it registers it, the other site when it asks."""

from typing import Final

CLIENT_URL: Final = "http://localhost:8001"
CLIENT_ID: Final = "paper-boat"
CLIENT_SECRET: Final = "of the demo: 100%41 known, it is in a public repository + you may read it"
NAME: Final = "Paper Boat"
SCOPES: Final = ("openid", "profile", "email", "phone", "offline_access")


def redirect_uri(client_url: str) -> str:
    return f"{client_url}/callback/"


def arguments(client_url: str) -> list[str]:
    """How it is registered: the arguments of ``manage.py create_oidc_client``."""
    return [
        *("--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET, "--name", NAME, "--type", "web"),
        *("--redirect-uri", redirect_uri(client_url)),
        *("--post-logout-redirect-uri", f"{client_url}/"),
    ]
