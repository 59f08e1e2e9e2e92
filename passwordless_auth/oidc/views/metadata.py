"""What clients read before anything else: the discovery documents and the key set."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.decorators import method_decorator

from .. import _dot, discovery, keys
from ..conf import settings
from ..cors import PublicMixin


@method_decorator(login_not_required, name="dispatch")
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class MetadataView(PublicMixin):
    """Public JSON, the same for everybody, that may be kept for a while. ``document`` makes it."""

    http_method_names = ("get", "head", "options")

    def document(self) -> dict[str, Any]:
        raise NotImplementedError

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        response = JsonResponse(self.document())
        response["ETag"] = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
        response["X-Content-Type-Options"] = "nosniff"
        patch_cache_control(response, public=True, max_age=_dot.key_set_max_age())
        return get_conditional_response(request, etag=response["ETag"], response=response)


class JwksView(MetadataView):
    """``/openid/jwks`` (RFC 7517 §5)."""

    def document(self) -> dict[str, Any]:
        return keys.jwks()


class DiscoveryView(MetadataView):
    """``/.well-known/openid-configuration`` and ``/.well-known/oauth-authorization-server``: one document. A client
    that was given an issuer with a path asks for it with that path at the end (RFC 8414 §3.1)."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        path = urlsplit(settings.OIDC_ISSUER).path.strip("/")
        if kwargs.get("path", path) != path:
            raise Http404
        return super().get(request)

    def document(self) -> dict[str, Any]:
        return discovery.document()
