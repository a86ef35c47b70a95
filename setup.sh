#!/usr/bin/env bash
# Makes .venv from the pinned requirements and builds and installs CRF/, CRF/pydensecrf_compat/ and
# dsrg/saliency/drfi/native/. Does nothing when nothing has changed.
#
#   bash setup.sh          what running needs
#   bash setup.sh --dev    and what the tests and benchmarks need
#
# PYTHON=python3.12 bash setup.sh chooses the interpreter (3.11 or newer, default python3). With real Caffe (ENGINE=caffe,
# or CAFFE_ROOT set) what pycaffe imports is added, and PYTHON must be the Python that pycaffe was built for; with
# ENGINE=caffe torch is left out, which only the embedded engine needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

PYTHON=${PYTHON:-python3}
files=(requirements.txt); set=
if [ "${ENGINE:-auto}" = caffe ]; then set=-caffe; elif [ -n "${CAFFE_ROOT:-}" ]; then set=-both; fi
[ -z "$set" ] || files+=(docker/requirements-caffe.txt)
case "${1:-}" in
  "") ;;
  --dev) files+=(requirements-dev.txt); set+=--dev ;;
  *) echo "error: setup.sh takes --dev or nothing, got '$1'" >&2; exit 2 ;;
esac

# The peer of the CRF's tests and benchmarks, in a folder of its own: as a package of .venv it would be found first by
# scripts that are to run on our CRF under its name.
PEER=pydensecrf2==1.1
sources() { find "$1" -type f \( -name '*.py' -o -name '*.pyi' -o -name '*.cpp' -o -name '*.h' -o -name '*.toml' \
                                     -o -name CMakeLists.txt \) -not -path '*/build/*' -print0 | LC_ALL=C sort -z; }
stamp_of() { { "$@"; } | sha256sum | cut -d' ' -f1; }
requirements() { if [ "${ENGINE:-auto}" = caffe ]; then cat "${files[@]}" | grep -v '^torch=='; else cat "${files[@]}"; fi; }
requirements_hash=$(stamp_of requirements)
have() { [ -f ".venv/$1" ] && [ "$(cat ".venv/$1")" = "$2" ]; }
done_with() { echo "$2" > ".venv/$1.new" && mv ".venv/$1.new" ".venv/$1"; }

# pip is the last thing that making a venv installs: where it does not answer, there is none or half of one
if ! .venv/bin/python -m pip --version > /dev/null 2>&1; then
  command -v "$PYTHON" > /dev/null || { echo "error: no $PYTHON; install Python 3.11 or newer, or set PYTHON" >&2; exit 1; }
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: $PYTHON is $("$PYTHON" -V 2>&1), this project needs Python 3.11 or newer; set PYTHON" >&2; exit 1; }
  echo "setup: making .venv with $("$PYTHON" -V)"
  rm -rf .venv
  "$PYTHON" -m venv .venv || { echo "error: '$PYTHON -m venv' failed; on Debian install python3-venv" >&2; exit 1; }
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check -q "$@"; }

stamp=requirements$set.sha256
if ! have "$stamp" "$requirements_hash"; then
  echo "setup: installing ${files[*]}"
  requirements > .venv/requirements.new
  pip install -r .venv/requirements.new
  done_with "$stamp" "$requirements_hash"
fi
build() {  # folder, stamp
  local hash
  hash=$(sources "$1" | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
  have "$2" "$hash" && return
  command -v c++ > /dev/null || command -v g++ > /dev/null ||
    { echo "error: $1/ needs a C++17 compiler; on Debian: apt-get install g++" >&2; exit 1; }
  echo "setup: building $1/"
  pip install --force-reinstall --no-deps "./$1"
  done_with "$2" "$hash"
}
build CRF crf.sha256
build CRF/pydensecrf_compat pydensecrf_compat.sha256  # the name pydensecrf, found last: an installed pydensecrf hides it
build dsrg/saliency/drfi/native segmentation.sha256
# `import caffe` finds the engine in this environment from any folder, behind a real pycaffe
site=$(echo .venv/lib/python3.*/site-packages)
if [ -d "$site" ] && [ "${ENGINE:-auto}" != caffe ]; then echo "$PWD/engine" > "$site/embedded_engine.pth"; fi
case "$set" in
  *--dev) have peer "$PEER" || { pip install --no-deps --upgrade --target .venv/peers "$PEER"; done_with peer "$PEER"; } ;;
esac
