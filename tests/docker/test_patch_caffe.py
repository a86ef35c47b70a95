"""The steps that change old Caffe, on lines of the shape its files have."""

import re
import shutil
import subprocess

import pytest

from docker import patch_caffe
from docker.patch_caffe import PATCHES, PatchError

COMMON_CUH = """
#include <cuda.h>

// no atomicAdd for doubles here
static __inline__ __device__ double atomicAdd(double *address, double val) {
  unsigned long long int* p = (unsigned long long int*)address;
  do {
    val += *p;
  } while (0);
  return val;
}

#endif
"""

IO_CPP = """
#include <opencv2/core/core.hpp>
#include <opencv2/highgui/highgui_c.h>
const int kProtoReadBytesLimit = INT_MAX;
  coded_input->SetTotalBytesLimit(kProtoReadBytesLimit, 536870912);
  int flag = (is_color ? CV_LOAD_IMAGE_COLOR :
    CV_LOAD_IMAGE_GRAYSCALE);
  int deep = CV_LOAD_IMAGE_GRAYSCALE | CV_LOAD_IMAGE_ANYDEPTH;
  cv::resize(a, b, size, 0, 0, CV_INTER_NN);
  cv::cvtColor(a, b, CV_BGR2GRAY);
  CHECK(a.depth() == CV_8U);
"""

BINDING = """
BOOST_PYTHON_MODULE(_caffe) {
  bp::class_<Net<Dtype>, shared_ptr<Net<Dtype> >, boost::noncopyable>("Net", bp::no_init);

  // vector wrappers for all the vector types we use
  bp::class_<vector<int> >("IntVec");
}
"""

PYCAFFE = """
from itertools import izip_longest
for in_, blob in kwargs.iteritems():
    pass
num = len(blobs.itervalues().next())
"""

MAKEFILE = """
LIBRARIES += glog gflags protobuf boost_system boost_filesystem m hdf5_serial_hl hdf5_serial
ifeq ($(USE_OPENCV), 1)
	LIBRARIES += opencv_core opencv_highgui opencv_imgproc
endif
"""

FILES = {"include/caffe/common.cuh": COMMON_CUH, "src/caffe/util/io.cpp": IO_CPP,
         "python/caffe/_caffe.cpp": BINDING, "python/caffe/pycaffe.py": PYCAFFE, "Makefile": MAKEFILE}


@pytest.fixture
def checkout(tmp_path):
    """A folder with the files that the steps change."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def texts(root):
    return {name: (root / name).read_text() for name in FILES}


def test_every_step_changes_what_it_is_for_and_a_second_run_nothing(checkout, capsys):
    assert patch_caffe.main([str(checkout)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == [patch.name for patch in PATCHES]
    assert not any("there already" in line for line in said)
    changed = texts(checkout)
    assert patch_caffe.main([str(checkout)]) == 0
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == ["there already"] * len(PATCHES)
    assert texts(checkout) == changed


def test_opencv_names_and_byte_limit(checkout):
    patch_caffe.main([str(checkout)])
    text = (checkout / "src/caffe/util/io.cpp").read_text()
    assert "cv::IMREAD_GRAYSCALE | cv::IMREAD_ANYDEPTH" in text and "is_color ? cv::IMREAD_COLOR :" in text
    assert "cv::INTER_NEAREST" in text and "cv::COLOR_BGR2GRAY" in text
    assert "SetTotalBytesLimit(kProtoReadBytesLimit);" in text
    assert "#include <opencv2/imgcodecs.hpp>" in text
    assert re.findall(r"\bCV_\w+", text) == ["CV_8U"], "types of matrices keep their names"


def test_python_and_makefile(checkout):
    patch_caffe.main([str(checkout)])
    compile((checkout / "python/caffe/pycaffe.py").read_text(), "pycaffe.py", "exec")
    assert "next(iter(blobs.values()))" in (checkout / "python/caffe/pycaffe.py").read_text()
    makefile = (checkout / "Makefile").read_text()
    assert "m hdf5_hl hdf5\n" in makefile and "opencv_imgproc opencv_imgcodecs\n" in makefile
    binding = (checkout / "python/caffe/_caffe.cpp").read_text()
    registered = re.findall(r"register_ptr_to_python<shared_ptr<(\w+)<Dtype> > >\(\);", binding)
    assert registered == ["Net", "Blob", "Layer", "Solver"]
    assert binding.index("register_ptr_to_python") < binding.index("// vector wrappers")


@pytest.mark.parametrize(("architecture", "ours"), [(None, False), (520, True), (600, False), (900, False)])
def test_atomic_add_is_ours_below_compute_capability_6_alone(checkout, architecture, ours):
    """As the preprocessor sees it; on the host's side of nvcc there is CUDA's own declaration, too."""
    compiler = shutil.which("c++") or shutil.which("g++")
    assert compiler, "the CRF needs a C++ compiler, so there is one"
    patch_caffe.main([str(checkout)])
    path = checkout / "include/caffe/common.cuh"
    source = path.read_text().replace("#include <cuda.h>", "").rpartition("#endif\n")[0]
    flags = [] if architecture is None else [f"-D__CUDA_ARCH__={architecture}"]
    done = subprocess.run([compiler, "-E", "-x", "c++", *flags, "-"], input=source, capture_output=True, text=True,
                          check=True)
    assert ("atomicAdd(double" in done.stdout) is ours


def test_a_checkout_with_the_guard_is_left_alone(checkout):
    """Forks have it, in another form."""
    guarded = COMMON_CUH.replace("// no atomicAdd", "#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 600\n#else\n// no")
    (checkout / "include/caffe/common.cuh").write_text(guarded + "#endif\n")
    assert patch_caffe.apply(PATCHES[0], checkout) == "atomic-add: there already"
    assert (checkout / "include/caffe/common.cuh").read_text() == guarded + "#endif\n"


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_a_step_that_finds_nothing_says_so(checkout, patch):
    for name in FILES:
        (checkout / name).write_text("nothing of that kind\n")
    with pytest.raises(PatchError, match=f"{patch.name}: found nothing to change in .*another Caffe than DeepLab-v2's"):
        patch_caffe.apply(patch, checkout)


def test_another_folder_is_refused_with_status_1(tmp_path, capsys):
    assert patch_caffe.main([str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: atomic-add: no include/caffe/**/*.cuh or")
    assert "expected a checkout of Caffe" in error


def test_list_gives_every_step_its_reason(capsys):
    assert patch_caffe.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(PATCHES) and all(len(line.split(": ", 1)[1]) > 20 for line in lines)
