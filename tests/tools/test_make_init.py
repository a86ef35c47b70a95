"""make_init: what torch computes on normalised RGB, the engine computes on BGR minus the mean; reductions; refusals."""

import caffe
import numpy as np
import pytest
import torch
from caffe import layers as L
from caffe import serialization
from safetensors.torch import save_file

from dsrg.experiments import netspec_pieces, resnet101
from dsrg.initweights.weight_arithmetic import TORCH_MEAN_RGB, TORCH_STD_RGB, NetInput, decimate, fold_rgb_input
from dsrg.io import voc
from dsrg.io.errors import UserError
from tests.conftest import ROOT
from tests.tools import torch_nets
from tools import make_init

MEAN_BGR = np.array(voc.MEAN_BGR)
#: what a Caffe net's border of 0 is for torch
BORDER = (MEAN_BGR[::-1] / 255 - TORCH_MEAN_RGB) / TORCH_STD_RGB
WIDTHS, HIDDEN = (2, 3, 4, 4, 4), 16
RESNET = ((2, 2, 16, 1, 1), (3, 2, 24, 2, 1), (4, 2, 32, 1, 2), (5, 2, 40, 1, 4))   # as resnet101.STAGES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE", "embedded")
    return tmp_path


def photo(rng, side):
    """A photo, as torch is given it and as Caffe is."""
    bgr = rng.integers(0, 256, (side, side, 3), np.uint8)
    rgb = (bgr[:, :, ::-1] / 255 - TORCH_MEAN_RGB) / TORCH_STD_RGB
    return torch.tensor(rgb.transpose(2, 0, 1)[None], dtype=torch.float32), (bgr - MEAN_BGR).transpose(2, 0, 1)[None]


def convert(net, weights, *extra):
    make_init.main(["--net", net, "--from", weights, "--out", "init.caffemodel", *extra])


def run(net, inputs, blob):
    loaded = caffe.Net(net, "init.caffemodel", caffe.TEST)
    loaded.blobs[loaded.inputs[0]].data[...] = inputs
    loaded.forward()
    return loaded.blobs[blob].data


def vgg_prototxt(size=224, branches=("",), hidden=HIDDEN, kernel=7, extra=""):
    """VGG16 with the poolings of the classifier, and fc6, fc7 as convolutions in each branch."""
    text = [f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: {size} '
            f'dim: {size} }} }} }}']

    def conv(name, bottom, outputs, kernel, pad):
        text.append(f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param '
                    f'{{ num_output: {outputs} kernel_size: {kernel} pad: {pad} }} }}')
        text.append(f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}')
        return name

    x = "data"
    for stage, (count, width) in enumerate(zip(torch_nets.VGG_STAGES, WIDTHS, strict=True), start=1):
        for k in range(1, count + 1):
            x = conv(f"conv{stage}_{k}", x, width, 3, 1)
        text.append(f'layer {{ name: "pool{stage}" type: "Pooling" bottom: "{x}" top: "pool{stage}" pooling_param '
                    "{ kernel_size: 2 stride: 2 } }")
        x = f"pool{stage}"
    for branch in branches:
        conv(f"fc7{branch}", conv(f"fc6{branch}", x, hidden, kernel, 0), hidden, 1, 0)
    return "\n".join(text) + extra


@pytest.fixture(scope="module")
def vgg():
    return torch_nets.random_(torch_nets.Vgg(WIDTHS, HIDDEN))


def test_first_convolution_is_exact_but_for_the_colour_of_the_border(rng):
    """Inside, torch's own output; everywhere, torch's with the border that Caffe's 0 stands for."""
    conv = torch.nn.Conv2d(3, 4, 3, padding=1)
    rgb, bgr = photo(rng, 9)
    for scale in (1.0, 0.017):
        weight, bias = fold_rgb_input(conv.weight.detach().numpy(), conv.bias.detach().numpy(),
                                      NetInput(tuple(MEAN_BGR), scale))
        weight, bias = torch.tensor(weight), torch.tensor(bias)
        ours = torch.nn.functional.conv2d(torch.tensor(scale * bgr), weight, bias, padding=1)
        theirs = conv(rgb).detach()
        np.testing.assert_allclose(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1], atol=1e-5)
        edge = (ours - theirs).abs().max()
        assert 1e-5 < edge <= np.abs(BORDER).max() * conv.weight.detach().abs().sum((1, 2, 3)).max()
        border = torch.tensor(BORDER)[:, None, None]
        framed = torch.nn.functional.pad(rgb - border, [1] * 4) + border
        exact = torch.nn.functional.conv2d(framed, conv.weight.double(), conv.bias.double()).detach()
        np.testing.assert_allclose(ours, exact, atol=1e-6)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_vgg16_computes_what_torch_computes(folder, vgg, rng, suffix):
    state = vgg.state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, "w.pth")
    save_file(state, "w.safetensors")
    (folder / "net.prototxt").write_text(vgg_prototxt())
    convert("net.prototxt", f"w.{suffix}")
    rgb, bgr = photo(rng, 224)
    with torch.no_grad():
        expected = torch_nets.frame(vgg, BORDER)(rgb)
    assert expected.abs().max() > 0.1
    np.testing.assert_allclose(run("net.prototxt", bgr, "fc7")[:, :, 0, 0], expected, atol=1e-4)


def test_vgg16_reduced_into_every_branch(folder, vgg, capsys):
    """16 filters to 4, 7x7 to 3x3: filter o is the trained filter 4 o, tap (r, c) the trained (3 r, 3 c)."""
    torch.save(vgg.state_dict(), "w.pth")
    extra = ('layer { name: "fc8" type: "Convolution" bottom: "fc7_1" top: "fc8" convolution_param { num_output: 3 '
             'kernel_size: 1 weight_filler { type: "gaussian" std: 0.01 } } }')
    (folder / "net.prototxt").write_text(vgg_prototxt(branches=("_1", "_2"), hidden=4, kernel=3, extra=extra))
    convert("net.prototxt", "w.pth")
    stored = serialization.load_weights("init.caffemodel")
    fc6 = vgg.classifier[0].weight.detach().numpy().reshape(16, 4, 7, 7)
    fc7 = vgg.classifier[3].weight.detach().numpy()
    for branch in ("_1", "_2"):
        weight, bias = stored["fc6" + branch]
        for o, i, r, c in np.ndindex(4, 4, 3, 3):
            assert weight[o, i, r, c] == fc6[4 * o, i, 3 * r, 3 * c]
        np.testing.assert_array_equal(bias, vgg.classifier[0].bias.detach().numpy()[[0, 4, 8, 12]])
        weight, bias = stored["fc7" + branch]
        for o, i in np.ndindex(4, 4):
            assert weight[o, i, 0, 0] == fc7[4 * o, 4 * i]       # the inputs that fc6 kept
        np.testing.assert_array_equal(bias, vgg.classifier[3].bias.detach().numpy()[::4])
    assert "fc8" not in stored
    out = capsys.readouterr().out
    assert "from 16x4x7x7: every 4th output, taps 0 3 6" in out and "every 4th output, every 4th input" in out
    assert "RGB, mean and std folded in" in out and "gaussian 0.01" in out
    assert "init.caffemodel: 13 layers copied, 4 reduced, 1 left random" in out


@pytest.mark.parametrize("form", ["matrix", "four axes", "convolution"])
def test_vgg16_of_caffe_keeps_its_channels(folder, vgg, rng, form):
    """BGR weights are copied as they are; fc6 may be a matrix (today's or the old four axes) or a convolution."""
    arrays = {}
    for key, place in make_init.ARCHITECTURES[0].PLACES.items():
        arrays[key] = [t.detach().numpy() for t in vgg.features[place].parameters()]
    for name, place in (("fc6", 0), ("fc7", 3)):
        weight, bias = (t.detach().numpy() for t in vgg.classifier[place].parameters())
        if form == "convolution":
            weight = weight.reshape(16, 4, 7, 7) if name == "fc6" else weight.reshape(16, 16, 1, 1)
        arrays[name] = [weight[None, None] if form == "four axes" else weight, bias]
    write_caffemodel("w.caffemodel", arrays)
    (folder / "net.prototxt").write_text(vgg_prototxt())
    convert("net.prototxt", "w.caffemodel")
    stored = serialization.load_weights("init.caffemodel")
    np.testing.assert_array_equal(stored["conv1_1"][0], arrays["conv1_1"][0])
    np.testing.assert_array_equal(stored["fc6"][0], vgg.classifier[0].weight.detach().numpy().reshape(16, 4, 7, 7))
    np.testing.assert_array_equal(stored["fc7"][0][..., 0, 0], vgg.classifier[3].weight.detach().numpy())


def write_caffemodel(path, arrays):
    message = caffe.proto.caffe_pb2.NetParameter(name="w")
    for name in arrays:
        message.layer.add(name=name, type="Convolution")
    serialization.save_caffemodel(path, message, list(arrays.values()))


@pytest.mark.parametrize("name", ["voc12-vgg16/train-s", "voc12-vgg16/cam-deploy", "voc12-sec/train-s"])
def test_the_projects_vgg16_from_the_classification_net(folder, name, capsys):
    """Real widths, weights of one value a layer: 7x7x512x4096 becomes 3x3x512x1024 in every branch."""
    full = {"conv1_1": (64, 3)}
    widths = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
    before = 3
    for key in make_init.ARCHITECTURES[0].PLACES:
        full[key] = (widths[int(key[4])], before)
        before = widths[int(key[4])]
    arrays = {k: [np.broadcast_to(np.float32(n), (*s, 3, 3)), np.zeros(s[0], np.float32)]
              for n, (k, s) in enumerate(full.items())}
    arrays["fc6"] = [np.broadcast_to(np.float32(0.5), (4096, 25088)), np.arange(4096, dtype=np.float32)]
    arrays["fc7"] = [np.broadcast_to(np.float32(0.25), (4096, 4096)), np.arange(4096, dtype=np.float32)]
    from dsrg.initweights.architectures import Vgg16
    from dsrg.initweights.fit import fit
    from dsrg.initweights.target_net import read_target
    from dsrg.initweights.weight_files import Store

    layers, net_input = read_target(ROOT / "prototxts" / f"{name}.prototxt")
    assert net_input.mean_bgr == (104, 117, 123)
    result = fit(layers, Vgg16(Store("w", "caffe", arrays, {})), net_input, rgb=False)
    whats = {row.layer: row.what for row in result.rows}
    convolutions = dict.fromkeys(full, "copied")
    if name == "voc12-vgg16/train-s":
        fc = [f"fc{n}_{k}" for n in (6, 7) for k in range(1, 5)]
        fc8 = [f"fc8-SEC_{k}" for k in range(1, 5)]
        assert whats == {**convolutions, **dict.fromkeys(fc, "reduced"), **dict.fromkeys(fc8, "random")}
        assert result.arrays["fc6_3"][0].shape == (1024, 512, 3, 3)
        np.testing.assert_array_equal(result.arrays["fc6_3"][1], np.arange(0, 4096, 4))
        notes = {row.layer: " ".join(row.notes) for row in result.rows}
        assert "taps 48 pixels apart, trained 96" in notes["fc6_1"] and "apart" not in notes["fc6_2"]
        assert notes["conv5_2"] == ""            # dilation 2 at stride 8 is the trained 16 pixels
    elif name == "voc12-sec/train-s":
        assert whats == {**convolutions, "fc6": "reduced", "fc7": "reduced", "fc8-SEC": "random"}
    else:
        assert whats == {**convolutions, "fc6_CAM": "random", "fc7_CAM": "random", "scores": "random"}
        assert "taps 8 pixels apart, trained 16" in " ".join(next(r for r in result.rows if r.layer == "conv5_1").notes)


def resnet_net(folder, monkeypatch, stages, stride_in_3x3):
    monkeypatch.setattr(resnet101, "STAGES", stages)
    n = caffe.NetSpec()
    n.images = L.Input(shape=dict(dim=[1, 3, 65, 65]))
    netspec_pieces.conv(n, "fc1", resnet101.trunk(n, n.images, stride_in_3x3), 3, kernel=1, relu=False)
    (folder / "net.prototxt").write_text(str(n.to_proto()))


PLAIN = tuple((stage, blocks, outputs, 2 if stage > 2 else 1, 1) for stage, blocks, outputs, _, _ in RESNET)


@pytest.mark.parametrize("stride_in_3x3", [False, True])
@pytest.mark.parametrize("stages", [PLAIN, RESNET], ids=["plain", "dilated"])
def test_resnet_computes_what_torch_computes(folder, monkeypatch, rng, stages, stride_in_3x3, capsys):
    """Strides in either place; where strides became dilation, the same as torch with its strides dilated likewise."""
    dilations = [stage[4] for stage in stages]
    torch_stages = [(blocks, outputs, stride, dilation, before if stride_in_3x3 else dilation)
                    for (_, blocks, outputs, stride, dilation), before in zip(stages, [1, *dilations], strict=False)]
    model = torch_nets.random_(torch_nets.ResNet(torch_stages, stride_in_3x3))
    torch.save(model.state_dict(), "w.pth")
    resnet_net(folder, monkeypatch, stages, stride_in_3x3)
    convert("net.prototxt", "w.pth", *([] if stride_in_3x3 else ["--other-strides"]))
    rgb, bgr = photo(rng, 65)
    with torch.no_grad():
        expected = torch_nets.frame(model, BORDER)(rgb)
    assert expected.abs().max() > 0.5
    np.testing.assert_allclose(run("net.prototxt", bgr, "res5b"), expected, atol=2e-4 * float(expected.abs().max()))
    out = capsys.readouterr().out
    assert ("apart" in out) == (not stride_in_3x3)      # torch's are taken to be v1.5


def test_resnet_of_the_other_strides_is_refused(folder, monkeypatch):
    model = torch_nets.random_(torch_nets.ResNet([(b, o, s, d, d) for _, b, o, s, d in PLAIN], True))
    torch.save(model.state_dict(), "w.pth")
    resnet_net(folder, monkeypatch, PLAIN, stride_in_3x3=False)
    with pytest.raises(UserError, match=r"trained with the stride in the 3x3 .* net.prototxt has it in the 1x1 .*"
                                        r"first in 'res3a_branch2a'; set `backbone: resnet101-torchvision`"):
        convert("net.prototxt", "w.pth")
    assert not (folder / "init.caffemodel").exists()


def test_resnet_of_caffe_with_counted_statistics(folder, monkeypatch, rng):
    """A caffemodel saved by the engine: BatchNorm's sums are divided by their count, a bias goes into the mean."""
    resnet_net(folder, monkeypatch, PLAIN, stride_in_3x3=False)
    text = (folder / "net.prototxt").read_text()
    (folder / "biased.prototxt").write_text(text.replace("bias_term: false", "bias_term: true", 1))
    source = caffe.Net("biased.prototxt", caffe.TEST)
    for name, blobs in source.params.items():
        for blob in blobs:
            blob.data[...] = rng.normal(0, 0.3, blob.shape)
        if len(blobs) == 3:
            blobs[1].data[...] = 2 * (1 + rng.random(blobs[1].shape))
            blobs[2].data[...] = 2
        if name.startswith("scale"):
            blobs[0].data[...] += 1
    source.save("w.caffemodel")
    inputs = rng.normal(0, 1, (1, 3, 65, 65))
    source.blobs["images"].data[...] = inputs
    source.forward()
    expected = source.blobs["res5b"].data.copy()
    convert("net.prototxt", "w.caffemodel")
    np.testing.assert_allclose(run("net.prototxt", inputs, "res5b"), expected, rtol=1e-3,
                               atol=1e-4 * np.abs(expected).max())


def test_squeezenet_computes_what_torch_computes(folder, rng, capsys):
    name = ROOT / "prototxts/msrc15-squeezenet/deploy.prototxt"
    (folder / "net.prototxt").write_text(name.read_text().replace("dim: 241", "dim: 65"))
    model = torch_nets.random_(torch_nets.SqueezeNet(FIRES))
    torch.save(model.state_dict(), "w.pth")
    convert("net.prototxt", "w.pth")
    rgb, bgr = photo(rng, 65)
    with torch.no_grad():
        expected = torch_nets.frame(model, BORDER)(rgb)
    np.testing.assert_allclose(run("net.prototxt", bgr, "fire9/concat"), expected,
                               atol=1e-4 * float(expected.abs().max()))
    out = capsys.readouterr().out
    assert "pad 3 (keeps the size), trained 0" in out and "25 layers copied, 0 reduced, 12 left random" in out


FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}


def test_decimation_of_whole_factors_only():
    weight = np.arange(4 * 2 * 5 * 5).reshape(4, 2, 5, 5)
    small, bias, steps = decimate(weight, np.arange(4), (2, 2, 3, 3))
    assert steps == (2, 1, 2) and bias.tolist() == [0, 2]
    assert small[1, 1, 2, 1] == weight[2, 1, 4, 2]
    for shape in ((3, 2, 3, 3), (2, 2, 1, 1), (2, 2, 4, 4), (2, 2, 3, 5)):
        with pytest.raises(ValueError):
            decimate(weight, np.arange(4), shape)
    assert decimate(weight, np.arange(4), (2, 2, 2, 2))[2] == (2, 1, 4)


class Evil:
    def __reduce__(self):
        import os

        return os.mkdir, ("it-ran",)


def test_files_that_do_not_serve(folder, vgg):
    (folder / "net.prototxt").write_text(vgg_prototxt())
    torch.save({"features.0.weight": Evil()}, "evil.pth")
    torch.save([1, 2], "list.pth")
    (folder / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (folder / "page.caffemodel").write_text("<html>")
    torch.save({"weight": torch.zeros(2)}, "other.pth")
    bad = dict(vgg.state_dict())
    bad["features.2.bias"] = torch.full_like(bad["features.2.bias"], float("nan"))
    torch.save(bad, "nan.pth")
    torch.save({k: v for k, v in vgg.state_dict().items() if k != "features.17.weight"}, "less.pth")
    torch.save({**vgg.state_dict(), "features.1.running_mean": torch.zeros(2)}, "bn.pth")
    torch.save({**vgg.state_dict(), "features.34.weight": torch.zeros(2)}, "vgg19.pth")
    for name, message in (
        ("none.pth", "no weights none.pth"),
        ("evil.pth", "evil.pth: refused, not a file of tensors alone .*mkdir.*nothing in it was run"),
        ("list.pth", "list.pth: holds no state dict"),
        ("cut.safetensors", "not a readable .safetensors file"),
        ("page.caffemodel", "it is a web page"),
        ("other.pth", "the names in it .weight, ...* are those of none of vgg16, resnet101, squeezenet"),
        ("nan.pth", "'features.2.bias' holds values that are not finite"),
        ("less.pth", "less.pth has no 'features.17.weight', which this net needs"),
        ("bn.pth", "is a VGG with BatchNorm"),
        ("vgg19.pth", "is VGG19"),
    ):
        with pytest.raises(UserError, match=message):
            convert("net.prototxt", name)
    assert not (folder / "it-ran").exists() and not (folder / "init.caffemodel").exists()


@pytest.mark.parametrize(("old", "new", "message"), [
    ("num_output: 3 kernel_size: 3", "num_output: 3 kernel_size: 5",
     "layer 'conv2_1' is 3x2x5x5, 'features.5' in the file 3x2x3x3; rename the layer"),
    ("num_output: 16 kernel_size: 7", "num_output: 5 kernel_size: 7", "can be reduced by whole factors"),
    ("num_output: 16 kernel_size: 7", "num_output: 16 kernel_size: 6", "k - 1 is a multiple of l - 1"),
    ('"conv1_1"', '"stem"', "w.pth is a vgg16, whose first layer is 'conv1_1'; net.prototxt has none"),
    ("num_output: 2 kernel_size: 3", "num_output: 2 bias_term: false kernel_size: 3", "'conv1_1' has no bias"),
    ('bottom: "conv3_3"', 'bottom: "conv3_9"', "net.prototxt:.*conv3_9"),
])
def test_nets_that_do_not_fit(folder, vgg, old, new, message):
    torch.save(vgg.state_dict(), "w.pth")
    (folder / "net.prototxt").write_text(vgg_prototxt().replace(old, new))
    with pytest.raises(UserError, match=message):
        convert("net.prototxt", "w.pth")
    assert not (folder / "init.caffemodel").exists()


def test_the_mean_may_stand_in_a_python_layers_param_str(folder):
    from dsrg.initweights.target_net import read_target

    text = (ROOT / "prototxts/demo/train-f.prototxt").read_text()
    (folder / "net.prototxt").write_text(text.replace("'mean': (104, 117, 123)", "'mean': (1, 2.5, 3)"))
    assert read_target("net.prototxt")[1] == NetInput((1.0, 2.5, 3.0))


def test_the_mean_is_the_data_layers(folder, vgg, capsys):
    torch.save(vgg.state_dict(), "w.pth")
    data = ('layer { name: "data" type: "ImageData" top: "data" top: "ids" transform_param { mean_value: 1 '
            'mean_value: 2 mean_value: 3 } image_data_param { source: "list.txt" batch_size: 1 '
            'new_height: 224 new_width: 224 } }\n')
    (folder / "net.prototxt").write_text(data + "\n".join(vgg_prototxt().splitlines()[1:]))
    convert("net.prototxt", "w.pth")
    assert "input: BGR minus 1 2 3; the weights were trained on normalised RGB" in capsys.readouterr().out
    convert("net.prototxt", "w.pth", "--mean", "9", "9", "9", "--trained-on", "bgr")
    assert "input: BGR minus 9 9 9; the weights were trained on BGR, too" in capsys.readouterr().out
