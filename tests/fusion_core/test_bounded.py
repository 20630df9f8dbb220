"""Decoding in a child process: the same as in this one, and whatever a file does to the child, the server goes on."""

import gc
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

from fusion_core.encoders import stack
from fusion_core.errors import CallError, RecordError
from fusion_core.reading import bounded, clips, pictures, records, row_lines
from fusion_core.reading.media import media_from_bytes, read_media
from fusion_core.reading.pool import Limits, Pool, reading_for
from fusion_core.types import Record, Refusal
from tests.conftest import ROOT

RATE = 16_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)).astype(np.float32)
LIMITS = Limits(seconds=30, memory=2_500_000_000, file_bytes=0, children=2, requests=1_000)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def sound(samples: np.ndarray, form: str = "WAV", subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=form, subtype=subtype)
    return out.getvalue()


def noise(seed: int = 0, mode: str = "RGB") -> Image.Image:
    depth = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(seed).integers(0, 256, (24, 32, depth), dtype=np.uint8)
    return Image.merge(mode, [Image.fromarray(values[..., band]) for band in range(depth)])


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(noise(), "JPEG", exif=exif)


def broken_tone() -> np.ndarray:
    return np.where(np.arange(len(TONE)) % 100 == 0, np.float32("nan"), TONE * 8)


IMAGES = {
    "png": saved(noise()),
    "png with alpha": saved(noise(mode="RGBA")),
    "png of one pixel": saved(Image.new("1", (1, 1))),
    "png of 16 bits": saved(Image.fromarray(np.arange(768, dtype=np.uint16).reshape(24, 32) * 80)),
    "jpeg, turned": turned(),
    "jpeg in ink": saved(noise(mode="CMYK"), "JPEG"),
    "webp": saved(noise(), "WEBP"),
    "gif, moving": saved(noise(), "GIF", save_all=True, append_images=[noise(1)]),
    "bmp": saved(noise(), "BMP"),
    "tiff": saved(noise(), "TIFF", compression="tiff_lzw"),
    "tiff of floats": saved(Image.fromarray(np.linspace(-3, 9, 768, dtype=np.float32).reshape(24, 32)), "TIFF"),
}
SOUNDS = {
    "wav": sound(TONE),
    "wav of floats that are none": sound(broken_tone(), subtype="FLOAT"),
    "wav, cut": sound(TONE)[:9_000],
    "wav of one sample": sound(TONE[50:51]),
    "wav, silent, eight channels": sound(np.zeros((100, 8))),
    "aiff": sound(TONE, "AIFF"),
    "flac": sound(TONE, "FLAC", rate=44_100),
    "vorbis": sound(TONE, "OGG", "VORBIS"),
    "opus": sound(TONE, "OGG", "OPUS"),
}
DAMAGED = {
    "png, cut": IMAGES["png"][:900],
    "png, flipped": IMAGES["png"][:200] + b"\0\0" + IMAGES["png"][202:],
    "webp, cut": IMAGES["webp"][:100],
    "tiff, cut": IMAGES["tiff"][:500],
    "words": b"words",
    "nothing": b"",
    "a pickle": b"\x80\x04abc",
    "gif of 65,535 squared": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
    "flac, cut": SOUNDS["flac"][:3_000],
    "wav of nine channels": sound(np.zeros((10, 9))),
    "wav of no samples": sound(TONE[:0]),
}


@pytest.fixture(scope="module")
def pool():
    made = Pool(LIMITS)
    yield made
    made.close()


@pytest.fixture
def make_pool():
    made = []

    def make(command=None, **changes) -> Pool:
        made.append(Pool(Limits(**{**vars(LIMITS), **changes}), command))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where private folders are made."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def refusal(call, *arguments) -> tuple[str, str]:
    with pytest.raises((RecordError, CallError)) as caught:
        call(*arguments)
    return caught.value.code, str(caught.value)


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def misbehaving_once(tmp_path, deed: str) -> list[str]:
    """A worker whose first process does `deed` before it serves."""
    flag = str(tmp_path / "done")
    return python(
        f"import os, sys, time\nif not os.path.exists({flag!r}):\n    open({flag!r}, 'w').close()\n    {deed}\n"
        "from fusion_core.reading.worker import main\nsys.exit(main(['2500000000', '0']))"
    )


def answering(*frames: tuple[dict, bytes], number: int = 1, deed: str = "") -> list[str]:
    """A process that reads one request and answers with what is given, whatever it was asked."""
    return python(
        "import sys, time, os\nfrom fusion_core.reading import wire\n"
        "source, sink = sys.stdin.buffer, open(1, 'wb', buffering=0)\n"
        f"header, size = wire.receive(source)\nsource.read(size)\n{deed}\n"
        f"for answer, body in {frames!r}:\n    wire.send(sink, {{**answer, 'number': {number}}}, body)\ntime.sleep(60)"
    )


@pytest.mark.parametrize("kind", IMAGES)
def test_a_picture_is_the_same_as_in_process(kind, pool):
    here, there = pictures.decode_image(IMAGES[kind], kind), bounded.decode_image(IMAGES[kind], kind, pool)
    assert np.array_equal(here.pixels, there.pixels)
    assert (there.pixels.dtype, there.pixels.shape, there.notes) == (np.uint8, here.pixels.shape, here.notes)
    assert there.pixels.flags.writeable


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_clip_is_the_same_as_in_process(kind, pool):
    here, there = clips.decode_audio(SOUNDS[kind], kind), bounded.decode_audio(SOUNDS[kind], kind, pool)
    assert np.array_equal(here.samples, there.samples)
    assert (there.samples.dtype, there.rate, there.notes) == (np.float32, here.rate, here.notes)


def test_the_samples_cover_what_decoding_has_to_say():
    said = [note for data in IMAGES.values() for note in pictures.decode_image(data, "a").notes]
    said += [note for data in SOUNDS.values() for note in clips.decode_audio(data, "a").notes]
    assert len(set(said)) >= 10


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, in this process
@pytest.mark.parametrize("kind", DAMAGED)
def test_an_error_comes_with_its_code_and_sentence(kind, pool):
    name = f"{kind} \u202e\n\0\ud800.file"
    for here, there in ((pictures.decode_image, bounded.decode_image), (clips.decode_audio, bounded.decode_audio)):
        assert refusal(there, DAMAGED[kind], name, pool) == refusal(here, DAMAGED[kind], name)


def test_a_very_long_name_is_shown_as_in_process(pool):
    data, name = DAMAGED["png, cut"], "x" * 2_000_000 + ".png"
    assert refusal(bounded.decode_image, data, name, pool) == refusal(pictures.decode_image, data, name)


def test_one_child_serves_many_and_is_replaced_after_its_share(make_pool):
    pool, seen = make_pool(requests=3), []
    for _ in range(4):
        seen.append(pool.pids())
        bounded.decode_image(IMAGES["png"], "a", pool)
    assert seen[0] == []
    assert seen[1] == seen[2] != []
    assert seen[3] == []  # three were served


def test_a_child_reads_for_one_owner_only_and_few_stay(make_pool):
    pool, used = make_pool(children=2), []
    for owner in ("", "me", "you", "me", "third", ""):
        with reading_for(owner):
            bounded.decode_image(IMAGES["png"], "a", pool)
        used += [child.pid for child in pool._children if child.owner == owner]
        assert len(pool.pids()) <= 2
    operator, me, you, me_again, third, operator_again = used
    assert me == me_again  # its child had stayed
    assert len({operator, me, you, third, operator_again}) == 5  # the operator's first had gone


def test_nothing_of_one_request_is_in_the_next(pool):
    assert "first" in refusal(bounded.decode_image, DAMAGED["png, cut"], "first.png", pool)[1]
    code, sentence = refusal(bounded.decode_audio, DAMAGED["flac, cut"], "second.flac", pool)
    assert "first" not in sentence
    assert code == "audio_damaged"
    large, small = (Image.new("RGB", size, colour) for size, colour in (((300, 200), "red"), ((20, 10), "blue")))
    assert (bounded.decode_image(saved(large), "large", pool).pixels == (255, 0, 0)).all()
    assert (bounded.decode_image(saved(small), "small", pool).pixels == (0, 0, 255)).all()


@LINUX
def test_a_picture_beyond_the_childs_memory_is_refused_and_the_next_is_read(make_pool):
    pool = make_pool(memory=400_000_000)
    code, sentence = refusal(bounded.decode_image, saved(Image.new("RGB", (6_000, 6_000))), "wide.png", pool)
    assert code == "resource_exhausted"
    assert sentence == "image 'wide.png' needs more memory than there is"
    assert bounded.decode_image(IMAGES["png"], "a", pool).pixels.shape == (24, 32, 3)


@pytest.mark.parametrize("deed", ["os.kill(os.getpid(), 9)", "sys.exit(0)", "os.write(1, b'nonsense' * 9)"])
def test_a_child_that_dies_or_talks_nonsense_costs_its_own_file_only(deed, tmp_path, make_pool):
    pool = make_pool(misbehaving_once(tmp_path, deed))
    code, sentence = refusal(bounded.decode_audio, SOUNDS["wav"], "odd.wav", pool)
    assert code == "resource_exhausted"
    assert "'odd.wav'" in sentence
    assert bounded.decode_audio(SOUNDS["wav"], "a", pool).rate == RATE


@LINUX
def test_a_child_that_eats_memory_is_stopped_by_its_limit(tmp_path, make_pool):
    eat = (
        "from fusion_core.reading.worker import limit; limit(300_000_000, 0); held = [bytes(10**7) for _ in range(99)]"
    )
    pool = make_pool(misbehaving_once(tmp_path, eat))
    assert refusal(bounded.decode_image, IMAGES["png"], "odd.png", pool)[0] == "resource_exhausted"
    assert bounded.decode_image(IMAGES["png"], "a", pool).notes == ()


def test_a_child_that_hangs_is_killed_after_its_time(tmp_path, make_pool):
    pool = make_pool(misbehaving_once(tmp_path, "time.sleep(60)"), seconds=3)
    large = IMAGES["bmp"] + bytes(1_000_000)  # more than a pipe holds: sending hangs too
    before = time.monotonic()
    code, sentence = refusal(bounded.decode_image, large, "slow.bmp", pool)
    assert 3 <= time.monotonic() - before < 10
    assert (code, sentence) == ("resource_exhausted", "image 'slow.bmp' took more than 3 s and is not read")
    assert pool.pids() == []
    assert bounded.decode_image(large, "a", pool).pixels.shape == (24, 32, 3)


def test_a_child_killed_between_two_requests_is_replaced(make_pool):
    pool = make_pool()
    bounded.decode_image(IMAGES["png"], "a", pool)
    (first,) = pool.pids()
    os.kill(first, signal.SIGKILL)
    assert bounded.decode_image(IMAGES["png"], "a", pool).notes == ()
    assert pool.pids() != [first]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process")
def test_a_child_killed_in_a_request_is_replaced_and_the_request_repeated(make_pool):
    pool, found = make_pool(), []
    bounded.decode_image(IMAGES["png"], "a", pool)
    (first,) = pool.pids()
    os.kill(first, signal.SIGSTOP)
    thread = threading.Thread(target=lambda: found.append(bounded.decode_image(IMAGES["webp"], "a", pool)))
    thread.start()
    time.sleep(0.2)
    assert found == []
    os.kill(first, signal.SIGKILL)
    thread.join(20)
    assert found[0].pixels.shape == (24, 32, 3)


def test_two_threads_get_their_own_answers(make_pool):
    pool, wrong = make_pool(), []

    def work(seed: int) -> None:
        for turn in range(25):
            image = noise(100 * seed + turn)
            if not np.array_equal(bounded.decode_image(saved(image), "a", pool).pixels, np.asarray(image)):
                wrong.append((seed, turn))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert 1 <= len(pool.pids()) <= 2


PICTURE = {"shape": [2, 2, 3], "dtype": "uint8", "notes": []}
CLIP = {"shape": [3], "dtype": "float32", "notes": [], "rate": RATE}
LIES = {
    "fewer pixels than said": (bounded.decode_image, PICTURE, bytes(11)),
    "more pixels than allowed": (bounded.decode_image, {**PICTURE, "shape": [10**5, 10**5, 3]}, b""),
    "a negative side": (bounded.decode_image, {**PICTURE, "shape": [-2, -2, 3]}, bytes(12)),
    "four colours": (bounded.decode_image, {**PICTURE, "shape": [2, 2, 4]}, bytes(16)),
    "objects for pixels": (bounded.decode_image, {**PICTURE, "dtype": "object"}, bytes(12)),
    "no shape": (bounded.decode_image, {"dtype": "uint8", "notes": []}, bytes(12)),
    "notes without end": (bounded.decode_image, {**PICTURE, "notes": ["x" * 10_000] * 9}, bytes(12)),
    "notes that are none": (bounded.decode_image, {**PICTURE, "notes": [7]}, bytes(12)),
    "an unknown code": (bounded.decode_image, {"error": "made_up", "message": "m"}, b""),
    "a code that is a list": (bounded.decode_image, {"error": [], "message": "m"}, b""),
    "samples that are not numbers": (bounded.decode_audio, CLIP, np.array([0, np.nan, 0], "f4").tobytes()),
    "samples without end": (bounded.decode_audio, CLIP, np.array([0, np.inf, 0], "f4").tobytes()),
    "more samples than allowed": (bounded.decode_audio, {**CLIP, "shape": [601 * RATE]}, bytes(601 * RATE * 4)),
    "a rate of zero": (bounded.decode_audio, {**CLIP, "rate": 0}, bytes(12)),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_cannot_be_true_is_not_believed(lie, make_pool):
    decode, header, body = LIES[lie]
    data = IMAGES["png"] if decode is bounded.decode_image else SOUNDS["wav"]
    if len(body) > 100_000:
        command = answering(deed=f"wire.send(sink, {{**{header!r}, 'number': 1}}, bytes({len(body)}))")
    else:
        command = answering((header, body))
    assert refusal(decode, data, "a", make_pool(command))[0] == "resource_exhausted"


def test_an_answer_to_another_request_is_not_believed(make_pool):
    frame = (PICTURE, bytes(12))
    assert (bounded.decode_image(IMAGES["png"], "a", make_pool(answering(frame))).pixels == 0).all()
    stale = make_pool(answering(frame, number=0))
    assert refusal(bounded.decode_image, IMAGES["png"], "a", stale)[0] == "resource_exhausted"


def test_a_sentence_from_the_child_hides_and_reorders_nothing(make_pool):
    pool = make_pool(answering(({"error": "image_damaged", "message": "a\n\u202eb\0"}, b"")))
    assert refusal(bounded.decode_image, IMAGES["png"], "a", pool) == ("image_damaged", "a ⟨U+202E⟩b␀")


@LINUX
def test_the_child_has_its_limits_and_none_of_our_secrets(make_pool, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_do_not_tell")
    pool = make_pool(memory=1_000_000_000)
    bounded.decode_image(IMAGES["png"], "a", pool)
    (child,) = pool.pids()
    with open(f"/proc/{child}/limits") as file:
        limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
    assert limits["Max address space"] == ["1000000000"] * 2
    assert limits["Max core file size"] == limits["Max file size"] == ["0", "0"]
    with open(f"/proc/{child}/environ") as file:
        assert "hf_do_not_tell" not in file.read()


def run_script(script: str) -> subprocess.CompletedProcess:
    head = (
        "import os, sys, signal\nfrom fusion_core.reading.bounded import MEDIA, decode_image\n"
        f"data = {IMAGES['png']!r}\nshape = decode_image(data, 'a').pixels.shape\n(child,) = MEDIA.pids()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(python(head + script), env=environment, capture_output=True, text=True, timeout=60)


def gone(process: int) -> bool:
    for _ in range(100):
        try:
            with open(f"/proc/{process}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":  # ended; nobody has asked how
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@LINUX
@pytest.mark.parametrize("end", ["sys.exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_the_child_goes_when_we_go(end):
    done = run_script(f"print(child, flush=True)\n{end}")
    assert done.stderr == ""
    assert gone(int(done.stdout))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_gets_a_child_of_its_own():
    done = run_script(
        "forked = os.fork()\n"
        "assert MEDIA.pids() == ([child] if forked else [])\n"
        "assert decode_image(data, 'a').pixels.shape == shape\n"
        "assert (MEDIA.pids() == [child]) == bool(forked)\n"
        "if not forked: sys.exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 7\n"
        "assert decode_image(data, 'a').pixels.shape == shape and MEDIA.pids() == [child]\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_records_of_a_model_are_decoded_in_a_child():
    record = Record(
        "one", image=media_from_bytes(IMAGES["png"], "a.png"), audio=media_from_bytes(DAMAGED["flac, cut"], "a.flac")
    )
    picture, notes = stack.decode(record, "image")
    assert np.array_equal(picture.pixels, np.asarray(noise()))
    assert notes == ()
    assert bounded.MEDIA.pids()
    with pytest.raises(RecordError, match=r"'a\.flac'") as caught:
        stack.decode(record, "audio")
    assert (caught.value.code, caught.value.record_id) == ("audio_damaged", "one")
    assert (stack.decode_image, stack.decode_audio) == (bounded.decode_image, bounded.decode_audio)


ROWS = [
    {"id": "good", "text": "déjà 👩‍🚀 \u202e\0 שלום", "image_file_name": "images/a.png", "audio_file_name": "a.wav",
     "label": "x", "timestamp": "2024-03-01T12:00:00.25+02:00", "price": 0.1, "count": -0.0, "sale": True, "no": "007"},
    {"id": "damaged picture", "image_file_name": "images/cut.png", "big": 2**60, "nested": {"a": [1, None]}},
    {"id": "good", "text": "twice"},
    {"id": "missing", "image_file_name": "images/none.png"},
    {"id": "outside", "image_file_name": "../a.png"},
    {"id": "remote", "image_file_name": "https://example.org/a.png"},
    {"id": "empty"},
    {"id": "odd", "text": "lone \ud800", "timestamp": "yesterday", "long": "y" * 20_000, "file_name": "images/a.png"},
]  # fmt: skip
FILES = {"images/a.png": IMAGES["png"], "images/cut.png": DAMAGED["png, cut"], "a.wav": SOUNDS["wav"]}


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return out.getvalue()


def table(rows: list[dict]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode() + b'{"text": NaN}\n{"text"\n'
SETS = {
    "set.zip": zipped({**FILES, "metadata.jsonl": JSONL}),
    "set.jsonl": JSONL,
    "set.csv": b"id,text,price\na,caf\xe9,1\nb,two,2\nb,three,\nc\n",
    "set.parquet": table(
        [
            {"text": "a", "image": {"bytes": IMAGES["png"], "path": "a.png"}, "time": datetime(2024, 1, 2)},
            {"text": None, "image": {"bytes": b"", "path": None}, "time": None},
            {"text": "c", "image": {"bytes": None, "path": "/etc/passwd"}, "time": None},
        ]
    ),
}


def content(rows) -> list[tuple]:
    """What rows are, without where their files lie."""
    return [
        tuple(vars(row).values())
        if isinstance(row, Refusal)
        else (*(v for k, v in vars(row).items() if k not in ("image", "audio")), *map(held, (row.image, row.audio)))
        for row in rows
    ]


def held(media) -> tuple | None:
    return (media.sha256, media.name, read_media(media)) if media else None


@pytest.mark.parametrize("name", SETS)
def test_a_record_set_with_damage_gives_the_same_rows_as_in_process(name):
    here, there = records.read_bytes(SETS[name], name), bounded.read_bytes(SETS[name], name)
    assert content(there.rows) == content(here.rows)
    assert len({row.code for row in here.refusals} | {"none"}) >= 2
    assert bounded.SETS.pids() == []  # a child of its own


def test_a_long_record_set_comes_whole_and_in_order():
    data = b"id,text\n" + b"".join(b"%d,word %d\n" % (n, n) for n in range(20_000))
    found = bounded.read_bytes(data, "a.csv")
    assert [record.id for record in found.records] == [str(n) for n in range(20_000)]
    assert found.records[-1].text == "word 19999"
    assert found.find("77").text == "word 77"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (SETS["set.zip"][:-9], "cut.zip"),
        (zipped({"../a": b"x", "metadata.csv": b"text\na\n"}), "out.zip"),
        (zipped({"a.png": b"x"}), "bare.zip"),
        (SETS["set.parquet"][:-9], "cut.parquet"),
        (b"name\nx\n", "columns.csv"),
        (b"x", "a.pkl"),
    ],
)
def test_a_record_set_that_cannot_be_read_is_the_same_error_and_leaves_nothing(data, name, scratch):
    assert refusal(bounded.read_bytes, data, name) == refusal(records.read_bytes, data, name)
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_unpacked_files_lie_in_a_private_folder_that_goes_with_the_set(scratch):
    found = bounded.read_bytes(SETS["set.zip"], "set.zip")
    (folder,) = scratch.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    image = found.find("odd").image
    assert image.path == folder / image.sha256
    other = bounded.read_bytes(SETS["set.zip"], "set.zip")
    assert other.find("odd").image.path.parent != folder
    del found
    gc.collect()
    assert not folder.exists()
    assert read_media(other.find("odd").image) == IMAGES["png"]


def row_line(**changes) -> bytes:
    cells = {"id": "a", "text": "t", "image": None, "audio": None, "label": None, "time": None, "meta": {}, "flags": []}
    return json.dumps([*{**cells, **changes}.values()]).encode() + b"\n"


LIED_ROWS = {
    "a place for a hash": row_line(image=["../../../../etc/passwd", "a"]),
    "a file that is not there": row_line(image=["0" * 64, "a"]),
    "a link": row_line(image=["1" * 64, "a"]),
    "an unknown code": b'["a", "made_up", "m"]\n',
    "a code that is a list": b'["a", [], "m"]\n',
    "a number for a text": row_line(text=7),
    "a text too long": row_line(text="x" * 1_000_001),
    "infinity": b'["a","t",null,null,null,null,{"x":1e999},[]]\n',
    "no number": row_line(meta={"x": float("nan")}),
    "nested slices": row_line(meta={"x": {"y": []}}),
    "a time with a zone": row_line(time="2024-01-01T00:00:00+00:00"),
    "deep nesting": b"[" * 100_000 + b"\n",
    "a line that is none": b"\n",
}


@pytest.mark.parametrize("lie", LIED_ROWS)
def test_a_row_that_cannot_be_true_is_not_believed(lie, tmp_path):
    (tmp_path / ("1" * 64)).symlink_to("/etc/passwd")
    locate = bounded._locator(tmp_path)
    row_lines.decode_row(row_line(), locate)
    with pytest.raises((ValueError, OSError)):
        row_lines.decode_row(LIED_ROWS[lie], locate)


@pytest.mark.parametrize("total", [0, 2])
def test_a_record_set_whose_rows_do_not_add_up_is_not_believed(total, make_pool, scratch):
    command = answering(({"rows": 1}, row_line()), ({"total": total}, b""))
    code, sentence = refusal(bounded.read_bytes, b"text\na\n", "set.csv", make_pool(command, requests=1))
    assert code == "resource_exhausted"
    assert "'set.csv'" in sentence
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_a_set_of_more_text_than_is_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(row_lines, "MAX_TOTAL_BYTES", 200)
    with pytest.raises(CallError) as caught:
        list(row_lines.batches(b"text\n" + b"word\n" * 50, "a.csv", tmp_path))
    assert caught.value.code == "file_too_large"
