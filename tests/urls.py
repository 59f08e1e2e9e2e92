from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.generic.base import View
from oauth2_provider.views import ScopedProtectedResourceView

from passwordless_auth.decorators import level_required, recent_sign_in_required


def hello(request):
    return HttpResponse(f"hello {request.user}")


@recent_sign_in_required
def order(request):
    """What came with the form, for tests of what is kept on the way."""
    sent = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
    return JsonResponse({"method": request.method, "at": request.get_full_path(), "sent": sent})


@csrf_exempt
@recent_sign_in_required
@csrf_protect
def checked_inside(request):
    """A view that looks at tokens itself, behind our guard."""
    return order(request)


@csrf_exempt
@recent_sign_in_required
def hook(request):
    """A view that asks for no token."""
    return order(request)


@level_required("multi")
async def in_the_loop(request):
    return HttpResponse(f"hello {await request.auser()}")


@method_decorator(level_required("multi", recent=True), name="dispatch")
class Invoices(View):
    def get(self, request):
        return HttpResponse(f"hello {request.user}")

    def post(self, request):
        return order(request)


@method_decorator(recent_sign_in_required, name="dispatch")
class AsyncInvoices(View):
    async def get(self, request):
        return HttpResponse(f"hello {await request.auser()}")

    async def post(self, request):
        return HttpResponse(request.POST["amount"])


class Resource(ScopedProtectedResourceView):
    """Of the host, for who has an access token."""

    required_scopes = ("email",)

    def get(self, request):
        return HttpResponse(f"hello {request.resource_owner}")


urlpatterns = [
    path("resource/", Resource.as_view()),
    path("", include("passwordless_auth.urls")),
    path("", include("passwordless_auth.oidc.urls")),
    path("admin/", admin.site.urls),
    path("anymail/", include("anymail.urls")),
    path("open/", hello),
    path("members/", login_required(hello)),
    path("recent/", recent_sign_in_required(hello)),
    path("single/", level_required("single")(hello)),
    path("multi/", level_required("multi")(hello)),
    path("phr/", level_required("phr")(hello)),
    path("recent/multi/", level_required("multi", recent=True)(hello)),
    path("recent/phr/", level_required("phr", recent=True)(hello)),
    path("order/", order),
    path("order/checked-inside/", checked_inside),
    path("order/hook/", hook),
    path("async/", in_the_loop),
    path("invoices/", Invoices.as_view()),
    path("async/invoices/", AsyncInvoices.as_view()),
]
