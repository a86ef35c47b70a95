"""The stand-in refuses what a CUDA device refuses, and tells what it would have the host wait for.

    python -m tests.stand_in_gpu python -m pytest -m gpu tests/stand_in_gpu
"""

import pytest
import torch

from tests.stand_in_gpu import device

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(
    not device.is_loaded(), reason="of the stand-in alone: python -m tests.stand_in_gpu python -m pytest -m gpu")]


def on_device(*shape):
    return torch.ones(shape).to("cuda")


def test_it_computes_what_the_host_computes():
    x, w = torch.randn(2, 3, 9, 9), torch.randn(4, 3, 3, 3)
    results = []
    for where in ("cpu", "cuda"):
        weights = w.detach().to(where).requires_grad_()
        y = torch.nn.functional.conv2d(x.to(where), weights, padding=2, dilation=2).relu().amax(1).sum()
        y.backward()
        results.append((y.item(), weights.grad.cpu()))
    assert results[0][0] == results[1][0] and torch.equal(results[0][1], results[1][1])


def test_views_and_changes_in_place_reach_the_same_memory():
    x = on_device(2, 3)
    x[:, 1].mul_(5)
    x.t()[0] += 1
    assert x.cpu().tolist() == [[2, 5, 1]] * 2 and x.view(6)[1:3].data_ptr() == x.data_ptr() + 4


@pytest.mark.parametrize(("act", "refusal"), [
    (lambda: on_device(2).numpy(), "can't convert cuda:0 device type tensor to numpy"),
    (lambda: on_device(2) + torch.ones(2), "Expected all tensors to be on the same device"),
    (lambda: torch.cat([on_device(2), torch.ones(2)]), "Expected all tensors to be on the same device"),
    (lambda: torch.nn.functional.conv2d(on_device(1, 1, 3, 3), torch.ones(1, 1, 3, 3)), "on the same device"),
    (lambda: on_device(2).uniform_(generator=torch.Generator()), "Expected a 'cuda' device type for generator"),
    (lambda: on_device(2).pin_memory(), "can be pinned|cannot pin"),
    (lambda: torch.ops.aten.mkldnn_max_pool2d(on_device(1, 1, 4, 4), [2, 2]), "cuda|mkldnn"),
    (lambda: torch.cuda.set_device(1), "invalid device ordinal")])
def test_what_a_gpu_refuses_is_refused(act, refusal):
    with pytest.raises((RuntimeError, TypeError), match=refusal):
        act()


def test_new_memory_holds_nothing_to_rely_on():
    assert torch.empty(100, device="cuda").isnan().all()


@pytest.mark.parametrize(("act", "told"), [
    (lambda x: x.sum().item(), ["aten::_local_scalar_dense"]),
    (lambda x: x.cpu(), ["copy to the host"]),
    (lambda x: x[x > 0], ["aten::nonzero"]),
    (lambda x: x.nonzero(), ["aten::nonzero"]),
    (lambda x: torch.tensor([1.0], device="cuda"), ["copy to the device"]),
    (lambda x: torch.ones(2).to("cuda", non_blocking=True), ["copy to the device"]),
    (lambda x: torch.ones(2).pin_memory().to("cuda", non_blocking=True), []),
    (lambda x: torch.zeros(2, device="cuda") * x.argmax(), [])])
def test_what_makes_the_host_wait_is_told(act, told):
    x = on_device(3)
    with device.waits() as found:
        act(x)
    assert found == told


def test_a_copy_that_is_not_waited_for_has_not_come():
    pinned, values = [torch.zeros(2).pin_memory() for _ in range(2)], on_device(2)
    with device.waits() as found:
        pinned[0].copy_(values, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        pinned[1].copy_(values, non_blocking=True)
        assert pinned[0].isnan().all()
        event.synchronize()
        assert pinned[0].tolist() == [1, 1] and pinned[1].isnan().all()
        torch.cuda.synchronize()
    assert pinned[1].tolist() == [1, 1] and found == []


def test_memory_is_counted():
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    x = torch.empty(1000, device="cuda")
    y = x + x
    assert torch.cuda.memory_allocated() - before == 8000
    del x, y
    assert torch.cuda.memory_allocated() == before and torch.cuda.max_memory_allocated() - before == 8000
