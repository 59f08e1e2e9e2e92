"""What can go wrong, each with a stable code.

An exception says what happened precisely enough for a log and safely enough for a page: no message names an address,
a code or a token, and none says whether an account exists. HTTP statuses belong to the views.
"""

from __future__ import annotations

from typing import ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class PasswordlessError(Exception):
    """Base of all refusals. ``code`` is stable and public; ``detail`` is a translated sentence for a person."""

    code: ClassVar[str] = "error"
    detail: str | Promise = _("This did not work. Please try again.")

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class InvalidIdentifier(PasswordlessError):
    code = "invalid_identifier"
    detail = _("Please enter one complete e-mail address, like name@example.com.")


class NeitherAddress(InvalidIdentifier):
    """Neither an e-mail address nor a phone number, where both are taken."""

    detail = _("Please enter one complete e-mail address, like name@example.com, or a mobile phone number.")


class PhoneNeeded(InvalidIdentifier):
    """An e-mail address, where only numbers are taken."""

    detail = _("Please enter a mobile phone number.")


class InvalidPhone(InvalidIdentifier):
    detail = _("There is no such phone number. Please check it: with the country code, it begins with “+”.")


class CountryNeeded(InvalidPhone):
    """A number as it is dialled at home, and nobody knows where that is."""

    detail = _("In which country is this phone number? Please choose it.")


class NotMobile(InvalidPhone):
    """A landline, a free, shared-cost or premium number."""

    detail = _("No text message can be sent to this number. Please enter the number of a mobile phone.")


class CountryNotServed(InvalidPhone):
    """Not one of ``SMS_COUNTRIES``."""

    detail = _("We send no text messages to this country. Please enter your e-mail address.")


class InvalidBody(PasswordlessError):
    """What a script sent is no JSON, or not what this endpoint takes."""

    code = "invalid_body"


class InvalidCode(PasswordlessError):
    """The typed code, or the opened link, is not the one that was sent."""

    code = "invalid_code"
    detail = _("That is not the code from the newest message.")

    def __init__(self, *, tries_left: int | None = None) -> None:
        super().__init__(tries_left)
        self.tries_left = tries_left


class InvalidAppCode(InvalidCode):
    """Not a code of the authenticator app, or one that was used."""

    detail = _("That is not the code that your authenticator app shows now. Wait for the next one.")


class InvalidLink(InvalidCode):
    """The link is cut off, or not one of ours."""

    detail = _("A part of its address may be missing. Please open it in the message once more.")


class InvalidRecoveryCode(InvalidCode):
    """The typed recovery code is none of this address', or was used before; or nobody has the address."""

    detail = _("This address and this code do not belong together, or the code was used before.")


class Expired(PasswordlessError):
    code = "expired"
    detail = _("A message works for a few minutes only.")


class ReportExpired(Expired):
    """The link "this wasn't me" of a notice works for ``REPORT_LIFETIME`` seconds."""

    detail = _("The message is too old for that. Sign in, and look at your passkeys and at where you are signed in.")


class WaitedTooLong(Expired):
    """A sign-in waited for its next step, in another browser or for too long."""

    detail = _(
        "A sign-in waits a few minutes for its second step, in the browser where it was begun. Please start again."
    )


class FormGone(Expired):
    """What was sent before a confirmation is not kept any more, or was shown already."""

    detail = _("What you had sent is not kept any more. Please fill in the form again.")


class Spent(PasswordlessError):
    code = "spent"
    detail = _("A message works only once.")


class Superseded(PasswordlessError):
    """A newer message was asked for, or the attempt was cancelled."""

    code = "superseded"
    detail = _("A newer message was sent, or the sign-in was stopped.")


class TooManyTries(PasswordlessError):
    code = "too_many_tries"
    detail = _("To be safe, this message no longer works.")


class TooManyRequests(PasswordlessError):
    """A limit was reached. ``retry_after`` is in whole seconds, at least 1."""

    code = "too_many_requests"
    detail = _("Too many attempts in a short time.")

    def __init__(self, *, retry_after: int, scope: str = "") -> None:
        super().__init__(retry_after, scope)
        self.retry_after = max(1, retry_after)
        self.scope = scope


class TextsPaused(TooManyRequests):
    """No text messages to this part of the world for a while: the day's budget is spent, or somebody abuses them."""

    detail = _("No text messages go there at the moment. Please sign in with your e-mail address or a passkey.")


class WrongBrowser(PasswordlessError):
    code = "wrong_browser"
    detail = _("The code has to be typed in the browser that asked for it.")


class NoLink(WrongBrowser):
    """The page behind a link was opened without the link, or by a browser that keeps no cookies."""

    detail = _("Please open the link in the message once more. Your browser must accept cookies for it.")


class NoAccess(PasswordlessError):
    """Signed in, but this page is for others: the admin, for who is no member of staff."""

    code = "no_access"
    detail = _("You are signed in, but this part of the site is for the people who run it.")


class StalePage(PasswordlessError):
    """A form without the token of this session: its page is older than the last sign-in or sign-out, or is not ours."""

    code = "stale_page"
    detail = _(
        "You have signed in or out since this page was opened, or your browser keeps no cookies. Nothing is lost."
    )


class SignUpClosed(PasswordlessError):
    code = "sign_up_closed"
    detail = _("There is no account for this address, and new accounts are not open to everyone.")


class Disabled(PasswordlessError):
    code = "disabled"
    detail = _("This account cannot sign in. Please ask the people who run this site.")


class CannotRecover(Disabled):
    """The address is proven, and opens no recovery: it belongs to nobody, or more than an address is needed."""

    detail = _("This address cannot recover an account here. A recovery code may, or another address.")


class InvalidCredential(PasswordlessError):
    """A WebAuthn answer that does not hold. ``reason`` is for the log; it says nothing about which passkeys exist."""

    code = "invalid_credential"
    detail: str | Promise = _("The passkey could not be checked. Please try again.")

    def __init__(self, reason: str = "", *, detail: str | Promise | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        if detail is not None:
            self.detail = detail


class UnknownCredential(PasswordlessError):
    """No passkey of this site, or no longer one. The page tells the browser (``signalUnknownCredential``)."""

    code = "unknown_credential"
    detail = _("This passkey does not belong to an account here. It may have been removed.")


class CredentialBlocked(PasswordlessError):
    """A passkey that its owner, or an administrator, has blocked; told only to who holds its key."""

    code = "credential_blocked"
    detail = _("This passkey is blocked. Sign in another way to unblock it.")


class NotYourSession(WrongBrowser):
    """An address is added in the session that asked for it, and in no other."""

    detail = _("You have signed out, or in again, since you asked for this message. Please add the address once more.")


class IdentityTaken(PasswordlessError):
    """The address is proven, but belongs to another account, which can't be linked; told only after the proof."""

    code = "identity_taken"
    detail = _(
        "This address belongs to another account here, which cannot be linked to yours from this side: it may ask for "
        "more than a message to this address, or be stopped. Sign in to that account, and add an address of this one "
        "there."
    )


class PrimaryIdentity(PasswordlessError):
    """The main address is not removed before another one has taken its place."""

    code = "primary_identity"
    detail = _("Make another one your main address first.")


class LastWayIn(PasswordlessError):
    code = "last_way_in"
    detail = _("This is the last way into your account. Add another one first.")


class StepUpRequired(PasswordlessError):
    code = "step_up_required"
    detail = _("Please confirm that it is you.")


class EnrolmentExpired(Expired):
    detail = _("A code for another device works for a few minutes only. Show a new one, and scan that.")


class EnrolmentStopped(Superseded):
    """A newer code was shown, or the first device stopped it, or was signed out."""

    detail = _("It was stopped on the first device, or a newer code was shown there.")


class EnrolmentTaken(Spent):
    """Another browser opened the code before, or a passkey was already added by it."""

    detail = _("This code was used before, and works once. If that was not you, press “Not mine” on the first device.")


class EnrolmentDead(TooManyTries):
    detail = _("To be safe, this code no longer works. Show a new one, and scan that.")


class WrongNumber(InvalidCode):
    """The number that was typed is not the one that the new device shows."""

    detail = _("That is not the number that the new device shows.")


class SameBrowser(WrongBrowser):
    detail = _("This is the browser that shows the code. Open it on the device that you want to add.")


class ChangesStopped(StepUpRequired):
    """After "this wasn't me" only a passkey or a recovery code, used since, may change the account for a while."""

    detail = _(
        "Changes to this account are stopped, since somebody reported one. Sign in again with a passkey or a recovery "
        "code to go on."
    )


class OutOfReach(StepUpRequired):
    """The account asks for more than its owner has the means to give."""

    detail = _(
        "This account asks for a passkey or an authenticator app, and has none that works. Use a recovery code, or ask "
        "the people who run this site."
    )


class RecoveredSession(StepUpRequired):
    """A recovery opened this session: it may add a passkey, and little else."""

    detail = _("You have recovered your account. Add a passkey first, and sign in with it: then you may come here.")
