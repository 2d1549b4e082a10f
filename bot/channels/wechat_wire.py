"""What WeChat and WeCom put on the wire: signatures, AES envelopes and XML, the same for both.

Nothing is parsed before its signature held, and no XML is parsed that declares a document type.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from defusedxml import ElementTree

BODY_LIMIT = 256 * 1024
# The platforms repeat a push within 15 seconds; what is older was recorded by somebody.
FRESH_SECONDS = 300
_BLOCK = 32
_AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
# XML 1.0 has no way to write these, not even as a reference.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Fields = dict[str, str]


class BadPush(Exception):
    """A push that is not taken: forged (403), too old (403) or unreadable (400)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = status


def signature(token: str, *parts: str) -> str:
    """SHA-1 over the sorted parts, as both platforms sign."""
    return hashlib.sha1("".join(sorted((token, *parts))).encode("utf-8", "replace")).hexdigest()


def parse_xml(data: bytes | str) -> Fields:
    """First-level elements and their text; of one with children, `Parent.Child` each. Raises BadPush."""
    try:
        root = ElementTree.fromstring(data, forbid_dtd=True)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        # defusedxml's own refusals are ValueErrors, an unknown encoding a LookupError.
        raise BadPush(400, "not XML") from error
    fields: Fields = {}
    for element in root:
        fields.setdefault(str(element.tag), element.text or "")
        for child in element:
            fields.setdefault(f"{element.tag}.{child.tag}", child.text or "")
    return fields


def cdata(text: str) -> str:
    """A CDATA section; `]]>` would end it early, so it is split over two."""
    kept = _NOT_XML.sub("", text).replace("]]>", "]]]]><![CDATA[>")
    return f"<![CDATA[{kept}]]>"


def to_xml(fields: Mapping[str, str | int]) -> str:
    """`<xml>` with one element a field; numbers are written plain."""
    parts = [f"<{name}>{value if isinstance(value, int) else cdata(value)}</{name}>" for name, value in fields.items()]
    return f"<xml>{''.join(parts)}</xml>"


def aes_key(encoded: str) -> bytes:
    """The 32 bytes behind an EncodingAESKey. Raises ValueError for anything that is none."""
    if not _AES_KEY.fullmatch(encoded):
        raise ValueError("an EncodingAESKey has 43 characters A-Z a-z 0-9")
    return base64.b64decode(encoded + "=")


def encrypt(key: bytes, text: str, app_id: str) -> str:
    """random16 + length + text + app id, padded to 32, AES-256-CBC with the key's own beginning as IV."""
    content = text.encode()
    data = secrets.token_bytes(16) + len(content).to_bytes(4, "big") + content + app_id.encode()
    pad = _BLOCK - len(data) % _BLOCK
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(cipher.update(data + bytes([pad]) * pad) + cipher.finalize()).decode()


def decrypt(key: bytes, encrypted: str, app_id: str) -> str:
    """The text of an envelope made for `app_id` with this key. Raises ValueError."""
    data = base64.b64decode(encrypted, validate=True)
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    padded = cipher.update(data) + cipher.finalize()
    if not padded or not 1 <= padded[-1] <= _BLOCK:
        raise ValueError("wrong padding")
    content = padded[16 : -padded[-1]]
    end = 4 + int.from_bytes(content[:4], "big")
    if end > len(content) or not hmac.compare_digest(content[end:], app_id.encode()):
        raise ValueError("not for this account")
    return content[4:end].decode()


@dataclass(frozen=True)
class Push:
    """An opened push and the key it came under (None: it came plain), with which it is answered."""

    fields: Fields
    key: bytes | None = None


class Envelope:
    """Opens what one account is sent and seals what it answers.

    With `keys` only AES is taken: a plain body is covered by no signature, so whoever saw one address could forge it.
    Several keys: the newest first, older ones while the platform still uses them.
    """

    def __init__(self, token: str, app_id: str, keys: tuple[str, ...] = ()) -> None:
        self._token, self._app_id = token, app_id
        self._keys = tuple(aes_key(key) for key in keys)

    def echo(self, query: Mapping[str, str], now: datetime, *, sealed: bool) -> str:
        """What to answer to the platform's check of our address (WeCom seals it, WeChat never does). Raises BadPush."""
        text = query.get("echostr", "")
        if sealed:
            self._check(query, "msg_signature", now, text)
            return self._open(text)[0]
        self._check(query, "signature", now)
        return text

    def open(self, body: bytes, query: Mapping[str, str], now: datetime) -> Push:
        """The fields of a genuine push. Raises BadPush."""
        if not self._keys:
            self._check(query, "signature", now)
            return Push(parse_xml(body))
        # The signature covers the sealed part, so the frame around it has to be read first.
        sealed = parse_xml(body).get("Encrypt", "")
        if not sealed or query.get("encrypt_type", "aes") != "aes":
            raise BadPush(403, "a plain push, though AES is on")
        self._check(query, "msg_signature", now, sealed)
        text, key = self._open(sealed)
        return Push(parse_xml(text), key)

    def _check(self, query: Mapping[str, str], name: str, now: datetime, *signed: str) -> None:
        stamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        wanted = signature(self._token, stamp, nonce, *signed)
        if not hmac.compare_digest(query.get(name, "").encode("utf-8", "replace"), wanted.encode()):
            raise BadPush(403, "wrong signature")
        fresh = stamp.isascii() and stamp.isdecimal() and len(stamp) < 12
        if not fresh or abs(now.timestamp() - int(stamp)) > FRESH_SECONDS:
            raise BadPush(403, "too old")

    def _open(self, sealed: str) -> tuple[str, bytes]:
        for key in self._keys:
            try:
                return decrypt(key, sealed, self._app_id), key
            except ValueError:
                continue
        raise BadPush(400, "no key opens it")

    def seal(self, text: str, key: bytes | None, now: datetime) -> str:
        """The answer as the platform wants it back: as it is to a plain push, else in an envelope of the same key."""
        if key is None:
            return text
        sealed, stamp, nonce = encrypt(key, text, self._app_id), int(now.timestamp()), secrets.token_hex(8)
        signed = signature(self._token, str(stamp), nonce, sealed)
        return to_xml({"Encrypt": sealed, "MsgSignature": signed, "TimeStamp": stamp, "Nonce": nonce})
