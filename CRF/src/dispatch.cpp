#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "dense_crf/vector_kernels.h"

namespace dense_crf {
namespace {

std::vector<const VectorKernels*> available() {  // best first
    std::vector<const VectorKernels*> found;
#ifdef DENSE_CRF_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        found.push_back(&avx512::kernels());
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&avx2::kernels());
#endif
    found.push_back(&portable::kernels());
    return found;
}

const VectorKernels& choose() {
    const std::vector<const VectorKernels*> found = available();
    const char* wanted = std::getenv("CRF_ISA");
    if (wanted == nullptr || *wanted == '\0') return *found.front();
    std::string names;
    for (const VectorKernels* kernels : found) {
        if (std::string(kernels->name) == wanted) return *kernels;
        names += std::string(names.empty() ? "" : ", ") + kernels->name;
    }
    throw std::invalid_argument("CRF_ISA: expected one of " + names + " on this machine, got '" + wanted + "'");
}

}  // namespace

const VectorKernels& vector_kernels() {
    static const VectorKernels& chosen = choose();
    return chosen;
}

RowShape row_shape(int labels, const VectorKernels& kernels) {
    RowShape shape{labels, labels / kernels.lanes, 0, kernels.lanes, 0};
    const int left = labels % kernels.lanes;
    shape.tail = kernels.half_tail && left > 0 && left <= kernels.lanes / 2 ? 1 : 0;
    shape.full += left > 0 && shape.tail == 0 ? 1 : 0;
    shape.stride = shape.planes() * kernels.lanes;
    return shape;
}

}  // namespace dense_crf
