"""What a net may do beyond computing: import modules, write files."""

import sys

import caffe
import h5py
import pytest

from tests.engine.nets import build, input_layer


def python(module, layer="L"):
    return input_layer(2, 3) + f"""layer {{ name: "p" type: "Python" bottom: "data" top: "y"
                                   python_param {{ module: "{module}" layer: "{layer}" }} }}"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module on the Python path; it leaves a file when it is imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(code, name):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\n{code}\n")
        return name

    return make


LAYER = ("import caffe\nclass L(caffe.Layer):\n    def setup(self, bottom, top): pass\n"
         "    def reshape(self, bottom, top): top[0].reshape(1)\n    def forward(self, bottom, top): pass")


def test_without_a_restriction_the_users_path_counts(tmp_path, module):
    assert build(tmp_path, python(module(LAYER, "stranger_a"))).blobs["y"].dims == (1,)


def test_a_module_that_is_not_allowed_is_not_imported(tmp_path, module):
    text = python(module(LAYER, "stranger_b"))
    caffe.allow_python_modules("pylayers")
    why = (r"net.prototxt:2: layer 'p' \(Python\): module 'stranger_b' is not allowed: a net may run code of these "
           "only: pylayers; allow it where you trust it")
    with pytest.raises(caffe.LayerError, match=why):
        build(tmp_path, text)
    assert not (tmp_path / "imported").exists()
    caffe.allow_python_modules("stranger_b")
    build(tmp_path, text)
    assert (tmp_path / "imported").exists()


@pytest.mark.parametrize("name", ["stranger", "pylayersx", "os", "sys", "pylayers_", "py.layers"])
def test_a_package_allows_what_lies_below_it_alone(tmp_path, name):
    caffe.allow_python_modules("pylayers")
    with pytest.raises(caffe.LayerError, match=f"module '{name}' is not allowed"):
        build(tmp_path, python(name))
    with pytest.raises(caffe.LayerError, match="no module 'pylayers.nothing'|'pylayers.nothing' "):
        build(tmp_path, python("pylayers.nothing"))


@pytest.mark.parametrize("name", [".a", "a..b", "../a", "a b", "/etc/passwd", "a.b.", "1a"])
def test_what_is_no_name_of_a_module(tmp_path, name):
    with pytest.raises(caffe.LayerError, match="is not a module name"):
        build(tmp_path, python(name))
    with pytest.raises(ValueError, match="is not a module name"):
        caffe.allow_python_modules(name)


@pytest.mark.parametrize(("code", "what"), [
    ("import sys; sys.exit(0)", r"SystemExit\(0\)"), ("raise GeneratorExit", r"GeneratorExit\(\)"),
    ("class E(BaseException): pass\nraise E('x')", r"E\(x\)"),
])
def test_a_module_that_ends_the_process_is_an_error(tmp_path, module, code, what):
    name = module(code, f"stranger_{len(what)}")
    with pytest.raises(caffe.LayerError, match=f"net.prototxt:2: .* '{name}' ends with {what} as it is imported"):
        build(tmp_path, python(name))


def test_only_subclasses_of_layer_are_made(tmp_path, module):
    for code, why in (("def L(param): open('made', 'w')", "is not a subclass of caffe.Layer"), ("", "does not exist")):
        with pytest.raises(caffe.LayerError, match=why):
            build(tmp_path, python(module(code, f"stranger_{len(code)}_")))


# ---- files that nets write ----------------------------------------------------------------------------


def output(path):
    return input_layer(2, 3) + input_layer(2, name="label") + f"""
        layer {{ name: "o" type: "HDF5Output" bottom: "data" bottom: "label"
                 hdf5_output_param {{ file_name: "{path}" }} }}"""


def test_a_net_that_is_only_built_leaves_the_file_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("of somebody")
    net = build(tmp_path, output(tmp_path / "precious.txt"))
    assert (tmp_path / "precious.txt").read_text() == "of somebody"
    net.forward()
    net.forward()
    with h5py.File(tmp_path / "precious.txt") as file:
        assert file["data"].shape == (4, 3, 1, 1)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_output_outside_the_current_folder_needs_permission(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "here")
    caffe.allow_output_folders()
    build(tmp_path, output("a.h5"))
    for path in (tmp_path / "there" / "a.h5", "../there/a.h5", "link/a.h5"):
        with pytest.raises(caffe.LayerError, match=r"layer 'o' \(HDF5Output\): '.*a.h5' is not allowed: a net may "
                                                   "write below the current folder only"):
            build(tmp_path, output(path))
    caffe.allow_output_folders(tmp_path / "there")
    build(tmp_path, output("link/a.h5"))
