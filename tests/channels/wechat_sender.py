"""What WeChat's and WeCom's servers send to an address of ours, sealed and signed by foreign libraries (wechatpy, werobot)."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

import xmltodict
from wechatpy.crypto import WeChatCrypto
from werobot.crypto import MessageCrypt

TOKEN = "guanjia-token"
AES_KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
OTHER_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
ACCOUNT = "gh_7f083739789a"


def signed(*parts: str) -> str:
    return hashlib.sha1("".join(sorted((TOKEN, *parts))).encode()).hexdigest()


def cdata(text: str) -> str:
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"


@dataclass
class Pushed:
    """One HTTP request of the platform; sent again it is the platform's repeat."""

    params: dict[str, str]
    content: bytes


@dataclass
class Sender:
    """The platform's side of one account; `seal` is plain, wechatpy or werobot. `now` is the platform's clock in seconds."""

    app_id: str
    now: int
    seal: str = "plain"
    key: str = AES_KEY
    to: str = ACCOUNT
    ids: Any = field(default_factory=lambda: itertools.count(23_000_000_000_000_000))

    def message(self, who: str, kind: str, **fields: str) -> Pushed:
        return self.push(who, MsgType=kind, MsgId=str(next(self.ids)), **fields)

    def event(self, who: str, event: str, **fields: str) -> Pushed:
        return self.push(who, MsgType="event", Event=event, **fields)

    def text(self, who: str, words: str, **more: str) -> Pushed:
        return self.message(who, "text", Content=words, **more)

    def push(self, who: str, **fields: str) -> Pushed:
        values = {"ToUserName": self.to, "FromUserName": who, "CreateTime": str(self.now), **fields}
        return self.request(
            "<xml>" + "".join(f"<{name}>{cdata(text)}</{name}>" for name, text in values.items()) + "</xml>"
        )

    def request(self, xml: str) -> Pushed:
        nonce, stamp = f"n{next(self.ids)}", str(self.now)
        if self.seal == "plain":
            return Pushed({"signature": signed(stamp, nonce), "timestamp": stamp, "nonce": nonce}, xml.encode())
        sealed = self._sealed(xml, nonce, stamp)
        params = {
            "signature": signed(stamp, nonce),
            "timestamp": stamp,
            "nonce": nonce,
            "encrypt_type": "aes",
            "msg_signature": signed(stamp, nonce, sealed),
        }
        body = f"<xml><ToUserName>{escape(self.to)}</ToUserName><Encrypt>{cdata(sealed)}</Encrypt></xml>"
        return Pushed(params, body.encode())

    def _sealed(self, xml: str, nonce: str, stamp: str) -> str:
        if self.seal == "werobot":
            envelope = MessageCrypt(TOKEN, self.key, self.app_id).encrypt_message(xml, stamp, nonce)
        else:
            envelope = WeChatCrypto(TOKEN, self.key, self.app_id).encrypt_message(xml, nonce, stamp)
        return str(xmltodict.parse(envelope)["xml"]["Encrypt"])

    def check(self, echo: str) -> dict[str, str]:
        """The platform's test of our address."""
        stamp, nonce = str(self.now), "echo-nonce"
        return {"signature": signed(stamp, nonce), "timestamp": stamp, "nonce": nonce, "echostr": echo}

    def read(self, answer: bytes) -> dict[str, str]:
        """What the platform reads in an answer that is not `success`."""
        fields = xmltodict.parse(answer)["xml"]
        if self.seal == "plain":
            return dict(fields)
        crypt = WeChatCrypto(TOKEN, self.key, self.app_id)
        opened = crypt.decrypt_message(answer, fields["MsgSignature"], str(fields["TimeStamp"]), fields["Nonce"])
        return dict(xmltodict.parse(opened)["xml"])
