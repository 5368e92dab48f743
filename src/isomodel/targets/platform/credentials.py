"""Credentials: who connects, signed by whoever may say so."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from isomodel.targets.factory.errors import InvalidToken


def issue(key: bytes, user: str, expires: float) -> str:
    """A credential for this user, valid until ``expires``, in Unix seconds."""
    body = f"{expires:.0f}.{user}".encode()
    return f"{_text(body)}.{_text(_signature(key, body))}"


def read(key: bytes, credential: str, now: float) -> str:
    """The user it was issued for; raises InvalidToken if it is forged, damaged or expired."""
    body, _, signature = credential.partition(".")
    try:
        signed, given = _bytes(body), _bytes(signature)
    except (binascii.Error, ValueError):
        raise InvalidToken("this credential is damaged; ask for a new one") from None
    if not hmac.compare_digest(given, _signature(key, signed)):
        raise InvalidToken("this credential was not issued here; ask for a new one")
    expires, _, user = signed.decode().partition(".")
    if now >= float(expires):
        raise InvalidToken("this credential has expired; ask for a new one")
    return user


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
