"""Queues for Django's Tasks framework: one that keeps tasks until it is told to run them, and one that is down."""

import django

if django.VERSION >= (6, 0):
    from django.tasks import TaskResultStatus
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import TaskResult
else:
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import TaskResult, TaskResultStatus


class Deferring(BaseTaskBackend):
    supports_defer = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        #: ``(task, args, kwargs)``, in the order in which they came.
        self.waiting = []

    def enqueue(self, task, args, kwargs):
        self.validate_task(task)
        self.waiting.append((task, args, kwargs))
        return TaskResult(
            task=task,
            id="1",
            status=TaskResultStatus.READY,
            enqueued_at=None,
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )


class Down(BaseTaskBackend):
    supports_defer = True

    def enqueue(self, task, args, kwargs):
        raise ConnectionError("the queue does not answer")
