"""The names of the module caffe, its log, timer, seeds and devices."""

import caffe
import numpy as np
import pytest

from tests.engine.nets import TWO_HEADS, build


def test_names_of_the_module():
    names = """AdaDeltaSolver AdaGradSolver AdamSolver Classifier Detector Layer NCCL NesterovSolver Net NetSpec
        RMSPropSolver SGDSolver TEST TRAIN Timer classifier detector get_solver has_nccl init_log io layer_type_list
        layers log net_spec params proto pycaffe set_device set_mode_cpu set_mode_gpu set_multiprocess set_random_seed
        set_solver_count set_solver_rank solver_count solver_rank to_proto""".split()
    assert [name for name in names if not hasattr(caffe, name)] == []
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    assert caffe.pycaffe.Net is caffe.Net and caffe.layers.ReLU and caffe.params.Pooling.MAX == 0
    assert {"Convolution", "Python", "SoftmaxWithLoss"} <= set(caffe.layer_type_list())


def test_timer_counts_milliseconds():
    timer = caffe.Timer()
    timer.start()
    timer.stop()
    assert isinstance(timer.ms, float) and 0 <= timer.ms == timer.us / 1e3 == timer.seconds * 1e3


def test_log_writes_a_line_in_glogs_form(capsys, monkeypatch):
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    caffe.init_log()
    caffe.log("hello")
    line = capsys.readouterr().err
    assert line.startswith("I") and line.endswith("log] hello\n")
    monkeypatch.setenv("GLOG_minloglevel", "1")
    caffe.log("hello")
    assert capsys.readouterr().err == ""


def test_random_seeds_repeat_fillers(tmp_path):
    caffe.set_random_seed(3)
    first = build(tmp_path, TWO_HEADS).params["conv"][0].data.copy()
    second = build(tmp_path, TWO_HEADS).params["conv"][0].data.copy()
    caffe.set_random_seed(3)
    assert np.array_equal(build(tmp_path, TWO_HEADS).params["conv"][0].data, first)
    assert not np.array_equal(first, second)


def test_solver_counts_are_kept():
    for name, value, default in (("solver_count", 4, 1), ("solver_rank", 2, 0)):
        getattr(caffe, "set_" + name)(value)
        assert getattr(caffe, name)() == value
        getattr(caffe, "set_" + name)(default)
    caffe.set_multiprocess(False)


def test_gpu_without_a_gpu_and_nccl_say_what_to_do(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"set_mode_gpu\(\): .* no CUDA device; use caffe.set_mode_cpu\(\)"):
        caffe.set_mode_gpu()
    with pytest.raises(RuntimeError, match=r"set_device\(0\): .* no CUDA device"):
        caffe.set_device(0)
    assert caffe.has_nccl() is False
    with pytest.raises(RuntimeError, match="torchrun"):
        caffe.NCCL(None, "uid")
