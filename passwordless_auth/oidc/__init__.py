"""The OpenID provider: plugs into django-oauth-toolkit. Django-oauth-toolkit is imported only here (and in auth0/), its
internals only in ``_dot``."""
