"""A small certificate authority for a broker of our own.

Its certificate travels in the grid card, so nobody needs to trust anything else, and nothing of the
system's certificate store. Authority and server keys stay in the broker's directory, 0600.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tahoe.net.keys import load_private_text, replace_file

VALID_DAYS: Final = 3650
"""Ten years: the card can't be renewed at a distance, and whoever has it trusts this one authority anyway."""

_AUTHORITY: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tahoe broker authority")])
_CLOCK_SKEW: Final = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Files a TLS server needs, and the authority's certificate (PEM) that its clients need."""

    certificate: Path
    key: Path
    authority_pem: str


def certify(directory: Path, address: str) -> ServerCertificate:
    """Make a server certificate for an address; the authority in the directory is made when missing.

    Args:
        directory: of the broker.
        address: IP address or host name that clients dial. This machine's own names are added.
    """
    authority_key, authority = _authority(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tahoe broker")]), key.public_key())
        .add_extension(x509.SubjectAlternativeName(_names(address)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    found = ServerCertificate(directory / "server.pem", directory / "server.key", _pem(authority))
    replace_file(found.certificate, _pem(builder.sign(authority_key, hashes.SHA256())).encode())
    replace_file(found.key, _private_pem(key))
    return found


def _authority(directory: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, certificate_file = directory / "authority.key", directory / "authority.pem"
    if key_file.exists() and certificate_file.exists():
        key = serialization.load_pem_private_key(load_private_text(key_file).encode(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key, x509.load_pem_x509_certificate(certificate_file.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_AUTHORITY, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    replace_file(key_file, _private_pem(key))
    replace_file(certificate_file, _pem(certificate).encode())
    return key, certificate


_SIGNS_CERTIFICATES: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _builder(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_AUTHORITY)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
    )


def _names(address: str) -> list[x509.GeneralName]:
    wanted = dict.fromkeys([address, "localhost", "127.0.0.1", socket.gethostname()])
    return [_name(text) for text in wanted if text]


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
