"""Text messages of the last day, by country and block of numbers: who pumps, what it costs, what is paused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import settings
from ..flows import operator, pumping
from ..requester import Requester

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]  # generic for the type checker only
else:
    ModelAdmin = admin.ModelAdmin

HOURS: Final = 24


@dataclass(frozen=True)
class Line:
    """A country, or a block of numbers in one. ``cost`` is what its messages are reckoned at."""

    what: str
    name: str
    use: pumping.Use
    cost: Decimal
    minutes_paused: int

    @property
    def percent_used(self) -> int:
        return round(100 * (1 - self.use.unused))


class TextMessages(ModelAdmin):
    """For the admin of deliveries: a page beside the list, and the link to it."""

    change_list_template = "admin/passwordless_auth/deliveries.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.text_messages)
        name = "passwordless_auth_delivery_text_messages"
        return [path("text-messages/", view, name=name), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"text_messages": bool(settings.SMS_COUNTRIES), **(extra_context or {})}
        return super().changelist_view(request, context)

    def text_messages(self, request: HttpRequest) -> HttpResponseBase:
        """GET shows them. POST ends a pause: ``what`` (``country`` or ``prefix``) and ``name``."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_resume = request.user.has_perm("passwordless_auth.change_delivery")
        if request.method == "POST":
            if not may_resume:
                raise PermissionDenied
            return self._resume(request)
        request.current_app = self.admin_site.name
        now = timezone.now()
        # Codes that may still be typed are among them: what is sent now is seen now.
        lines = _lines(pumping.use_by_country(since=now - timedelta(hours=HOURS), until=now + timedelta(hours=1)))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Text messages of the last day"),
            "opts": self.model._meta,
            "lines": lines,
            "hours": pumping.use_by_hour(until=now, hours=HOURS),
            "ceiling": settings.SMS_CEILING_PER_DAY,
            "total": sum((line.cost for line in lines if line.what == "country"), Decimal(0)),
            "may_resume": may_resume,
        }
        return TemplateResponse(request, "admin/passwordless_auth/text_messages.html", context)

    def _resume(self, request: HttpRequest) -> HttpResponseBase:
        what, name = request.POST.get("what", ""), request.POST.get("name", "")
        if what in {"country", "prefix"} and name.isprintable() and 0 < len(name) <= pumping.LONGEST_NAME:
            by = operator.named(request.user)
            pumping.resume(what, name, operator=by, requester=Requester.from_request(request))
            messages.success(request, _("Text messages to %(name)s are sent again.") % {"name": name})
        return HttpResponseRedirect(request.path)


def _lines(use: dict[str, pumping.Use]) -> list[Line]:
    """Countries, dearest first, each with its blocks, busiest first."""
    names = [("country", country) for country in use]
    names += [("prefix", prefix) for each in use.values() for prefix in each.prefixes]
    paused = pumping.paused_until(names, now=timezone.now())

    def line(what: str, name: str, country: str, each: pumping.Use) -> Line:
        seconds = paused.get((what, name), 0)
        return Line(what, name, each, each.sent * pumping.price_of(country), -(-seconds // 60))

    lines = []
    for country, each in sorted(use.items(), key=lambda item: -item[1].sent * pumping.price_of(item[0])):
        lines.append(line("country", country, country, each))
        blocks = sorted(each.prefixes.items(), key=lambda item: -item[1].sent)
        lines += [line("prefix", prefix, country, block) for prefix, block in blocks[: pumping.BLOCKS_SHOWN]]
    return lines
