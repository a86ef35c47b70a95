"""What a GPU has to the host: blobs read on either side, copies that are begun early, faults that are told late."""

import caffe
import numpy as np
import pytest
import torch
from caffe.blob_memory import Memory
from caffe.host_copies import HostCopy, remember, remembered

from tests.engine.nets import build, input_layer

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device; run with pytest -m gpu on a machine that has one")]
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
LOSS = (input_layer(2, 3, name="d") + input_layer(2, name="l") +
        'layer { name: "ip" type: "InnerProduct" bottom: "d" top: "s" inner_product_param { num_output: 4 } }'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "s" bottom: "l" top: "loss" }')


@pytest.fixture
def gpu_mode():
    caffe.set_device(0)
    caffe.set_mode_gpu()
    yield
    caffe.set_mode_cpu()


def seen_memory():
    """A memory that has been viewed, and then been written to by the GPU."""
    memory = Memory((2,))
    memory.view()[...] = 1
    memory.write(torch.tensor([2.0, 3.0], device=GPU))
    return memory


@pytest.mark.parametrize("look", [
    lambda memory: memory.read(CPU), lambda memory: memory.snapshot(CPU), lambda memory: memory.mutable(CPU),
    lambda memory: memory.view(), lambda memory: memory.array(), lambda memory: memory.read(GPU).cpu()],
    ids=["read", "snapshot", "mutable", "view", "array", "read on the GPU"])
def test_what_the_gpu_wrote_is_what_everybody_sees(look):
    assert look(seen_memory()).tolist() == [2, 3]


def test_sums_on_the_host_begin_with_what_the_gpu_wrote():
    memory = seen_memory()
    memory.accumulate(torch.tensor([10.0, 10.0]))
    assert memory.read(GPU).tolist() == [12, 13] and memory.view().tolist() == [12, 13]


def test_what_the_host_writes_after_the_gpu_is_newer():
    memory = seen_memory()
    memory.write(torch.tensor([5.0, 6.0]))
    assert memory.read(GPU).tolist() == [5, 6]


def test_a_net_goes_on_on_the_cpu_with_the_weights_of_the_gpu(tmp_path, gpu_mode):
    net = build(tmp_path, LOSS)
    weights = net.params["ip"][0].data
    weights[...] = 1
    net.forward()
    net.params["ip"][0].data_memory.write(torch.full((4, 3), 2.0, device=GPU))     # as an update does
    caffe.set_mode_cpu()
    net.blobs["d"].data[...] = 1
    net.forward()
    assert net.blobs["s"].data.tolist() == [[6] * 4] * 2


def test_a_copy_is_of_the_values_that_were_there_when_it_began():
    tensor = torch.arange(3.0, device=GPU)
    copy = HostCopy(tensor)
    assert copy.is_of(tensor)
    tensor.add_(1)
    assert copy.get().tolist() == [0, 1, 2] and not copy.is_of(tensor)


def test_a_view_takes_the_copy_that_was_begun_unless_the_values_are_newer():
    memory = seen_memory()
    memory.start_copy()
    assert memory.view().tolist() == [2, 3]
    memory.write(torch.tensor([4.0, 5.0], device=GPU))
    memory.start_copy()
    memory.write(torch.tensor([6.0, 7.0], device=GPU))
    assert memory.view().tolist() == [6, 7]


def test_an_array_is_remembered_until_its_tensor_changes():
    array = np.arange(3, dtype=np.float32)
    tensor = remember(torch.from_numpy(array).to(GPU), array)
    assert remembered(tensor) is array
    memory = Memory((3,))
    memory.write(tensor)
    assert remembered(memory.read(GPU)) is array
    tensor.mul_(2)
    assert remembered(tensor) is None and remembered(tensor + 1) is None


def test_a_label_out_of_range_is_refused_by_its_layer_and_the_device_goes_on(tmp_path, gpu_mode):
    net = build(tmp_path, LOSS)
    net.blobs["l"].data[...] = [1, 7]
    refusal = r"net.prototxt:\d+: layer 'loss' \(SoftmaxWithLoss\): label 7 is outside 0..3"
    with pytest.raises(caffe.LayerError, match=refusal):
        net.forward()
    net.blobs["l"].data[...] = [1, 3]
    assert net.forward()["loss"] == pytest.approx(np.log(4))


@pytest.mark.parametrize("steps", [1, 3])
def test_a_training_ends_at_a_label_out_of_range_before_it_is_saved(steps, tmp_path, gpu_mode):
    (tmp_path / "net.prototxt").write_text(LOSS)
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" snapshot: 2\n'
                                              'snapshot_prefix: "s"')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        solver = caffe.SGDSolver("solver.prototxt")
        solver.net.blobs["l"].data[...] = [-2, 1]
        with pytest.raises(caffe.LayerError, match="label -2 is outside 0..3"):
            solver.step(steps)
    assert not list(tmp_path.glob("*.caffemodel"))
