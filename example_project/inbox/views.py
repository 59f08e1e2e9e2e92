import re

from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from example_project.csp import content_security_policy

from .models import Message

PAGE_SIZE = 25

#: SECURITY: whoever can send mail writes this HTML. It runs no script, loads nothing, sends no form, has no origin
#: (so no cookies of ours), and only our own pages may frame it. Links may open a window, as in a mail program.
MAIL = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
)
HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


@require_safe
@never_cache
@content_security_policy()
def inbox(request):
    """All messages, the newest first; where there is room, the newest is open beside them."""
    page = _page(request)
    opened = page.object_list[0] if page.object_list else None
    return _show(request, page, opened, "list")


@require_safe
@never_cache
@content_security_policy()
def message(request, pk):
    return _show(request, _page(request), get_object_or_404(Message, pk=pk), "message")


@require_safe
@never_cache
@xframe_options_exempt  # its policy says who may frame it
@content_security_policy(MAIL)
def message_html(request, pk):
    """The HTML part, as a mail program would show it."""
    html = get_object_or_404(Message.objects.exclude(html=""), pk=pk).html
    # Links open a window of their own: the page that they lead to refuses to be shown in a frame.
    window = '<base target="_blank">'
    html = HEAD.sub(lambda head: head[0] + window, html, count=1) if HEAD.search(html) else window + html
    response = HttpResponse(html)
    response["Referrer-Policy"] = "no-referrer"
    return response


@require_safe
@never_cache
def messages_json(request):
    """``{"messages": […]}``, newest first; with ``?to=`` those of one address."""
    messages = Message.objects.all()
    if "to" in request.GET:
        messages = messages.to(request.GET["to"])
    return JsonResponse({"messages": [message.as_json() for message in messages]})


def _page(request):
    messages = Message.objects.defer("html")
    if request.GET.get("to"):
        messages = messages.to(request.GET["to"])
    return Paginator(messages, PAGE_SIZE).get_page(request.GET.get("page"))


def _show(request, page, opened, shown):
    return render(
        request,
        "inbox/inbox.html",
        {"page": page, "opened": opened, "shown": shown, "to": request.GET.get("to", "")},
    )
