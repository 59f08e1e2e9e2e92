"""The process of one contestant: sets up its project, then does what it is told on standard input, a JSON line each.

``{"do": "check"}`` signs in with each flow and asks the site whether it worked. ``{"do": "count", "flow": 0}`` counts
statements. ``{"do": "round", "flow": 0, "times": 20}`` measures. ``{"do": "profile", "flow": 0, "times": 100}`` tells
where the time goes.
"""

from __future__ import annotations

import cProfile
import gc
import io
import json
import os
import pstats
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .browser import HOST, Browser
from .contestants import CONTESTANTS, Contestant, Flow
from .meter import meter

#: Sign-ins before anything is measured: templates, patterns and caches are loaded by then.
WARM_UP = 3


def main(name: str, database: str, people: int) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a contestant prints is no answer of ours
    worker = Worker(CONTESTANTS[name](), database, people)
    print(json.dumps(worker.facts()), file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(worker, order.pop("do"))(**order)), file=answers, flush=True)


class Worker:
    def __init__(self, contestant: Contestant, database: str, people: int) -> None:
        self.contestant = contestant
        #: How often each flow was walked: so many people have used up what limits allow them.
        self.walked = [0] * len(contestant.flows)
        self.people = people
        self.application = self._set_up(database)

    def _set_up(self, database: str) -> Callable[..., Any]:
        import django

        # A module, as every site has one.
        module = ModuleType("benchmark_settings")
        vars(module).update(settings_of(self.contestant, database))
        sys.modules[module.__name__] = module
        os.environ["DJANGO_SETTINGS_MODULE"] = module.__name__
        django.setup()
        from django.core.management import call_command
        from django.core.wsgi import get_wsgi_application

        call_command("migrate", verbosity=0, interactive=False)
        self.contestant.prepare(self.people)
        self._settle_database()
        return get_wsgi_application()

    def _settle_database(self) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_backend_pid()")
                meter.watch_database(cursor.fetchone()[0])

    def facts(self) -> dict[str, Any]:
        import django
        from django.db import connection

        with connection.cursor():
            pass
        version = ".".join(map(str, connection.get_database_version()))
        return {
            "version": self.contestant.version(),
            "django": django.get_version(),
            "database": f"{connection.display_name} {version}",
            "watches_database": meter.watches_database or connection.vendor == "sqlite",
        }

    def check(self) -> None:
        from django.contrib.auth.models import User

        for index, flow in enumerate(self.contestant.flows):
            for _ in range(WARM_UP):
                person, browser = self._sign_in(index)
                who = self.contestant.signed_in(browser)
                if who != User.objects.get(username=f"person{person}").pk:
                    raise NotSignedInError(f"{self.contestant.name}: {flow.method} signed in {who!r}")

    def count(self, flow: int) -> dict[str, tuple[int, int]]:
        with meter.count_statements() as counted:
            self._sign_in(flow)
        return counted

    def round(self, flow: int, times: int) -> dict[str, float]:
        """Milliseconds of CPU a sign-in: of the process and of the database, for the requests and for their mail."""
        times = max(1, round(times * self.contestant.flows[flow].share))
        gc.collect()
        meter.spent.clear()
        meter.spent_by_database.clear()
        for _ in range(times):
            self._sign_in(flow)
        return {
            "app": meter.spent["app"] / times / 1e6,
            "mail": meter.spent["mail"] / times / 1e6,
            "database": meter.spent_by_database["app"] / times / 1e6,
            "mail_database": meter.spent_by_database["mail"] / times / 1e6,
        }

    def profile(self, flow: int, times: int) -> str:
        """The costliest functions, by what they did themselves and by what they caused."""
        application, profiler = self.application, cProfile.Profile()

        def profiled(environ: Any, start_response: Any) -> Any:
            return profiler.runcall(application, environ, start_response)

        self.application = profiled
        try:
            for _ in range(times):
                self._sign_in(flow)
        finally:
            self.application = application
        text = io.StringIO()
        statistics = pstats.Stats(profiler, stream=text)
        statistics.sort_stats("cumulative").print_stats(60)
        statistics.sort_stats("tottime").print_stats(40)
        return text.getvalue()

    def _sign_in(self, index: int) -> tuple[int, Browser]:
        """The next person, in a browser that is new to the site, from an address of their own: nobody meets a limit."""
        flow: Flow = self.contestant.flows[index]
        number = self.walked[index]
        self.walked[index] += 1
        # Flows begin at different people: who asked for a message a moment ago may have to wait.
        person = (number + index * self.people // len(self.walked)) % self.people
        browser = Browser(self.application, ip=f"10.{index}.{number // 250}.{number % 250 + 1}")
        getattr(self.contestant, flow.method)(browser, person)
        return person, browser


class NotSignedInError(Exception):
    """A contestant answered well, and nobody was signed in."""


def settings_of(contestant: Contestant, database: str) -> dict[str, Any]:
    """What ``startproject`` writes, and what the contestant adds."""
    import django

    mailbox = "benchmarks.mailbox.Mailbox"
    mail = {"MAILERS": {"default": {"BACKEND": mailbox}}} if django.VERSION >= (6, 1) else {"EMAIL_BACKEND": mailbox}
    return {
        "SECRET_KEY": "benchmark-" + "x" * 50,
        "ALLOWED_HOSTS": [HOST],
        "DATABASES": {"default": database_of(database)},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "DEFAULT_FROM_EMAIL": f"sign-in@{HOST}",
        "INSTALLED_APPS": [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            *contestant.apps,
        ],
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            *contestant.middleware,
        ],
        "ROOT_URLCONF": Urls(contestant),
        "STATIC_URL": "/static/",
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "USE_TZ": True,
        # Logs are written, as on a real site, and nobody reads them.
        "LOGGING": {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {"null": {"class": "logging.FileHandler", "filename": os.devnull, "formatter": "line"}},
            "root": {"handlers": ["null"], "level": "INFO"},
        },
        **mail,
        **contestant.settings,
    }


class Urls:
    """The URLconf: made when Django asks for it the first time, which is after it was set up."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        self._patterns: list[Any] = []

    @property
    def urlpatterns(self) -> list[Any]:
        if not self._patterns:
            from django.http import JsonResponse
            from django.urls import path

            who = path("whoami/", lambda request: JsonResponse({"user": request.user.pk}))
            self._patterns = [*self._contestant.urls(), who]
        return self._patterns


def database_of(name: str) -> dict[str, Any]:
    """``postgres://…``, or the path of an SQLite file. The connection lives as long as the process."""
    if "://" in name:
        import dj_database_url

        return {**dj_database_url.parse(name), "CONN_MAX_AGE": None}
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }
