from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("", include("passwordless_auth.oidc.urls")),
    path("admin/", admin.site.urls),
]
