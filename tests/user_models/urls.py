from django.http import HttpResponse
from django.urls import include, path

from passwordless_auth.decorators import recent_sign_in_required


def hello(request):
    return HttpResponse(f"hello {request.user.pk}")


urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("", include("passwordless_auth.oidc.urls")),
    path("recent/", recent_sign_in_required(hello)),
]
