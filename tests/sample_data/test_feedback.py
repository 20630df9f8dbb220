"""The feedback records: sentences kept apart by split, the recipe's shares, short clean clips."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import soundfile
from PIL import Image

from sample_data.generators import feedback, ogg, voice_notes
from sample_data.generators.reaction_cards import reactions_by_class, save_card
from sample_data.generators.sentences import CLASSES, SPLITS, sentence_pools

COUNT = 12
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("feedback")
    feedback.build(out, split="validation", count=COUNT, seed=7)
    return out


@pytest.fixture
def no_media(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build metadata only: the shares of the recipe need many records but no sound."""
    monkeypatch.setattr(feedback, "require_espeak", lambda: "espeak-ng")
    monkeypatch.setattr(feedback, "save_card", lambda *_: None)
    monkeypatch.setattr(feedback, "speak", lambda *_: None)
    monkeypatch.setattr(feedback, "save_note", lambda *_: None)


def read(folder: Path) -> list[dict]:
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_no_sentence_is_in_two_pools() -> None:
    pools = sentence_pools(feedback.SOURCE)
    dealt = [sentence for split in SPLITS for name in CLASSES for sentence in pools[split][name]]
    assert len(dealt) == len(set(dealt))
    assert [sum(map(len, pools[split].values())) for split in SPLITS] == [558, 111, 261]


@pytest.mark.usefixtures("no_media")
def test_no_sentence_is_read_or_heard_in_two_splits(tmp_path: Path) -> None:
    used: list[set[str]] = []
    for seed, split in enumerate(SPLITS):
        feedback.build(tmp_path / split, split=split, count=600, seed=seed)
        used.append({row[key] for row in read(tmp_path / split) for key in ("text", "transcript")})
    assert not used[0] & used[1]
    assert not used[0] & used[2]
    assert not used[1] & used[2]


@pytest.mark.usefixtures("no_media")
def test_the_recipe_s_shares_hold(tmp_path: Path) -> None:
    feedback.build(tmp_path, split="train", count=3000, seed=3)
    rows = read(tmp_path)
    assert set(Counter(row["label"] for row in rows).values()) == {1000}
    for key in ("text_class", "image_class"):
        assert abs(sum(row[key] == row["label"] for row in rows) / 3000 - 0.85) < 0.005
    both = sum(row["text_class"] == row["image_class"] == row["label"] for row in rows) / 3000
    assert abs(both - 0.85**2) < 0.03
    for key, values in (("voice", voice_notes.VOICES), ("accent", voice_notes.ACCENTS)):
        assert set(Counter(row[key] for row in rows)) == set(values)


@pytest.mark.usefixtures("no_media")
def test_what_is_shown_and_said_has_the_class_the_columns_claim(tmp_path: Path) -> None:
    feedback.build(tmp_path, split="test", count=300, seed=4)
    pool = sentence_pools(feedback.SOURCE)["test"]
    emoji = {name: {item.name for item in items} for name, items in reactions_by_class(feedback.SOURCE).items()}
    for row in read(tmp_path):
        assert row["text"] in pool[row["text_class"]]
        assert row["transcript"] in pool[row["label"]]
        assert row["transcript"] != row["text"]
        assert row["emoji"] in emoji[row["image_class"]]


@pytest.mark.parametrize("vendor", ["twitter", "google"])
def test_every_emoji_of_a_vendor_makes_a_card(tmp_path: Path, vendor: str) -> None:
    for items in reactions_by_class(feedback.SOURCE).values():
        for seed, item in enumerate(items):
            save_card(feedback.SOURCE / "reactions" / vendor / item.file, tmp_path / "card.webp", seed)
            assert Image.open(tmp_path / "card.webp").size == (112, 112)


@needs_espeak
def test_clips_are_short_mono_and_16_khz(folder: Path) -> None:
    for row in read(folder):
        info = soundfile.info(folder / row["audio_file_name"])
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "OPUS")
        assert 0.3 < info.duration <= 6.05


@needs_espeak
def test_a_long_sentence_is_cut_to_silence() -> None:
    voice = voice_notes.Voice("en-gb", "f1", 150, 50)
    samples = voice_notes.speak("this is a sentence that goes on " * 8, voice)
    assert len(samples) == 6 * voice_notes.RATE
    assert abs(samples[-1]) < 1e-6


@needs_espeak
def test_a_second_build_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    feedback.build(tmp_path, split="validation", count=COUNT, seed=7)
    assert digests(tmp_path) == digests(folder)


def test_a_missing_espeak_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(voice_notes.SpeechUnavailable, match="espeak-ng not found: install it"):
        feedback.build(tmp_path, split="test", count=3, seed=1)


def test_renumbering_an_ogg_stream_with_its_own_serial_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tone.ogg"
    soundfile.write(path, [0.0, 0.1] * 8000, 16_000, format="OGG", subtype="OPUS")
    stream = path.read_bytes()
    assert ogg.with_serial(stream, int.from_bytes(stream[14:18], "little")) == stream


def test_the_terms_travel_with_the_data(tmp_path: Path) -> None:
    feedback.copy_terms(tmp_path)
    notice = (tmp_path / "NOTICE.md").read_text(encoding="utf-8")
    assert "synthetic" in notice
    assert "Twemoji" in notice
    assert {path.name for path in feedback.SOURCE.glob("LICENSE-*")} <= {path.name for path in tmp_path.iterdir()}
