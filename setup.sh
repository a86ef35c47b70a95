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
#
# LOCKED=1 bash setup.sh takes the files whose hashes stand in requirements.lock and requirements-torch-cpu.lock and no
# others (Linux on x86_64, CPython 3.11, torch's build for CPUs), from an index or, with PIP_NO_INDEX and PIP_FIND_LINKS,
# from a folder.
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
locks=(requirements.lock); [ "${ENGINE:-auto}" = caffe ] || locks+=(requirements-torch-cpu.lock)
wanted() { requirements; if [ -n "${LOCKED:-}" ]; then cat "${locks[@]}"; fi; }
requirements_hash=$(stamp_of wanted)
# pip is the last thing that making a venv installs: where it does not answer, there is none or half of one
fresh=; .venv/bin/python -m pip --version > /dev/null 2>&1 || fresh=1
have() { [ -z "$fresh" ] && [ -f ".venv/$1" ] && [ "$(cat ".venv/$1")" = "$2" ]; }
done_with() { echo "$2" > ".venv/$1.new" && mv ".venv/$1.new" ".venv/$1"; }

stamp=requirements$set.sha256
builds=(CRF crf.sha256  CRF/pydensecrf_compat pydensecrf_compat.sha256  dsrg/saliency/drfi/native segmentation.sha256)
# the name pydensecrf is found last: an installed pydensecrf hides it
hash_of() { sources "$1" | xargs -0 sha256sum | sha256sum | cut -d' ' -f1; }
to_build=()
for ((k = 0; k < ${#builds[@]}; k += 2)); do
  have "${builds[k + 1]}" "$(hash_of "${builds[k]}")" || to_build+=("${builds[@]:k:2}")
done
fail() { echo "error: $1" >&2; exit 1; }

# ---- what the machine must have, before anything is installed ---------------------------------------------------------
if [ -n "$fresh" ]; then
  command -v "$PYTHON" > /dev/null || fail "no $PYTHON; install Python 3.11 or newer, or set PYTHON"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$PYTHON is $("$PYTHON" -V 2>&1), this project needs Python 3.11 or newer; set PYTHON"
  "$PYTHON" -c 'import ensurepip, venv' 2> /dev/null ||
    fail "$PYTHON has no venv; on Debian: apt-get install python3-venv"
fi
if [ ${#to_build[@]} -gt 0 ]; then
  cxx=${CXX:-$(command -v c++ || command -v g++ || true)}
  [ -n "$cxx" ] || fail "${to_build[0]}/ needs a C++17 compiler; on Debian: apt-get install g++"
  echo '#include <optional>' | $cxx -std=c++17 -fsyntax-only -x c++ - 2> /dev/null ||
    fail "$cxx compiles no C++17, which ${to_build[0]}/ needs; install GCC 9 or newer, or set CXX"
fi
if ! have "$stamp" "$requirements_hash"; then
  needed=$((fresh ? 3 : 1))  # GB: 2.3 with torch's build for CPUs; the one for CUDA takes several more
  free=$(df -Pk . | awk 'NR == 2 {print int($4 / 1000000)}')
  [ "$free" -ge "$needed" ] ||
    fail "$free GB are free in $PWD, the packages need $needed; free space, or move the project to a larger disk"
fi

# ---- install -----------------------------------------------------------------------------------------------------------
if [ -n "$fresh" ]; then
  echo "setup: making .venv with $("$PYTHON" -V)"
  rm -rf .venv
  "$PYTHON" -m venv .venv || fail "'$PYTHON -m venv' failed; on Debian install python3-venv"
  fresh=
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check -q "$@"; }

if ! have "$stamp" "$requirements_hash"; then
  if [ -n "${LOCKED:-}" ]; then
    echo "setup: installing ${locks[*]}"
    pip install --require-hashes --only-binary=:all: "${locks[@]/#/-r}"
    [ ${#files[@]} -eq 1 ] || echo "note: by version, not by hash: ${files[*]:1}"
  fi
  if [ -z "${LOCKED:-}" ] || [ ${#files[@]} -gt 1 ]; then
    echo "setup: installing ${files[*]}"
    requirements > .venv/requirements.new
    pip install -r .venv/requirements.new
  fi
  done_with "$stamp" "$requirements_hash"
fi
for ((k = 0; k < ${#to_build[@]}; k += 2)); do
  echo "setup: building ${to_build[k]}/"
  pip install --force-reinstall --no-deps "./${to_build[k]}"
  done_with "${to_build[k + 1]}" "$(hash_of "${to_build[k]}")"
done
# `import caffe` finds the engine in this environment from any folder, behind a real pycaffe; an environment that is
# linked here belongs to another folder, whose engine it keeps
site=$(echo .venv/lib/python3.*/site-packages)
if [ -d "$site" ] && [ ! -L .venv ] && [ "${ENGINE:-auto}" != caffe ]; then
  echo "$PWD/engine" > "$site/embedded_engine.pth"
fi
case "$set" in
  *--dev) have peer "$PEER" || { pip install --no-deps --upgrade --target .venv/peers "$PEER"; done_with peer "$PEER"; } ;;
esac
