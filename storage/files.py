"""Pictures and voice notes on disk, kept by content hash below the data directory; nothing of the camera's own data survives."""

from __future__ import annotations

import hashlib
import io
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

KEY = re.compile(r"[0-9a-f]{64}\.(?:jpg|png)")
VOICE_KEY = re.compile(r"[0-9a-f]{64}\.(?:amr|silk|ogg|mp3|m4a|wav|webm)")
LONG_SIDE, THUMB_SIDE = 2048, 360
# A small file can unpack into a huge picture; refuse before decoding it.
MAX_PIXELS = 60_000_000


class NotAPhoto(Exception):
    """The bytes are not a picture we can show."""


class NotAVoice(Exception):
    """The bytes are no sound we know."""


class PhotoTooLarge(Exception):
    """The picture is over the size limit."""


# What messengers record: by how a file begins (and, behind a box header, by its brand), never by its name.
SOUNDS = (
    (re.compile(rb"#!AMR"), "amr", "audio/amr"),
    (re.compile(rb"\x02?#!SILK"), "silk", "audio/silk"),
    (re.compile(rb"OggS"), "ogg", "audio/ogg"),
    (re.compile(rb"ID3|\xff[\xe2-\xfb]"), "mp3", "audio/mpeg"),
    (re.compile(rb".{4}ftyp(?:M4A|mp4|isom|3gp)", re.DOTALL), "m4a", "audio/mp4"),
    (re.compile(rb"RIFF.{4}WAVE", re.DOTALL), "wav", "audio/wav"),
    (re.compile(rb"\x1a\x45\xdf\xa3.{0,60}webm", re.DOTALL), "webm", "audio/webm"),
)
MIMES = {ending: mime for _, ending, mime in SOUNDS} | {"jpg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True)
class StoredVoice:
    key: str
    mime: str
    size: int


@dataclass(frozen=True)
class StoredPhoto:
    key: str
    mime: str
    size: int
    width: int
    height: int


def save_photo(folder: Path, data: bytes, max_bytes: int) -> StoredPhoto:
    """Check by content, drop EXIF (place, camera), shrink to 2048 px, store with a thumbnail.

    Raises PhotoTooLarge or NotAPhoto; then nothing was written.
    """
    if len(data) > max_bytes:
        raise PhotoTooLarge
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF")) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise PhotoTooLarge
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotAPhoto from error
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    encoded = _jpeg(picture)
    key = hashlib.sha256(encoded).hexdigest() + ".jpg"
    small = picture.copy()
    small.thumbnail((THUMB_SIDE, THUMB_SIDE))
    for path, content in ((photo_path(folder, key), encoded), (photo_path(folder, key, thumb=True), _jpeg(small))):
        _write(path, content)
    return StoredPhoto(key, "image/jpeg", len(encoded), picture.width, picture.height)


def save_voice(folder: Path, data: bytes, max_bytes: int) -> StoredVoice:
    """Check by content and store as it is. Raises PhotoTooLarge or NotAVoice; then nothing was written."""
    if len(data) > max_bytes:
        raise PhotoTooLarge
    for begins, ending, mime in SOUNDS:
        if begins.match(data):
            key = f"{hashlib.sha256(data).hexdigest()}.{ending}"
            _write(voice_path(folder, key), data)
            return StoredVoice(key, mime, len(data))
    raise NotAVoice


def voice_path(folder: Path, key: str) -> Path:
    """Where a stored voice note lies. Raises NotAVoice for a key that was never ours."""
    if not VOICE_KEY.fullmatch(key):
        raise NotAVoice
    return folder / "files" / key[:2] / key


def is_voice(key: str) -> bool:
    """Whether a key is that of a voice note."""
    return VOICE_KEY.fullmatch(key) is not None


def stored_file(folder: Path, key: str, *, thumb: bool = False) -> tuple[Path, str]:
    """Where a picture or voice note lies, and its type. Raises NotAPhoto for a key that was never ours."""
    mime = MIMES.get(key.rpartition(".")[2], "")
    return (voice_path(folder, key) if is_voice(key) else photo_path(folder, key, thumb=thumb)), mime


def remove_file(folder: Path, key: str) -> None:
    """Take a stored file and its thumbnail away; one that is gone already is no error."""
    paths = (
        [voice_path(folder, key)]
        if is_voice(key)
        else [photo_path(folder, key, thumb=thumb) for thumb in (False, True)]
    )
    for path in paths:
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all; two writers of the same content do not disturb each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{secrets.token_hex(4)}.part")
    partial.write_bytes(content)
    partial.replace(path)


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def photo_path(folder: Path, key: str, *, thumb: bool = False) -> Path:
    """Where a stored picture lies. Raises NotAPhoto for a key that was never ours (so no path can be smuggled in)."""
    if not KEY.fullmatch(key):
        raise NotAPhoto
    name = key.replace(".", "_thumb.") if thumb else key
    return folder / "files" / key[:2] / name
