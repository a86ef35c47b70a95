"""The names of the module caffe, its log, timer, seeds and devices."""

import importlib

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


#: what programs import from the modules of pycaffe (BVLC Caffe 1.0, python/caffe)
PYCAFFES_NAMES = {
    "caffe._caffe": """AdaDeltaSolver AdaGradSolver AdamSolver Blob BlobVec BoolVec DtypeVec IntVec Layer LayerParameter
        LayerVec NCCL NesterovSolver Net NetVec RMSPropSolver RawBlobVec SGDSolver Solver SolverParameter StringVec
        Timer __version__ get_solver has_nccl init_log layer_type_list log set_device set_mode_cpu set_mode_gpu
        set_multiprocess set_random_seed set_solver_count set_solver_rank solver_count solver_rank""",
    "caffe.pycaffe": """AdaDeltaSolver AdaGradSolver AdamSolver NCCL NesterovSolver Net RMSPropSolver SGDSolver Timer
        _Net_backward _Net_batch _Net_blob_loss_weights _Net_blobs _Net_forward _Net_forward_all
        _Net_forward_backward_all _Net_inputs _Net_layer_dict _Net_outputs _Net_params _Net_set_input_arrays""",
    "caffe.coord_map": """AxisMismatchException PASS_THROUGH_LAYERS UndefinedMapException compose conv_params coord_map
        coord_map_from_to crop crop_params inverse""",
    "caffe.io": """Transformer array_to_blobproto array_to_datum arraylist_to_blobprotovector_str blobproto_to_array
        blobprotovector_str_to_arraylist caffe_pb2 datum_to_array load_image np oversample resize resize_image skimage
        zoom""",
    "caffe.net_spec": """Function Layers NetSpec Parameters Top _param_names assign_proto caffe_pb2 layers
        param_name_dict params to_proto""",
    "caffe.draw": """BLOB_STYLE LAYER_STYLE_DEFAULT NEURON_LAYER_STYLE caffe_pb2 choose_color_by_layertype draw_net
        draw_net_to_file get_edge_label get_layer_label get_layer_lr_mult get_pooling_types_dict get_pydot_graph""",
    "caffe.classifier": "Classifier",
    "caffe.detector": "Detector",
    "caffe.proto.caffe_pb2": "BlobProto Datum NetParameter SolverParameter TEST TRAIN",
}


@pytest.mark.parametrize("module", PYCAFFES_NAMES)
def test_names_of_pycaffes_modules(module):
    found = importlib.import_module(module)
    assert [name for name in PYCAFFES_NAMES[module].split() if not hasattr(found, name)] == []


def test_names_of_the_compiled_module_are_the_classes_in_use(tmp_path):
    net = build(tmp_path, TWO_HEADS)
    compiled = importlib.import_module("caffe._caffe")
    assert isinstance(net, compiled.Net) and type(net.params["conv"]) is compiled.BlobVec
    assert type(net.layers) is compiled.LayerVec and issubclass(caffe.Layer, compiled.Layer)
    assert isinstance(net.layers[1], compiled.Layer) and isinstance(net.blobs["data"], compiled.Blob)
    vector = compiled.RawBlobVec()
    vector.append(net.blobs["data"])
    assert len(vector) == 1 and vector[0] is net.blobs["data"]
    assert issubclass(caffe.SGDSolver, compiled.Solver) and compiled.__version__ == caffe.__version__ == "1.0.0"


def test_names_that_pycaffes_io_lets_through_work():
    image = np.arange(12.0).reshape(3, 4)
    assert caffe.io.resize(image, (6, 8)).shape == caffe.io.zoom(image, 2).shape == (6, 8)
    assert caffe.io.skimage.io.imread and caffe.io.skimage.transform.resize
    with pytest.raises(AttributeError, match="has no attribute 'nosuch'"):
        caffe.io.nosuch  # noqa: B018


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
    for call in (lambda: caffe.NCCL(None, "uid"), caffe.NCCL.new_uid):
        with pytest.raises(RuntimeError, match="torchrun"):
            call()
