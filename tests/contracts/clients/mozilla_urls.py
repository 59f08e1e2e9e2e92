from django.http import JsonResponse
from django.urls import include, path
from mozilla_django_oidc.views import OIDCLogoutView


def home(request):
    user = request.user
    return JsonResponse({"email": user.email if user.is_authenticated else None})


def expire(request):
    """Let the middleware ask anew at the next page."""
    request.session["oidc_id_token_expiration"] = 0
    return JsonResponse({})


def out(request):
    return JsonResponse({"signed out": True})


urlpatterns = [
    path("", home),
    path("out/", out),
    path("expire/", expire, name="expire"),
    path("leave/", OIDCLogoutView.as_view()),
    path("oidc/", include("mozilla_django_oidc.urls")),
]
