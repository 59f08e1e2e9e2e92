import os
import sys
import threading

from django.conf import settings

from example_project.serving import Serving


class Command(Serving):
    help = "Serves the other site. It ends with whoever started it: when its standard input does."
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("--port", type=int, required=True)

    def handle(self, *args, port, **options):
        threading.Thread(target=self.end_with_input, daemon=True).start()
        self.serve(port)

    def end_with_input(self):
        sys.stdin.read()
        os._exit(0)

    def on_bind(self, server_port):
        print(settings.CLIENT_URL, flush=True)
