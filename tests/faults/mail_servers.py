"""Mail servers of this machine, sound and broken, and the settings that lead to them."""

import email
import email.policy
import re
import socket
import socketserver
import threading
from contextlib import contextmanager, suppress

import django

SMTP = "django.core.mail.backends.smtp.EmailBackend"


def mail_settings(port, **options):
    """The host's mail settings, in the words of the Django that runs. ``timeout``: of the host's own."""
    if django.VERSION >= (6, 1):
        return {"MAILERS": {"default": {"BACKEND": SMTP, "OPTIONS": {"host": "127.0.0.1", "port": port, **options}}}}
    timeout = {"EMAIL_TIMEOUT": options["timeout"]} if "timeout" in options else {}
    return {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": port, **timeout}


def port_that_refuses():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        with suppress(OSError):  # the other side has gone, or the server was stopped
            self.server.owner.talk(self)

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def hear(self):
        return self.rfile.readline().decode(errors="replace").rstrip("\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 50

    def process_request(self, request, client_address):
        self.owner.connections.append(request)
        super().process_request(request, client_address)


class MailServer:
    """Behaves as it is told, from one conversation to the next:

    ``"takes"`` every message; ``"silent"``: accepts the connection and says nothing; ``"turned_away"`` and
    ``"refuses"`` for good (5xx: the connection, the recipient); ``"busy"`` (4xx); ``"repeats"`` all it was told in its
    refusal; ``"dies"`` in the middle of a message; ``"keeps"`` the message and does not say so.
    """

    def __init__(self, behaviour="takes"):
        self.behaviour = behaviour
        self.messages = []
        self.connections = []
        self._stopped = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Conversation)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self):
        """Stop listening, and break off every conversation."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        self.break_off()

    def break_off(self):
        """Break off every conversation."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def to(self, address):
        return [message for message in self.messages if message["To"] == address]

    def talk(self, client):
        behaviour = self.behaviour
        if behaviour == "silent":
            self._stopped.wait()
            return
        if behaviour == "turned_away":
            client.say("554 no service here")
            return
        client.say("220 ready")
        text = b""
        while command := client.hear():
            verb = command[:4].upper()
            if verb == "RCPT" and behaviour in {"refuses", "busy"}:
                client.say({"refuses": "550 no such mailbox", "busy": "451 come back later"}[behaviour])
            elif verb == "DATA":
                client.say("354 go on")
                if behaviour == "dies":
                    client.rfile.readline()
                    return
                text = self._read_message(client)
                if behaviour == "repeats":
                    client.say(f"554 spam for {re.search(b'To: (.*)', text)[1].decode()}: {code_of(parse(text))}")
                    continue
                self.messages.append(parse(text))
                if behaviour == "keeps":
                    self._stopped.wait()
                    return
                client.say("250 taken")
            elif verb == "QUIT":
                client.say("221 bye")
                return
            else:
                client.say("250 yes")

    def _read_message(self, client):
        lines = []
        while (line := client.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)


@contextmanager
def mail_server(behaviour="takes"):
    server = MailServer(behaviour)
    try:
        yield server
    finally:
        server.stop()


def parse(text):
    return email.message_from_bytes(text, policy=email.policy.default)


def text_of(message):
    return message.get_body(("plain",)).get_content()


def wrong_code(right):
    return f"{(int(right) + 1) % 1_000_000:06}"


def code_of(message):
    """The code of a message, as a person would type it."""
    return re.search(r"^[0-9]{6}\s*$", text_of(message), re.MULTILINE)[0].strip()
