// Python faces of the core. Arrays are checked here by name; whoever converts dtypes does so in Python, so nothing
// is cast or copied behind the caller's back. The GIL is released while the core runs; calls on one object from
// several threads wait for each other.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "dense_crf/buffer.h"
#include "dense_crf/dense_crf.h"
#include "dense_crf/refine.h"
#include "dense_crf/vector_kernels.h"

namespace py = pybind11;
using namespace dense_crf;

namespace {

using Extents = std::vector<py::ssize_t>;

std::string text(const Extents& extents) {
    std::string s = "(";
    for (std::size_t i = 0; i < extents.size(); ++i) s += (i ? ", " : "") + std::to_string(extents[i]);
    return s + (extents.size() == 1 ? ",)" : ")");
}

// An array in a block that is kept for the next call once Python lets go of it.
py::array_t<float> new_array(const Extents& shape) {
    std::size_t count = 1;
    for (py::ssize_t extent : shape) count *= static_cast<std::size_t>(extent);
    auto block = std::make_unique<Buffer<float>>(std::max<std::size_t>(count, 1));
    float* data = block->data();
    const py::capsule owner(block.get(), [](void* p) { delete static_cast<Buffer<float>*>(p); });
    block.release();
    return py::array_t<float>(shape, data, owner);
}

// The data of a C-contiguous array of exactly this dtype and shape (-1: any extent).
template <class T>
T* require(const py::array& array, const char* name, const Extents& shape, const char* dtype) {
    if (!py::dtype::of<T>().is(array.dtype()) && !py::dtype::of<T>().equal(array.dtype())) {
        throw py::type_error(std::string(name) + ": expected dtype " + dtype + ", got " +
                             py::str(array.dtype()).cast<std::string>());
    }
    const Extents got(array.shape(), array.shape() + array.ndim());
    bool fits = got.size() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] < 0 || shape[i] == got[i];
    if (!fits) {
        throw py::value_error(std::string(name) + ": expected shape " + text(shape) + ", got " + text(got));
    }
    if (!(array.flags() & py::array::c_style)) {
        throw py::value_error(std::string(name) + ": expected a C-contiguous array");
    }
    if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0) {
        throw py::value_error(std::string(name) + ": expected an aligned array");
    }
    return const_cast<T*>(static_cast<const T*>(array.data()));
}

int require_threads(int threads) {
    if (threads < 1) throw py::value_error("threads: expected at least 1, got " + std::to_string(threads));
    return threads;
}

int require_int(py::ssize_t extent, const char* name) {
    if (extent > std::numeric_limits<int>::max()) {
        throw py::value_error(std::string(name) + ": expected an extent below 2^31, got " + std::to_string(extent));
    }
    return static_cast<int>(extent);
}

Gain make_gain(const py::array& values) {
    Gain gain;
    if (values.ndim() > 2) throw py::value_error("compat: expected 0, 1 or 2 dimensions");
    const Extents any(static_cast<std::size_t>(values.ndim()), -1);
    const float* data = require<float>(values, "compat", any, "float32");
    gain.form = values.ndim() == 0   ? Gain::Form::kScalar
                : values.ndim() == 1 ? Gain::Form::kDiagonal
                                     : Gain::Form::kMatrix;
    gain.values.assign(data, data + values.size());
    return gain;
}

class PyDenseCrf {
  public:
    PyDenseCrf(int height, int width, int labels) : crf_(height, width, labels) {}
    // pybind11 hands out memory from here where Python code skipped __init__: made_ is false in it.
    static void* operator new(std::size_t size) { return std::memset(::operator new(size), 0, size); }
    static void operator delete(void* memory) { ::operator delete(memory); }

    void add_gaussian(float sx, float sy, const py::array& gain, int normalization) {
        require_made();
        const Gain values = make_gain(gain);
        alone([&] { crf_.add_gaussian(sx, sy, values, static_cast<Normalization>(normalization)); });
    }
    void add_bilateral(float sx, float sy, float s0, float s1, float s2, const py::array& image,
                       const py::array& gain, int normalization) {
        require_made();
        const float colors[3] = {s0, s1, s2};
        const auto* data = require<std::uint8_t>(image, "rgbim", {crf_.height(), crf_.width(), 3}, "uint8");
        const Gain values = make_gain(gain);
        alone([&] { crf_.add_bilateral(sx, sy, colors, data, values, static_cast<Normalization>(normalization)); });
    }
    void add_features(const py::array& features, const py::array& gain, int normalization) {
        require_made();
        const float* data = require<float>(features, "features", {-1, variables()}, "float32");
        const int dims = require_int(features.shape(0), "features");
        const Gain values = make_gain(gain);
        alone([&] { crf_.add_features(dims, data, values, static_cast<Normalization>(normalization)); });
    }
    void prepare(int threads) {
        require_made();
        require_threads(threads);
        alone([&] { crf_.prepare(threads); });
    }
    py::array_t<float> infer(const py::array& unary, float sign, int iterations, int threads) {
        require_made();
        const float* u = require<float>(unary, "unary", {variables(), crf_.labels()}, "float32");
        require_threads(threads);
        py::array_t<float> q = new_array({variables(), static_cast<py::ssize_t>(crf_.labels())});
        float* out = q.mutable_data();
        alone([&] {
            Workspace workspace;
            crf_.infer(u, sign, iterations, out, threads, workspace);
        });
        return q;
    }
    void step(const py::array& unary, float sign, const py::array& q, int threads) {
        require_made();
        const float* u = require<float>(unary, "unary", {variables(), crf_.labels()}, "float32");
        float* values = require<float>(q, "Q", {variables(), crf_.labels()}, "float32");
        if (!q.writeable()) throw py::value_error("Q: expected a writeable array");
        if (u < values + q.size() && values < u + q.size()) throw py::value_error("Q: expected an array beside unary");
        require_threads(threads);
        alone([&] {
            Workspace workspace;
            crf_.step(u, sign, values, values, threads, workspace);
        });
    }
    double kl_divergence(const py::array& unary, float sign, const py::array& q, int threads) {
        require_made();
        const float* u = require<float>(unary, "unary", {variables(), crf_.labels()}, "float32");
        const float* values = require<float>(q, "Q", {variables(), crf_.labels()}, "float32");
        require_threads(threads);
        double divergence = 0;
        alone([&] {
            Workspace workspace;
            divergence = crf_.kl_divergence(u, sign, values, threads, workspace);
        });
        return divergence;
    }

  private:
    // Without the GIL, and without another call on this object.
    template <class Call>
    void alone(Call&& call) {
        py::gil_scoped_release release;
        const std::lock_guard<std::mutex> lock(busy_);
        call();
    }
    void require_made() const {
        if (!made_) throw py::type_error("DenseCrf: __init__ was not called");
    }
    py::ssize_t variables() const { return static_cast<py::ssize_t>(crf_.variables()); }

    DenseCrf crf_;
    std::mutex busy_;
    bool made_ = true;
};

py::array_t<float> refine(const py::array& images, const py::array& unaries, int iterations, float bilateral_xy,
                          float color, float gaussian_xy, int threads) {
    const auto* image = require<std::uint8_t>(images, "images", {-1, -1, -1, 3}, "uint8");
    const int n = require_int(images.shape(0), "images"), h = require_int(images.shape(1), "images");
    const int w = require_int(images.shape(2), "images");
    const float* u = require<float>(unaries, "unaries", {n, h, w, -1}, "float32");
    const int labels = require_int(unaries.shape(3), "unaries");
    require_threads(threads);
    RefineParams params;
    params.iterations = iterations;
    params.bilateral_xy = bilateral_xy;
    for (float& c : params.bilateral_color) c = color;
    params.gaussian_xy = gaussian_xy;
    require_sizes(h, w, labels);
    py::array_t<float> q = new_array({n, h, w, labels});
    float* out = q.mutable_data();
    {
        py::gil_scoped_release release;
        refine_batch(params, n, h, w, labels, image, u, out, threads);
    }
    return q;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "Dense CRF core; see densecrf.densecrf and krahenbuhl2013 for the public faces.";
    py::class_<PyDenseCrf>(m, "DenseCrf")
        .def(py::init<int, int, int>(), py::arg("height"), py::arg("width"), py::arg("labels"))
        .def("add_gaussian", &PyDenseCrf::add_gaussian, py::arg("sx"), py::arg("sy"), py::arg("gain"),
             py::arg("normalization"))
        .def("add_bilateral", &PyDenseCrf::add_bilateral, py::arg("sx"), py::arg("sy"), py::arg("s0"),
             py::arg("s1"), py::arg("s2"), py::arg("image"), py::arg("gain"), py::arg("normalization"))
        .def("add_features", &PyDenseCrf::add_features, py::arg("features"), py::arg("gain"),
             py::arg("normalization"))
        .def("prepare", &PyDenseCrf::prepare, py::arg("threads"))
        .def("infer", &PyDenseCrf::infer, py::arg("unary"), py::arg("sign"), py::arg("iterations"),
             py::arg("threads"))
        .def("step", &PyDenseCrf::step, py::arg("unary"), py::arg("sign"), py::arg("q"), py::arg("threads"))
        .def("kl_divergence", &PyDenseCrf::kl_divergence, py::arg("unary"), py::arg("sign"), py::arg("q"),
             py::arg("threads"));
    m.def("refine", &refine, py::arg("images"), py::arg("unaries"), py::arg("iterations"), py::arg("bilateral_xy"),
          py::arg("color"), py::arg("gaussian_xy"), py::arg("threads"));
    m.def("instruction_set", [] { return std::string(vector_kernels().name); });
}
