from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import include, path

from passwordless_auth.decorators import level_required, recent_sign_in_required


def hello(request):
    return HttpResponse(f"hello {request.user}")


urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("admin/", admin.site.urls),
    path("open/", hello),
    path("members/", login_required(hello)),
    path("recent/", recent_sign_in_required(hello)),
    path("single/", level_required("single")(hello)),
    path("phr/", level_required("phr")(hello)),
]
