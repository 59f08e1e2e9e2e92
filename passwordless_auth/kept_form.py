"""A form that was sent too early waits in the session of its sender until they have confirmed who they are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.utils.http import escape_leading_slashes

from . import derivation

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest

#: Where it is in the session.
KEY: Final = "_passwordless_auth_form"
#: Seconds that it is kept, and bytes that it may have.
LIFETIME: Final = 600
SIZE: Final = 64 * 1024


@dataclass(frozen=True)
class KeptForm:
    """A form that was sent and refused. ``path``: where to, on this site. ``lost``: "" or why its ``fields`` could not
    be kept: ``"size"``, ``"files"`` or ``"type"``."""

    path: str
    fields: list[tuple[str, str]]
    multipart: bool
    lost: str


def keep(request: HttpRequest) -> str:
    """Keep what this POST says until its sender has confirmed who they are. Returns the name that ``take`` wants.

    It waits on the server, in the session, for ``LIFETIME``, for this person and this path. Only the newest one:
    a session is read at every request.
    """
    lost = _why_lost(request)
    name = derivation.new_public_id()
    request.session[KEY] = {
        "name": name,
        "user": str(request.user.pk),
        # SECURITY: "//other.example/" is a path here, and another host where it is the action of a form.
        "path": escape_leading_slashes(request.get_full_path()),
        "fields": [] if lost else _fields_of(request),
        "multipart": request.content_type == "multipart/form-data",
        "lost": lost,
        "until": int(time.time()) + LIFETIME,
    }
    return name


def _why_lost(request: HttpRequest) -> str:
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > SIZE:
        return "size"
    if request.content_type not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return "type"
    if request.FILES:
        return "files"
    size = sum(len(name.encode()) + len(value.encode()) for name, value in _fields_of(request))
    return "size" if size > SIZE else ""


def _fields_of(request: HttpRequest) -> list[tuple[str, str]]:
    """Name and value of all fields, but for the token of the form: it gets a new one."""
    return [(name, value) for name, values in request.POST.lists() if name != "csrfmiddlewaretoken" for value in values]


def take(request: HttpRequest, name: str) -> KeptForm | None:
    """The kept form of this name, once; ``None`` when there is none, its time is over, or it is another person's."""
    kept = request.session.get(KEY)
    if not kept or kept["name"] != name:
        return None
    del request.session[KEY]
    if kept["user"] != str(request.user.pk) or kept["until"] <= time.time():
        return None
    fields = [(field, value) for field, value in kept["fields"]]
    return KeptForm(path=kept["path"], fields=fields, multipart=kept["multipart"], lost=kept["lost"])


def drop_expired(session: SessionBase, *, now: datetime) -> None:
    """Forget a form whose sender did not come back for it."""
    if KEY in session and session[KEY]["until"] <= now.timestamp():
        del session[KEY]
