from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InboxConfig(AppConfig):
    name = "example_project.inbox"
    verbose_name = _("Inbox")

    def ready(self) -> None:
        from . import checks  # noqa: F401  registered by being imported
