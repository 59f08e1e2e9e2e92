from django.conf import settings as django_settings

from passwordless_auth.conf import settings


def site(request):
    """What every page of the example shows: the name of the site, and whether the inbox is there."""
    return {"site_name": settings.SITE_NAME, "inbox": django_settings.INBOX}
