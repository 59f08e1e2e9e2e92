"""HTTP in, a flow, HTTP out. Subclass a view and put it in a URLconf of your own to change how it interacts."""

from .account import AccountView, LogoutView, SessionsView, SessionView, SignedOutView
from .identities import IdentitiesView, IdentityChangeView
from .link import LinkConfirmView, LinkView
from .other_device import (
    EnrolConfirmView,
    EnrolOptionsView,
    EnrolRegisterView,
    EnrolStatusView,
    EnrolView,
    OtherDeviceStatusView,
    OtherDeviceView,
)
from .passkey import (
    PasskeyChangeView,
    PasskeyEndpointsView,
    PasskeyIconView,
    PasskeyOfferView,
    PasskeyOptionsView,
    PasskeysView,
    PasskeyVerifyView,
    RegisterOptionsView,
    RegisterView,
    RelatedOriginsView,
    SignalView,
)
from .recovery import RecoveryCodesView, RecoveryView
from .report import ReportConfirmView, ReportView
from .sign_in import LoginView, ResendView, WaitStatusView, WaitView
from .step_up import ResumeView, StepUpView
from .totp import TotpRemoveView, TotpView
from .twilio import TwilioTrackingView

__all__ = [
    "AccountView",
    "EnrolConfirmView",
    "EnrolOptionsView",
    "EnrolRegisterView",
    "EnrolStatusView",
    "EnrolView",
    "IdentitiesView",
    "IdentityChangeView",
    "LinkConfirmView",
    "LinkView",
    "LoginView",
    "LogoutView",
    "OtherDeviceStatusView",
    "OtherDeviceView",
    "PasskeyChangeView",
    "PasskeyEndpointsView",
    "PasskeyIconView",
    "PasskeyOfferView",
    "PasskeyOptionsView",
    "PasskeyVerifyView",
    "PasskeysView",
    "RecoveryCodesView",
    "RecoveryView",
    "RegisterOptionsView",
    "RegisterView",
    "RelatedOriginsView",
    "ReportConfirmView",
    "ReportView",
    "ResendView",
    "ResumeView",
    "SessionView",
    "SessionsView",
    "SignalView",
    "SignedOutView",
    "StepUpView",
    "TotpRemoveView",
    "TotpView",
    "TwilioTrackingView",
    "WaitStatusView",
    "WaitView",
]
