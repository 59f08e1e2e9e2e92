"""Our pages: ``path("", include("passwordless_auth.urls"))``."""

from django.urls import path

from . import views

app_name = "passwordless_auth"

urlpatterns = [
    path("login/", views.LoginView.as_view(), name="login"),
    path("login/wait/", views.WaitView.as_view(), name="wait"),
    path("login/wait/status.json", views.WaitStatusView.as_view(), name="wait_status"),
    path("login/resend/", views.ResendView.as_view(), name="resend"),
    path("login/link/", views.LinkConfirmView.as_view(), name="link_confirm"),
    path("login/link/<str:token>/", views.LinkView.as_view(), name="link"),
    path("login/step-up/", views.StepUpView.as_view(), name="step_up"),
    path("login/session.json", views.SessionView.as_view(), name="session"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
    path("logout/done/", views.SignedOutView.as_view(), name="signed_out"),
    path("account/", views.AccountView.as_view(), name="account"),
    path("account/sessions/", views.SessionsView.as_view(), name="sessions"),
]
