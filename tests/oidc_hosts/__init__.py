"""Hosts that had django-oauth-toolkit before: it alone, in a process of its own, and then this package beside it."""
