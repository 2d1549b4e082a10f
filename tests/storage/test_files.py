"""Pictures: checked by content, stripped of the camera's data, shrunk, and kept under keys of our own only."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from storage.files import (
    LONG_SIDE,
    THUMB_SIDE,
    NotAPhoto,
    NotAVoice,
    PhotoTooLarge,
    is_voice,
    photo_path,
    remove_file,
    save_photo,
    save_voice,
    stored_file,
    voice_path,
)

MAX = 10_000_000


def picture(size: tuple[int, int] = (640, 480), form: str = "JPEG", mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 120).save(out, form, **options)
    return out.getvalue()


def with_exif(size: tuple[int, int] = (640, 480), orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (30.0, 16.0, 27.0)
    return picture(size, exif=exif.tobytes())


def stored_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_nothing_of_the_camera_survives(tmp_path: Path) -> None:
    data = with_exif()
    assert b"SecretCamera" in data
    stored = save_photo(tmp_path, data, MAX)
    for path in stored_files(tmp_path):
        assert b"SecretCamera" not in path.read_bytes()
        with Image.open(path) as kept:
            assert dict(kept.getexif()) == {}
            assert "exif" not in kept.info
    assert (stored.mime, stored.width, stored.height) == ("image/jpeg", 640, 480)
    assert stored.size == photo_path(tmp_path, stored.key).stat().st_size


def test_a_picture_taken_sideways_is_stored_upright(tmp_path: Path) -> None:
    stored = save_photo(tmp_path, with_exif((640, 480), orientation=6), MAX)
    assert (stored.width, stored.height) == (480, 640)


def test_large_pictures_are_shrunk_and_have_a_thumbnail(tmp_path: Path) -> None:
    stored = save_photo(tmp_path, picture((4000, 3000)), MAX)
    assert (stored.width, stored.height) == (LONG_SIDE, 1536)
    with Image.open(photo_path(tmp_path, stored.key, thumb=True)) as thumb:
        assert max(thumb.size) == THUMB_SIDE
    assert len(stored_files(tmp_path)) == 2


@pytest.mark.parametrize(("form", "mode"), [("PNG", "RGBA"), ("PNG", "L"), ("PNG", "P"), ("GIF", "P"), ("WEBP", "RGB")])
def test_every_common_format_becomes_a_jpeg(tmp_path: Path, form: str, mode: str) -> None:
    stored = save_photo(tmp_path, picture(form=form, mode=mode), MAX)
    with Image.open(photo_path(tmp_path, stored.key)) as kept:
        assert (kept.format, kept.mode) == ("JPEG", "RGB")


def test_the_same_picture_is_stored_once(tmp_path: Path) -> None:
    first, again = (save_photo(tmp_path, picture(), MAX) for _ in range(2))
    assert first == again
    assert len(stored_files(tmp_path)) == 2


def test_too_many_bytes_are_refused_before_reading(tmp_path: Path) -> None:
    data = picture()
    assert save_photo(tmp_path / "a", data, len(data))
    with pytest.raises(PhotoTooLarge):
        save_photo(tmp_path / "b", data, len(data) - 1)
    assert stored_files(tmp_path / "b") == []


def png_of(width: int, height: int) -> bytes:
    """A few bytes that claim to be a huge picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(8000, 8000), (60_000, 60_000), (2_000_000, 40), (100_000, 100_000)])
def test_a_decompression_bomb_is_refused_unopened(tmp_path: Path, width: int, height: int) -> None:
    with pytest.raises((PhotoTooLarge, NotAPhoto)):
        save_photo(tmp_path, png_of(width, height), MAX)
    assert stored_files(tmp_path) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xd8\xff\xe0" + b"\x00" * 50,
        b"%PDF-1.7 ...",
        b"PK\x03\x04" + b"\x00" * 100,
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"GIF89a<script>alert(1)</script>",
        picture()[:200],
        picture(form="PNG")[:60],
        picture(form="BMP"),
        picture(form="TIFF"),
        picture(form="PPM"),
        picture(form="ICO"),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_what_is_no_picture_we_show_is_refused_and_not_written(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(NotAPhoto):
        save_photo(tmp_path, data, MAX)
    assert stored_files(tmp_path) == []


@given(st.binary(max_size=300), st.integers(0, 40))
def test_damaged_pictures_never_raise_anything_else(junk: bytes, at: int) -> None:
    import tempfile

    whole = picture((16, 16))
    with tempfile.TemporaryDirectory() as folder:
        for data in (junk, whole[:at] + junk + whole[at:]):
            try:
                save_photo(Path(folder), data, MAX)
            except (NotAPhoto, PhotoTooLarge):
                continue


@pytest.mark.parametrize(
    "key",
    [
        "",
        "../../etc/passwd",
        "..",
        "/etc/passwd",
        "a" * 64,
        "a" * 64 + ".jpg/../../x",
        "a" * 64 + ".jpg\n",
        "a" * 64 + ".jpg\x00",
        "A" * 64 + ".jpg",
        "g" * 64 + ".jpg",
        "a" * 63 + ".jpg",
        "a" * 64 + ".php",
        "a" * 64 + "_thumb.jpg",
        "１" * 64 + ".jpg",
    ],
)
def test_no_path_can_be_smuggled_in(tmp_path: Path, key: str) -> None:
    for thumb in (False, True):
        with pytest.raises(NotAPhoto):
            photo_path(tmp_path, key, thumb=thumb)


@given(st.text(max_size=80))
def test_no_text_ever_leads_outside(key: str) -> None:
    try:
        path = photo_path(Path("/data"), key)
    except NotAPhoto:
        return
    assert Path("/data/files") in path.parents


# --- voice notes ------------------------------------------------------------------------------------------------------

SOUNDS = {
    "amr": b"#!AMR\n\x3c",
    "silk": b"\x02#!SILK_V3",
    "ogg": b"OggS\x00\x02",
    "mp3": b"\xff\xfb\x90\x00",
    "m4a": b"\x00\x00\x00\x20ftypM4A ",
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "webm": b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm",
}


@pytest.mark.parametrize("ending", SOUNDS)
def test_a_voice_note_is_known_by_its_content_and_kept_as_it_is(tmp_path: Path, ending: str) -> None:
    stored = save_voice(tmp_path, SOUNDS[ending], 100)
    assert stored.key.endswith(f".{ending}")
    assert save_voice(tmp_path, SOUNDS[ending], 100) == stored
    assert voice_path(tmp_path, stored.key).read_bytes() == SOUNDS[ending]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [stored.key]


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"\x89PNG\r\n", b"#!AM", b"RIFF\x24\x00\x00\x00AVI ", b"\x1a\x45\xdf\xa3\x9fmatroska"]
)
def test_what_is_no_sound_is_not_kept(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(NotAVoice):
        save_voice(tmp_path, data, 100)
    with pytest.raises(PhotoTooLarge):
        save_voice(tmp_path, b"#!AMR" + b"x" * 100, 100)
    assert not list(tmp_path.iterdir())


@given(st.text(max_size=90))
def test_no_text_leads_to_a_voice_note_outside(key: str) -> None:
    with pytest.raises(NotAVoice):
        voice_path(Path("/data"), key)
    with pytest.raises(NotAVoice):
        voice_path(Path("/data"), f"../{'0' * 64}.amr")


# --- reading and taking away ------------------------------------------------------------------------------------------


def test_what_is_stored_is_found_with_its_type(tmp_path: Path) -> None:
    photo, voice = save_photo(tmp_path, picture(), MAX), save_voice(tmp_path, SOUNDS["webm"], 100)
    assert (is_voice(photo.key), is_voice(voice.key)) == (False, True)
    assert stored_file(tmp_path, photo.key) == (photo_path(tmp_path, photo.key), "image/jpeg")
    assert stored_file(tmp_path, photo.key, thumb=True)[0] == photo_path(tmp_path, photo.key, thumb=True)
    assert stored_file(tmp_path, voice.key, thumb=True) == (voice_path(tmp_path, voice.key), "audio/webm")
    with pytest.raises(NotAPhoto):
        stored_file(tmp_path, "../guanjia.db")


def test_what_is_taken_away_is_gone_with_its_thumbnail_and_twice_is_no_error(tmp_path: Path) -> None:
    photo, voice = save_photo(tmp_path, picture(), MAX), save_voice(tmp_path, SOUNDS["ogg"], 100)
    kept = save_photo(tmp_path, picture((32, 32)), MAX)
    for key in (photo.key, voice.key, voice.key):
        remove_file(tmp_path, key)
    assert {path.name.split("_")[0].split(".")[0] for path in stored_files(tmp_path)} == {kept.key.split(".")[0]}
