#include "simd_portable.h"

#define DENSE_CRF_ISA portable
#include "kernels_impl.h"
