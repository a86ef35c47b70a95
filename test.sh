#!/usr/bin/env bash
# Sets up and runs every test; arguments go to pytest (bash test.sh tests/training -k growing).
# Tests that need the material beside the project find it through DSRG_SHARED (default ../shared) and skip without it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# The tests are of the engine, whatever this machine trains on; the one that compares it with real Caffe asks for that itself.
export ENGINE=auto
bash setup.sh --dev
# "Not applicable here" must not hide a broken environment: a missing package is an error, not a skip.
.venv/bin/python -c 'import krahenbuhl2013, densecrf, graph_segmentation, sklearn, torch, cv2'
.venv/bin/python -m ruff check .
# The whole suite on all cores, a file of tests on one of them; what is asked for by arguments runs as they say.
[ $# -gt 0 ] || set -- --numprocesses auto --dist loadfile
exec .venv/bin/python -m pytest "$@"
