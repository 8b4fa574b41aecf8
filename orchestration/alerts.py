"""Who is told when a run has failed: a webhook, an e-mail address, both, or nobody. All of it from the environment.

STRATA_ALERT_WEBHOOK: a URL that takes `{"text": ...}` (Slack, Teams, Mattermost and others do).
STRATA_ALERT_EMAIL, with STRATA_SMTP_URL: `smtp://user:password@host:587` (with STARTTLS where the server offers it) or
`smtps://...`. STRATA_ALERT_SENDER: whom the mail is from; the address itself where it is not set.
"""

from __future__ import annotations

import json
import os
import smtplib
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

TIMEOUT_SECONDS = 20


def is_configured() -> bool:
    """Is there anybody to tell?"""
    return bool(os.environ.get("STRATA_ALERT_WEBHOOK") or os.environ.get("STRATA_ALERT_EMAIL"))


def send(subject: str, text: str) -> None:
    """Tell all who are configured. Raises OSError (or smtplib.SMTPException) where one of them can't be reached."""
    if webhook := os.environ.get("STRATA_ALERT_WEBHOOK"):
        if urlsplit(webhook).scheme not in ("http", "https"):
            raise ValueError("STRATA_ALERT_WEBHOOK is not an http(s) URL")
        body = json.dumps({"text": f"{subject}\n{text}"}).encode()
        request = Request(webhook, body, {"Content-Type": "application/json"})  # noqa: S310 - http(s), as checked
        urlopen(request, timeout=TIMEOUT_SECONDS).close()  # noqa: S310
    if address := os.environ.get("STRATA_ALERT_EMAIL"):
        message = EmailMessage()
        message["Subject"], message["To"] = subject, address
        message["From"] = os.environ.get("STRATA_ALERT_SENDER") or address
        message.set_content(text)
        server = urlsplit(os.environ.get("STRATA_SMTP_URL") or "smtp://localhost:25")
        kind = smtplib.SMTP_SSL if server.scheme == "smtps" else smtplib.SMTP
        with kind(server.hostname or "localhost", server.port or 0, timeout=TIMEOUT_SECONDS) as connection:
            if server.scheme == "smtp" and connection.ehlo()[0] == 250 and connection.has_extn("starttls"):
                connection.starttls()
            if server.username:
                connection.login(unquote(server.username), unquote(server.password or ""))
            connection.send_message(message)
