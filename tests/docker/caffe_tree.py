"""Small trees in the shapes of DeepLab-v2's Caffe and of BVLC's, with what a compiler needs to read their files.

Written for these tests: names, nesting, line breaks and spacing are those that the steps of docker/patch_caffe.py meet.
"""

ATOMIC_ADD = """#ifndef CAFFE_COMMON_CUH_
#define CAFFE_COMMON_CUH_

#include <cuda.h>

// doubles are added in a loop { of compare and swap }
static __inline__ __device__ double atomicAdd(double *address, double val) {
  unsigned long long int* bits = (unsigned long long int*)address;
  unsigned long long int old = *bits, assumed;
  if (val==0.0)
    return __longlong_as_double(old);
  do {
    assumed = old;
    old = atomicCAS(bits, assumed, __double_as_longlong(val +__longlong_as_double(assumed)));
  } while (assumed != old);
  return __longlong_as_double(old);
}

#endif
"""

IO = """#ifdef USE_OPENCV
#include <opencv2/core/core.hpp>
#include <opencv2/highgui/highgui.hpp>
#include <opencv2/highgui/highgui_c.h>
#endif
#include <limits.h>

const int kProtoReadBytesLimit = INT_MAX;  // two gigabytes

void read(CodedInputStream* coded_input) {
  coded_input->SetTotalBytesLimit(kProtoReadBytesLimit%LIMIT%);
}

#ifdef USE_OPENCV
int flags(bool is_color) {
  int cv_read_flag = (is_color ? CV_LOAD_IMAGE_COLOR :
    CV_LOAD_IMAGE_GRAYSCALE);
  int deep = CV_LOAD_IMAGE_GRAYSCALE | CV_LOAD_IMAGE_ANYDEPTH;
  return cv_read_flag + deep + CV_INTER_NN + CV_BGR2GRAY + CV_8U;
}
#endif
"""

THREAD = """namespace caffe {

void InternalThread::StartInternalThread() {
  int device = 0;
#ifndef CPU_ONLY
  CUDA_CHECK(cudaGetDevice(&device));
#endif
  Caffe::Brew mode = Caffe::mode();
  entry(device, mode%MORE%);
}

void InternalThread::entry(int device, Caffe::Brew mode%ARGUMENTS%) {
#ifndef CPU_ONLY
  CUDA_CHECK(cudaSetDevice(device));
#endif
  Caffe::set_mode(mode);
}

}  // namespace caffe
"""

COMMON = """#include "caffe/common.hpp"
void DeviceQuery() {
  cudaDeviceProp prop;
  LOG(INFO) << "Dimensions: "
      << prop.maxGridSize[0] << ", " << prop.maxGridSize[1];
  LOG(INFO) << "Clock rate:                    " << prop.clockRate;
  LOG(INFO) << "Total constant memory:         " << prop.totalConstMem;
  LOG(INFO) << "Concurrent copy and execution: "
      << (prop.deviceOverlap ? "Yes" : "No");
  LOG(INFO) << "Kernel execution timeout:      "
      << (prop.kernelExecTimeoutEnabled ? "Yes" : "No");
  return;
}
"""

BINDING = """void module() {
  bp::class_<Layer<Dtype>, shared_ptr<PythonLayer<Dtype> >,
    boost::noncopyable>("Layer", bp::init<const LayerParameter&>())
    .add_property("type", &Layer<Dtype>::type);
%REGISTERED%
  // vector wrappers for all the vector types we use
  bp::class_<vector<int> >("IntVec");
}
"""

PYCAFFE = '''from collections import OrderedDict
%ZIP%
import numpy as np


def _Net_forward(self, **kwargs):
    for in_, blob in %ITEMS%:
        self.blobs[in_].data[...] = blob


def _Net_batch(self, blobs):
    num = len(%FIRST%)
    batch_size = %FIRST_OF_SELF%.num
    remainder = num % batch_size
    num_batches = num %DIVIDE% batch_size
    for b in range(num_batches):
        i = b * batch_size
        yield {name: blobs[name][i:i + batch_size] for name in blobs}
    if remainder > 0:
        yield {name: blobs[name][-remainder:] for name in blobs}
'''

NET_SPEC = '''from .proto import caffe_pb2


def param_name_dict():
    layer = caffe_pb2.LayerParameter()
    param_names = [s for s in dir(layer) if s.endswith('_param')]
    param_type_names = [type(getattr(layer, s)).__name__ for s in param_names]
    param_names = [s[:-len('_param')] for s in param_names]
    param_type_names = [s[:-len('Parameter')] for s in param_type_names]
    return dict(zip(param_type_names, param_names))
'''

IO_PY = '''import numpy as np
import skimage.io


def load_image(filename, color=True):
    return skimage.img_as_float(skimage.io.imread(filename, as_grey=not color))


def datum_to_array(datum):
    return np.fromstring(datum.data, dtype=np.uint8).reshape(datum.channels, datum.height, datum.width)
'''

MAKEFILE = """PROJECT := caffe
CONFIG_FILE := Makefile.config
include $(CONFIG_FILE)
LIBRARIES += glog gflags protobuf boost_system boost_filesystem m %HDF5%

USE_OPENCV ?= 1
ifeq ($(USE_OPENCV), 1)
	LIBRARIES += opencv_core opencv_highgui opencv_imgproc

	ifeq ($(OPENCV_VERSION), 3)
		LIBRARIES += opencv_imgcodecs
	endif
endif
PYTHON_LIBRARIES %ASSIGN% boost_python python2.7
WARNINGS := -Wall -Wno-sign-compare
"""

PROTO = 'syntax = "proto2";\npackage caffe;\n'


def deeplab_v2():
    """{file name: text}: DeepLab-v2's tree of 2016."""
    return {
        "include/caffe/common.cuh": ATOMIC_ADD,
        "src/caffe/common.cpp": COMMON,
        "src/caffe/internal_thread.cpp": THREAD.replace("%MORE%", ", 1, true").replace(
            "%ARGUMENTS%", ", int rand_seed,\n    bool root_solver"),
        "src/caffe/proto/caffe.proto": PROTO,
        "src/caffe/util/io.cpp": IO.replace("%LIMIT%", ", 536870912"),
        "python/caffe/_caffe.cpp": BINDING.replace(
            "%REGISTERED%", "  bp::register_ptr_to_python<shared_ptr<Layer<Dtype> > >();\n"),
        "python/caffe/pycaffe.py": PYCAFFE.replace("%ZIP%", "from itertools import izip_longest").replace(
            "%ITEMS%", "kwargs.iteritems()").replace("%FIRST_OF_SELF%", "self.blobs.itervalues().next()").replace(
            "%FIRST%", "blobs.itervalues().next()").replace("%DIVIDE%", "/"),
        "python/caffe/net_spec.py": NET_SPEC,
        "python/caffe/io.py": IO_PY,
        "Makefile": MAKEFILE.replace("%HDF5%", "hdf5_hl hdf5").replace("%ASSIGN%", "?="),
    }


def bvlc():
    """{file name: text}: BVLC's last tree."""
    return {
        "include/caffe/util/gpu_util.cuh": "template <typename Dtype>\ninline __device__ Dtype caffe_gpu_atomic_add("
                                           "const Dtype val, Dtype* address);\n",
        "src/caffe/common.cpp": COMMON,
        "src/caffe/internal_thread.cpp": THREAD.replace("%MORE%", ", 1, 1, 0, false").replace(
            "%ARGUMENTS%", ",\n    int rand_seed, int solver_count, int solver_rank, bool multiprocess"),
        "src/caffe/proto/caffe.proto": PROTO,
        "src/caffe/util/io.cpp": IO.replace("%LIMIT%", ""),
        "python/caffe/_caffe.cpp": BINDING.replace(
            "%REGISTERED%", "  BP_REGISTER_SHARED_PTR_TO_PYTHON(Layer<Dtype>);\n"),
        "python/caffe/pycaffe.py": PYCAFFE.replace(
            "%ZIP%", "try:\n    from itertools import izip_longest\nexcept:\n    from itertools import zip_longest as "
                     "izip_longest\nimport six").replace("%ITEMS%", "six.iteritems(kwargs)").replace(
            "%FIRST_OF_SELF%", "six.next(six.itervalues(self.blobs))").replace(
            "%FIRST%", "six.next(six.itervalues(blobs))").replace("%DIVIDE%", "/"),
        "python/caffe/net_spec.py": NET_SPEC,
        "python/caffe/io.py": IO_PY,
        "Makefile": MAKEFILE.replace("%HDF5%", "hdf5_serial_hl hdf5_serial").replace("%ASSIGN%", ":="),
    }


TREES = {"deeplab-v2": deeplab_v2, "bvlc": bvlc}

#: definitions that let g++ read the samples, as CUDA 13, OpenCV 4 and protobuf 3.21 have them: without what is gone
STUBS = {
    "cuda.h": """
#define __device__
#define __inline__ inline
inline double __longlong_as_double(unsigned long long) { return 0; }
inline unsigned long long __double_as_longlong(double) { return 0; }
inline unsigned long long atomicCAS(unsigned long long* a, unsigned long long b, unsigned long long) { return *a + b; }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 600
inline double atomicAdd(double*, double val) { return val; }
#endif
""",
    "opencv2/core/core.hpp": """
#define CV_8U 0
namespace cv {
enum { IMREAD_COLOR, IMREAD_GRAYSCALE, IMREAD_ANYDEPTH, INTER_NEAREST, COLOR_BGR2GRAY };
}
struct CodedInputStream { void SetTotalBytesLimit(int) {} };
""",
    "opencv2/highgui/highgui.hpp": "",
    "opencv2/imgcodecs.hpp": "",
    "caffe/common.hpp": """
#include <iostream>
#define LOG(level) std::cerr
struct cudaDeviceProp { int maxGridSize[3], totalConstMem, asyncEngineCount; };
""",
    "caffe/internal_thread.hpp": """
#include <cstdlib>
#define CUDA_CHECK(condition) do { if ((condition) != 0) abort(); } while (0)
inline int cudaGetDevice(int*) { return 100; }      // no device is visible
inline int cudaSetDevice(int) { return 100; }
struct Caffe {
  enum Brew { CPU, GPU };
  static Brew& value() { static Brew it = CPU; return it; }
  static Brew mode() { return value(); }
  static void set_mode(Brew mode) { value() = mode; }
};
namespace caffe {
struct InternalThread {
  void StartInternalThread();
  void entry(int device, Caffe::Brew mode%ARGUMENTS%);
};
}
""",
    "boost.hpp": """
#include <vector>
using std::vector;
typedef float Dtype;
template <typename T> struct shared_ptr {};
template <typename T> struct Layer { void type() {} };
template <typename T> struct PythonLayer {};
struct LayerParameter {};
namespace boost { struct noncopyable {}; }
namespace bp {
template <typename T> struct init {};
template <typename T, typename P = int, typename C = int> struct class_ {
  template <typename... A> class_(const char*, A...) {}
  template <typename F> class_& add_property(const char*, F) { return *this; }
};
template <typename T> void register_ptr_to_python() {}
}
#define BP_REGISTER_SHARED_PTR_TO_PYTHON(...) do { bp::register_ptr_to_python<shared_ptr<__VA_ARGS__ > >(); } while (0)
""",
}
