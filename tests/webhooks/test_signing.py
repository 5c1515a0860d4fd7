"""Signatures: verified by the standardwebhooks package and, once, by hand."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from penstock.core.errors import ConfigurationError, InvalidJobError
from penstock.webhooks.signing import key_of, secret_of, signed_headers
from tests.webhooks.support import ACTOR, SECRET_KEY

BODY = '{"event":"run.completed","goal":"Grüße, 世界 🎉"}'


def test_an_actors_secret_is_the_keys_hmac_over_its_name() -> None:
    expected = hmac.new(SECRET_KEY.encode(), b"webhook:user-123", hashlib.sha256).digest()
    assert secret_of(SECRET_KEY, ACTOR) == "whsec_" + base64.b64encode(expected).decode()


def test_every_actor_and_every_key_has_its_own_secret() -> None:
    secrets = {secret_of(key, actor) for key in (SECRET_KEY, SECRET_KEY + "2") for actor in ("a", "b", "ä")}
    assert len(secrets) == 6


def test_without_a_key_there_is_no_secret() -> None:
    with pytest.raises(ConfigurationError, match="PENSTOCK_SECRET_KEY"):
        secret_of("", ACTOR)


def test_the_signature_is_over_id_time_and_body() -> None:
    secret = secret_of(SECRET_KEY, ACTOR)
    sent_at = datetime(2024, 1, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    headers = signed_headers(secret, "wh:run-1:run.completed", sent_at, BODY)
    assert headers["webhook-id"] == "wh:run-1:run.completed"
    assert headers["webhook-timestamp"] == "1704110400"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"wh:run-1:run.completed.1704110400.{BODY}".encode()
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize("zone_hours", [0, 5, -8])
def test_receivers_verify_it_whatever_the_senders_zone(zone_hours: int) -> None:
    secret = secret_of(SECRET_KEY, ACTOR)
    sent_at = datetime.now(timezone(timedelta(hours=zone_hours)))
    assert Webhook(secret).verify(BODY, signed_headers(secret, "m-1", sent_at, BODY))


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_what_was_changed_on_the_way_is_not_verified(changed: str) -> None:
    secret = secret_of(SECRET_KEY, ACTOR)
    now = datetime.now(UTC)
    headers = signed_headers(secret, "m-1", now, BODY)
    if changed == "webhook-timestamp":
        headers[changed] = str(int(now.timestamp()) + 1)
    elif changed == "webhook-id":
        headers[changed] = "m-2"
    receiver = Webhook(secret_of(SECRET_KEY, "another") if changed == "secret" else secret)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        receiver.verify(BODY + " " * (changed == "body"), headers)


def test_a_secret_of_another_form_signs_with_its_own_bytes() -> None:
    headers = signed_headers("signing-secret", "m-1", datetime.now(UTC), BODY)
    assert Webhook(b"signing-secret").verify(BODY, headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!", "whsec_abcde"])
def test_what_cannot_sign_is_refused(secret: str) -> None:
    with pytest.raises(InvalidJobError, match="secret"):
        key_of(secret)
