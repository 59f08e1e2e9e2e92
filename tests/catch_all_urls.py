"""The URLs of the tests, and one view for every other path."""

from django.urls import re_path

from tests.urls import order
from tests.urls import urlpatterns as ours

urlpatterns = [*ours, re_path(r"", order)]
