"""Verification of webhook signatures of SendGrid, Twilio and Shopify."""

import binascii
import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlparse

from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.request_validator import RequestValidator, add_port, remove_port

SENDGRID_MAX_CLOCK_SKEW_S = 300
"""Seconds that a signed timestamp may differ from now; beyond, the request is taken for a replay."""

FormFields = Mapping[str, str | Sequence[str]] | Sequence[tuple[str, str]]
"""Form fields; a field may occur several times."""


@lru_cache(maxsize=8)
def load_sendgrid_key(public_key: str) -> Any:
    """Load SendGrid's verification key (base64 of a DER key, as its settings page shows it).

    Called when a process starts. Raises ``ValueError`` for anything but an ECDSA key on P-256.
    """
    expected = "SENDGRID_WEBHOOK_PUBLIC_KEY must be the key that SendGrid's Event Webhook page shows"
    try:
        key = EventWebhook(public_key.strip()).public_key
    except (ValueError, TypeError) as exc:
        raise ValueError(f"{expected}: {type(exc).__name__}") from None
    if getattr(getattr(key, "curve", None), "name", None) != "secp256r1":
        raise ValueError(f"{expected}: expected an ECDSA key on P-256, got {type(key).__name__}")
    return key


def verify_sendgrid(
    public_key: str, timestamp: str | None, body: bytes, signature: str | None, now: datetime
) -> bool:
    """Check ECDSA P-256 with SHA-256 over timestamp and raw body, and the timestamp against ``now``.

    ``timestamp`` (epoch seconds) and ``signature`` are the X-Twilio-Email-Event-Webhook headers. Returns
    False if either is missing or malformed. Raises ``ValueError`` only for a bad public key.
    """
    key = load_sendgrid_key(public_key)
    if not signature or not timestamp or not (timestamp.isascii() and timestamp.isdecimal()):
        return False
    if len(timestamp) > 12 or abs(now.timestamp() - int(timestamp)) > SENDGRID_MAX_CLOCK_SKEW_S:
        return False
    try:
        return bool(EventWebhook().verify_signature(body.decode(), signature, timestamp, key))
    except (UnicodeDecodeError, binascii.Error, ValueError):
        return False


def verify_twilio(
    auth_token: str, url: str, params_or_body: FormFields | str | bytes, signature: str | None
) -> bool:
    """Check Twilio's HMAC-SHA1 over the full URL and the sorted form fields (its "Webhooks Security" page).

    ``url`` is the one that Twilio called, query included. It is tried with and without its port, because
    Twilio signs either. For a JSON request pass the raw body: ``bodySHA256`` of the URL must be its hash,
    and a body without one is refused.
    """
    if not auth_token or not signature:
        return False
    fields, body_is_right = _MultiDict(), True
    if isinstance(params_or_body, str | bytes):
        body_is_right = _matches_body_hash(params_or_body, url)
    else:
        fields = _to_multi_dict(params_or_body)
    validator, parsed = RequestValidator(auth_token), urlparse(url)
    matches = [
        _equals_constant_time(validator.compute_signature(signed_url(parsed), fields), signature)
        for signed_url in (remove_port, add_port)
    ]
    return body_is_right and any(matches)


def verify_shopify(secrets: Sequence[str], body: bytes, header: str | None) -> bool:
    """Check X-Shopify-Hmac-Sha256: base64 of HMAC-SHA256 over the raw body, by any of the secrets.

    Several secrets are valid during a rotation. All are tried, also after a match.
    """
    if not header:
        return False
    matches = [
        _equals_constant_time(b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode(), header)
        for secret in secrets
        if secret
    ]
    return any(matches)


class _MultiDict(dict[str, list[str]]):
    """Form fields with the ``getall`` method that the SDK's validator calls."""

    def getall(self, name: str) -> list[str]:
        """Return all values of a field."""
        return self[name]


def _to_multi_dict(form: FormFields) -> _MultiDict:
    pairs = form.items() if isinstance(form, Mapping) else form
    fields = _MultiDict()
    for name, value in pairs:
        fields.setdefault(name, []).extend([value] if isinstance(value, str) else value)
    return fields


def _matches_body_hash(body: str | bytes, url: str) -> bool:
    data = body.encode() if isinstance(body, str) else body
    given = parse_qs(urlparse(url).query).get("bodySHA256", [""])[0]
    return _equals_constant_time(hashlib.sha256(data).hexdigest(), given)


def _equals_constant_time(computed: str, given: str) -> bool:
    """Compare in constant time. As bytes, because text beyond ASCII would raise."""
    return hmac.compare_digest(computed.encode(), given.encode(errors="replace"))
