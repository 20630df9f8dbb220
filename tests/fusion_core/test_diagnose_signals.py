"""Signals on arrays whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fusion_core.diagnose.signals import Profile, Seen
from fusion_core.diagnose.signals.audio import audio_signals, echo, flat_tops, rolloff
from fusion_core.diagnose.signals.image import blockiness, edge_sharpness, entropy, image_signals, noise_level
from fusion_core.diagnose.signals.pair import divergence
from fusion_core.diagnose.signals.text import ends, odd_words, surprise, text_signals
from fusion_core.diagnose.signals.tokens import mahalanobis, nearest, project

RATE = 16_000


def half_white(side: int = 128) -> np.ndarray:
    grey = np.zeros((side, side), np.float32)
    grey[:, side // 2 :] = 1.0
    return grey


def tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(RATE * seconds)) / RATE)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_noise_is_measured_in_full_scale_and_edges_do_not_count(sigma):
    noisy = 0.5 * half_white() + np.random.default_rng(0).normal(0, sigma, (128, 128))
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.1)
    assert noise_level(half_white()) == 0.0


@pytest.mark.parametrize("sigma", [1.5, 2.5])
def test_a_blurred_edge_has_the_sharpness_its_gaussian_gives_it(sigma):
    assert edge_sharpness(half_white()) == pytest.approx(1.0)
    soft = edge_sharpness(gaussian_filter(half_white(), sigma))
    assert 1.0 <= soft * sigma * np.sqrt(2 * np.pi) <= 1.5
    assert edge_sharpness(0.4 * gaussian_filter(half_white(), sigma)) == pytest.approx(soft, rel=1e-3)


def test_blocks_show_on_their_grid_and_entropy_counts_levels():
    levels = np.random.default_rng(0).integers(100, 120, (16, 16)).repeat(8, 0).repeat(8, 1) / 255
    assert blockiness(levels.astype(np.float32)) > 3.0
    assert blockiness(np.random.default_rng(0).random((128, 128)).astype(np.float32) / 20) < 1.0
    assert entropy(half_white()) == pytest.approx(1.0)
    assert entropy(np.full((8, 8), 0.3)) == 0.0


def test_swapped_channels_are_undone_by_another_order():
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[..., 0] = 230
    pixels[:20, :, 1] = 180
    red = Profile(palette=np.isin(np.arange(4096), [14 * 256 + 11 * 16, 14 * 256]))
    found = image_signals(Seen(pixels=np.ascontiguousarray(pixels[..., ::-1])), red)
    assert (found["image.new_colours"], found["image.new_swapped"]) == (1.0, 0.0)
    assert image_signals(Seen(pixels=pixels), red)["image.new_colours"] == 0.0


def test_level_bandwidth_clipping_and_end_of_a_tone():
    found = audio_signals(Seen(samples=tone(1000).astype(np.float32)), Profile())
    assert found["audio.level"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.05)
    assert found["audio.rolloff"] == pytest.approx(1000, abs=64)
    assert found["audio.end"] == pytest.approx(0.0, abs=0.1)
    assert flat_tops(np.clip(tone(100), -0.2, 0.2)) > 0.5 > flat_tops(tone(1000)) + 0.3
    assert rolloff(np.array([1.0, 1.0, 8.0]), np.array([0.0, 10.0, 20.0]), 0.1) == 0.0
    faded = np.concatenate([tone(500), np.zeros(RATE // 10)])
    assert audio_signals(Seen(samples=faded.astype(np.float32)), Profile())["audio.end"] < -60


def test_a_delayed_copy_is_a_line_in_the_cepstrum():
    sound = np.random.default_rng(0).normal(0, 0.1, RATE)
    delayed = sound.copy()
    delayed[1600:] += 0.6 * sound[:-1600]
    assert echo(delayed) > 3 * echo(sound)


def test_words_are_odd_when_broken_or_short_and_unknown():
    seen = Seen(text="i don't knwo xq", words=("i", "don't", "knwo", "xq"), pieces=np.array([1, 3, 2, 1]))
    assert odd_words(seen, frozenset({"i"})) == (2, 4)
    assert ends("it works.")
    assert ends('he said "no."')
    assert not ends("it wor")


def test_surprise_is_lower_for_what_the_reference_has():
    counts = {"  t": 9, " th": 9, "the": 9, "he ": 9}
    profile = Profile(trigrams=counts, starts={k[:2]: 9 for k in counts}, characters=frozenset("the "))
    assert surprise("the", profile) < 0.5 < surprise("eht", profile)
    assert text_signals(Seen(text="thé Ã¤"), profile)["text.odd_marks"] == pytest.approx(3 / 6)


def test_divergence_is_one_bit_for_opposites():
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
    assert divergence(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == pytest.approx(0.0)


def test_distances_grow_off_the_reference():
    reference = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    near, far = np.zeros(4, np.float32), np.full(4, 5.0, np.float32)
    assert nearest(far, reference) > 5 * nearest(near, reference)
    assert mahalanobis(far, reference) == pytest.approx(10.0, rel=0.15)
    wide = np.random.default_rng(1).normal(size=(2, 1280))
    ratio = np.linalg.norm(project(wide[0]) - project(wide[1])) / np.linalg.norm(wide[0] - wide[1])
    assert ratio == pytest.approx(1.0, abs=0.3)
