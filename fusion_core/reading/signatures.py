"""What a file is by its first bytes: a name proves nothing."""

from __future__ import annotations

SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    "FLAC": (b"fLaC",),
    "Ogg": (b"OggS",),
    "RF64": (b"RF64",),
    "zip archive": (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
    "pickle": (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    "Parquet": (b"PAR1",),
    "MP3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
    "PDF": (b"%PDF",),
}
FORMS = {
    (b"RIFF", b"WAVE"): "WAV",
    (b"RIFX", b"WAVE"): "WAV",
    (b"RIFF", b"WEBP"): "WebP",
    (b"RIFF", b"AVI "): "AVI",
    (b"FORM", b"AIFF"): "AIFF",
    (b"FORM", b"AIFC"): "AIFF",
}
BOXES = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"mif1": "HEIC", b"M4A ": "M4A", b"isom": "MP4"}

IMAGES = ("PNG", "JPEG", "WebP", "BMP", "TIFF", "GIF")
AUDIO = ("WAV", "RF64", "AIFF", "FLAC", "Ogg")
#: What a file of each kind that is read is called.
SUFFIXES = {
    "PNG": "png", "JPEG": "jpg", "WebP": "webp", "BMP": "bmp", "TIFF": "tiff", "GIF": "gif",
    "WAV": "wav", "RF64": "wav", "AIFF": "aiff", "FLAC": "flac", "Ogg": "ogg",
}  # fmt: skip


def kind_of(data: bytes) -> str | None:
    """Name the kind of file that starts with these bytes (12 are enough); None when it is none we know."""
    if data[4:8] == b"ftyp":
        return BOXES.get(data[8:12], "MP4")
    if data[:4] in (b"RIFF", b"RIFX", b"FORM"):
        return FORMS.get((data[:4], data[8:12]))
    return next((kind for kind, starts in SIGNATURES.items() if data.startswith(starts)), None)


def suffix_of(data: bytes) -> str:
    """Return the suffix that a file's first bytes call for (12 are enough), "bin" for none that is read."""
    return SUFFIXES.get(kind_of(data[:12]) or "", "bin")
