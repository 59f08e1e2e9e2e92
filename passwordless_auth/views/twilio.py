"""Where Twilio tells what becomes of messages."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from .. import channels
from ..channels.twilio import CALLBACK_KEY, TwilioBase
from ..conf import settings
from ..flows import twilio
from .base import CsrfCheck, PageView

logger = logging.getLogger("passwordless_auth")

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


class TwilioTrackingView(PageView):
    """POST: a status callback of the channel ``alias``, by form, or the events of Twilio's Event Streams, by JSON.

    204 for whatever is signed, known here or not. Otherwise 403; 400 for what can't be read, 404 for an alias that is
    no channel of Twilio's, 413 and 415 for another size or kind of body.
    """

    http_method_names = ("post", "options")

    def unreadable(self, request: HttpRequest) -> HttpResponseBase | None:
        if request.method == "POST" and request.content_type not in {FORM, JSON}:
            return HttpResponse(status=415)
        return super().unreadable(request)

    def require_own_page(self, csrf: CsrfCheck) -> None:
        """No page of ours sends this. SECURITY: the signature is what is asked for, and no cookie counts."""

    def post(self, request: HttpRequest, alias: str) -> HttpResponseBase:
        channel = _channel(alias)
        if channel is None:
            return HttpResponse(status=404)
        if not channel.auth_token:
            logger.warning("Twilio calls for the channel %s, which has no auth_token to check that it does", alias)
            return HttpResponse(status=403)
        try:
            body = request.body.decode() if request.content_type == JSON else None
        except UnicodeDecodeError:
            return HttpResponse(status=400)
        if not self._is_signed(channel, body):
            return HttpResponse(status=403)
        if body is None:
            twilio.on_callback(alias, request.POST.dict(), key=request.GET.get(CALLBACK_KEY, ""))
            return HttpResponse(status=204)
        try:
            events = json.loads(body)
        except (ValueError, RecursionError):
            return HttpResponse(status=400)
        twilio.on_events(alias, events)
        return HttpResponse(status=204)

    def _is_signed(self, channel: TwilioBase, body: str | None) -> bool:
        """Twilio signs the address that it was given with every field of the form, or with the digest of the JSON,
        which the address then has. SECURITY: the address is that of ``BASE_URL``, whatever the request's Host says."""
        from twilio.request_validator import RequestValidator

        request = self.request
        if body is not None and not request.GET.get("bodySHA256"):
            return False  # SECURITY: without the digest the signature is of the address alone
        address = settings.BASE_URL + request.get_full_path()
        fields: Any = request.POST if body is None else body
        signature = request.headers.get("X-Twilio-Signature", "")
        return bool(RequestValidator(channel.auth_token).validate(address, fields, signature))


def _channel(alias: str) -> TwilioBase | None:
    try:
        channel = channels.channel(alias)
    except (ImproperlyConfigured, TypeError, ValueError):
        return None
    return channel if isinstance(channel, TwilioBase) else None
