"""A key that a mapping has twice is refused with its lines: of the first, nothing would be left."""

import pytest

from dsrg.io.errors import UserError
from dsrg.io.param_str import parse_param_str
from dsrg.io.yaml_text import parse_yaml
from dsrg.pipeline.prototxt_edits import read_ablation
from dsrg.pipeline.settings import read_experiment
from tests.conftest import ROOT


@pytest.mark.parametrize(("text", "says"), [
    ("a: 1\nb: 2\na: 3\n", "'a' is given twice, in lines 1 and 3; keep one of them"),
    ("x:\n  y: {b: 1}\n  z: [{c: 1,\n    c: 2}]\n", "'c' is given twice, in lines 3 and 4; keep one of them"),
    ("{a: 1, 'a': 1}", "'a' is given twice, in line 1; keep one of them"),
    ("1: a\n0x1: b\n", "'1' is given twice, in lines 1 and 2; keep one of them"),
    ("<<: {a: 1}\n<<: {b: 1}\n", "'<<' is given twice, in lines 1 and 2; keep one of them"),
    (f"{'k' * 500}: 1\n{'k' * 500}: 1\n", f"'{'k' * 60}' is given twice, in lines 1 and 2; keep one of them")])
def test_a_key_given_twice_is_told_with_its_lines(text, says):
    with pytest.raises(ValueError) as refused:
        parse_yaml(text)
    assert str(refused.value) == says


def test_a_key_in_several_mappings_or_merged_in_is_given_once():
    assert parse_yaml("a: {x: 1}\nb: {x: 2}\n'1': 3\n1: 4\n") == {"a": {"x": 1}, "b": {"x": 2}, "1": 3, 1: 4}
    assert parse_yaml("<<: {a: 1, b: 2}\nb: 3\n") == {"a": 1, "b": 3}
    assert parse_yaml("<<: [{a: 1}, {a: 2, b: 2}]\n") == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="unhashable key"):
        parse_yaml("? [a]\n: 1\n? [a]\n: 2\n")


def test_arguments_appended_to_settings_a_second_time_are_refused(tmp_path):
    text = (ROOT / "prototxts/demo/settings.yaml").read_text()
    line = text.splitlines().index("arguments:") + 1
    (tmp_path / "settings.yaml").write_text(text + "arguments: {cues: --flip}\n")
    with pytest.raises(UserError, match=f"settings.yaml is not valid YAML: 'arguments' is given twice, in lines {line} "
                                        f"and {len(text.splitlines()) + 1}; keep one of them$"):
        read_experiment(tmp_path)


def test_a_net_changed_twice_in_an_ablation_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("says: x\ntrain-s.prototxt: {CRF: remove}\ntrain-s.prototxt: {a: remove}\n")
    with pytest.raises(UserError, match="x.yaml is not valid YAML: 'train-s.prototxt' is given twice, in lines 2"):
        read_ablation(tmp_path / "x.yaml")


@pytest.mark.parametrize("text", ["{'grow': True, 'th1': 0.9, 'grow': False}", "{'a': [{'grow': 1, 'grow': 1}]}",
                                  "grow: true\ngrow: false\n"])
def test_a_key_given_twice_in_a_param_str_is_refused(text):
    with pytest.raises(ValueError, match=r"param_str is not readable \('grow' is given twice.*keep one of them\)"):
        parse_param_str(text)
