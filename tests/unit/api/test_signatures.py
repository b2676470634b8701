"""Webhook signatures: true ones pass, everything else is refused and nothing raises."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from api.webhooks.signatures import load_sendgrid_key, verify_sendgrid, verify_shopify, verify_twilio
from tests.support.fakes.vendor import vendor_file, vendor_json

KEY = ec.generate_private_key(ec.SECP256R1())

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

STAMP = str(int(NOW.timestamp()))

EVENTS = '[{"event":"delivered","reason":"schön"}]\r\n'.encode()

URL = "https://shop.example.com/webhooks/twilio/status?message_id=m-1"

FORM = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+4915112345678", "Empty": ""}


def public(key: Any) -> str:
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


def signed(body: bytes, stamp: str = STAMP, key: ec.EllipticCurvePrivateKey = KEY) -> str:
    return base64.b64encode(key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()


# SendGrid


def test_sendgrids_true_signature_passes() -> None:
    assert verify_sendgrid(public(KEY), STAMP, EVENTS, signed(EVENTS), NOW)


@pytest.mark.parametrize(
    ("age", "passes"),
    [
        pytest.param(timedelta(seconds=300), True, id="300 s old"),
        pytest.param(timedelta(seconds=301), False, id="301 s old: a replay"),
        pytest.param(timedelta(seconds=-300), True, id="300 s ahead"),
        pytest.param(timedelta(seconds=-301), False, id="301 s ahead"),
    ],
)
def test_sendgrids_signature_passes_for_300_seconds(age: timedelta, passes: bool) -> None:
    assert verify_sendgrid(public(KEY), STAMP, EVENTS, signed(EVENTS), NOW + age) is passes


STRANGER = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("stamp", "body", "signature"),
    [
        pytest.param(STAMP, EVENTS.strip(), signed(EVENTS), id="line end stripped"),
        pytest.param(STAMP, EVENTS + b" ", signed(EVENTS), id="body changed"),
        pytest.param(STAMP, b"\xff\xfe", signed(b"\xff\xfe"), id="body not UTF-8"),
        pytest.param(str(int(STAMP) + 1), EVENTS, signed(EVENTS), id="timestamp changed"),
        pytest.param(STAMP, EVENTS, signed(EVENTS, key=STRANGER), id="another key"),
        pytest.param(STAMP, EVENTS, "not base64!", id="not base64"),
        pytest.param(STAMP, EVENTS, "abc", id="base64 without its padding"),
        pytest.param(STAMP, EVENTS, base64.b64encode(b"0" * 64).decode(), id="not DER"),
        pytest.param(STAMP, EVENTS, "sígnature", id="not ASCII"),
        pytest.param(STAMP, EVENTS, "", id="empty"),
        pytest.param(STAMP, EVENTS, None, id="no signature"),
        pytest.param(None, EVENTS, signed(EVENTS), id="no timestamp"),
        pytest.param("timestamp", EVENTS, signed(EVENTS, "timestamp"), id="timestamp in words"),
        pytest.param("١٧", EVENTS, signed(EVENTS), id="timestamp in other digits"),
        pytest.param("9" * 400, EVENTS, signed(EVENTS), id="timestamp without end"),
        pytest.param(f"-{STAMP}", EVENTS, signed(EVENTS, f"-{STAMP}"), id="timestamp below zero"),
    ],
)
def test_whatever_else_claims_to_be_sendgrid_is_refused(
    stamp: str | None, body: bytes, signature: str | None
) -> None:
    assert not verify_sendgrid(public(KEY), stamp, body, signature, NOW)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("nonsense", id="nonsense"),
        pytest.param(public(ec.generate_private_key(ec.SECP384R1())), id="another curve"),
        pytest.param(public(rsa.generate_private_key(65537, 2048)), id="RSA"),
    ],
)
def test_a_bad_verification_key_is_refused_at_start_by_name(key: str) -> None:
    with pytest.raises(ValueError, match="SENDGRID_WEBHOOK_PUBLIC_KEY"):
        load_sendgrid_key(key)


def test_sendgrids_published_vectors_are_judged_as_published() -> None:
    for case in vendor_json("sendgrid_signature_vectors.json")["cases"]:
        stamp = case["timestamp"]
        now = datetime.fromtimestamp(int(stamp), UTC) if stamp.isdecimal() else NOW

        passes = verify_sendgrid(case["public_key"], stamp, case["payload"].encode(), case["signature"], now)

        assert passes is case["valid"], case["name"]


# Twilio


def twilio_signature(url: str, form: dict[str, str], token: str = "token") -> str:
    return str(RequestValidator(token).compute_signature(url, form))


def test_twilios_true_signature_passes_for_a_mapping_pairs_and_a_parsed_body() -> None:
    signature = twilio_signature(URL, FORM)

    assert verify_twilio("token", URL, FORM, signature)
    assert verify_twilio("token", URL, list(FORM.items()), signature)
    assert verify_twilio("token", URL, parse_qsl(urlencode(FORM), keep_blank_values=True), signature)


def test_twilio_may_sign_with_or_without_the_port() -> None:
    assert verify_twilio("token", URL, FORM, twilio_signature(URL.replace(".com/", ".com:443/"), FORM))
    assert verify_twilio("token", URL.replace(".com/", ".com:8443/"), FORM, twilio_signature(URL, FORM))


def test_every_value_of_a_repeated_field_is_signed() -> None:
    pairs = [("A", "2"), ("A", "1"), ("B", "3")]
    mac = hmac.digest(b"token", f"{URL}A1A2B3".encode(), hashlib.sha1)
    signature = base64.b64encode(mac).decode()

    assert verify_twilio("token", URL, pairs, signature)
    assert verify_twilio("token", URL, {"A": ["1", "2"], "B": "3"}, signature)
    assert not verify_twilio("token", URL, pairs[1:], signature)


def test_a_json_request_is_bound_to_its_body_by_the_hash_in_the_url() -> None:
    body = b'{"property": "value"}'
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = twilio_signature(url, {})

    assert verify_twilio("token", url, body, signature)
    assert verify_twilio("token", url, body.decode(), signature)
    assert not verify_twilio("token", url, body + b" ", signature)
    assert not verify_twilio("token", URL, body, twilio_signature(URL, {})), "a body without its hash"


@pytest.mark.parametrize(
    ("token", "url", "form", "signature"),
    [
        pytest.param("other", URL, FORM, twilio_signature(URL, FORM), id="another token"),
        pytest.param("token", URL + "x", FORM, twilio_signature(URL, FORM), id="another message id"),
        pytest.param("token", URL, {**FORM, "To": "+1"}, twilio_signature(URL, FORM), id="field changed"),
        pytest.param("token", URL, {**FORM, "New": "1"}, twilio_signature(URL, FORM), id="field added"),
        pytest.param("token", URL, FORM, "sígnature", id="not ASCII"),
        pytest.param("token", URL, FORM, "\udcff", id="half a character"),
        pytest.param("token", URL, FORM, "", id="empty"),
        pytest.param("token", URL, FORM, None, id="no signature"),
        pytest.param("", URL, FORM, twilio_signature(URL, FORM, ""), id="no token set"),
    ],
)
def test_whatever_else_claims_to_be_twilio_is_refused(
    token: str, url: str, form: dict[str, str], signature: str | None
) -> None:
    assert not verify_twilio(token, url, form, signature)


def test_twilios_published_vectors_are_judged_as_published() -> None:
    vectors = vendor_json("twilio_signature_vectors.json")
    for case in vectors["cases"]:
        given = case["body"] if "body" in case else case["params"]

        passes = verify_twilio(vectors["auth_token"], case["url"], given, case["signature"])

        assert passes is case["valid"], case["name"]


# Shopify


def shopify_signature(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def test_shopifys_true_signature_passes_by_any_live_secret() -> None:
    body = b'{"id": 1}'

    assert verify_shopify(["hush"], body, shopify_signature("hush", body))
    assert verify_shopify(["new", "hush"], body, shopify_signature("hush", body))
    assert verify_shopify(["hush", "old"], body, shopify_signature("hush", body))


@pytest.mark.parametrize(
    ("secrets", "body", "header"),
    [
        pytest.param(["other"], b"{}", shopify_signature("hush", b"{}"), id="another secret"),
        pytest.param(["hush"], b"{} ", shopify_signature("hush", b"{}"), id="body changed"),
        pytest.param(["hush"], b"{}", shopify_signature("hush", b"{}").lower(), id="header changed"),
        pytest.param(["hush"], b"{}", "é", id="not ASCII"),
        pytest.param(["hush"], b"{}", None, id="no header"),
        pytest.param([], b"{}", shopify_signature("", b"{}"), id="no secret set"),
        pytest.param([""], b"{}", shopify_signature("", b"{}"), id="empty secret"),
    ],
)
def test_whatever_else_claims_to_be_shopify_is_refused(
    secrets: list[str], body: bytes, header: str | None
) -> None:
    assert not verify_shopify(secrets, body, header)


def test_shopifys_vector_passes() -> None:
    vector = vendor_json("shopify_hmac_vector.json")
    body = vendor_file(vector["body_file"]).read_bytes()

    assert verify_shopify([vector["secret"]], body, vector["X-Shopify-Hmac-Sha256"])


@given(st.binary(), st.text(), st.text())
def test_nothing_anyone_sends_raises_or_passes(body: bytes, signature: str, stamp: str) -> None:
    assert not verify_sendgrid(public(KEY), stamp, body, signature, NOW)
    assert not verify_twilio("token", URL, body, signature)
    assert not verify_shopify(["hush"], body, signature)
