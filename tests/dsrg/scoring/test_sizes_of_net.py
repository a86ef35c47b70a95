"""Input sizes that follow the net's own."""

import pytest
import yaml

from dsrg.scoring.recipe import SIZES
from dsrg.scoring.sizes_of_net import sizes_of_net
from tests.conftest import EXPERIMENTS

SHAPE = 'input: "images" input_shape { dim: 1 dim: 3 dim: 241 dim: 241 }'


@pytest.mark.parametrize(("text", "sizes"), [
    (SHAPE, (177, 241, 305)),
    (SHAPE.replace("241", "321"), SIZES),
    ('input: "images" input_dim: 1 input_dim: 3 input_dim: 161 input_dim: 161', (121, 161, 201)),
    ('layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 641 dim: 641 } } }',
     (481, 641, 801)),
    (SHAPE.replace("dim: 241 }", "dim: 300 }"), SIZES),            # no square
    (SHAPE.replace("241", "1"), SIZES),
    ("input {", SIZES),
], ids=range(7))
def test_sizes_are_those_of_the_original_in_proportion(text, sizes, tmp_path, pb):
    path = tmp_path / "deploy.prototxt"
    path.write_text(text)
    assert sizes_of_net(path, pb) == sizes


def test_experiments_of_several_sizes_have_those_of_their_net(pb):
    """Of val photos; pseudo-labels know a photo's classes and may have larger ones."""
    checked = 0
    for folder in EXPERIMENTS:
        arguments = yaml.safe_load((folder / "settings.yaml").read_text(encoding="utf-8"))["arguments"]
        words = arguments["segment-s"].split("--sizes ")[1].split(" --")[0].split()
        if len(words) == len(SIZES):
            checked += 1
            assert tuple(map(int, words)) == sizes_of_net(folder / "deploy.prototxt", pb)
    assert checked >= 3


def test_missing_and_unreadable_files_are_for_others_to_tell(tmp_path, pb):
    assert sizes_of_net(tmp_path / "none.prototxt", pb) == SIZES
    (tmp_path / "binary.prototxt").write_bytes(b"\xff\xfe\x00")
    assert sizes_of_net(tmp_path / "binary.prototxt", pb) == SIZES
