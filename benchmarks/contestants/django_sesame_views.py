"""The view that django-sesame leaves to the site; imported when Django is set up."""

from __future__ import annotations

from django import forms
from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path
from sesame.utils import get_query_string
from sesame.views import LoginView

from ..browser import ORIGIN
from ..meter import meter


class EmailForm(forms.Form):
    email = forms.EmailField()


def ask(request: HttpRequest) -> HttpResponse:
    form = EmailForm(request.POST)
    if not form.is_valid():
        return HttpResponse("This is no address.", status=400)
    user = User.objects.filter(email=form.cleaned_data["email"], is_active=True).first()
    if user is not None:
        link = f"{ORIGIN}/link/{get_query_string(user)}"
        with meter.mail():
            send_mail("Sign in to example.com", f"Open this link to sign in:\n{link}\n", None, [user.email])
    return HttpResponseRedirect("/sent/")


urlpatterns = [path("ask/", ask), path("link/", LoginView.as_view())]
