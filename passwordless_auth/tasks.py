"""The task that a queue of Django's Tasks framework runs: Django 6's own, or the django-tasks package on 5.2.

Loaded only where ``PASSWORDLESS_AUTH_SENDER`` is ``"tasks"``, and by the queue's worker.
"""

from __future__ import annotations

import importlib.util

from django.utils import timezone

if importlib.util.find_spec("django.tasks"):
    from django.tasks import task
else:
    from django_tasks import task  # type: ignore[no-redef]

from .models import Delivery
from .outbox import deliver, tell_outcomes


@task
def deliver_message(pk: int) -> None:
    """Claim and send one Delivery. The payload is its number; a task that runs twice sends once."""
    lease = Delivery.objects.claim(pk, now=timezone.now())
    if lease is None or deliver(pk, lease=lease):
        return
    waiting = Delivery.objects.filter(pk=pk, state=Delivery.State.QUEUED).first()
    if waiting is not None and deliver_message.get_backend().supports_defer:
        deliver_message.using(run_after=waiting.available_at).enqueue(pk)


@task
def tell_outcome(pk: int) -> None:
    """Tell the provider that carried the code of the challenge ``pk`` whether it was typed."""
    tell_outcomes([pk])


def enqueue_outcome(pk: int) -> None:
    """Put one challenge's outcome into the queue."""
    tell_outcome.enqueue(pk)


def enqueue(pk: int) -> None:
    """Put one Delivery into the queue."""
    deliver_message.enqueue(pk)
