"""python -m caffe: Caffe's words, Caffe's lines, errors of one line."""

import io
import os
import re
import signal
import subprocess
import sys

import caffe
import numpy as np
import pytest
from caffe import command_line, gflags
from caffe.__main__ import main
from caffe.gradients import Tape
from caffe.layer import REGISTRY
from caffe.torch_layer import TorchLayer

from tests.conftest import ROOT
from tests.engine.nets import CLASSIFIER, TWO_HEADS, build, input_layer, python_layer, write

SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 3 display: 1 snapshot_prefix: "snap" ' \
         "solver_mode: CPU "


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    write(tmp_path, CLASSIFIER)
    write(tmp_path, SOLVER, "solver.prototxt")
    return tmp_path


@pytest.fixture(autouse=True)
def signals():
    """Put the handlers back that train sets."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_train_and_resume(folder, capsys):
    main(["train", "--solver", "solver.prototxt"])
    err = capsys.readouterr().err
    assert re.search(r"I\d{4} .* solver.cpp\] Iteration 2 \(.*\), loss = ", err) and "Optimization Done." in err
    write(folder, SOLVER.replace("max_iter: 3", "max_iter: 5"), "solver.prototxt")
    main(["train", "--solver", "solver.prototxt", "--snapshot", "snap_iter_3.solverstate"])
    err = capsys.readouterr().err
    assert "Restoring previous solver status from snap_iter_3.solverstate" in err
    assert "Iteration 3 " in err and "Iteration 2 " not in err and (folder / "snap_iter_5.solverstate").exists()


def test_a_process_snapshots_at_sighup_and_stops_at_sigint(folder):
    write(folder, SOLVER.replace("max_iter: 3", "max_iter: 100000000"), "solver.prototxt")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "engine"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "caffe", "train", "--solver", "solver.prototxt"], cwd=folder,
                               env=environment, text=True, stderr=subprocess.PIPE)
    with process:
        for awaited, number in (("Iteration 1 ", signal.SIGHUP), ("Snapshotting solver state", signal.SIGINT)):
            assert any(awaited in line for line in process.stderr)
            process.send_signal(number)
        assert "Optimization stopped early." in process.stderr.read()
    assert process.returncode == 0
    assert len(list(folder.glob("snap_iter_*.solverstate"))) == 2


def test_words_with_one_dash_and_a_stage(folder, capsys):
    write(folder, CLASSIFIER.replace('layer { name: "acc"', """layer { name: "more" type: "Power" bottom: "ip"
        top: "more" include { stage: "extra" min_level: 2 } }
        layer { name: "acc" """))
    main(["train", "-solver=solver.prototxt", "-level", "2", "-stage", "extra,other"])
    assert "Train net output #0: loss" in (err := capsys.readouterr().err) and "Train net output #1: more" in err
    main(["train", "-solver", "solver.prototxt"])
    assert "more" not in capsys.readouterr().err


def test_errors_are_one_line_and_a_status(folder):
    write(folder, input_layer(1) + python_layer("p", "FailsInForward", ["data"], ["y"]), "fails.prototxt")
    for words, message in ((["train", "--solver", "none.prototxt"], "error: Could not open file none.prototxt"),
                           (["time", "--model", "fails.prototxt"], "error: boom in forward; .*layer 'p'"),
                           (["time", "--model", "solver.prototxt"], "error: solver.prototxt:1:.* has no field")):
        with pytest.raises(SystemExit, match=message) as stop:
            main(words)
        assert "\n" not in str(stop.value)


def test_what_nobody_foresaw_is_one_line_with_its_traceback_in_a_file(folder, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(caffe.Net, "_forward", lambda self: {}["bug"])
    with pytest.raises(SystemExit, match="error: KeyError: 'bug'; this is a bug, .* with the traceback in ") as stop:
        main(["time", "--model", "net.prototxt"])
    assert "\n" not in str(stop.value) and "KeyError: 'bug'" in next(folder.glob("*.traceback")).read_text()


@pytest.mark.parametrize("words", [["--traceback", "train", "--solver", "none"], ["train", "--solver", "none"],
                                   ["train", "--solver", "none", "-traceback"]])
def test_a_traceback_is_printed_for_those_who_ask(folder, capsys, words):
    with pytest.raises(SystemExit, match="^error: Could not open file none$"):
        main(words)
    assert ("Traceback (most recent call last)" in capsys.readouterr().err) == (len(words) == 4)


@pytest.mark.parametrize("command", command_line.EXAMPLES)
def test_each_command_has_help_with_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0 and "--traceback" in shown and f"example: {command_line.EXAMPLES[command]}\n" in shown
    program, words = command_line.EXAMPLES[command].split()[:3], command_line.EXAMPLES[command].split()[3:]
    assert program == ["python", "-m", "caffe"] and command_line.parse(words).command == command


def test_help_lists_every_command_with_the_flag_for_tracebacks(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "--traceback" in shown and [name for name in command_line.EXAMPLES if name not in shown] == []


@pytest.mark.parametrize(("words", "message"), [
    (["device_query", "--log_dir", "nope"], "error: --log_dir nope: no such folder; make it, or name another"),
    (["time", "--model", "net.prototxt", "-gpu", "x"], "error: --gpu x: expected the number of a CUDA device, from 0"),
    (["convert_imageset", "-resize_height=1000000", "-resize_width=2000000", "./", "list.txt", "db"],
     r"pictures of 2e\+06 megapixels, expected 100 at most; give smaller ones, or raise --max_megapixels"),
    (["device_query", "--max_megapixels", "-1"], "DSRG_MAX_MEGAPIXELS=-1.0: expected a number of megapixels above 0"),
    (["extract_features", "w", "m", "b", "d", "1", "lmdb", "GPU", "DEVICE_ID=x"],
     "error: DEVICE_ID x: expected the number of a CUDA device"),
])
def test_what_is_wrong_with_the_words(folder, words, message):
    with pytest.raises(SystemExit, match=message) as stop:
        main(words)
    assert "\n" not in str(stop.value)


def test_what_does_not_fit_into_memory_is_no_bug(folder, monkeypatch):
    monkeypatch.setattr(caffe.Net, "_forward", lambda self: np.zeros((1 << 45,)))
    with pytest.raises(SystemExit, match="error: out of memory .*256. TiB.*; use smaller pictures or batches"):
        main(["time", "--model", "net.prototxt"])


def test_train_finetunes_from_weights(folder, capsys):
    net = build(folder, CLASSIFIER, caffe.TRAIN)
    net.params["ip"][0].data[...] = 50
    net.save("start.caffemodel")
    main(["train", "--solver", "solver.prototxt", "--weights", "start.caffemodel"])
    after = build(folder, CLASSIFIER, caffe.TRAIN, weights="snap_iter_3.caffemodel")
    assert abs(after.params["ip"][0].data - 50).max() < 5
    with pytest.raises(SystemExit, match="give --snapshot to resume or --weights to finetune, not both"):
        main(["train", "--solver", "s", "--weights", "w", "--snapshot", "x"])


def test_test_prints_scores_and_their_means(folder, capsys):
    build(folder, CLASSIFIER).save("a.caffemodel")
    main(["test", "--model", "net.prototxt", "--weights", "a.caffemodel", "--iterations", "2"])
    lines = [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    number = r"[-+.e\d]+"
    patterns = ["Copied 1 of 1 layers with parameters from a.caffemodel",
                "Running for 2 iterations.", f"Batch 0, acc = {number}", f"Batch 0, loss = {number}",
                f"Batch 1, acc = {number}", f"Batch 1, loss = {number}", f"Loss: {number}", f"acc = {number}",
                rf"loss = {number} \(\* 1 = {number} loss\)"]
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    values = [float(line.split(" = ")[1].split()[0]) for line in lines if "loss = " in line]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2, rel=1e-4)


def test_time_measures_every_layer(folder, capsys):
    write(folder, TWO_HEADS)
    main(["time", "--model", "net.prototxt", "--iterations", "2", "--phase", "TEST"])
    err = capsys.readouterr().err
    for name in ("in", "conv", "relu", "conv_relu_0_split", "ip", "sig"):
        for direction in ("forward", "backward"):
            assert re.search(rf"\] +{name}\t{direction}: [\d.e-]+ ms\.$", err, re.MULTILINE)
    assert re.search(r"Iteration: 2 forward-backward time: [\d.]+ ms\.$", err, re.MULTILINE)
    assert re.search(r"Average Forward pass: [\d.]+ ms\.$", err, re.MULTILINE)
    assert re.search(r"Average Forward-Backward: [\d.]+ ms\.$", err, re.MULTILINE)


@pytest.mark.parametrize("more", ["", 'layer { name: "py" type: "Python" bottom: "ip" top: "py" python_param { '
                                    'module: "tests.engine.python_layers" layer: "NoBackward" } }'])
def test_time_of_a_net_without_loss_runs_every_backward(more, folder, monkeypatch):
    """As Caffe's: no gradient of a bottom is asked for, those of parameters that learn are."""
    asked, computed = [], []

    def spy(cls):
        backward = cls.backward

        def spied(self, top, propagate_down, bottom):
            asked.append((self.name, list(propagate_down)))
            backward(self, top, propagate_down, bottom)

        monkeypatch.setattr(cls, "backward", spied)

    def spied_gradients(tape, grads, gradients=Tape.gradients):
        found = gradients(tape, grads)
        computed.append([tuple(grad.shape) for grad in found if grad is not None])
        return found

    for cls in (REGISTRY["Input"], REGISTRY["Split"], TorchLayer):
        spy(cls)
    monkeypatch.setattr(Tape, "gradients", spied_gradients)
    frozen = TWO_HEADS.replace('top: "ip"', 'top: "ip" param { lr_mult: 0 } param { lr_mult: 1 }')
    write(folder, frozen + more)
    main(["time", "--model", "net.prototxt", "--iterations", "1"])
    once = [("sig", [False]), ("ip", [False]), ("conv_relu_0_split", [False]), ("relu", [False]), ("conv", [False]),
            ("in", [])]
    assert asked == once * 2 and computed == [[(5,)], [(4, 3, 3, 3), (4,)]] * 2


def test_device_query_of_a_device_that_is_not_there(capsys):
    with pytest.raises(SystemExit, match=r"error: --gpu 99: torch .* finds \d+ CUDA device\(s\), numbered from 0"):
        main(["device_query", "-gpu", "99"])


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["-version"])
    assert stop.value.code == 0 and capsys.readouterr().out == f"caffe version {caffe.__version__}\n"


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["device_query"]])
def test_output_that_cannot_be_written_is_an_error(words, buffered, monkeypatch):
    """argparse passes over it, and Python, which tries again while it ends, says so in two lines of its own."""
    with open("/dev/full", "wb", buffering=0) as full:
        stdout = io.TextIOWrapper(io.BufferedWriter(full) if buffered else full, write_through=not buffered)
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit, match="^error: output cannot be written: No space left on device; free space or "
                                             "write elsewhere$"):
            main(words)
        stdout.flush()      # nothing is left that could fail once more


def test_a_reader_of_the_output_that_left_is_no_bug():
    reads, writes = os.pipe()
    os.close(reads)
    with open(writes, "wb") as left:
        done = subprocess.run([sys.executable, "-m", "caffe", "device_query"], stdout=left, stderr=subprocess.PIPE,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "engine")}, check=False)
    assert (done.stderr, done.returncode) == (b"", 1)


def test_device_query(capsys):
    main(["device_query"])
    assert re.search(r"^torch \d+\.\d+.*, CPU threads \d+, bf16 native on the CPU: (yes|no)$", capsys.readouterr().out,
                     re.MULTILINE)


def test_upgrade_tools(folder, data_files, capsys):
    write(folder, """layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2
        convolution_param { num_output: 2 kernel_size: 1 } } input: "data" input_dim: 1 input_dim: 1 input_dim: 4
        input_dim: 4""", "old.prototxt")
    main(["upgrade_net_proto_text", "old.prototxt", "new.prototxt"])
    text = (folder / "new.prototxt").read_text()
    assert 'type: "Convolution"' in text and "layers" not in text and 'type: "Input"' in text
    assert list(caffe.Net("new.prototxt", caffe.TEST).params) == ["c"]
    main(["upgrade_net_proto_binary", str(data_files / "v1_net.caffemodel"), "new.caffemodel"])
    assert "conv1" in caffe.serialization.load_weights("new.caffemodel")
    write(folder, "base_lr: 1 solver_type: ADAM", "old.solver")
    main(["upgrade_solver_proto_text", "old.solver", "new.solver"])
    assert 'type: "Adam"' in (folder / "new.solver").read_text()


@pytest.mark.parametrize("words", [
    ["-solver", "solver.prototxt", "train"],
    ["--solver=solver.prototxt", "train", "-alsologtostderr"],
    ["train", "-solver=solver.prototxt", "--logtostderr=1", "-v", "2", "-stderrthreshold=0", "-nolog_prefix"],
    ["-logtostderr", "-minloglevel=0", "train", "-level", "-1", "--solver", "solver.prototxt"],
])
def test_flags_in_the_forms_of_gflags(folder, capsys, words):
    main(words)
    assert "Optimization Done." in capsys.readouterr().err and (folder / "snap_iter_3.caffemodel").exists()


def test_minloglevel_silences_one_command(folder, capsys, monkeypatch):
    main(["train", "-solver", "solver.prototxt", "--minloglevel=2"])
    assert capsys.readouterr().err == "" and "GLOG_minloglevel" not in os.environ


@pytest.mark.parametrize("flags, in_file, on_stderr", [
    (["-log_dir", "logs"], True, True), (["-log_dir=logs", "-noalsologtostderr"], True, False),
    (["-log_dir=logs", "-logtostderr"], False, True), ([], False, True)])
def test_log_dir_keeps_the_lines_in_a_file(folder, capsys, flags, in_file, on_stderr):
    (folder / "logs").mkdir()
    main(["train", "-solver", "solver.prototxt", *flags])
    err = capsys.readouterr().err
    assert ("Optimization Done." in err) == on_stderr
    files = sorted(path.name for path in (folder / "logs").iterdir())
    assert bool(files) == in_file
    if in_file:
        text = (folder / "logs" / "caffe.INFO").read_text()
        assert re.fullmatch(r"caffe\..*\.log\.INFO\.\d{8}-\d{6}\.\d+", files[1]) and len(files) == 2
        assert text.startswith("Log file created at: ") and "Optimization Done." in text
        assert re.search(r"^I\d{4} .* solver.cpp\] Iteration 2 \(.*\), loss = ", text, re.MULTILINE)
    with pytest.raises(SystemExit, match="error: --log_dir nosuch: no such folder; make it"):
        main(["train", "-solver", "solver.prototxt", "-log_dir", "nosuch"])


def test_flags_become_argparses():
    switches = {"shuffle", "check_size"}
    for words, expected in (
            (["a", "b"], ["a", "b"]),
            (["-x", "1", "cmd", "--y=2", "p", "q"], ["cmd", "--x=1", "--y=2", "p", "q"]),
            (["cmd", "-shuffle", "p", "-nocheck_size"], ["cmd", "--shuffle=true", "--check_size=false", "p"]),
            (["cmd", "--shuffle=false", "--", "-p"], ["cmd", "--shuffle=false", "-p"]),
            (["cmd", "--level", "-1", "-5", "-"], ["cmd", "--level=-1", "-5", "-"]),
            (["cmd", "--value"], ["cmd", "--value"]), (["-h"], ["--help"]), (["cmd", "--help"], ["cmd", "--help"]),
            (["--node", "x", "cmd"], ["cmd", "--node=x"])):
        assert gflags.to_argparse(words, switches) == expected
    assert gflags.switch("T") and gflags.switch("yes") and not gflags.switch("0")
    with pytest.raises(SystemExit):
        main(["convert_imageset", "-shuffle=maybe", "a", "b", "c"])


@pytest.mark.parametrize("words", [[], ["train"], ["test", "--model", "a"], ["nosuch"],
                                   ["time", "--model", "a", "--iterations", "0"]])
def test_bad_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2 and "usage: python -m caffe" in capsys.readouterr().err


def test_several_gpus_are_torchruns(folder):
    with pytest.raises(SystemExit, match="--gpu takes one device here; for several start torchrun"):
        main(["train", "--solver", "solver.prototxt", "--gpu", "0,1"])
