"""Getting into a broker: what to trust, what to show, and why it keeps us out where it does."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from tahoe.errors import TahoeError
from tahoe.net.card import BrokerEntry

_BAD_LOGIN: Final = (134, 135)
"""MQTT's reason codes for a bad user name or password, and for not being authorised; paho maps the older ones to these."""


class BrokerUnavailable(TahoeError):
    """A broker can't be used now; says why and, where somebody must act, what to do."""


def explain(broker: BrokerEntry, error: aiomqtt.MqttError) -> str:
    """What keeps us out, and what to do about it."""
    cause = error.__context__ or error
    if isinstance(error, MqttConnectError) and _code(error) in _BAD_LOGIN:
        who = f"user {broker.user!r} with this password" if broker.user else "somebody without a user name"
        return f"{broker.url} does not let in {who}; take user and password from a newer grid card"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"{broker.url} shows a certificate that the grid card does not vouch for ({cause.verify_message}); "
            "somebody may be listening in, or the broker was set up anew: get a newer grid card"
        )
    if isinstance(cause, ssl.SSLError):
        return f"{broker.url}: TLS failed ({cause.reason or cause}); does this port speak TLS?"
    return f"{broker.url}: {error}"


def _code(error: MqttConnectError) -> int:
    return error.rc.value if isinstance(error.rc, ReasonCode) else int(error.rc or 0)


def tls_context(broker: BrokerEntry) -> ssl.SSLContext:
    """What to trust and what to show. Reads files.

    Raises:
        BrokerUnavailable: a certificate or key can't be used.
    """
    context = ssl.create_default_context() if not broker.ca else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if _is_pem(broker.ca):
            context.load_verify_locations(cadata=broker.ca)
        elif broker.ca:
            context.load_verify_locations(cafile=broker.ca)
        if broker.certificate:
            with _as_file(broker.certificate) as certificate, _as_file(broker.key or broker.certificate) as key:
                context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise BrokerUnavailable(f"{broker.url}: certificates of the grid card can't be used ({error})") from error
    return context


def _is_pem(text: str) -> bool:
    return "-----BEGIN" in text


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """The name of a file with this PEM; ssl reads chains from files only."""
    if not _is_pem(text):
        yield text
        return
    with tempfile.TemporaryDirectory() as directory:  # 0700
        path = Path(directory) / "pem"
        path.write_text(text)
        yield str(path)
