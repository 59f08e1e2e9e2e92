"""Which pages of other origins may read our answers (Fetch standard, "CORS protocol").

Cookies never come along: what is public may be read by every page, and what an access token, a code or a secret opens
by those that a client has listed.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.views.generic.base import View

from . import _dot

#: Seconds that a browser remembers what it may ask; Chromium's most.
MAX_AGE: Final = 7200
#: What scripts may send beside what they always may. ``Auth0-Client``: Auth0's libraries send it everywhere.
HEADERS: Final = "Authorization, Content-Type, Auth0-Client"
#: As browsers write it. ``http`` is for this machine alone; "null" is the origin of what has none.
_ORIGIN: Final = re.compile(
    r"https://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?|http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.ASCII
)
_LONGEST: Final = 300


class CrossOriginMixin(View):
    """A view whose answers scripts of other origins may read, as ``may_be_read_by`` says; and the question that
    browsers ask before (preflight)."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: HttpResponseBase = HttpResponse(status=204)
            response["Access-Control-Allow-Methods"] = ", ".join(
                method.upper() for method in self.http_method_names if hasattr(self, method)
            )
            response["Access-Control-Allow-Headers"] = HEADERS
            response["Access-Control-Max-Age"] = str(MAX_AGE)
        else:
            response = super().dispatch(request, *args, **kwargs)
            response["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        self.tell(request, response)
        return response

    def tell(self, request: HttpRequest, response: HttpResponseBase) -> None:
        """Who may read it. Of any other origin's page the browser keeps it."""
        patch_vary_headers(response, ["Origin"])
        origin = request.headers.get("Origin", "")
        if origin and self.may_be_read_by(origin):
            response["Access-Control-Allow-Origin"] = origin

    def may_be_read_by(self, origin: str) -> bool:
        raise NotImplementedError


class PublicMixin(CrossOriginMixin):
    """For what everybody may know."""

    def tell(self, request: HttpRequest, response: HttpResponseBase) -> None:
        response["Access-Control-Allow-Origin"] = "*"


class ClientMixin(CrossOriginMixin):
    """For endpoints that the scripts of a Client call: the origins that it has listed, once it is known which one
    calls; before that, all that any Client has."""

    #: False: only servers call it.
    for_scripts: ClassVar[bool] = True

    def calling_client(self) -> Any | None:
        """The Application that this request is of; ``None`` while that is not known."""
        return None

    def may_be_read_by(self, origin: str) -> bool:
        if not self.for_scripts:
            return False
        application = self.calling_client()
        return is_listed(origin) if application is None else is_listed_by(application, origin)


def is_listed_by(application: Any, origin: str) -> bool:
    """Whether a Client has listed this origin. While one develops (``DEBUG``), those of this machine need no list."""
    return _may_be_listed(origin) and (_is_of_developer(origin) or origin in _origins(application.allowed_origins))


def is_listed(origin: str) -> bool:
    """Whether any Client has listed this origin; one SELECT."""
    if not _may_be_listed(origin):
        return False
    lists = _dot.get_application_model().objects.filter(allowed_origins__icontains=origin)
    return _is_of_developer(origin) or any(
        origin in _origins(text) for text in lists.values_list("allowed_origins", flat=True)
    )


def _may_be_listed(origin: str) -> bool:
    return len(origin) <= _LONGEST and _ORIGIN.fullmatch(origin) is not None


def _is_of_developer(origin: str) -> bool:
    return bool(django_settings.DEBUG) and origin.startswith("http://")


def _origins(text: str) -> set[str]:
    """What was written down, as browsers say it: old rows may have a slash at the end, or capitals."""
    found = set()
    for each in text.split():
        try:
            url = urlsplit(each)
        except ValueError:
            continue
        found.add(f"{url.scheme}://{url.netloc.lower()}")
    return found
