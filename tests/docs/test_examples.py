"""The Python of the documents: each block is Python, and those for newcomers compute what they say."""

import re

import numpy as np
import pytest

from tests.conftest import ROOT

BLOCKS = [(path.relative_to(ROOT).as_posix(), number, text)
          for path in [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
          for number, text in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"),
                                                   re.MULTILINE | re.DOTALL))]


def blocks_of(name):
    return [text for path, _, text in BLOCKS if path == f"docs/{name}.md"]


@pytest.mark.parametrize(("path", "number", "text"), BLOCKS, ids=[f"{path}-{number}" for path, number, _ in BLOCKS])
def test_a_block_is_python(path, number, text):
    compile(text, f"{path}, block {number}", "exec")


def test_there_are_blocks():
    assert len(BLOCKS) >= 7


def test_the_usual_script_and_the_wrapper_agree(rng):
    """docs/crf-for-pydensecrf-users.md: the same kernels by pydensecrf's calls and by krahenbuhl2013's."""
    image = rng.integers(0, 256, (23, 31, 3), dtype=np.uint8)
    scores = rng.normal(size=(4, 23, 31)).astype(np.float32) * 2
    probabilities = np.exp(scores) / np.exp(scores).sum(0)
    imports, script, wrapper = blocks_of("crf-for-pydensecrf-users")
    names = {"image": image, "probabilities": probabilities, "np": np}
    exec(imports, names)
    exec(script.replace("pydensecrf", "densecrf"), names)
    exec(wrapper, names)
    by_calls = names["refine"](image, probabilities)
    np.testing.assert_allclose(by_calls.sum(0), 1, atol=1e-5)
    np.testing.assert_allclose(by_calls.transpose(1, 2, 0), names["refined"], atol=1e-4)
    assert np.abs(by_calls - probabilities).max() > 0.1


def test_the_layer_of_the_engines_page_doubles(tmp_path, monkeypatch):
    """docs/engine-for-caffe-users.md: the class in a module, the prototxt line in a net, forward and backward."""
    import caffe

    page = (ROOT / "docs/engine-for-caffe-users.md").read_text(encoding="utf-8")
    (tmp_path / "mylayers.py").write_text(blocks_of("engine-for-caffe-users")[0])
    line = re.search(r'^ {4}(layer \{ name: "twice".*)$', page, re.MULTILINE)[1]
    (tmp_path / "net.prototxt").write_text('force_backward: true input: "x" input_shape { dim: 2 dim: 3 }\n' + line)
    monkeypatch.syspath_prepend(tmp_path)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    net.blobs["x"].data[...] = x
    np.testing.assert_array_equal(net.forward()["y"], 2 * x)
    net.blobs["y"].diff[...] = x
    np.testing.assert_array_equal(net.backward()["x"], 2 * x)
