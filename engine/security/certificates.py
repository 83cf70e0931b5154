"""When the certificate of a server ends: one handshake, to an address that the guard allows; nothing is sent."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime

from cryptography import x509

from engine.errors import AddressDenied
from engine.types import Guard

SECONDS = 5.0


def certificate_end(host: str, port: int, *, guard: Guard, seconds: float = SECONDS) -> datetime:
    """Return the end of the certificate that `host` shows, in UTC. Blocks; call it in a thread.

    The certificate is not verified: one that has ended already must be readable, and nothing is told to who shows it.
    Raises AddressDenied, and OSError when there is no handshake within `seconds`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    addresses = guard.addresses(host, port)
    if not addresses:
        raise AddressDenied(host=host)
    with (
        socket.create_connection((addresses[0], port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    if not shown:
        raise OSError("the server showed no certificate")
    return x509.load_der_x509_certificate(shown).not_valid_after_utc.astimezone(UTC)
