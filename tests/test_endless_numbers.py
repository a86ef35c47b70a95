"""Numbers of thousands of digits on the command line, which Python does not read: one short line, status 1 or 2."""

import pytest
from caffe.__main__ import main as caffe_main
from caffe.hdf5_weights import _obstacle

from dsrg.io.errors import run_main
from tools import index_masks, inspect_net, new_experiment

NINES = "9" * 5000
NET = 'name: "n" layer { name: "d" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
COMMANDS = {
    "index_masks": (index_masks.main, ["--masks", ".", "--out", "o", "--gray", NINES], "from 0 to 255, got '999"),
    "inspect_net": (inspect_net.main, ["net", "--input", f"x={NINES}"], "expected NAME=N,C,H,W"),
    "inspect_net of a blob": (inspect_net.main, ["net", "--input", "x=9999999999,9999999999"],
                              "2147483647 at most"),
    "new_experiment": (new_experiment.main, ["a", "--from", "demo", "--iterations", f"cam={NINES}"],
                       "1 or more, such as"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_numbers_without_end(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").write_text(NET)
    main, words, told = COMMANDS[command]
    with pytest.raises(SystemExit) as left:
        run_main(main, words)
    said = capsys.readouterr().err
    assert left.value.code in (1, 2) and told in said and " bug " not in said
    assert max(map(len, said.splitlines())) < 2200


@pytest.mark.parametrize("words", [["time", "--model", "net", "--gpu", NINES], ["device_query", "--gpu", NINES],
                                   ["extract_features", "w", "net", "x", "db", "1", "lmdb", "GPU", NINES]])
def test_devices_without_end(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").write_text(NET)
    with pytest.raises(SystemExit, match="9999: expected the number of a CUDA device, from 0$") as left:
        caffe_main(words)
    assert len(str(left.value)) < 200


def test_names_of_layers_that_end_in_a_number():
    """HDF5 keeps the parameters of layer a as a/0, a/1; no other text that Python takes for a number is one of them."""
    weights = {"a": [1, 2]}
    assert "parameter of layer 'a'" in _obstacle("a/1", weights)
    assert [_obstacle(f"a/{end}", weights) for end in ("2", "01", "\u00b2", "\u0661", NINES)] == [None] * 5
