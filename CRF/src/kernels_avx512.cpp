#include "simd_avx512.h"

#define DENSE_CRF_ISA avx512
#include "kernels_impl.h"
