"""Mails by SMTP (RFC 5321), encrypted on the way: TLS from the start (smtps://) or STARTTLS (RFC 3207). Blocking."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from engine.errors import ConfigError, ProviderRejected, ProviderUnavailable

LONGEST = 254  # characters of an address, RFC 5321 section 4.5.3.1.3 with its erratum
# The addresses that people have: a dot-string and a host (RFC 5321 section 4.1.2), without quotes, comments and literals.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
)
PORTS = {"smtp": 587, "smtps": 465}


def addresses(text: str) -> list[str]:
    """Return the mail addresses in a text that separates them by commas. Raises ValueError for one that is none."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    for one in found:
        if not _ADDRESS.fullmatch(one) or len(one) > LONGEST:
            raise ValueError("not a mail address")
    if not found:
        raise ValueError("no mail address")
    return found


def send_mail(url: str, sender: str, to: Sequence[str], subject: str, text: str, *, seconds: float = 10.0) -> None:
    """Send one mail by the server at `url`: smtp://[user:password@]host[:port], or smtps:// alike.

    A server that is not on this machine must offer STARTTLS. `seconds` bounds each answer of the server.
    Raises ConfigError, ProviderUnavailable, ProviderRejected; no text of them repeats a user or a password.
    """
    hint = "Set alerting.smtp_url (special characters of a password as %XX) and alerting.mail_from."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text may repeat the password
        raise ConfigError("mails cannot be sent: the address of the server cannot be read", hint=hint) from None
    if parts.scheme not in PORTS or not parts.hostname or not sender.isprintable() or not sender:
        raise ConfigError("mails cannot be sent: no server or no sender is set", hint=hint)
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(to)
    message["Subject"] = " ".join(subject.split())[:200]
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="workbench.invalid")
    message.set_content(text)
    host, port = parts.hostname, port or PORTS[parts.scheme]
    try:
        with _connected(parts.scheme, host, port, seconds) as server:
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except smtplib.SMTPAuthenticationError:
        raise ProviderRejected("the mail server refuses the user or the password", hint="Correct alerting.smtp_url.") from None
    except (
        smtplib.SMTPRecipientsRefused,
        smtplib.SMTPSenderRefused,
        smtplib.SMTPDataError,
        smtplib.SMTPNotSupportedError,
    ) as error:
        raise ProviderRejected(
            f"the mail server refuses the mail ({type(error).__name__})", hint="Check sender and receivers."
        ) from None
    except (OSError, smtplib.SMTPException) as error:
        raise ProviderUnavailable(
            f"the mail server cannot be reached ({type(error).__name__})", hint="Check alerting.smtp_url."
        ) from None


def _connected(scheme: str, host: str, port: int, seconds: float) -> smtplib.SMTP:
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=seconds, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=seconds)
    try:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        elif not _is_here(host):
            raise smtplib.SMTPNotSupportedError("no STARTTLS")
    except BaseException:
        server.close()
        raise
    return server


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
