"""Decoding what strangers send: every form ends as a picture, a clip, or an error with a code."""

import glob
import hashlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
import scipy.io
import soundfile
from PIL import Image, ImageOps

from fusion_core.errors import RecordError
from fusion_core.reading import clips, media, pictures, texts
from fusion_core.reading.media import (
    Clip,
    Picture,
    clean_text,
    decode_audio,
    decode_image,
    media_from_bytes,
    media_from_path,
    read_media,
    resample,
    show_text,
)

RATE = 16_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)).astype(np.float32)


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def sound(samples: np.ndarray, form: str = "WAV", subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=form, subtype=subtype)
    return out.getvalue()


def noise(height: int = 24, width: int = 32, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def outcome(decode, data: bytes) -> str:
    try:
        assert isinstance(decode(data, "odd"), Picture | Clip)
    except RecordError as error:
        return error.code
    return "read"


def code_of(call, *arguments: object) -> str:
    with pytest.raises(RecordError) as caught:
        call(*arguments)
    return caught.value.code


def test_rgb_png_comes_back_exact_and_without_notes():
    image = noise()
    picture = decode_image(saved(image), "a.png")
    assert np.array_equal(picture.pixels, np.asarray(image))
    assert picture.pixels.dtype == np.uint8
    assert picture.notes == ()


@pytest.mark.parametrize(
    ("mode", "form", "value", "expected", "note"),
    [
        ("1", "PNG", 1, (255, 255, 255), None),
        ("L", "PNG", 77, (77, 77, 77), None),
        ("LA", "PNG", (0, 0), (255, 255, 255), "transparent image placed on white"),
        ("LA", "PNG", (9, 255), (9, 9, 9), "opaque alpha channel dropped"),
        ("P", "PNG", (255, 0, 0), (255, 0, 0), "palette image converted to RGB"),
        ("RGB", "PNG", (1, 2, 3), (1, 2, 3), None),
        ("RGBA", "PNG", (255, 0, 0, 0), (255, 255, 255), "transparent image placed on white"),
        ("RGBA", "PNG", (1, 2, 3, 255), (1, 2, 3), "opaque alpha channel dropped"),
        ("CMYK", "TIFF", (0, 0, 0, 0), (255, 255, 255), "CMYK image converted to RGB"),
        ("I;16", "PNG", 257 * 100, (100, 100, 100), "16-bit image scaled to 8 bits"),
        ("I;16", "TIFF", 65535, (255, 255, 255), "16-bit image scaled to 8 bits"),
        ("I", "TIFF", 257 * 3, (3, 3, 3), "16-bit image scaled to 8 bits"),
        ("F", "TIFF", 0.2, (51, 51, 51), "float image scaled to 8 bits from 0 to 1"),
        ("F", "TIFF", 200.0, (200, 200, 200), "float image rounded to 8 bits"),
    ],
)
def test_every_mode_becomes_rgb_and_says_what_was_done(mode, form, value, expected, note):
    picture = decode_image(saved(Image.new(mode, (5, 4), value), form), "a")
    assert picture.pixels.shape == (4, 5, 3)
    assert (picture.pixels == expected).all()
    assert picture.notes == ((note,) if note else ())


def test_half_transparent_red_is_mixed_with_white():
    picture = decode_image(saved(Image.new("RGBA", (2, 2), (255, 0, 0, 128))), "a.png")
    assert picture.pixels[0, 0, 0] == 255
    assert 126 <= picture.pixels[0, 0, 1] <= 128


def test_palette_transparency_is_placed_on_white():
    image = Image.new("P", (3, 3), 0)
    image.putpalette([10, 20, 30] + [0] * 765)
    picture = decode_image(saved(image, transparency=0), "a.png")
    assert (picture.pixels == 255).all()
    assert picture.notes == ("palette image converted to RGB", "transparent image placed on white")


def test_32_bit_grey_is_scaled_from_its_own_range():
    values = np.array([[-70_000, 0, 70_000]], dtype=np.int32)
    picture = decode_image(saved(Image.fromarray(values), "TIFF"), "a.tif")
    assert picture.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert picture.notes == ("32-bit image scaled to 8 bits from -70000 to 70000",)


def test_float_pixels_that_are_not_numbers_become_0_and_are_counted():
    values = np.array([[np.nan, 1.0, np.inf, -3e38, 3e38]], dtype=np.float32)
    picture = decode_image(saved(Image.fromarray(values), "TIFF"), "a.tif")
    assert picture.notes[0] == "2 pixels were not numbers and are set to 0"
    assert picture.pixels[0, :, 0].tolist() == [128, 128, 128, 0, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_exif_orientation_is_applied_as_pillow_would(orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(noise(16, 24), form, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = decode_image(data, "a")
    assert np.array_equal(picture.pixels, expected)
    assert picture.pixels.flags.c_contiguous


def test_turning_upright_is_noted():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode_image(saved(noise(16, 24), "JPEG", exif=exif), "a.jpg")
    assert picture.pixels.shape == (24, 16, 3)
    assert picture.notes == ("turned upright by its EXIF orientation",)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_is_read_and_noted(form):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if form == "WEBP" else {}
    picture = decode_image(saved(frames[0], form, save_all=True, append_images=frames[1:], **options), "a")
    assert (picture.pixels == (255, 0, 0)).all()
    assert "first of 3 frames" in picture.notes


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
def test_thin_and_tiny_images_are_read(form, size):
    assert decode_image(saved(Image.new("RGB", size, "white"), form), "a").pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_image_is_damaged(form, share):
    data = saved(noise(64, 64), form)
    assert code_of(decode_image, data[: int(len(data) * share)], "cut") == "image_damaged"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"just words", "no image"),
        (b"\x80\x04\x95\x10\x00\x00\x00", "pickle"),
        (b"PK\x03\x04" + b"\0" * 40, "zip archive"),
        (b"\0\0\0\x1cftypavif" + b"\0" * 20, "AVIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_what_is_no_image_is_recognised_by_its_first_bytes(data, word):
    with pytest.raises(RecordError, match=word) as caught:
        decode_image(data, "holiday.png")
    assert caught.value.code == "image_unsupported"


def test_an_empty_image_file_is_damaged():
    assert code_of(decode_image, b"", "a.png") == "image_damaged"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(40_000_001, 1), (10_000, 10_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_loaded(size):
    assert code_of(decode_image, png_header(*size), "bomb.png") == "image_refused"


def test_a_gif_whose_frame_exceeds_its_canvas_is_refused():
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x4c\x01\x00;"
    data = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame
    assert code_of(decode_image, data, "bomb.gif") == "image_refused"


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_an_image_without_pixels_is_an_error(size):
    assert code_of(decode_image, png_header(*size), "a.png") in ("image_refused", "image_damaged")


def test_a_file_over_the_limit_is_not_opened(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_IMAGE_BYTES", 10)
    monkeypatch.setattr(clips, "MAX_AUDIO_BYTES", 10)
    assert code_of(decode_image, saved(noise()), "a.png") == "file_too_large"
    assert code_of(decode_audio, sound(TONE), "a.wav") == "file_too_large"


def test_messages_show_hostile_names_neutralised():
    with pytest.raises(RecordError) as caught:
        decode_image(b"x", "a\u202egnp.\0\nexe")
    assert "\u202e" not in str(caught.value)
    assert "⟨U+202E⟩" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 0.01),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("RF64", "PCM_16", 1e-4),
        ("AIFF", "PCM_16", 1e-4),
        ("FLAC", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-6),
        ("OGG", "VORBIS", 0.1),
        ("OGG", "OPUS", 0.1),
    ],
)
def test_every_encoding_on_the_list_is_decoded_at_its_own_rate(form, subtype, tolerance):
    clip = decode_audio(sound(TONE, form, subtype), "a")
    assert clip.rate == RATE
    assert clip.samples.dtype == np.float32
    assert clip.notes == ()
    assert len(clip.samples) == len(TONE)
    assert np.abs(clip.samples - TONE)[200:-200].max() <= tolerance


@pytest.mark.parametrize(
    ("form", "subtype"),
    [("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("WAV", "ULAW"), ("WAV", "GSM610"), ("MP3", "MPEG_LAYER_III")],
)
def test_encodings_off_the_list_are_refused_unread(form, subtype):
    assert code_of(decode_audio, sound(TONE, form, subtype, 8_000), "a") == "audio_unsupported"


def test_eight_channels_are_mixed_to_their_mean():
    channels = np.stack([TONE * share for share in range(8)], axis=1) / 8
    clip = decode_audio(sound(channels, subtype="FLOAT"), "a.wav")
    assert np.allclose(clip.samples, TONE * 3.5 / 8, atol=1e-6)
    assert clip.notes == ("8 channels mixed to mono",)


def test_opposite_channels_are_reported_as_cancelling():
    clip = decode_audio(sound(np.stack([TONE, -TONE], axis=1), subtype="FLOAT"), "a.wav")
    assert clip.notes == ("2 channels mixed to mono", "silent", "the channels cancel each other")


@pytest.mark.parametrize(
    ("samples", "rate"), [(np.zeros((50, 9)), RATE), (np.zeros(50), 3_999), (np.zeros(50), 192_001)]
)
def test_sound_outside_the_limits_is_refused(samples, rate):
    assert code_of(decode_audio, sound(samples, rate=rate), "a.wav") == "audio_refused"


def test_sound_over_ten_minutes_is_refused_and_exactly_ten_is_read():
    silence = np.zeros(600 * 4_000 + 1, dtype=np.int16)
    assert code_of(decode_audio, sound(silence, rate=4_000), "a.wav") == "audio_refused"
    assert decode_audio(sound(silence[:-1], rate=4_000), "a.wav").seconds == 600


def test_one_sample_is_a_clip_and_no_sample_is_damage():
    clip = decode_audio(sound(TONE[50:51], subtype="FLOAT"), "a.wav")
    assert clip.samples.tolist() == [TONE[50]]
    assert code_of(decode_audio, sound(TONE[:0]), "a.wav") == "audio_damaged"


def test_silence_is_noted_and_quiet_sound_is_not():
    assert decode_audio(sound(np.zeros(100)), "a.wav").notes == ("silent",)
    assert decode_audio(sound(TONE * 0.01, subtype="FLOAT"), "a.wav").notes == ()


def test_samples_that_are_not_numbers_become_0_and_are_counted():
    broken = TONE.copy()
    broken[[3, 4, 5]] = [np.nan, np.inf, -np.inf]
    clip = decode_audio(sound(broken, subtype="FLOAT"), "a.wav")
    assert clip.notes == ("3 samples were not numbers and are set to 0",)
    assert clip.samples[3:6].tolist() == [0, 0, 0]


def test_a_peak_far_above_full_scale_is_noted():
    assert decode_audio(sound(TONE * 65_536, subtype="FLOAT"), "a.wav").notes == ("peak is 3.277e+04 times full scale",)


@pytest.mark.parametrize("form", ["WAV", "AIFF", "RF64"])
def test_a_file_shorter_than_it_says_is_noted(form):
    data = sound(TONE, form)
    clip = decode_audio(data[: len(data) // 2], "a.wav")
    assert 0 < len(clip.samples) < len(TONE)
    assert clip.notes == ("file is shorter than it says",)


def test_a_wav_that_declares_samples_and_has_none_is_damaged():
    assert code_of(decode_audio, sound(TONE)[:44], "a.wav") == "audio_damaged"


def test_a_streamed_wav_without_a_length_is_noted():
    data = bytearray(sound(TONE))
    data[4:8] = data[40:44] = b"\xff" * 4
    clip = decode_audio(bytes(data), "a.wav")
    assert len(clip.samples) == len(TONE)
    assert clip.notes == ("file does not say how long it is",)


@pytest.mark.parametrize(("form", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_a_compressed_stream_that_breaks_off_is_damaged(form, subtype):
    data = sound(TONE, form, subtype)
    assert code_of(decode_audio, data[: len(data) // 2], "a") == "audio_damaged"


@pytest.mark.parametrize("data", [b"RIFF", b"RIFF\x24\0\0\0WAVE", b"fLaC" + b"\2" * 90])
def test_a_header_without_a_sound_is_damaged(data):
    assert code_of(decode_audio, data, "a.wav") == "audio_damaged"


@pytest.mark.parametrize("data", [b"words", b"\x80\x04abc", b"PK\x03\x04abc", b"RIFF\x24\0\0\0AVI abcd"])
def test_what_is_no_audio_is_unsupported(data):
    assert code_of(decode_audio, data, "a.wav") == "audio_unsupported"


ODD_WAVS = sorted(glob.glob(os.path.join(os.path.dirname(scipy.io.__file__), "tests", "data", "*.wav")))


@pytest.mark.parametrize("path", ODD_WAVS, ids=os.path.basename)
def test_the_odd_wavs_of_scipy_end_as_clip_or_record_error(path, capfd):
    with open(path, "rb") as file:
        data = file.read()
    found = outcome(decode_audio, data)
    assert found == "read" or found.startswith("audio_")
    if found == "read":
        assert ("early-eof" in path) == ("file is shorter than it says" in decode_audio(data, "odd").notes)
    assert capfd.readouterr().err == ""


MUTANTS = {
    "png": (decode_image, saved(noise())),
    "jpeg": (decode_image, saved(noise(), "JPEG")),
    "gif": (decode_image, saved(noise(), "GIF", save_all=True, append_images=[noise(seed=1)])),
    "tiff": (decode_image, saved(noise(), "TIFF", compression="tiff_lzw")),
    "webp": (decode_image, saved(noise(), "WEBP")),
    "wav": (decode_audio, sound(TONE[:500])),
    "aiff": (decode_audio, sound(TONE[:500], "AIFF")),
    "flac": (decode_audio, sound(TONE[:2000], "FLAC")),
    "ogg": (decode_audio, sound(TONE[:2000], "OGG", "VORBIS")),
    "opus": (decode_audio, sound(TONE[:2000], "OGG", "OPUS")),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", MUTANTS)
def test_200_mutations_of_a_good_file_end_as_a_result_or_a_record_error(kind, capfd):
    decode, good = MUTANTS[kind]
    generator = np.random.default_rng(7)
    outcomes = set()
    for _ in range(200):
        data = bytearray(good)
        for place in generator.integers(0, len(data), generator.integers(1, 6)):
            data[place] = generator.integers(0, 256)
        if generator.random() < 0.2:
            del data[int(generator.integers(1, len(data))) :]
        outcomes.add(outcome(decode, bytes(data)))
    family = "image_" if decode is decode_image else "audio_"
    assert f"{family}damaged" in outcomes
    assert all(found == "read" or found.startswith(family) for found in outcomes)
    assert ("read" in outcomes) == (kind not in ("png", "ogg", "opus"))  # these carry checksums
    assert kind == "tiff" or capfd.readouterr().err == ""  # libtiff prints on its own


def test_decoding_twice_gives_the_same_numbers():
    data = sound(TONE, "OGG", "OPUS")
    assert np.array_equal(decode_audio(data, "a").samples, decode_audio(data, "a").samples)
    assert np.array_equal(resample(TONE, RATE, 11_025), resample(TONE, RATE, 11_025))


@pytest.mark.parametrize(("rate", "to"), [(44_100, 16_000), (8_000, 16_000), (48_000, 16_000), (16_000, 44_100)])
def test_resampling_keeps_a_tone_at_its_frequency_and_length(rate, to):
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    result = resample(tone, rate, to)
    assert result.dtype == np.float32
    assert len(result) == to
    assert int(np.argmax(np.abs(np.fft.rfft(result)))) == 440


def test_resampling_to_the_same_rate_changes_nothing():
    assert np.array_equal(resample(TONE, RATE, RATE), TONE)
    assert len(resample(TONE[:0], RATE, 8_000)) == 0


def test_media_are_named_by_the_hash_of_their_bytes(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc" * 1_000_000)
    held, listed = media_from_bytes(b"abc" * 1_000_000, "a.bin"), media_from_path(tmp_path / "a.bin", "a.bin")
    assert held.sha256 == listed.sha256 == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
    assert listed.data is None
    assert read_media(listed) == read_media(held) == b"abc" * 1_000_000


def test_media_over_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "MAX_FILE_BYTES", 5)
    (tmp_path / "a").write_bytes(b"123456")
    assert code_of(media_from_path, tmp_path / "a", "a") == "file_too_large"
    assert code_of(media_from_bytes, b"123456", "a") == "file_too_large"


def test_a_file_that_changed_or_went_after_listing_is_an_error(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    listed = media_from_path(path, "a")
    path.write_bytes(b"two")
    assert code_of(read_media, listed) == "file_missing"
    path.unlink()
    assert code_of(read_media, listed) == "file_missing"


def test_the_store_spills_to_a_private_folder_that_goes_with_it(monkeypatch):
    monkeypatch.setattr(media, "MEMORY_BYTES", 4)
    store = media.MediaStore()
    first, second, again = store.keep(b"1234", "a"), store.keep(b"5678", "b"), store.keep(b"5678", "c")
    assert first.data == b"1234"
    assert second.path is not None
    assert second.path == again.path
    assert second.path.parent.stat().st_mode & 0o077 == 0
    assert read_media(second) == b"5678"
    folder = second.path.parent
    del store
    assert not folder.exists()


def test_text_is_kept_byte_exact_but_for_lone_surrogates():
    odd = "naïve 👩‍🚀 \u202e\0\r\n שלום"
    assert clean_text(odd) == (odd, ())
    assert clean_text("a\ud800b\udfff") == ("a\ufffdb\ufffd", ("unpaired surrogates replaced",))


def test_text_over_one_megabyte_of_utf8_is_refused():
    assert clean_text("é" * 500_000)[1] == ()
    assert code_of(clean_text, "é" * 500_000 + "x") == "text_too_long"


def test_shown_text_hides_and_reorders_nothing():
    assert show_text("a\0b\x1b\x7f\x85") == "a␀b␛␡⟨U+0085⟩"
    assert show_text("\u202eabc\u2066\u200b\ufeff\u2028\ud800") == "⟨U+202E⟩abc⟨U+2066⟩⟨U+200B⟩⟨U+FEFF⟩⟨U+2028⟩⟨U+D800⟩"
    assert show_text("line\n\ttab 👩‍🚀 שלום عربى") == "line\n\ttab 👩‍🚀 שלום عربى"


def test_a_quoted_value_is_one_short_line():
    assert texts.quoted("a\nb") == "'a␊b'"
    assert len(texts.quoted("x" * 1_000)) == 82
