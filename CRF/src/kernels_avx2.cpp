#include "simd_avx2.h"

#define DENSE_CRF_ISA avx2
#include "kernels_impl.h"
