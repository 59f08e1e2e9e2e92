"""A web process: serves the site on a port of its choice, which it says first, until it is killed.

``hang``: whoever signs in waits there, in the middle of the transaction, for as many seconds. ``hang_at_end``: so does
the end of a session.
"""

import json
import sys
import time
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


def main(hang="0", hang_at_end="0"):
    django.setup()
    from django.contrib.auth.signals import user_logged_in
    from django.core.wsgi import get_wsgi_application

    from passwordless_auth.signals import sign_ins_ending

    def wait(**kwargs):
        time.sleep(float(hang))

    def wait_at_end(**kwargs):
        time.sleep(float(hang_at_end))

    user_logged_in.connect(wait)
    sign_ins_ending.connect(wait_at_end)
    server = make_server("127.0.0.1", 0, get_wsgi_application(), Server, Quiet)
    print(json.dumps(server.server_port), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
