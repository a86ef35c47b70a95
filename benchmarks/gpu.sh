#!/usr/bin/env bash
# Proves and times the project on a CUDA machine in one go, within ten minutes: goldens on the device, tests marked gpu,
# training steps of the paper's nets, photos a second, the demo. Prints one table and leaves one JSON.
#
#   bash benchmarks/gpu.sh                    on device 0, results in work/gpu
#   DEVICE=cpu QUICK=1 bash benchmarks/gpu.sh the same steps in miniature on a machine without a GPU
#
# Variables: PYTHON (python3; 3.11 or newer with torch 2.11 or newer), DEVICE (0), OUT (work/gpu), WHEELS (a folder of
# wheels for a machine without a network: those of benchmarks/gpu/requirements.txt), BUDGET (540 seconds in all),
# QUICK (1: small nets and few steps), DSRG_SHARED (measured runs of real Caffe; what needs them is skipped without).
# No network is used. A step that fails or takes too long is noted, and the next one runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python3} OUT=${OUT:-work/gpu} BUDGET=${BUDGET:-540}
started=$(date +%s)
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
site=$OUT/site
pip() { "$PYTHON" -m pip --disable-pip-version-check -q "$@"; }
if [ -n "${WHEELS:-}" ]; then
  pip install --no-index --no-deps --no-compile --upgrade --target "$site" "$WHEELS"/*.whl ||
    echo "gpu.sh: the wheels of $WHEELS were not installed; what needs them will fail" >&2
fi
export PYTHONPATH="$site:$site/CRF:$site/native:$PWD/engine:$PWD/training:$PWD" PYTHONDONTWRITEBYTECODE=1
exec "$PYTHON" -m benchmarks.gpu --out "$OUT" --device "${DEVICE:-0}" --seconds $((BUDGET - ($(date +%s) - started))) \
  ${QUICK:+--quick}
