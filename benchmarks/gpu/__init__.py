"""The steps of benchmarks/gpu.sh: correctness and speed on a CUDA device."""
