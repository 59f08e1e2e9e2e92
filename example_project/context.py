from django.conf import settings as django_settings

from passwordless_auth.conf import settings


def site(request):
    """What every page of the example shows: the name of the site, whether the inbox is there, and where the demo's
    other site is."""
    return {
        "site_name": settings.SITE_NAME,
        "inbox": django_settings.INBOX,
        "client_url": django_settings.CLIENT_URL,
    }
