"""The OpenID provider: ``path("", include("passwordless_auth.oidc.urls"))``, at the root, beside the core's."""

from django.http import JsonResponse
from django.urls import path

from . import keys, views

app_name = "passwordless_auth_oidc"

urlpatterns = [
    path("openid/jwks", lambda request: JsonResponse(keys.jwks()), name="jwks_lead"),
    path("openid/authorize", views.AuthorizeView.as_view(), name="authorize"),
    path("openid/authorize/<str:public_id>", views.ContinueView.as_view(), name="continue"),
    path("openid/token", views.TokenView.as_view(), name="token"),
    path("openid/userinfo", views.UserinfoView.as_view(), name="userinfo"),
    path("openid/revoke", views.RevokeView.as_view(), name="revoke"),
    path("openid/introspect", views.IntrospectView.as_view(), name="introspect"),
]
