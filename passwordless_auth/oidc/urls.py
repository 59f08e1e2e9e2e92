"""The OpenID provider: ``path("", include("passwordless_auth.oidc.urls"))``, at the root, beside the core's."""

from django.urls import path

from . import views

app_name = "passwordless_auth_oidc"

urlpatterns = [
    path("openid/jwks", views.JwksView.as_view(), name="jwks"),
    path("openid/authorize", views.AuthorizeView.as_view(), name="authorize"),
    path("openid/authorize/<str:public_id>", views.ContinueView.as_view(), name="continue"),
    path("openid/token", views.TokenView.as_view(), name="token"),
    path("openid/userinfo", views.UserinfoView.as_view(), name="userinfo"),
    path("openid/revoke", views.RevokeView.as_view(), name="revoke"),
    path("openid/introspect", views.IntrospectView.as_view(), name="introspect"),
    path("openid/register", views.RegisterView.as_view(), name="register"),
    path("openid/register/<path:client_id>", views.RegistrationView.as_view(), name="registration"),
    path("openid/logout", views.LogoutView.as_view(), name="logout"),
    path("account/applications/", views.ApplicationsView.as_view(), name="applications"),
    # Found only where this URLconf is included at the root, as these files have to be.
    path(".well-known/openid-configuration", views.DiscoveryView.as_view(), name="openid_configuration"),
    path(".well-known/oauth-authorization-server", views.DiscoveryView.as_view(), name="oauth_metadata"),
    path(".well-known/oauth-authorization-server/<path:path>", views.DiscoveryView.as_view()),
]
