"""An adapter as hosts write it, to keep allauth's secrets encrypted."""

from allauth.mfa.adapter import DefaultMFAAdapter
from django.core import signing


class SealingAdapter(DefaultMFAAdapter):
    def encrypt(self, text):
        return signing.dumps(text, salt="mfa")

    def decrypt(self, encrypted_text):
        return signing.loads(encrypted_text, salt="mfa")
