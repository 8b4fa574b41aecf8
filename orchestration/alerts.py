"""Who is told when a run has failed: a webhook, an e-mail address, both, or nobody. All of it from the environment.

STRATA_ALERT_WEBHOOK: a URL that takes `{"text": ...}` (Slack, Teams, Mattermost and others do).
STRATA_ALERT_EMAIL, with STRATA_SMTP_URL: `smtp://user:password@host:587` (with STARTTLS where the server offers it) or
`smtps://...`. STRATA_ALERT_SENDER: whom the mail is from; the address itself where it is not set.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import time
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

TIMEOUT_SECONDS = 20
PAUSE_SECONDS = 5


class _Unmoved(HTTPRedirectHandler):
    """Takes a redirect for the error that it is: urllib would follow it without what is to be told."""

    def redirect_request(self, *_: object) -> None:
        """Nowhere."""


def is_configured() -> bool:
    """Is there anybody to tell?"""
    return bool(os.environ.get("STRATA_ALERT_WEBHOOK") or os.environ.get("STRATA_ALERT_EMAIL"))


def send(subject: str, text: str) -> None:
    """Tell all who are configured, whoever of them can't be reached.

    Raises OSError (smtplib.SMTPException and urllib's errors are) or ValueError, of the first who could not be told.
    """
    failures: list[Exception] = []
    for name, tell in (("STRATA_ALERT_WEBHOOK", _post), ("STRATA_ALERT_EMAIL", _mail)):
        if target := os.environ.get(name):
            try:
                try:
                    tell(target, subject, text)
                except OSError:  # once more: nobody tries a second time to tell of a run
                    time.sleep(PAUSE_SECONDS)
                    tell(target, subject, text)
            except (OSError, ValueError) as error:
                failures.append(error)
    if failures:
        raise failures[0]


def _post(webhook: str, subject: str, text: str) -> None:
    if urlsplit(webhook).scheme not in ("http", "https"):
        raise ValueError("STRATA_ALERT_WEBHOOK is not an http(s) URL")
    body = json.dumps({"text": f"{subject}\n{text}"}).encode()
    request = Request(webhook, body, {"Content-Type": "application/json"})  # noqa: S310 - http(s), as checked
    build_opener(_Unmoved).open(request, timeout=TIMEOUT_SECONDS).close()


def _mail(address: str, subject: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"], message["To"] = subject, address
    message["From"] = os.environ.get("STRATA_ALERT_SENDER") or address
    message.set_content(text)
    server = urlsplit(os.environ.get("STRATA_SMTP_URL") or "smtp://localhost:25")
    if server.scheme not in ("smtp", "smtps"):
        raise ValueError("STRATA_SMTP_URL is not an smtp:// or smtps:// URL")
    host, port, trusted = server.hostname or "localhost", server.port or 0, ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=trusted)
        if server.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    ) as connection:
        is_private = server.scheme == "smtps" or host in ("localhost", "127.0.0.1", "::1")
        if server.scheme == "smtp" and connection.ehlo()[0] == 250 and connection.has_extn("starttls"):
            # Without a password nothing secret is sent, and a server's certificate is often its own.
            connection.starttls(context=trusted if server.username else None)
            is_private = True
        if server.username:
            if not is_private:
                raise ValueError("STRATA_SMTP_URL has a password, and its server offers no STARTTLS to send it by")
            connection.login(unquote(server.username), unquote(server.password or ""))
        connection.send_message(message)
