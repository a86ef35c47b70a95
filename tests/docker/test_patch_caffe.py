"""The steps that change old Caffe, on trees shaped as DeepLab-v2's and BVLC's; a compiler reads what they leave."""

import re
import shutil
import subprocess
import sys
import types

import pytest

from docker import patch_caffe
from docker.patch_caffe import STEPS
from tests.docker.caffe_tree import ATOMIC_ADD, STUBS, TREES, deeplab_v2

STEP = {step.name: step for step in STEPS}
#: steps that change nothing in a tree, and the word for it
RESTING = {"deeplab-v2": {"shared-ptr": "there already", "opencv-library": "there already",
                          "hdf5-library": "there already", "python-library": "there already"},
           "bvlc": {"atomic-add": "not needed here", "byte-limit": "there already", "shared-ptr": "there already",
                    "opencv-library": "there already"}}


def lay(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def texts(root):
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(params=TREES)
def family(request):
    return request.param


@pytest.fixture
def tree(family, tmp_path):
    return lay(tmp_path / "caffe", TREES[family]())


@pytest.fixture
def patched(tree):
    assert patch_caffe.main([str(tree)]) == 0
    return tree


def compiled(tmp_path, source, *flags, run=False):
    """g++ -fsyntax-only on a text with the stubs before it; with `run` the status of its main."""
    compiler = shutil.which("g++") or shutil.which("c++")
    assert compiler, "the CRF needs a C++ compiler, so there is one"
    stubs = lay(tmp_path / "stubs", {name: text for name, text in STUBS.items() if "%" not in text})
    (tmp_path / "source.cpp").write_text(source)
    how = ["-o", str(tmp_path / "program")] if run else ["-fsyntax-only"]
    done = subprocess.run([compiler, "-std=c++14", "-Wall", "-Wno-unused-function", *how, "-I", str(stubs), *flags,
                           str(tmp_path / "source.cpp")], capture_output=True, text=True)
    if run and done.returncode == 0:
        done = subprocess.run([str(tmp_path / "program")], capture_output=True, text=True)
    return done


def test_every_step_does_its_work_and_a_second_run_nothing(tree, family, capsys):
    assert patch_caffe.main([str(tree)]) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(said) == [step.name for step in STEPS]
    for name, text in said.items():
        assert text.startswith(RESTING[family].get(name, "changed ")), f"{name}: {text}"
    once = texts(tree)
    assert patch_caffe.main([str(tree)]) == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if "changed" in line]
    assert texts(tree) == once and not list(tree.rglob("*.new"))


def test_check_reports_and_writes_nothing(tree, family, capsys):
    before = texts(tree)
    assert patch_caffe.main(["--check", str(tree)]) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert texts(tree) == before
    assert said["no-gpu"] == "to change: src/caffe/internal_thread.cpp"
    assert {name for name, text in said.items() if not text.startswith("to change")} == set(RESTING[family])


@pytest.mark.parametrize("architecture", [None, 520, 600, 900])
def test_atomic_add_ends_at_its_own_brace_and_compiles(tmp_path, architecture):
    tree = lay(tmp_path / "caffe", deeplab_v2())
    assert patch_caffe.main([str(tree)]) == 0
    text = (tree / "include/caffe/common.cuh").read_text()
    assert "return __longlong_as_double(old);\n}\n#endif  // compute capability below 6.0\n" in text
    flags = [] if architecture is None else [f"-D__CUDA_ARCH__={architecture}"]
    use = "" if architecture is None else "double sum(double* a) { return atomicAdd(a, 1.0); }\n"
    done = compiled(tmp_path, text + use, *flags)
    assert done.returncode == 0, done.stderr


def test_atomic_add_as_it_stood_does_not_compile_where_cuda_has_one(tmp_path):
    assert compiled(tmp_path, ATOMIC_ADD, "-D__CUDA_ARCH__=600").returncode != 0


@pytest.mark.parametrize("guard", ["#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 600\n#else\n",
                                   "#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600\n"])
def test_a_guard_in_another_form_is_left_alone(tmp_path, guard):
    text = ATOMIC_ADD.replace("#include <cuda.h>\n", f"{guard}#include <cuda.h>\n") + "#endif\n"
    tree = lay(tmp_path, {**deeplab_v2(), "include/caffe/common.cuh": text})
    outcome = patch_caffe.examine(STEP["atomic-add"], tree, {})
    assert (outcome.state, outcome.files) == ("already", {})


def test_atomic_add_in_other_spacing_and_in_two_places(tmp_path):
    body = ATOMIC_ADD[ATOMIC_ADD.index("static"):ATOMIC_ADD.rindex("#endif")]
    indented = body.replace("\n", "\n    ").replace("double *address, double val) {", "double* address, double val)\n{")
    tree = lay(tmp_path / "caffe", {**deeplab_v2(), "src/caffe/layers/a.cu": "namespace a {\n" + indented + "\n}\n" +
                                    "namespace b {\n" + body + "}\n"})
    assert patch_caffe.main([str(tree)]) == 0
    text = (tree / "src/caffe/layers/a.cu").read_text()
    assert text.count("__CUDA_ARCH__ < 600") == 2 == text.count("#endif  // compute")
    assert compiled(tmp_path, "#include <cuda.h>\n" + text, "-D__CUDA_ARCH__=520").returncode == 0


def test_opencv_names_and_byte_limit_compile_with_todays_libraries(patched, tmp_path):
    text = (patched / "src/caffe/util/io.cpp").read_text()
    done = compiled(tmp_path, text, "-DUSE_OPENCV")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"\bCV_\w+", text) == ["CV_8U"], "types of matrices keep their names"
    assert "cv::INTER_NEAREST + cv::COLOR_BGR2GRAY" in text and "SetTotalBytesLimit(kProtoReadBytesLimit);" in text


@pytest.mark.parametrize(("mode", "status"), [("CPU", 0), ("GPU", -6)])
def test_reading_threads_ask_for_a_gpu_in_gpu_mode_alone(patched, tmp_path, mode, status):
    """The stub has no visible device, as a container without --gpus: asking for it aborts."""
    text = (patched / "src/caffe/internal_thread.cpp").read_text()
    arguments = re.search(r"::entry\(int device, Caffe::Brew mode([^)]*)\)", text)[1]
    stub = STUBS["caffe/internal_thread.hpp"].replace("%ARGUMENTS%", arguments)
    main = f"\nint main() {{ Caffe::set_mode(Caffe::{mode}); caffe::InternalThread().StartInternalThread(); }}\n"
    done = compiled(tmp_path, stub + text + main, "-Wno-unused-parameter", run=True)
    assert done.returncode == status, done.stderr


def test_device_query_compiles_without_the_fields_that_cuda_13_lacks(patched, tmp_path):
    text = (patched / "src/caffe/common.cpp").read_text()
    done = compiled(tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert "prop.totalConstMem;" in text and "(prop.asyncEngineCount ?" in text and "Clock" not in text


def test_the_binding_registers_layer_once_and_compiles(patched, tmp_path):
    text = (patched / "python/caffe/_caffe.cpp").read_text()
    assert text == TREES["deeplab-v2"]()["python/caffe/_caffe.cpp"] or "BP_REGISTER" in text
    done = compiled(tmp_path, '#include "boost.hpp"\n' + text)
    assert done.returncode == 0, done.stderr


def test_a_binding_without_it_gets_it(tmp_path):
    files = deeplab_v2()
    files["python/caffe/_caffe.cpp"] = re.sub(r".*register_ptr.*\n", "", files["python/caffe/_caffe.cpp"])
    tree = lay(tmp_path / "caffe", files)
    assert patch_caffe.main([str(tree)]) == 0
    text = (tree / "python/caffe/_caffe.cpp").read_text()
    assert text.count("register_ptr_to_python<shared_ptr<Layer<Dtype> > >();") == 1
    done = compiled(tmp_path, '#include "boost.hpp"\n' + text)
    assert done.returncode == 0, done.stderr


def test_pycaffe_batches_as_python_3_divides(patched, monkeypatch):
    """The module runs: five inputs on a net of two make two batches and a rest."""
    six = types.SimpleNamespace(next=next, itervalues=lambda mapping: iter(mapping.values()))
    monkeypatch.setitem(sys.modules, "six", six)
    module = types.ModuleType("pycaffe")
    exec(compile((patched / "python/caffe/pycaffe.py").read_text(), "pycaffe.py", "exec"), vars(module))
    net = types.SimpleNamespace(blobs={"data": types.SimpleNamespace(num=2)})
    assert [len(batch["data"]) for batch in module._Net_batch(net, {"data": list(range(5))})] == [2, 2, 1]


def test_net_spec_finds_its_parameters_in_todays_protobuf(patched, caffe_engine):
    text = (patched / "python/caffe/net_spec.py").read_text().replace("from .proto import", "from caffe.proto import")
    names = {}
    exec(compile(text, "net_spec.py", "exec"), names)
    found = names["param_name_dict"]()
    assert found["Convolution"] == "convolution" and found["Python"] == "python" and len(found) > 30


@pytest.fixture
def caffe_engine():
    return pytest.importorskip("caffe")


def test_images_are_read_gray_and_datums_from_bytes(patched):
    text = (patched / "python/caffe/io.py").read_text()
    compile(text, "io.py", "exec")
    assert "as_gray=not color" in text and "np.frombuffer(datum.data" in text


def test_makefile_takes_our_python_and_plain_hdf5(patched):
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make here")
    (patched / "Makefile.config").write_text("OPENCV_VERSION := 3\nPYTHON_LIBRARIES := boost_python311\n")
    with (patched / "Makefile").open("a") as file:
        file.write("show:\n\t@echo $(LIBRARIES) + $(PYTHON_LIBRARIES)\n")
    done = subprocess.run([make, "-s", "-C", str(patched), "show"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ("glog gflags protobuf boost_system boost_filesystem m hdf5_hl hdf5 opencv_core "
                                   "opencv_highgui opencv_imgproc opencv_imgcodecs + boost_python311").split()


def test_a_makefile_of_old_gets_the_library_for_image_files(tmp_path):
    files = deeplab_v2()
    files["Makefile"] = "LIBRARIES += opencv_core opencv_highgui opencv_imgproc \\\n\tm hdf5_hl hdf5\n"
    tree = lay(tmp_path, files)
    assert patch_caffe.main([str(tree)]) == 0
    assert "opencv_imgproc opencv_imgcodecs \\\n" in (tree / "Makefile").read_text()


#: the subject of a step in a form that the step does not know
STRANGE = {
    "atomic-add": ("include/caffe/common.cuh", "template <int N> double atomicAdd(double* a, double b) {\n}\n"),
    "opencv4-names": ("src/caffe/util/io.cpp", "int a = CV_LOAD_IMAGE_IGNORE;\n"),
    "byte-limit": ("src/caffe/util/io.cpp", "s.SetTotalBytesLimit(a, b, c);\n"),
    "no-gpu": ("src/caffe/internal_thread.cpp", "  CUDA_CHECK(cudaGetDevice(\n      &device));\n"),
    "device-query": ("src/caffe/common.cpp", "int rate = prop.clockRate;\n"),
    "python3": ("python/caffe/pycaffe.py", "first = nets[0].itervalues().next()\n"),
    "netspec-fields": ("python/caffe/net_spec.py", "names = [s for s in dir(layer) if s.endswith(SUFFIX)]\n"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_subject_in_a_strange_form_is_named_with_its_line_and_nothing_is_written(tmp_path, capsys, name):
    path, text = STRANGE[name]
    tree = lay(tmp_path, {**deeplab_v2(), path: "// one\n" + text})
    before = texts(tree)
    assert patch_caffe.main([str(tree)]) == 1
    said = capsys.readouterr()
    assert re.search(rf"^{name}: MISSED in a form that this step does not know: {path}:2: ", said.out, re.MULTILINE)
    assert f"error: {tree}: 1 of {len(STEPS)} steps cannot change what they meet ({name}); nothing was" in said.err
    assert texts(tree) == before


def test_another_folder_is_refused_with_status_1(tmp_path, capsys):
    assert patch_caffe.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: no Makefile in it; expected a checkout of Caffe\n"


def test_list_gives_every_step_its_reason(capsys):
    assert patch_caffe.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(STEPS) and all(len(line.split(": ", 1)[1]) > 20 for line in lines)
