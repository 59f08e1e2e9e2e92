"""The same site over HTTPS and under a name of its own: what passkeys of related origins need."""

import ssl
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from .site import ROOT, Site


class Certificate:
    """A certificate that the test signs itself, for these hosts."""

    def __init__(self, folder: Path, hosts: Sequence[str]) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0])])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.file = folder / "certificate.pem"
        self.file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        #: What Chromium is told to trust: this key, and no other.
        self.fingerprint = b64encode(sha256(spki).digest()).decode()


class SecureSite(Site):
    def __init__(self, folder: Path, host: str, certificate: Certificate, **options: object) -> None:
        super().__init__(folder, **{"SITE_URL": f"https://{host}", **options})
        self.host = host
        self.url = f"https://{host}"
        self.inside = f"https://127.0.0.1:{self.port}"
        self.certificate = certificate
        self.environment["PYTHONPATH"] = str(ROOT)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.browser.https", str(self.port), str(self.certificate.file)]

    def read(self, path: str) -> bytes:
        nobody_else = ssl.create_default_context(cafile=str(self.certificate.file))
        nobody_else.check_hostname = False  # it is for the name that the browser knows
        with urllib.request.urlopen(f"{self.inside}{path}", timeout=10, context=nobody_else) as response:
            return response.read()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, str]:
        return {**super().get_environ(), "HTTPS": "on"}

    def log_message(self, *_args: object) -> None:
        pass


def serve(port: int, certificate: str) -> None:
    import os

    os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    call_command("migrate", verbosity=0)
    server = make_server("127.0.0.1", port, application, _Server, _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # Not the listening socket alone: a handshake then would hold up whoever comes next.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
