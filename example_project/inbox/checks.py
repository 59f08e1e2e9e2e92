from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security, deploy=True)
def check_inbox_is_off(app_configs, **kwargs):
    if not settings.INBOX:
        return []
    return [
        checks.Warning(
            "INBOX is on: everybody can read every message at /inbox/, and so sign in as anybody.",
            hint="Leave INBOX unset where others can reach the site.",
            id="example_project.W001",
        )
    ]
