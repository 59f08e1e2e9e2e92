"""A host that includes django-oauth-toolkit's own URLs: at the root, beside ours."""

from django.urls import include, path

urlpatterns = [path("", include("oauth2_provider.urls"))]
