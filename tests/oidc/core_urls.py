"""A host that has the app, and not yet its URLs."""

from django.urls import include, path

urlpatterns = [path("", include("passwordless_auth.urls"))]
