"""Everything that can go wrong, by name.

The dashboard and the command line catch `FusionError` and nothing else; any other exception is a defect.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "archive_refused": "the zip holds what is never unpacked (link, encryption, overlap, nested zip, bad name)",
    "audio_damaged": "the audio file cannot be decoded",
    "audio_refused": "the audio file is outside the limits (1-8 channels, 4-192 kHz, at most 600 s)",
    "audio_unsupported": "the file is not PCM, float, FLAC, Vorbis or Opus audio",
    "call_refused": "the command or its arguments cannot be used",
    "duplicate_id": "an earlier row has the same id",
    "file_missing": "a file that is named is not there",
    "file_too_large": "the file is larger than what is read",
    "image_damaged": "the image cannot be decoded",
    "image_refused": "the image is outside the limits (1 to 40 million pixels)",
    "image_unsupported": "the file is not a PNG, JPEG, WebP, BMP, TIFF or GIF image",
    "label_missing": "the row has no label, so nothing can be learned from it",
    "metadata_damaged": "the row of the metadata file cannot be read",
    "modality_missing": "the model cannot answer without a modality that the row lacks",
    "model_damaged": "a file of the model is cut, changed or not what its hash says",
    "model_refused": "the model is of a kind that is never loaded (pickle, remote code, unknown class)",
    "nonfinite_output": "the model answered with NaN or infinity",
    "path_refused": "the file name would leave the record set or is not a plain relative name",
    "record_empty": "the row has neither text, image nor audio",
    "remote_media_refused": "media are read from the record set, never from an address",
    "resource_exhausted": "the record needed more memory or time than a record may use",
    "text_too_long": "the text is longer than 1 MB",
}


class FusionError(Exception):
    """Something the caller can act on: what was given, where, and what is allowed."""

    def __init__(self, message: str, code: str = "call_refused") -> None:
        if code not in CODES:
            raise ValueError(f"unknown error code {code!r}")
        super().__init__(message)
        self.code = code


class CallError(FusionError):
    """The call itself cannot be carried out (exit code 2)."""


class ModelError(FusionError):
    """A model, bundle or encoder cannot be used (exit code 2)."""

    def __init__(self, message: str, code: str = "model_damaged") -> None:
        super().__init__(message, code)


class RecordError(FusionError):
    """One record cannot be read or prepared; the others go on."""

    def __init__(self, message: str, code: str, record_id: str = "") -> None:
        super().__init__(message, code)
        self.record_id = record_id
