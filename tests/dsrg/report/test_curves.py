"""Charts that stand in a page: well-formed, without anything from outside, readable without seeing them."""

import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from dsrg.report import curves

LOG = {"iteration": np.arange(500), "lr": np.linspace(0.01, 0, 500), "seconds": np.full(500, 0.1),
       "losses": {"loss-Seed": np.linspace(3, 1, 500), "loss-Constrain": np.r_[np.linspace(2, 1, 499), math.nan]}}
CHARTS = {
    "training": lambda: curves.training_curves("train-s", 'Stage "s" & <b>', LOG),
    "several": lambda: curves.several_curves("x", "Losses", {"a": (np.arange(3), np.arange(3.0)), "b": ([0], [1])}),
    "bars": lambda: curves.class_bars("iou", "IoU", ["cow", "a $x$ <b>"], {"s": [50, None], "f": [math.nan, 60.5]}),
    "one row": lambda: curves.class_bars("cues", "Cells", ["cow", "sheep"], {"cues": [0, 700]}, "cells", log=True),
    "confusion": lambda: curves.confusion_chart("f", "Confusion", ["cow", "sheep"], [[3, 1, 0], [0, 4, 2]]),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_stands_in_a_page(name):
    text = CHARTS[name]()
    root = ElementTree.fromstring(text)                    # well-formed
    assert root.tag == "svg" and root.get("role") == "img" and root.get("aria-label")
    assert not re.search(r"https?:|xmlns|<metadata|<!DOCTYPE|<\?xml", text)
    assert "currentColor" in text and curves.INK not in text
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    assert used <= set(ids)


def test_two_charts_of_one_page_share_no_id():
    ids = [re.findall(r'\bid="([^"]+)"', curves.training_curves(name, "t", LOG)) for name in ("a", "b")]
    assert ids[0] and not set(ids[0]) & set(ids[1])


def test_words_say_what_the_curves_show():
    label = ElementTree.fromstring(CHARTS["training"]()).get("aria-label")
    assert label.startswith('Stage "s" & <b>: losses over 500 iterations. loss-Seed from 2.98 to 1.02;')
    label = ElementTree.fromstring(CHARTS["bars"]()).get("aria-label")
    assert label == ("IoU. s: highest cow 50, lowest cow 50 IoU (%); "
                     "f: highest a $x$ <b> 60.5, lowest a $x$ <b> 60.5 IoU (%)")
    label = ElementTree.fromstring(CHARTS["confusion"]()).get("aria-label")
    assert label == "Confusion. Most often confused: 25 % of cow are called sheep"


def test_smoothed_takes_means_of_equal_stretches_and_leaves_nan_out():
    x, y = curves.smoothed(np.arange(400), np.r_[math.nan, 3, 5, 7, np.arange(396.0)])
    assert len(x) == 100 and x[0] == 1.5 and y[0] == 5 and y[1] == 1.5
    x, y = curves.smoothed(np.arange(3), np.array([1, math.inf, 2]))
    assert x.tolist() == [0, 1, 2] and math.isnan(y[1])


def test_an_all_zero_confusion_and_no_value_at_all_are_drawn():
    curves.confusion_chart("f", "t", ["a", "b"], np.zeros((2, 3), int))
    assert "no value" in curves.class_bars("x", "t", ["a"], {"s": [None]})
    empty = {**LOG, "lr": np.full(500, math.nan), "losses": {"a": np.full(500, math.nan)}}
    assert "a from not finite to not finite" in curves.training_curves("x", "t", empty)


def test_ticks_of_iterations_are_whole():
    x, falling = np.arange(5), np.linspace(500, 100, 5)
    log = {"iteration": x, "losses": {"loss": falling}, "lr": np.full(5, 100.0)}
    for text in (curves.training_curves("f", "t", log), curves.several_curves("g", "t", {"a": (x, falling)})):
        ticks = ["".join(element.itertext()) for element in ElementTree.fromstring(text).iter("text")]
        assert {"0", "1", "2", "3", "4"} <= set(ticks) and not [tick for tick in ticks if "." in tick]
