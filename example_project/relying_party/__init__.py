"""Another site, at another port, where people sign in with the example: what a client of its OpenID provider is.

A Django project of its own, small enough to be read in one go. ``manage.py demo`` starts it in a process beside the
example.
"""
