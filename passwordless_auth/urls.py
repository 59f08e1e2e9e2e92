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
    path("login/passkey/options/", views.PasskeyOptionsView.as_view(), name="passkey_options"),
    path("login/passkey/verify/", views.PasskeyVerifyView.as_view(), name="passkey_verify"),
    path("login/recovery/", views.RecoveryView.as_view(), name="recovery"),
    path("login/step-up/", views.StepUpView.as_view(), name="step_up"),
    path("login/step-up/resume/", views.ResumeView.as_view(), name="resume"),
    path("login/report/", views.ReportConfirmView.as_view(), name="report_confirm"),
    path("login/report/<str:token>/", views.ReportView.as_view(), name="report"),
    path("login/session.json", views.SessionView.as_view(), name="session"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
    path("logout/done/", views.SignedOutView.as_view(), name="signed_out"),
    path("account/", views.AccountView.as_view(), name="account"),
    path("account/passkeys/", views.PasskeysView.as_view(), name="passkeys"),
    path("account/passkeys/options/", views.RegisterOptionsView.as_view(), name="passkey_register_options"),
    path("account/passkeys/register/", views.RegisterView.as_view(), name="passkey_register"),
    path("account/passkeys/other-device/", views.OtherDeviceView.as_view(), name="other_device"),
    path(
        "account/passkeys/other-device/status.json", views.OtherDeviceStatusView.as_view(), name="other_device_status"
    ),
    path("account/passkeys/offer/", views.PasskeyOfferView.as_view(), name="passkey_offer"),
    path("account/passkeys/change/", views.PasskeyChangeView.as_view(), name="passkey_change"),
    path("account/passkeys/icons/<uuid:aaguid>/<str:scheme>/", views.PasskeyIconView.as_view(), name="passkey_icon"),
    path("account/passkeys/signal.json", views.SignalView.as_view(), name="passkey_signal"),
    path("account/totp/", views.TotpView.as_view(), name="totp"),
    path("account/totp/remove/", views.TotpRemoveView.as_view(), name="totp_remove"),
    path("account/recovery-codes/", views.RecoveryCodesView.as_view(), name="recovery_codes"),
    path("account/identities/", views.IdentitiesView.as_view(), name="identities"),
    path("account/identities/change/", views.IdentityChangeView.as_view(), name="identity_change"),
    path("account/sessions/", views.SessionsView.as_view(), name="sessions"),
    path("enrol/", views.EnrolConfirmView.as_view(), name="enrol_confirm"),
    path("enrol/status.json", views.EnrolStatusView.as_view(), name="enrol_status"),
    path("enrol/options/", views.EnrolOptionsView.as_view(), name="enrol_options"),
    path("enrol/register/", views.EnrolRegisterView.as_view(), name="enrol_register"),
    path("enrol/<str:token>/", views.EnrolView.as_view(), name="enrol"),
    path("twilio/<path:alias>/tracking/", views.TwilioTrackingView.as_view(), name="twilio_tracking"),
    # Found only where this URLconf is included at the root, as these files have to be.
    path(".well-known/webauthn", views.RelatedOriginsView.as_view(), name="related_origins"),
    path(".well-known/passkey-endpoints", views.PasskeyEndpointsView.as_view(), name="passkey_endpoints"),
]
