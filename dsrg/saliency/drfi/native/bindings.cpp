// Python face: arrays are checked by name, nothing is cast, the GIL is released while the core runs.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "graph_segmentation.h"

namespace py = pybind11;

namespace {

using Level = std::pair<double, std::int64_t>;  // scale, min_size

py::array_t<std::int32_t> felzenszwalb(const py::array& image, const std::vector<Level>& levels) {
    if (!py::dtype::of<float>().equal(image.dtype()) || image.ndim() != 3 || !(image.flags() & py::array::c_style)) {
        throw py::value_error("image: expected a C-contiguous float32 array (height, width, channels), got " +
                              py::str(image.dtype()).cast<std::string>() + " of " + std::to_string(image.ndim()) +
                              " dimensions");
    }
    const py::ssize_t height = image.shape(0), width = image.shape(1), channels = image.shape(2);
    if (height < 1 || width < 1 || height > std::numeric_limits<std::int32_t>::max() / width) {
        throw py::value_error("image: expected 1 to 2^31 - 1 pixels, got " + std::to_string(height) + " x " +
                              std::to_string(width));
    }
    for (const Level& level : levels) {
        if (!(level.first >= 0) || !std::isfinite(level.first)) {
            throw py::value_error("scale: expected a finite number from 0, got " + std::to_string(level.first));
        }
    }
    const auto pixels = static_cast<std::size_t>(height * width);
    py::array_t<std::int32_t> regions({static_cast<py::ssize_t>(levels.size()), height, width});
    const auto* data = static_cast<const float*>(image.data());
    std::int32_t* out = regions.mutable_data();
    {
        py::gil_scoped_release release;
        const auto edges = graph_segmentation::sorted_edges(data, static_cast<std::int32_t>(height),
                                                            static_cast<std::int32_t>(width),
                                                            static_cast<std::int32_t>(channels));
        for (std::size_t n = 0; n < levels.size(); ++n) {
            graph_segmentation::segment(edges, pixels, levels[n].first, levels[n].second, out + n * pixels);
        }
    }
    return regions;
}

}  // namespace

PYBIND11_MODULE(graph_segmentation, module) {
    module.doc() = "Felzenszwalb and Huttenlocher's segmentation (IJCV 2004) of one image at several scales.";
    module.def("felzenszwalb", &felzenszwalb, py::arg("image"), py::arg("levels"),
               R"(Regions of each level, int32 (levels, height, width), numbered in order of first appearance.

image : (height, width, channels) float32, already smoothed; not finite values give no useful result.
levels : pairs (scale, min_size): the scale k in units of the image's values, the least region in pixels.)");
}
