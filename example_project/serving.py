"""How the example serves itself: Django's development server, without a reloader."""

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


class Serving(Runserver):
    server_cls = Server

    def serve(self, port, **options):
        """On this machine only."""
        Runserver.handle(
            self,
            addrport=f"127.0.0.1:{port}",
            use_ipv6=False,
            use_threading=False,  # Server does it
            use_reloader=False,
            skip_checks=True,  # done by now
            **options,
        )

    def check_migrations(self):
        """Nothing to warn of: they have just been applied, or there are none."""
