"""Interp and SegAccuracy as Python layers: against the formulas by hand, and against the engine's own layers."""

import caffe
import numpy as np
import pytest

from tests.training.nets import one_layer_net

WAYS = [{"shrink_factor": 4}, {"zoom_factor": 3}, {"height": 7, "width": 5}, {"shrink_factor": 4, "zoom_factor": 3},
        {"shrink_factor": 3, "pad_beg": -1, "pad_end": -2}, {"height": 1, "width": 9}, {"height": 13, "width": 17},
        {"height": 6, "width": 5, "shrink_factor": 2, "zoom_factor": 2}, {"height": 6, "width": 5, "zoom_factor": 2}]


def size_by_hand(n, way, name):
    """interp_layer.cpp's order of choice for one side."""
    n += way.get("pad_beg", 0) + way.get("pad_end", 0)
    shrink, zoom = way.get("shrink_factor"), way.get("zoom_factor")
    if shrink and not zoom:
        return (n - 1) // shrink + 1
    if zoom and not shrink:
        return n + (n - 1) * (zoom - 1)
    if name in way:
        return way[name]
    n = (n - 1) // shrink + 1
    return n + (n - 1) * (zoom - 1)


def sampled_by_hand(x, way):
    """Every output pixel on its own, in double precision."""
    begin, end = -way.get("pad_beg", 0), way.get("pad_end", 0)
    made = size_by_hand(x.shape[2], way, "height"), size_by_hand(x.shape[3], way, "width")
    x = x[:, :, begin:x.shape[2] + end, begin:x.shape[3] + end].astype(np.float64)
    out = np.zeros((*x.shape[:2], *made))
    steps = [(n - 1) / (m - 1) if m > 1 else 0 for n, m in zip(x.shape[2:], made, strict=True)]
    for i in range(made[0]):
        for j in range(made[1]):
            y, z = i * steps[0], j * steps[1]
            top, left = int(y), int(z)
            low, right = min(top + 1, x.shape[2] - 1), min(left + 1, x.shape[3] - 1)
            dy, dz = y - top, z - left
            out[:, :, i, j] = ((1 - dy) * ((1 - dz) * x[:, :, top, left] + dz * x[:, :, top, right])
                               + dy * ((1 - dz) * x[:, :, low, left] + dz * x[:, :, low, right]))
    return out


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_interp_samples_as_deeplabs_and_its_backward_is_the_adjoint(tmp_path, rng, way):
    x = rng.standard_normal((2, 3, 13, 17)).astype(np.float32)
    net = one_layer_net(tmp_path, "InterpLayer", {"x": x}, str(way), module="pylayers.deeplab")
    net.forward()
    top = net.blobs["top"].data
    expected = sampled_by_hand(x, way)
    assert top.shape == expected.shape
    np.testing.assert_allclose(top, expected, rtol=1e-4, atol=2e-5)
    g = rng.standard_normal(top.shape).astype(np.float32)
    net.blobs["top"].diff[...] = g
    net.backward()
    probe = rng.standard_normal(x.shape).astype(np.float32)
    left = float((sampled_by_hand(probe, way) * g).sum())      # <A probe, g> = <probe, A' g>
    assert left == pytest.approx(float((probe.astype(np.float64) * net.blobs["x"].diff).sum()), rel=1e-3, abs=1e-3)


def test_a_label_map_shrunk_by_8_never_blends(tmp_path, rng):
    labels = rng.choice([0, 5, 20, 255], (2, 1, 321, 241)).astype(np.float32)
    net = one_layer_net(tmp_path, "InterpLayer", {"x": labels}, "{'shrink_factor': 8, 'pad_beg': 0, 'pad_end': 0}",
                        module="pylayers.deeplab")
    net.forward()
    assert (net.blobs["top"].data == labels[:, :, ::8, ::8]).all()


@pytest.mark.parametrize(("way", "message"), [
    ({}, "expected zoom_factor, shrink_factor, or height with width"),
    ({"height": 3}, "expected zoom_factor, shrink_factor, or height with width"),
    ({"shrink_factor": 2, "pad_beg": 1}, "pad_beg 1 and pad_end 0 crop: expected 0 or less"),
    ({"shrink_factor": 2, "pad_beg": -13}, "is cropped by 13 and becomes"),
])
def test_interp_refuses_what_deeplabs_does_not_compute(tmp_path, way, message):
    with pytest.raises(Exception, match=message):
        one_layer_net(tmp_path, "InterpLayer", {"x": np.zeros((1, 1, 13, 17))}, str(way), module="pylayers.deeplab")


def figures_by_hand(scores, labels, ignored):
    """Pixel by pixel; of equal scores the later class."""
    classes = scores.shape[1]
    hit, truth, guessed = np.zeros(classes), np.zeros(classes), np.zeros(classes)
    for n, y, x in np.ndindex(labels.shape[0], *labels.shape[2:]):
        label = int(labels[n, 0, y, x])
        if label in ignored:
            continue
        best = max(range(classes), key=lambda c: (scores[n, c, y, x], c))
        hit[label] += best == label
        truth[label] += 1
        guessed[best] += 1
    union = truth + guessed - hit
    return [hit.sum() / truth.sum(), np.mean([h / t for h, t in zip(hit, truth, strict=True) if t]),
            np.mean([1 if u == h else h / u for h, u in zip(hit, union, strict=True)])]


@pytest.mark.parametrize("ignored", [255, [255, 1]])
def test_seg_accuracy_counts_as_deeplabs(tmp_path, rng, ignored):
    scores = rng.integers(0, 3, (2, 5, 6, 7)).astype(np.float32)        # many ties
    labels = rng.choice([0, 1, 2, 3, 255], (2, 1, 6, 7)).astype(np.float32)     # class 4 never occurs
    arrays = {"scores": scores, "labels": labels}
    net = one_layer_net(tmp_path, "SegAccuracyLayer", arrays, str({"ignore_label": ignored}), module="pylayers.deeplab")
    net.forward()
    assert net.blobs["top"].data.shape == (1, 1, 1, 3)
    expected = figures_by_hand(scores, labels, ignored if isinstance(ignored, list) else [ignored])
    np.testing.assert_allclose(net.blobs["top"].data.ravel(), expected, rtol=1e-6)


def test_seg_accuracy_goes_on_counting_without_reset_and_refuses_strange_labels(tmp_path, rng):
    first, second = (rng.standard_normal((1, 3, 4, 4)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, 3, (1, 1, 4, 4)).astype(np.float32)
    net = one_layer_net(tmp_path, "SegAccuracyLayer", {"scores": first, "labels": labels}, "{'reset': False}",
                        module="pylayers.deeplab")
    net.forward()
    net.blobs["scores"].data[...] = second
    net.forward()
    both = figures_by_hand(np.concatenate([first, second]), np.concatenate([labels, labels]), ())
    np.testing.assert_allclose(net.blobs["top"].data.ravel(), both, rtol=1e-6)
    net.blobs["labels"].data[0, 0, 0, 0] = 3
    with pytest.raises(Exception, match=r"holds 3, expected 0\.\.2; ignore_label leaves some out"):
        net.forward()


def test_both_equal_the_engines_own_layers(tmp_path, rng):
    scores = rng.standard_normal((2, 4, 41, 33)).astype(np.float32)
    labels = rng.choice([0, 1, 2, 255], (2, 1, 81, 65)).astype(np.float32)
    text = "".join(f'input: "{name}" input_shape {{ {" ".join(f"dim: {d}" for d in array.shape)} }}\n'
                   for name, array in (("scores", scores), ("labels", labels)))
    text += """layer { name: "a" type: "Interp" bottom: "labels" top: "a" interp_param { shrink_factor: 2 } }
layer { name: "b" type: "Python" bottom: "labels" top: "b" python_param { module: "pylayers.deeplab"
  layer: "InterpLayer" param_str: "{'shrink_factor': 2}" } }
layer { name: "c" type: "SegAccuracy" bottom: "scores" bottom: "a" top: "c" seg_accuracy_param { ignore_label: 255 } }
layer { name: "d" type: "Python" bottom: "scores" bottom: "b" top: "d" python_param { module: "pylayers.deeplab"
  layer: "SegAccuracyLayer" param_str: "{'ignore_label': 255}" } }
"""
    (tmp_path / "net.prototxt").write_text(text)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.blobs["scores"].data[...], net.blobs["labels"].data[...] = scores, labels
    net.forward()
    np.testing.assert_array_equal(net.blobs["a"].data, net.blobs["b"].data)
    np.testing.assert_allclose(net.blobs["c"].data, net.blobs["d"].data, rtol=1e-6)
