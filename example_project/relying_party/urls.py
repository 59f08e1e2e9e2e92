from django.urls import path

from example_project.relying_party import views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in/", views.sign_in, name="sign_in"),
    path("callback/", views.callback, name="callback"),
    path("refresh/", views.refresh, name="refresh"),
    path("sign-out/", views.sign_out, name="sign_out"),
]
