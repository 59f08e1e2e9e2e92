import signal
import sys

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.commands.runserver import Command as Runserver
from django.core.servers.basehttp import ThreadedWSGIServer


class Server(ThreadedWSGIServer):
    """A thread for each browser connection, whose database connection ends with it; and a door that is shut at the
    end."""

    def serve_forever(self, *args, **kwargs):
        try:
            super().serve_forever(*args, **kwargs)
        finally:
            self.server_close()


class Command(Runserver):
    server_cls = Server
    help = "Prepares the database, makes a few people, and serves the example at http://localhost:8000/."
    requires_system_checks = "__all__"

    def add_arguments(self, parser):
        parser.add_argument("--port", type=int, default=8000, help="Where to listen, on this machine only.")

    def handle(self, *args, port, verbosity, **options):
        if not 0 < port < 65536:
            raise CommandError("--port must be a number from 1 to 65535.")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("seed_demo", verbosity=0)
        # Also where a shell has started us in the background, which makes programs deaf to Ctrl-C; and as politely
        # when another program ends us.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        super().handle(
            addrport=f"127.0.0.1:{port}",
            use_ipv6=False,
            use_threading=False,  # Server does it
            use_reloader=False,
            skip_checks=True,  # done by now
            shutdown_message="\nStopped.",
        )

    def check_migrations(self):
        """Nothing to warn of: they have just been applied."""

    def on_bind(self, server_port):
        pages = {
            "/": "",
            "/login/": "sign in as ada@example.com, or with any address or mobile number that you make up",
            "/inbox/": "read the messages that it sends" if settings.INBOX else None,
            "/admin/": "for admin@example.com",
        }
        lines = [f"  {settings.SITE_URL}{path:<8} {text}".rstrip() for path, text in pages.items() if text is not None]
        print("The example is running. Open", "", *lines, "", "Ctrl-C ends it.", sep="\n", file=sys.stdout, flush=True)
