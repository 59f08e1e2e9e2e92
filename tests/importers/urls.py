from django.urls import include, path
from two_factor.urls import urlpatterns as two_factor

urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("", include("passwordless_auth.oidc.urls")),
    path("allauth/", include("allauth.urls")),
    path("otp-webauthn/", include("django_otp_webauthn.urls")),
    path("passkeys/", include("passkeys.urls")),
    path("", include(two_factor)),
]
