"""The URLs of the tests, and a page that says what django-otp makes of a session."""

from django.http import HttpResponse
from django.urls import path

from tests.urls import urlpatterns as ours

urlpatterns = [*ours, path("verified/", lambda request: HttpResponse(str(request.user.is_verified())))]
