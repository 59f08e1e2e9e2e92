"""A small Django project whose people sign in by mozilla-django-oidc; its settings come as JSON on standard input.

Who has been there for a while is asked about anew (``SessionRefresh``): silently, by ``prompt=none``.
"""

import json
import sys
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from urllib.parse import urlencode
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


def end_session(request: Any) -> str:
    """``OIDC_OP_LOGOUT_URL_METHOD``."""
    told = settings.TOLD
    query = {"id_token_hint": request.session["oidc_id_token"], "post_logout_redirect_uri": f"{told['url']}/out/"}
    return f"{told['metadata']['end_session_endpoint']}?{urlencode(query)}"


def configure(told: dict[str, Any]) -> None:
    settings.configure(
        TOLD=told,
        SECRET_KEY="of the other site" + "x" * 40,
        ALLOWED_HOSTS=["localhost"],
        ROOT_URLCONF="tests.contracts.clients.mozilla_urls",
        USE_TZ=True,
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"log": {"class": "logging.StreamHandler"}},
            "root": {"handlers": ["log"]},
        },
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": told["database"]}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "mozilla_django_oidc",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "mozilla_django_oidc.middleware.SessionRefresh",
        ],
        AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
        SESSION_COOKIE_NAME="other_site_session",
        LOGIN_REDIRECT_URL="/",
        LOGOUT_REDIRECT_URL="/out/",
        OIDC_RP_CLIENT_ID=told["client_id"],
        OIDC_RP_CLIENT_SECRET=told["client_secret"],
        OIDC_TOKEN_USE_BASIC_AUTH=told["basic"],
        OIDC_OP_AUTHORIZATION_ENDPOINT=told["metadata"]["authorization_endpoint"],
        OIDC_OP_TOKEN_ENDPOINT=told["metadata"]["token_endpoint"],
        OIDC_OP_USER_ENDPOINT=told["metadata"]["userinfo_endpoint"],
        OIDC_OP_JWKS_ENDPOINT=told["metadata"]["jwks_uri"],
        OIDC_OP_LOGOUT_URL_METHOD="tests.contracts.clients.mozilla_site.end_session",
        OIDC_RP_SIGN_ALGO="RS256",
        OIDC_RP_SCOPES="openid email profile",
        OIDC_USE_PKCE=True,
        OIDC_STORE_ID_TOKEN=True,
        OIDC_EXEMPT_URLS=["expire"],
    )


def serve() -> None:
    told = json.loads(sys.stdin.readline())
    configure(told)
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    call_command("migrate", verbosity=0)
    server = make_server("127.0.0.1", told["port"], application, Server, Quiet)
    print(json.dumps({"listening": True}), flush=True)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    serve()
