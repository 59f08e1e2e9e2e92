"""Clients in Django's admin: ``clients`` takes the place of django-oauth-toolkit's own page (its setting
``APPLICATION_ADMIN_CLASS``, where the host does not name another), ``snippets`` says what to paste into a client."""
