"""The gateway by TLS: for others, under names that its operator gave it."""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import json
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tahoe.errors import BadConfiguration
from tahoe.web.serve import GatewayServer, Tls, listen
from tests.web.conftest import ANNOUNCED_NAME, TOKEN


@pytest.fixture
def tls(tmp_path) -> Tls:
    """A certificate for the announced name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ANNOUNCED_NAME)])
    today = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(ANNOUNCED_NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = Tls(tmp_path / "certificate.pem", tmp_path / "key.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.fixture
def secure(gateway, tls):
    """A function that makes a request by TLS."""
    server = GatewayServer(gateway.app, listen("127.0.0.1", 0), None, tls)
    asyncio.run_coroutine_threadsafe(server.start(), gateway.loop).result(10)
    port = int(server.url.rstrip("/").rpartition(":")[2])
    context = ssl.create_default_context(cafile=tls.certificate)
    context.check_hostname = False

    def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
        connection.request(
            method, path, body, {"Host": ANNOUNCED_NAME} | {k.replace("_", "-"): v for k, v in headers.items()}
        )
        return connection.getresponse()

    assert server.url.startswith("https://")
    yield ask
    asyncio.run_coroutine_threadsafe(server.stop(), gateway.loop).result(10)


def test_others_read_and_write_by_tls(secure, gateway):
    cap = secure("PUT", "/uri", b"x" * 100, Authorization=f"Bearer {TOKEN}").read().decode().strip()
    assert secure("GET", f"/uri/{cap}").read() == b"x" * 100
    assert secure("GET", "/status").status == 401
    assert secure("GET", "/", Host="evil.example").status == 421


def test_the_name_of_others_counts_by_tls_only(secure, gateway):
    assert secure("GET", "/").status == 200
    assert gateway.request("GET", "/", Host=ANNOUNCED_NAME).status == 421


def test_a_session_by_tls_has_a_cookie_for_tls_only(secure):
    invited = json.loads(secure("POST", "/session", b"", Authorization=f"Bearer {TOKEN}").read())
    origin, _, path = invited["url"].partition("/session")
    assert origin == f"https://{ANNOUNCED_NAME}"
    entered = secure("GET", "/session" + path)
    assert entered.status == 303
    cookie = entered.headers["set-cookie"]
    assert "secure" in cookie.lower()
    assert secure("GET", "/status", Cookie=cookie.partition(";")[0]).status == 200


def test_a_certificate_that_is_none_is_said_so(gateway, tls):
    tls.certificate.write_text("nonsense")
    with listen("127.0.0.1", 0) as listener, pytest.raises(BadConfiguration, match="certificate"):
        GatewayServer(gateway.app, listener, None, tls)
