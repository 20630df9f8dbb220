"""A small labelled record set of all three modalities, made on the spot: what Fit is tested on."""

from __future__ import annotations

import io
import json
import math
import struct
import wave
import zipfile

from PIL import Image, ImageDraw

RATE = 16_000
CLASSES = {"alarm": (880.0, (200, 40, 40)), "calm": (220.0, (40, 90, 200)), "rain": (440.0, (70, 160, 90))}
SAID = {
    "alarm": ("the fire alarm rings loudly", "an alarm, everybody out", "a siren and flashing lights"),
    "calm": ("a quiet lake in the evening", "nothing moves on the water", "a calm and silent morning"),
    "rain": ("heavy rain on the roof", "it rains and rains again", "drops run down the window"),
}


def rows(count: int, wrong: int = 0) -> list[dict]:
    """Return rows of three classes in turn; every tenth lacks its audio; the first `wrong` carry another's label."""
    names = list(CLASSES)
    found = []
    for k in range(count):
        true = names[k % 3]
        found.append(
            {
                "id": f"r{k:03d}",
                "text": f"{SAID[true][k // 3 % 3]} {k}",
                "image_file_name": f"images/{k}.png",
                "audio_file_name": f"audio/{k}.wav" if k % 10 else None,
                "label": names[(k + 1) % 3] if k < wrong else true,
                "true": true,
            }
        )
    return found


def picture(true: str, k: int) -> bytes:
    """Return a small picture in the colour of its class, with a mark that tells records apart."""
    drawn = Image.new("RGB", (48, 48), CLASSES[true][1])
    ImageDraw.Draw(drawn).ellipse((k % 20, k % 15, k % 20 + 20, k % 15 + 20), fill=(240, 230, 90))
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    return buffer.getvalue()


def tone(true: str, k: int, seconds: float = 0.4) -> bytes:
    """Return a short tone at the pitch of its class."""
    pitch = CLASSES[true][0] * (1 + k / 1_000)
    heard = [int(9_000 * math.sin(2 * math.pi * pitch * t / RATE)) for t in range(int(seconds * RATE))]
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(heard)}h", *heard))
    return buffer.getvalue()


def small_set(count: int = 60, wrong: int = 0, damaged: bool = False) -> bytes:
    """Return such a set as a zip; damaged: one picture is cut and one row names a file that is not there."""
    given = rows(count, wrong)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for k, row in enumerate(given):
            data = picture(row["true"], k)
            archive.writestr(row["image_file_name"], data[:40] if damaged and k == 5 else data)
            if row["audio_file_name"]:
                archive.writestr(row["audio_file_name"], tone(row["true"], k))
        if damaged:
            given[7] |= {"image_file_name": "images/none.png"}
        archive.writestr("metadata.jsonl", "\n".join(json.dumps(row) for row in given))
    return buffer.getvalue()
