"""A host that includes django-oauth-toolkit's own URLs under a path of their own."""

from django.urls import include, path

from tests.urls import urlpatterns as ours

urlpatterns = [*ours, path("o/", include("oauth2_provider.urls"))]
