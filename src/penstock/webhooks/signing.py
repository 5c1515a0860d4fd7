"""Signatures per Standard Webhooks: whose secret signs, and the headers a receiver verifies."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from penstock.core.errors import ConfigurationError, InvalidJobError

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what all secrets begin with is none


def secret_of(secret_key: str, actor: str) -> str:
    """The signing secret of ``actor``: ``whsec_`` and the base64 of HMAC-SHA256(key, "webhook:" + actor).

    The same as long as the service's ``secret_key`` is, so it is stored nowhere. Raises
    ``ConfigurationError`` without a key.
    """
    if not secret_key:
        raise ConfigurationError("webhooks cannot be signed: set PENSTOCK_SECRET_KEY (32 characters or more)")
    digest = hmac.new(secret_key.encode(), f"webhook:{actor}".encode(), hashlib.sha256).digest()
    return SECRET_PREFIX + base64.b64encode(digest).decode()


def key_of(secret: str) -> bytes:
    """The bytes that sign for ``secret``.

    After ``whsec_`` comes base64, as Standard Webhooks has it; any other secret signs with its own
    UTF-8 bytes. Raises ``InvalidJobError`` when there is nothing to sign with.
    """
    if not secret.startswith(SECRET_PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            raise InvalidJobError("the webhook's secret is not base64 after 'whsec_'") from None
    if not key:
        raise InvalidJobError("the webhook's secret is empty")
    return key


def signed_headers(secret: str, message_id: str, sent_at: datetime, body: str) -> dict[str, str]:
    """The headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` of one attempt.

    ``message_id`` stays the same when a delivery is repeated; ``sent_at`` (with its time zone) is the
    time of the attempt.
    """
    # In UTC, which the library takes for granted, and in whole seconds, as the header has it.
    whole = sent_at.astimezone(UTC).replace(microsecond=0)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(whole.timestamp())),
        "webhook-signature": Webhook(key_of(secret)).sign(message_id, whole, body),
    }
