"""What proves to a service that a post comes from this monitor: a bearer token, a signature."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from monitor.notify.render import header

_PREFIX: Final = "whsec_"


def signing_key(text: str) -> bytes:
    """The key of signatures: what ``whsec_`` is followed by, base64. Raises ValueError, which does not quote it."""
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(_PREFIX) or not key:
        raise ValueError(
            "a signing key is whsec_ and at least a byte in base64: python -c 'import base64, secrets; "
            'print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\''
        )
    return key


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one receiver; what is empty is not sent. `key`: of signatures, see :func:`signing_key`."""

    token: str = ""
    key: str = ""

    @property
    def secrets(self) -> frozenset[str]:
        """What must not be shown."""
        return frozenset(filter(None, (self.token, self.key, self.key.removeprefix(_PREFIX))))

    def headers(self, message: str, content: bytes, wall: int) -> dict[str, str]:
        """The headers of a post, sent at `wall` (UTC ns), of the message with this idempotency key.

        The signature is that of Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): HMAC-SHA256 over
        ``id.timestamp.content``, symmetric.
        """
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.key:
            # The scheme joins its parts by full stops: there are none in an id.
            identity, seconds = header(message).replace(".", "%2E"), str(wall // 1_000_000_000)
            digest = hmac.digest(signing_key(self.key), f"{identity}.{seconds}.".encode() + content, hashlib.sha256)
            sent |= {
                "webhook-id": identity,
                "webhook-timestamp": seconds,
                "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
            }
        return sent


NONE: Final = Credentials()
