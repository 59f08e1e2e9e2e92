import os
import signal
import subprocess
import sys
from contextlib import contextmanager

from django.conf import settings
from django.core.management import CommandError, call_command

from example_project.serving import Serving


class Command(Serving):
    help = "Prepares the database, makes a few people, and serves the example at http://localhost:8000/."
    requires_system_checks = "__all__"

    def add_arguments(self, parser):
        parser.add_argument("--port", type=int, default=8000, help="Where to listen, on this machine only.")
        parser.add_argument(
            "--client-port",
            type=int,
            help="Where the other site listens, which people sign in to with this one. Default: the next port; 0: "
            "there is no other site.",
        )

    def handle(self, *args, port, client_port, verbosity, **options):
        client_port = port + 1 if client_port is None else client_port
        for name, number in {"--port": port, "--client-port": client_port or 1}.items():
            if not 0 < number < 65536:
                raise CommandError(f"{name} must be a number from 1 to 65535.")
        with other_site(client_port):
            call_command("migrate", verbosity=0, interactive=False)
            call_command("seed_demo", verbosity=0)
            # Also where a shell has started us in the background, which makes programs deaf to Ctrl-C; and as politely
            # when another program ends us.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler)
            self.serve(port, shutdown_message="\nStopped.")

    def on_bind(self, server_port):
        pages = {
            f"{settings.SITE_URL}/": "",
            f"{settings.SITE_URL}/login/": (
                "sign in as ada@example.com, or with any address or mobile number that you make up"
            ),
            f"{settings.SITE_URL}/inbox/": "read the messages that it sends" if settings.INBOX else None,
            f"{settings.SITE_URL}/admin/": "for admin@example.com",
            f"{settings.CLIENT_URL}/": "another site, Paper Boat: sign in there with this one"
            if settings.CLIENT_URL
            else None,
        }
        width = max(len(url) for url in pages)
        lines = [f"  {url:<{width}}  {text}".rstrip() for url, text in pages.items() if text is not None]
        print("The example is running. Open", "", *lines, "", "Ctrl-C ends it.", sep="\n", file=sys.stdout, flush=True)


@contextmanager
def other_site(port):
    """The client of the demo, in a process of its own, which ends when its standard input does: with us, however we
    end."""
    if not port:
        yield
        return
    with subprocess.Popen(
        [sys.executable, sys.argv[0], "serve_client", "--port", str(port)],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "example_project.relying_party.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us
    ) as process:
        if not process.stdout.readline():  # it has said why
            raise CommandError("The other site does not start; --client-port 0 does without it.")
        yield
