"""Who wins a cell: rules on maps small enough to read."""

import numpy as np
import pytest

from localization_cues.background_rules import RULES, Evidence, background_cells, parse_rule
from localization_cues.merge import merge, relative_maps

NOTHING = np.zeros((4, 5), bool)

LARGE = np.array([  # 9 cells above 0.2 of its maximum of 10
    [9, 9, 9, 0, 0],
    [9, 10, 9, 1, 0],
    [9, 9, 9, 2, 0],
    [0, 0, 0, 0, 0],
])
SMALL = np.array([  # 4 cells
    [0, 0, 0, 0, 0],
    [0, 0, 5, 5, 0],
    [0, 0, 5, 5, 0],
    [0, 0, 0, 0, 0],
])


def rows(label_map):
    return ["".join(".0123456789"[value + 1] for value in row) for row in label_map]


def test_smaller_area_wins_whatever_the_order():
    expected = ["333..", "3377.", "3377.", "....."]
    assert rows(merge([LARGE, SMALL], [3, 7], NOTHING, 0.2).label_map) == expected
    assert rows(merge([SMALL, LARGE], [7, 3], NOTHING, 0.2).label_map) == expected


def test_area_counts_before_any_cell_is_lost():
    """Three classes nested: each smaller one takes its cells from all larger ones."""
    one = np.zeros((4, 5))
    one[1, 2] = 1
    merged = merge([one, LARGE, SMALL], [1, 3, 7], NOTHING, 0.2)
    assert rows(merged.label_map) == ["333..", "3317.", "3377.", "....."]
    assert merged.fallback == merged.lost == ()


def test_foreground_beats_background():
    background = np.zeros((4, 5), bool)
    background[:, 2:] = True
    assert rows(merge([LARGE], [3], background, 0.2).label_map) == ["33300", "33300", "33300", "..000"]


def test_threshold_is_strict_and_relative_to_the_maximum():
    assert rows(merge([LARGE * 7.5], [3], NOTHING, 0.1).label_map)[2] == "3333."   # 2 of 10 is above 0.1
    assert rows(merge([LARGE * 7.5], [3], NOTHING, 0.2).label_map)[2] == "333.."   # not above 0.2
    assert rows(merge([LARGE * 7.5], [3], NOTHING, 0.1).label_map)[1] == "333.."   # 1 of 10 is not above 0.1


def test_every_class_may_have_a_threshold_of_its_own():
    assert rows(merge([LARGE, SMALL], [3, 7], NOTHING, [0.95, 0.2]).label_map) == [".....", ".377.", "..77.", "....."]


def test_gate_keeps_classes_out():
    gate = np.zeros((4, 5), bool)
    gate[:2] = True
    assert rows(merge([LARGE], [3], ~gate, 0.2, gate).label_map) == ["333..", "333..", "00000", "00000"]


def test_a_class_behind_a_shut_gate_keeps_its_largest_cell_and_is_reported():
    merged = merge([LARGE, SMALL], [3, 7], NOTHING, 0.2, gate=NOTHING)
    assert rows(merged.label_map) == [".....", ".377.", "..77.", "....."]
    assert merged.fallback == (3, 7)


def test_fallback_prefers_the_largest_cell_within_the_gate():
    gate = np.zeros((4, 5), bool)
    gate[1:3, 3] = True
    merged = merge([LARGE], [3], NOTHING, 0.5, gate)
    assert rows(merged.label_map) == [".....", ".....", "...3.", "....."]
    assert merged.fallback == (3,)


def test_a_map_without_positive_values_keeps_its_largest_cell():
    merged = merge([-1.0 - LARGE], [3], NOTHING, 0.2)
    assert (merged.label_map == 3).sum() == (LARGE == 0).sum()     # all of equal value
    assert merged.fallback == (3,)


def test_a_map_that_is_the_same_everywhere_points_nowhere():
    """Of a dead classifier, or where nothing is salient: every cell is its largest."""
    maps = np.stack([np.zeros((2, 3)), [[-3.0, -2, -3], [-3, -3, -3]]])
    merged = merge(maps, [1, 2], np.zeros((2, 3), bool), 0.2)
    assert merged.label_map.tolist() == [[-1, 2, -1], [-1, -1, -1]]
    assert (merged.fallback, merged.lost, merged.empty) == ((2,), (), (1,))


def test_a_class_that_loses_every_cell_is_reported():
    merged = merge([SMALL, SMALL], [3, 7], NOTHING, 0.2)
    assert rows(merged.label_map) == [".....", "..77.", "..77.", "....."]
    assert merged.lost == (3,)


def test_relative_maps_cut_at_zero():
    np.testing.assert_allclose(relative_maps([[[-2, 1], [4, 0]], [[-1, -1], [-3, 0]]]),
                               [[[0, 0.25], [1, 0]], [[0, 0], [0, 0]]])


def test_background_rules():
    evidence = Evidence(np.stack([LARGE, 2 * SMALL]), saliency=np.linspace(0, 1, 20).reshape(4, 5))
    low = parse_rule("cam-low:0.15").below(evidence)
    assert rows(low - 1) == ["...00", "...." + "0", "....0", "00000"]
    assert rows(parse_rule("saliency:0.16").below(evidence) - 1) == ["0000.", ".....", ".....", "....."]
    both = background_cells([parse_rule("cam-low:0.15"), parse_rule("saliency:0.16")], evidence)
    assert rows(both - 1) == ["...0.", ".....", ".....", "....."]
    assert not background_cells([], evidence).any()


def test_gradient_rule_takes_the_lowest_share_strictly_below_its_rank():
    """20 cells and F = 0.1: below the third smallest value (index int(0.1 * 20) = 2); equal values are not below."""
    values = np.arange(20.0, 0, -1).reshape(4, 5)
    rule = parse_rule("sec-gradient:0.1")
    assert rows(rule.below(Evidence(LARGE[None], gradient=values)) - 1) == [".....", ".....", ".....", "...00"]
    values[3, 2:] = 2                                                       # 1 once, 2 three times: limit 2
    values[0, 0] = 1
    assert rows(rule.below(Evidence(LARGE[None], gradient=values)) - 1) == ["0....", ".....", ".....", "....."]


def test_rule_none_finds_no_background():
    assert str(parse_rule("none")) == "none"
    assert not background_cells([parse_rule("none")], Evidence(LARGE[None])).any()


def test_rules_ask_only_for_what_they_need():
    rules = [parse_rule(name if name == "none" else f"{name}:0.1") for name in RULES]
    assert {rule.name: rule.needs for rule in rules} == {"cam-low": "", "saliency": "saliency",
                                                         "sec-gradient": "gradient", "none": ""}


def test_strongest_class_wins_a_disputed_cell():
    """Both claim the 2x2 of SMALL, where it is at its maximum; LARGE is at its own at one of them."""
    large = LARGE.copy()
    large[1, 2] = 10
    merged = merge([large, SMALL * 0.9], [3, 7], NOTHING, 0.2, overlap="strongest")
    assert rows(merged.label_map) == ["333..", "3337.", "3377.", "....."]   # of equal values the first named
    assert rows(merge([SMALL, large], [7, 3], NOTHING, 0.2, overlap="strongest").label_map)[1] == "3377."


def test_nobody_gets_a_disputed_cell_not_even_background():
    merged = merge([LARGE, SMALL], [3, 7], ~NOTHING, 0.2, overlap="nobody")
    assert rows(merged.label_map) == ["33300", "33.70", "33.70", "00000"]
    assert merge([SMALL, SMALL], [3, 7], NOTHING, 0.2, overlap="nobody").lost == (3, 7)


def test_an_empty_class_may_be_left_empty_and_is_reported():
    merged = merge([LARGE, SMALL], [3, 7], ~NOTHING, 0.2, gate=NOTHING, fill_empty=False)
    assert (merged.label_map == 0).all()
    assert (merged.empty, merged.fallback, merged.lost) == ((3, 7), (), ())


def test_unknown_overlap_rule():
    with pytest.raises(ValueError, match="expected one of smaller-area, strongest, nobody"):
        merge([LARGE], [3], NOTHING, 0.2, overlap="largest")


@pytest.mark.parametrize(("text", "message"), [
    ("median:0.1", "unknown rule 'median'.*cam-low, saliency"),
    ("saliency", "expected saliency:T"),
    ("saliency:x", "expected saliency:T"),
    ("cam-low:1.5", "T from 0 to 1"),
    ("cam-low:nan", "T from 0 to 1"),
    ("sec-gradient:1", "expected sec-gradient:F with F from 0 to below 1"),
    ("none:0.1", "none takes no number"),
])
def test_bad_rules(text, message):
    with pytest.raises(ValueError, match=message):
        parse_rule(text)
