from django.db import models
from oauth2_provider.models import AbstractApplication


class OurClient(AbstractApplication):
    """Clients as a host has them that wants more columns."""

    department = models.CharField(max_length=20, default="sales")
    closed = models.BooleanField(default=False)

    def is_usable(self, request):
        return not self.closed
