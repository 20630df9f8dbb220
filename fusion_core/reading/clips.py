"""Decode an audio file from a stranger into mono samples at its own rate, and say what had to be done to it."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass

import numpy as np
import soundfile

from fusion_core.errors import RecordError
from fusion_core.reading.signatures import AUDIO, kind_of
from fusion_core.reading.texts import quoted

MAX_AUDIO_BYTES = 200_000_000
MAX_CHANNELS = 8
RATES = (4_000, 192_000)
MAX_SECONDS = 600
SILENT_RMS = 1e-4
FAR_ABOVE_FULL_SCALE = 2.0

_SUBTYPES = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "FLAC")
_BLOCK = 65_536
_MAX_CHUNKS = 10_000
_UNKNOWN_LENGTH = 0xFFFFFFFF
_UNSUPPORTED_ERRORS = (1, 4, 18)  # libsndfile: format not recognised, unsupported encoding, unimplemented


@dataclass(frozen=True)
class Clip:
    """A decoded sound, `samples float32 [N]` mono at `rate` per second, and notes on what decoding had to do."""

    samples: np.ndarray
    rate: int
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long the clip lasts."""
        return len(self.samples) / self.rate


@dataclass
class _Heard:
    """What was met while decoding, before mixing."""

    energy: float = 0.0
    non_numbers: int = 0
    peak: float = 0.0


class _Bytes(io.BytesIO):
    """Bytes whose `seek` never raises: libsndfile seeks before the start of some damaged files."""

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self.tell(), self.getbuffer().nbytes)[whence]
        return super().seek(max(0, base + offset))


def decode_audio(data: bytes, name: str) -> Clip:
    """Decode to mono `float32 [N]` at the file's own rate; the channels' mean where there are several.

    Raises RecordError `audio_unsupported`, `audio_damaged`, `audio_refused`, `file_too_large` or `resource_exhausted`.
    """
    check_kind(data, name)
    try:
        with soundfile.SoundFile(_Bytes(data)) as file:
            _check_limits(file, name)
            declared = file.frames
            samples, heard = _read(file, name)
            channels, rate = file.channels, file.samplerate
    except RecordError:
        raise
    except soundfile.LibsndfileError as error:
        raise _undecodable(error, name) from error
    except MemoryError as error:
        raise RecordError(f"audio {quoted(name)} needs more memory than there is", "resource_exhausted") from error
    except Exception as error:
        raise RecordError(f"audio {quoted(name)} cannot be decoded", "audio_damaged") from error
    if not len(samples):
        raise RecordError(f"audio {quoted(name)} holds no samples", "audio_damaged")
    return Clip(samples, rate, _notes(samples, heard, channels, _length_note(data, declared, len(samples))))


def resample(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    """Resample `float32 [N]` from `rate` to `to` samples per second by polyphase FIR: `float32 [ceil(N to / rate)]`."""
    if rate == to or not len(samples):
        return np.asarray(samples, dtype=np.float32)
    from scipy.signal import resample_poly  # most of a second to import, and decoding needs none of it

    common = math.gcd(rate, to)
    return np.asarray(resample_poly(samples, to // common, rate // common), dtype=np.float32)


def check_kind(data: bytes, name: str) -> None:
    """Raise RecordError for what is too large, empty, or no audio by its first bytes: known before decoding."""
    if len(data) > MAX_AUDIO_BYTES:
        raise RecordError(
            f"audio {quoted(name)} is {len(data):,} bytes; at most {MAX_AUDIO_BYTES:,} are read", "file_too_large"
        )
    if not data:
        raise RecordError(f"audio {quoted(name)} is an empty file", "audio_damaged")
    kind = kind_of(data)
    if kind in AUDIO:
        return
    if len(data) < 12 and data[:4] in (b"RIFF", b"RIFX", b"FORM"):
        raise RecordError(f"audio {quoted(name)} ends inside its header", "audio_damaged")
    what = f"is {kind} by its first bytes" if kind else "is no audio by its first bytes"
    raise RecordError(f"audio {quoted(name)} {what}; read are WAV, AIFF, FLAC and Ogg", "audio_unsupported")


def _check_limits(file: soundfile.SoundFile, name: str) -> None:
    what = f"audio {quoted(name)}"
    if file.subtype not in _SUBTYPES and not file.subtype.startswith("PCM_"):
        allowed = "PCM, float, FLAC, Vorbis or Opus"
        raise RecordError(f"{what} is encoded as {file.subtype}; read are {allowed}", "audio_unsupported")
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise RecordError(f"{what} has {file.channels} channels; 1 to {MAX_CHANNELS} are read", "audio_refused")
    if not RATES[0] <= file.samplerate <= RATES[1]:
        allowed = f"{RATES[0]:,} to {RATES[1]:,}"
        raise RecordError(f"{what} has {file.samplerate:,} samples per second; {allowed} are read", "audio_refused")
    if file.frames > MAX_SECONDS * file.samplerate:
        raise _too_long(name, f"lasts {file.frames / file.samplerate:,.0f} s")


def _too_long(name: str, how: str) -> RecordError:
    return RecordError(f"audio {quoted(name)} {how}; at most {MAX_SECONDS} s are read", "audio_refused")


def _read(file: soundfile.SoundFile, name: str) -> tuple[np.ndarray, _Heard]:
    """Decode and mix block by block, so that eight channels never lie in memory at once."""
    heard, blocks, total = _Heard(), [], 0
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
        total += len(block)
        if total > MAX_SECONDS * file.samplerate:
            raise _too_long(name, "goes on longer than it says")
        finite = np.isfinite(block)
        if not finite.all():
            heard.non_numbers += int((~finite).sum())
            block = np.where(finite, block, np.float32(0))
        wide = block.astype(np.float64)
        heard.energy += float(np.square(wide).sum()) / file.channels
        heard.peak = max(heard.peak, float(np.abs(block).max()))
        blocks.append(wide.mean(axis=1).astype(np.float32))
    return (np.concatenate(blocks) if blocks else np.zeros(0, np.float32)), heard


def _undecodable(error: soundfile.LibsndfileError, name: str) -> RecordError:
    if error.code in _UNSUPPORTED_ERRORS:
        return RecordError(f"audio {quoted(name)} is in an encoding that is not read", "audio_unsupported")
    reason = error.error_string.strip() or "the stream breaks off"
    return RecordError(f"audio {quoted(name)} cannot be decoded: {quoted(reason, 120)[1:-1]}", "audio_damaged")


def _notes(samples: np.ndarray, heard: _Heard, channels: int, length_note: str | None) -> tuple[str, ...]:
    notes = [length_note] if length_note else []
    if channels > 1:
        notes.append(f"{channels} channels mixed to mono")
    if heard.non_numbers:
        notes.append(f"{heard.non_numbers} samples were not numbers and are set to 0")
    if heard.peak > FAR_ABOVE_FULL_SCALE:
        notes.append(f"peak is {heard.peak:.4g} times full scale")
    if float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) < SILENT_RMS:
        notes.append("silent")
        if math.sqrt(heard.energy / len(samples)) >= SILENT_RMS:
            notes.append("the channels cancel each other")
    return tuple(notes)


def _length_note(data: bytes, declared: int, decoded: int) -> str | None:
    """Say where the file's own length and its content disagree, which libsndfile hides."""
    if data[:4] == b"OggS":
        last = data.rfind(b"OggS")
        return None if len(data) > last + 5 and data[last + 5] & 4 else "file has no end mark and may be cut"
    size, room = _sample_bytes(data)
    if size == _UNKNOWN_LENGTH:
        return "file does not say how long it is"
    return "file is shorter than it says" if size > room or decoded < declared else None


def _sample_bytes(data: bytes) -> tuple[int, int]:
    """Return the bytes of samples that a RIFF or AIFF file declares and those that are there; zeros when neither."""
    order = ">" if data[:4] in (b"RIFX", b"FORM") else "<"
    if data[:4] not in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return 0, 0
    place, large = 12, None
    for _ in range(_MAX_CHUNKS):
        if place + 8 > len(data):
            break
        chunk, size = struct.unpack_from(f"{order}4sI", data, place)
        if chunk == b"ds64" and place + 24 <= len(data):
            large = struct.unpack_from("<Q", data, place + 16)[0]
        if chunk in (b"data", b"SSND"):
            return (large if large is not None and size == _UNKNOWN_LENGTH else size), len(data) - place - 8
        place += 8 + size + size % 2
    return 0, 0
