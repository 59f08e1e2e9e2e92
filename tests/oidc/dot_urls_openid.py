"""A host that includes django-oauth-toolkit's own URLs where ours are."""

from django.urls import include, path

urlpatterns = [path("openid/", include("oauth2_provider.urls"))]
