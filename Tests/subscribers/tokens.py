"""Tokens of all kinds: made as issuers make them, and as forgers would. From RFC 7515 and RFC 7519 alone."""

import base64
import hashlib
import hmac
import json
import os

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """Keys of each algorithm, their public halves as PEM and JWKS."""

    def __init__(self):
        self.keys = {
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "RS256": rsa.generate_private_key(65537, 2048),
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
            "HS256": os.urandom(32),
        }

    def pem(self, algorithm):
        return self.keys[algorithm].public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def jwk(self, algorithm, kid):
        public = self.keys[algorithm].public_key()
        common = {"kid": kid, "use": "sig", "alg": algorithm}
        if algorithm == "ES256":
            numbers = public.public_numbers()
            x, y = (b64(value.to_bytes(32, "big")) for value in (numbers.x, numbers.y))
            return {**common, "kty": "EC", "crv": "P-256", "x": x, "y": y}
        if algorithm == "RS256":
            numbers = public.public_numbers()
            return {**common, "kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {**common, "kty": "OKP", "crv": "Ed25519", "x": b64(raw)}

    def signature(self, algorithm, data):
        key = self.keys[algorithm]
        if algorithm == "HS256":
            return hmac.digest(key, data, hashlib.sha256)
        if algorithm == "RS256":
            return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if algorithm == "EdDSA":
            return key.sign(data)
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign(self, algorithm, header, claims):
        """A token; `claims` may be bytes, for what no JSON library would write."""
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        data = f"{b64(json.dumps(header).encode())}.{b64(payload)}".encode()
        return f"{data.decode()}.{b64(self.signature(algorithm, data))}"


def with_secret(secret, header, claims):
    data = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}".encode()
    return f"{data.decode()}.{b64(hmac.digest(secret, data, hashlib.sha256))}"


def with_claims(token, **changes):
    """A token whose claims were changed, with its old signature."""
    header, payload, signature = token.split(".")
    return ".".join([header, b64(json.dumps({**json.loads(unb64(payload)), **changes}).encode()), signature])
