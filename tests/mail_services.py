"""Mail services as Anymail meets them: a server on loopback that takes their API calls, and their webhooks, signed as
each of them signs."""

import base64
import hashlib
import hmac
import itertools
import json
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import django

SECRET = "hooks:a-secret-of-the-tests"


class MailService(ABC):
    """One of them. ``sent`` has the API calls that came."""

    name = ""
    backend = ""
    path = ""
    status = 200

    def __init__(self):
        self.sent, self._ids = [], itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(service):  # noqa: N805 (self is the request's)
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.sent.append(body.decode())
                answer = json.dumps(service.taken(f"id-{next(service._ids)}")).encode()
                self.send_response(service.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        return Handler

    def use(self, settings, **anymail):
        settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET, **self.settings(), **anymail}
        if django.VERSION >= (6, 1):
            settings.MAILERS = {"default": {"BACKEND": self.backend}}
        else:
            settings.EMAIL_BACKEND = self.backend

    @abstractmethod
    def settings(self):
        """What of ``ANYMAIL`` is its own."""

    @abstractmethod
    def taken(self, ident):
        """What its API answers."""

    @abstractmethod
    def tell(self, client, kind, delivery, *, forged=False, **facts):
        """Call the webhook: ``sent``, ``deferred``, ``delivered``, ``bounced``, ``rejected`` or ``complained``."""


def basic(forged):
    secret = SECRET if not forged else "hooks:guessed"
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(secret.encode()).decode()}


class Postmark(MailService):
    """https://postmarkapp.com/developer/webhooks/webhooks-overview"""

    name = "Postmark"
    backend = "anymail.backends.postmark.EmailBackend"

    def settings(self):
        return {"POSTMARK_SERVER_TOKEN": "t", "POSTMARK_API_URL": self.url}

    def taken(self, ident):
        return {"To": json.loads(self.sent[-1])["To"], "MessageID": ident, "ErrorCode": 0, "Message": "OK"}

    def tell(self, client, kind, delivery, *, forged=False, at="2026-05-01T12:00:30Z", metadata=True, **facts):
        common = {
            "MessageID": delivery.provider_id,
            "ServerID": 23,
            "MessageStream": "outbound",
            "Tag": "",
            "Metadata": {"passwordless_id": delivery.public_id} if metadata else {},
        }
        bounce = {"ID": 42, "Email": delivery.canonical, "BouncedAt": at, "Inactive": True, "CanActivate": True}
        payload = {
            "delivered": {
                "RecordType": "Delivery",
                "Recipient": delivery.canonical,
                "DeliveredAt": at,
                "Details": "smtp;250 2.0.0 OK",
            },
            "deferred": {
                "RecordType": "Bounce",
                "Type": "Transient",
                "Details": f"smtp;451 4.7.1 {delivery.canonical}: try again, 482 913",
                **bounce,
            },
            "bounced": {
                "RecordType": "Bounce",
                "Type": "HardBounce",
                "TypeCode": 1,
                "Name": "Hard bounce",
                "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
                "Details": f"smtp;550 5.1.1 <{delivery.canonical}>: the account that you tried to reach does not exist",
                **bounce,
            },
            "rejected": {"RecordType": "Bounce", "Type": "Blocked", "Details": "suppressed", **bounce},
            "complained": {"RecordType": "SpamComplaint", "Type": "SpamComplaint", **bounce},
            "opened": {"RecordType": "Open", "Recipient": delivery.canonical, "ReceivedAt": at},
        }[kind]
        body = json.dumps({**common, **payload, **facts})
        return client.post("/anymail/postmark/tracking/", body, content_type="application/json", **basic(forged))


class Mailgun(MailService):
    """https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads"""

    name = "Mailgun"
    backend = "anymail.backends.mailgun.EmailBackend"
    key = "key-of-the-webhooks"

    def settings(self):
        return {
            "MAILGUN_API_KEY": "k",
            "MAILGUN_API_URL": f"{self.url}/v3",
            "MAILGUN_SENDER_DOMAIN": "mg.example.com",
            "MAILGUN_WEBHOOK_SIGNING_KEY": self.key,
            "WEBHOOK_SECRET": None,
        }

    def taken(self, ident):
        return {"id": f"<{ident}@mg.example.com>", "message": "Queued. Thank you."}

    def tell(self, client, kind, delivery, *, forged=False, at=1777636830.5, **facts):
        status = {"deferred": (451, "4.7.1 try again"), "bounced": (550, "5.1.1 no such user")}
        code, said = status.get(kind, (250, "OK"))
        data = {
            "id": "DACSsAdVSeGpLid7TN03WA",
            "timestamp": at,
            "log-level": "info",
            "event": {"bounced": "failed", "deferred": "failed"}.get(kind, kind),
            "severity": {"bounced": "permanent", "deferred": "temporary"}.get(kind, ""),
            "recipient": delivery.canonical,
            "user-variables": {"passwordless_id": delivery.public_id},
            "message": {"headers": {"to": delivery.canonical, "message-id": delivery.provider_id.strip("<>")}},
            "delivery-status": {"code": code, "message": f"{code} {said}", "description": ""},
            **facts,
        }
        if kind in {"bounced", "deferred"}:
            data["reason"] = {"bounced": "bounce", "deferred": "generic"}[kind]
        if kind == "rejected":
            data["reject"] = {"reason": "Sandbox subdomains are for test purposes only.", "description": ""}
        stamp, token = "1777636830", "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
        signature = hmac.new(self.key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
        signed = {"timestamp": stamp, "token": token, "signature": "0" * 64 if forged else signature}
        body = json.dumps({"signature": signed, "event-data": data})
        return client.post("/anymail/mailgun/tracking/", body, content_type="application/json")


class Mandrill(MailService):
    """https://mailchimp.com/developer/transactional/docs/webhooks/"""

    name = "Mandrill"
    backend = "anymail.backends.mandrill.EmailBackend"
    key = "key-of-the-webhooks"
    hook = "https://testserver/anymail/mandrill/"

    def settings(self):
        return {
            "MANDRILL_API_KEY": "k",
            "MANDRILL_API_URL": self.url,
            "MANDRILL_WEBHOOK_KEY": self.key,
            "MANDRILL_WEBHOOK_URL": self.hook,
        }

    def taken(self, ident):
        return [{"email": "ada@example.com", "status": "sent", "_id": ident, "reject_reason": None}]

    def tell(self, client, kind, delivery, *, forged=False, at=1777636830, **facts):
        event = {
            "event": {
                "sent": "send",
                "deferred": "deferral",
                "bounced": "hard_bounce",
                "rejected": "reject",
                "complained": "spam",
            }[kind],
            "_id": delivery.provider_id,
            "ts": at,
            "msg": {
                "_id": delivery.provider_id,
                "email": delivery.canonical,
                "metadata": {"passwordless_id": delivery.public_id},
                "diag": "smtp;550 5.1.1 no such user" if kind == "bounced" else "",
                "state": kind,
                "tags": [],
            },
            **facts,
        }
        fields = {"mandrill_events": json.dumps([event])}
        signed = self.hook + "".join(name + fields[name] for name in sorted(fields))
        digest = hmac.new(b"guessed" if forged else self.key.encode(), signed.encode(), hashlib.sha1).digest()
        signature = base64.b64encode(digest).decode()
        return client.post("/anymail/mandrill/", fields, HTTP_X_MANDRILL_SIGNATURE=signature, **basic(False))


class Brevo(MailService):
    """https://developers.brevo.com/docs/transactional-webhooks"""

    name = "Brevo"
    backend = "anymail.backends.brevo.EmailBackend"
    status = 201

    def settings(self):
        return {"BREVO_API_KEY": "k", "BREVO_API_URL": f"{self.url}/v3"}

    def taken(self, ident):
        return {"messageId": f"<{ident}@relay.example>"}

    def tell(self, client, kind, delivery, *, forged=False, at=1777636830000, **facts):
        payload = {
            "event": {"bounced": "hard_bounce", "rejected": "blocked", "complained": "spam", "sent": "request"}.get(
                kind, kind
            ),
            "email": delivery.canonical,
            "message-id": delivery.provider_id,
            "ts_epoch": at,
            "reason": "550 5.1.1 no such user" if kind == "bounced" else "",
            "X-Mailin-custom": json.dumps({"passwordless_id": delivery.public_id}),
            **facts,
        }
        body = json.dumps(payload)
        return client.post("/anymail/brevo/tracking/", body, content_type="application/json", **basic(forged))


ALL = (Postmark, Mailgun, Mandrill, Brevo)
