"""Signals: they tell, they never decide.

All but the last two are sent with ``send_robust`` after the transaction that they tell of has been committed, so a
broken receiver can neither stop a sign-in nor leave half of one behind. No signal carries a code, a link or a key.
"""

from django.dispatch import Signal

#: A sign-in was asked for and its message queued. Arguments: ``challenge``.
sign_in_started = Signal()
#: A person is signed in. Arguments: ``user``, ``sign_in``, ``created`` (True when the account is new).
signed_in = Signal()
#: A code or link was refused. Arguments: ``challenge`` (or ``None``), ``code`` (see ``exceptions``).
sign_in_failed = Signal()
#: A session ended. Arguments: ``user``, ``sign_in``, ``reason``.
signed_out = Signal()
#: An Identity was attached to a user. Arguments: ``user``, ``identity``.
identity_added = Signal()
#: An Identity was taken from a user. Arguments: ``user``, ``identity``.
identity_removed = Signal()
#: One account became a part of another. Arguments: ``user`` (who stays), ``other`` (who signs in no more).
accounts_linked = Signal()
#: It is an account of its own again. Arguments: ``user``, ``other``.
accounts_unlinked = Signal()
#: A passkey or an authenticator app was added. Arguments: ``user``, ``authenticator`` (a Passkey or a Totp).
authenticator_added = Signal()
#: One was removed. Arguments: ``user``, ``authenticator`` (its row is gone; ``pk`` is what it was).
authenticator_removed = Signal()
#: One was blocked: its sessions have ended, and it opens nothing. Arguments: ``user``, ``authenticator``.
authenticator_blocked = Signal()
#: Any security step. Arguments: ``kind`` (str), ``user`` (or ``None``), ``data`` (dict without secrets).
security_event = Signal()

# The last two are sent with ``send``, inside the transaction of the change: for an app that keeps something which ends
# with it, or must tell somebody else of it. What a receiver raises undoes the change.

#: SignIns end, whatever ended them; or what opened those that ran out by themselves is now refused. Arguments: ``pks``,
#: ``reason``, ``now``.
sign_ins_ending = Signal()
#: All that was ever opened in a user's name ends: the account was deactivated, reset, signed out everywhere, or is
#: proven to be another person's. Arguments: ``user``, ``reason``, ``now``.
access_ending = Signal()
