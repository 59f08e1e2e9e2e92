"""A server of somebody else, on this machine: it is told things by POST, and behaves as it is told to."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl


class Receiver(ThreadingHTTPServer):
    """``answers``: the statuses to come; the last repeats. ``behaviour``: ``"answers"``; ``"hangs"`` without a word;
    ``"drips"`` its answer, letter by letter; ``"floods"`` with a body that does not end; ``"drops"`` the connection.
    ``told``: (path, fields, headers) of each request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *answers, host="127.0.0.1", certificate=None):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _Handler)
        self.answers = list(answers) or [204]
        self.behaviour = "answers"
        self.location = ""
        self.told = []
        self.over = threading.Event()
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Who hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.told.append((self.path, dict(parse_qsl(body)), dict(self.headers)))
        with suppress(OSError):
            getattr(self, f"_{self.server.behaviour}")()

    def _answers(self):
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def _hangs(self):
        self.server.over.wait(60)

    def _drops(self):
        self.close_connection = True
        self.connection.close()

    def _drips(self):
        for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 600:
            if self.server.over.wait(0.1):
                return
            self.wfile.write(bytes([letter]))

    def _floods(self):
        self.send_response(200)
        self.end_headers()
        end = time.monotonic() + 60
        while time.monotonic() < end and not self.server.over.is_set():
            self.wfile.write(b"x" * 65536)
