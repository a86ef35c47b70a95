// Python faces of the core. Arrays are checked here by name; whoever converts dtypes does so in Python, so nothing
// is cast or copied behind the caller's back. The GIL is released while the core runs.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <memory>
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
    return const_cast<T*>(static_cast<const T*>(array.data()));
}

int require_threads(int threads) {
    if (threads < 1) throw py::value_error("threads: expected at least 1, got " + std::to_string(threads));
    return threads;
}

float require_sign(float sign) {
    if (sign != 1 && sign != -1) throw py::value_error("sign: expected 1 or -1, got " + std::to_string(sign));
    return sign;
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

    void add_gaussian(float sx, float sy, const py::array& gain, int normalization) {
        crf_.add_gaussian(sx, sy, make_gain(gain), static_cast<Normalization>(normalization));
    }
    void add_bilateral(float sx, float sy, float s0, float s1, float s2, const py::array& image,
                       const py::array& gain, int normalization) {
        const float colors[3] = {s0, s1, s2};
        const auto* data = require<std::uint8_t>(image, "rgbim", {crf_.height(), crf_.width(), 3}, "uint8");
        crf_.add_bilateral(sx, sy, colors, data, make_gain(gain), static_cast<Normalization>(normalization));
    }
    void add_features(const py::array& features, const py::array& gain, int normalization) {
        const float* data = require<float>(features, "features", {-1, variables()}, "float32");
        crf_.add_features(static_cast<int>(features.shape(0)), data, make_gain(gain),
                          static_cast<Normalization>(normalization));
    }
    void prepare(int threads) {
        require_threads(threads);
        py::gil_scoped_release release;
        crf_.prepare(threads);
    }
    py::array_t<float> infer(const py::array& unary, float sign, int iterations, int threads) {
        const float* u = require<float>(unary, "unary", {variables(), crf_.labels()}, "float32");
        require_sign(sign);
        require_threads(threads);
        py::array_t<float> q = new_array({variables(), static_cast<py::ssize_t>(crf_.labels())});
        float* out = q.mutable_data();
        {
            py::gil_scoped_release release;
            require_finite(u, static_cast<std::size_t>(unary.size()), crf_.labels(), "unary");
            Workspace workspace;
            crf_.infer(u, sign, iterations, out, threads, workspace);
        }
        return q;
    }
    void step(const py::array& unary, float sign, const py::array& q, int threads) {
        const float* u = require<float>(unary, "unary", {variables(), crf_.labels()}, "float32");
        float* values = require<float>(q, "Q", {variables(), crf_.labels()}, "float32");
        if (!q.writeable()) throw py::value_error("Q: expected a writeable array");
        require_sign(sign);
        require_threads(threads);
        py::gil_scoped_release release;
        Workspace workspace;
        crf_.step(u, sign, values, values, threads, workspace);
    }
    double kl_divergence(const py::array& unary, float sign, const py::array& q, int threads) {
        const float* u = require<float>(unary, "unary", {variables(), crf_.labels()}, "float32");
        const float* values = require<float>(q, "Q", {variables(), crf_.labels()}, "float32");
        require_sign(sign);
        require_threads(threads);
        py::gil_scoped_release release;
        Workspace workspace;
        return crf_.kl_divergence(u, sign, values, threads, workspace);
    }

  private:
    py::ssize_t variables() const { return static_cast<py::ssize_t>(crf_.variables()); }
    DenseCrf crf_;
};

py::array_t<float> refine(const py::array& images, const py::array& unaries, int iterations, float bilateral_xy,
                          float color, float gaussian_xy, int threads) {
    const auto* image = require<std::uint8_t>(images, "images", {-1, -1, -1, 3}, "uint8");
    const py::ssize_t n = images.shape(0), h = images.shape(1), w = images.shape(2);
    const float* u = require<float>(unaries, "unaries", {n, h, w, -1}, "float32");
    require_threads(threads);
    RefineParams params;
    params.iterations = iterations;
    params.bilateral_xy = bilateral_xy;
    for (float& c : params.bilateral_color) c = color;
    params.gaussian_xy = gaussian_xy;
    const py::ssize_t labels = unaries.shape(3);
    py::array_t<float> q = new_array({n, h, w, labels});
    float* out = q.mutable_data();
    {
        py::gil_scoped_release release;
        refine_batch(params, static_cast<int>(n), static_cast<int>(h), static_cast<int>(w),
                     static_cast<int>(labels), image, u, out, threads);
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
