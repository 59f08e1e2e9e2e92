"""Endpoints for the scripts of our pages."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _

from ..conf import settings
from ..exceptions import InvalidBody, PasswordlessError, StalePage, TooManyRequests
from .base import STATUS, CsrfCheck, PageView


class JsonView(PageView):
    """An endpoint for scripts: JSON in, JSON out, errors as ``{"error": code, "detail": text}``.

    SECURITY: no token, but a body that no form of another site can send (``application/json``), and an Origin that is
    ours (rule 21). Without an Origin, which browsers send with every POST, Django's rules apply: a Referer on HTTPS.
    """

    http_method_names = ("post", "options")

    def unreadable(self, request: HttpRequest) -> HttpResponseBase | None:
        if request.method == "POST" and request.content_type != "application/json":
            detail = _("The body of the request has to be JSON.")
            return JsonResponse({"error": "unsupported_media_type", "detail": detail}, status=415)
        return super().unreadable(request)

    def require_own_page(self, csrf: CsrfCheck) -> None:
        if self.request.method != "POST":
            return
        origin = self.request.META.get("HTTP_ORIGIN")
        if origin is None and self.request.is_secure():
            referer = urlsplit(self.request.META.get("HTTP_REFERER", ""))
            origin = f"{referer.scheme}://{referer.netloc}"
        if origin is not None and origin not in self.allowed_origins():
            raise StalePage

    def allowed_origins(self) -> list[str]:
        host = f"{self.request.scheme}://{self.request.get_host()}"
        return [host, settings.BASE_URL, *settings.PASSKEY_ORIGINS]

    def body(self) -> Any:
        """The JSON of the request; ``{}`` for an empty body. Raises InvalidBody."""
        if not self.request.body.strip():
            return {}
        try:
            return json.loads(self.request.body.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise InvalidBody from error

    def refuse(self, refusal: PasswordlessError) -> HttpResponseBase:
        response = JsonResponse(
            {"error": refusal.code, "detail": str(refusal.detail), **self.more(refusal)},
            status=STATUS.get(refusal.code, 400),
        )
        if isinstance(refusal, TooManyRequests):
            response["Retry-After"] = str(refusal.retry_after)
        return response

    def more(self, refusal: PasswordlessError) -> dict[str, Any]:
        """More members for a refusal."""
        return {}


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are no JSON
