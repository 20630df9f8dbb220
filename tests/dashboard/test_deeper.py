"""What stands below the board, in words."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.views.changes import amount_words, changes_sentence, changes_table
from dashboard.views.influence import card, influence_sentence
from dashboard.views.similar import Glimpse
from fusion_core.types import Influence, Influential, Record, SmallestChange


def change(strategy="late", kind="image_blur", unit="px", amount=3.0, tried=(1.0, 3.0, 8.0), after="no"):
    return SmallestChange(strategy, kind, "image", unit, amount, tried, "yes", after if amount else None, len(tried))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (change(), "3 px"),
        (change(amount=None), "holds to 8 px"),
        (change(unit="of the clip", amount=0.2, tried=(0.1, 0.2)), "20 % of the clip"),
        (change(unit="words", amount=1.0, tried=(1.0,)), "1 word"),
        (change(unit="dB SNR", amount=None, tried=(3.0, -10.0)), "holds to −10 dB SNR"),
        (change(amount=None, tried=()), "nothing to change"),
    ],
)
def test_amounts_have_their_unit(given, words):
    assert amount_words(given) == words


def test_the_table_says_which_strategies_hold_longer():
    found = [change(), change("early", amount=8.0), change("gated", amount=None), change("concat", amount=1.0)]
    table = changes_table(found, "late")
    assert list(table.loc[0]) == ["blur", "3 px", "no", "2 of 3: early, gated"]


def test_the_sentence_names_what_flips_it_soonest():
    found = [change(), change(kind="image_crop", unit="of each side", amount=0.1, tried=(0.1, 0.2, 0.3, 0.4))]
    assert changes_sentence(found, "late") == (
        "Late leaves “yes” soonest by crop: at 10 % of each side it answers “no”. 2 of 2 kinds of change flip it."
    )
    assert changes_sentence([change(amount=None)], "late") == "Nothing that was tried moves late from “yes”."
    assert "at chance" in changes_sentence([], "late")


def test_a_card_escapes_what_came_with_the_data():
    hostile = Record("<i>", text="<script>alert(1)</script>\u202e", label="<b>")
    html = card(Influential("<i>", "<b>", -2.0), Glimpse(hostile, np.zeros((4, 4, 3), np.uint8)), 4.0, "yes")
    assert "<script>" not in html
    assert "<i>" not in html
    assert "&lt;b&gt;" in html
    assert "\u202e" not in html
    assert "width:50%" in html


def test_it_is_said_what_was_compared():
    found = Influence("late", "yes", (), (), 200)
    assert influence_sentence(found, 800).startswith("Among 200 training records of the 800 it was fitted on")
    assert influence_sentence(found, 200).startswith("Among 200 training records:")
