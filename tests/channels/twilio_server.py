"""A server that speaks Twilio's API, as its documentation has it: Messages, Calls and Verify, what goes wrong there, and
the callbacks that it makes, with its signature."""

import base64
import hashlib
import hmac
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

ACCOUNT, TOKEN = "AC" + "a" * 32, "the-token-of-the-tests"
SERVICE = "VA" + "d" * 32


class TwilioServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked = []
        self.answer = None  # (status, body): instead of accepting
        self.hangs = 0.0
        self.drops = False
        self.only = ""  # trouble in paths that match this, and nowhere else
        self.verifications = {}  # Verify's: sid: {"to", "code", "status", "sends"}
        self.custom_codes = True  # whether the service has them switched on
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        path = urlsplit(self.path).path
        self.server.asked.append((path, {name: value[0] for name, value in fields.items()}, dict(self.headers)))
        trouble = re.search(self.server.only, path) is not None
        if self.server.drops and trouble:
            self.close_connection = True
            return None
        if self.server.hangs and trouble:
            self.server.over.wait(self.server.hangs)
            self.close_connection = True
            return None
        expected = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {expected}":
            return self._say(401, error(20003, "Authenticate", 401))
        if self.server.answer and trouble:
            return self._say(*self.server.answer)
        if path.startswith("/v2/"):
            return self._say(*self._verify(path, {name: value[0] for name, value in fields.items()}))
        kind = {"Messages.json": "SM", "Calls.json": "CA"}[path.rpartition("/")[2]]
        sid = kind + f"{len(self.server.asked):032x}"
        return self._say(201, {"sid": sid, "status": "queued", "price": None, "price_unit": "USD"})

    def _verify(self, path, fields):
        """One verification of a number is pending at a time: who asks again while it is, gets the same one. Nobody may
        ask more than five times before it has an end, and an end it has once."""
        known = self.server.verifications
        found = re.fullmatch(rf"/v2/Services/{SERVICE}/Verifications(?:/(VE[0-9a-f]{{32}}))?", path)
        if not found:
            return 404, error(20404, "The requested resource was not found", 404)
        if sid := found[1]:
            if sid not in known or known[sid]["status"] != "pending":
                return 404, error(20404, "The requested resource was not found", 404)
            known[sid]["status"] = fields["Status"]
            return 200, {"sid": sid, "status": fields["Status"]}
        if "CustomCode" in fields and not self.server.custom_codes:
            return 403, error(60204, "Custom code not allowed", 403)
        pending = [sid for sid, one in known.items() if (one["to"], one["status"]) == (fields["To"], "pending")]
        sid = pending[0] if pending else "VE" + f"{len(known) + 1:032x}"
        one = known.setdefault(sid, {"to": fields["To"], "code": fields["CustomCode"], "status": "pending", "sends": 0})
        one["sends"] += 1
        if one["sends"] > 5:
            return 429, error(60203, "Max send attempts reached", 429)
        return 201, {"sid": sid, "status": "pending", "to": fields["To"], "channel": fields["Channel"]}

    def _say(self, status, body):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if status in {301, 302, 307}:
            self.send_header("Location", f"{self.server.url}/elsewhere/Messages.json")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *arguments):
        pass


def error(code, message, status):
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


@contextmanager
def running(*, answer=None, hangs=0.0, drops=False):
    server = TwilioServer()
    server.answer, server.hangs, server.drops = answer, hangs, drops
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


# -- callbacks

FORM = "application/x-www-form-urlencoded"


def signature_of(address, fields=(), *, token=TOKEN):
    """ "Validating signatures from Twilio": the address, and each field's name and value in the order of the names."""
    text = address + "".join(name + value for name, value in sorted(dict(fields).items()))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def tells(browser, address, *, token=TOKEN, signature=None, host="testserver", **fields):
    """A status callback to the ``address`` that Twilio was given. Returns the response."""
    signature = signature_of(address, fields, token=token) if signature is None else signature
    return browser.post(
        address.removeprefix("http://testserver"),
        urlencode(fields),
        content_type=FORM,
        headers={"X-Twilio-Signature": signature, "Host": host},
    )


def tells_json(browser, address, events, *, token=TOKEN, raw=None, digest=None):
    """A request of Event Streams: the digest of its body is in the address, and the address is signed."""
    body = json.dumps(events).encode() if raw is None else raw
    digest = hashlib.sha256(body).hexdigest() if digest is None else digest
    address = f"{address}{'&' if '?' in address else '?'}bodySHA256={digest}"
    return browser.post(
        address.removeprefix("http://testserver"),
        body,
        content_type="application/json",
        headers={"X-Twilio-Signature": signature_of(address, token=token)},
    )
