#!/usr/bin/env bash
# The whole pipeline of one experiment: from photos with image-level labels to a trained, evaluated network.
#
#   bash run.sh                                   sets up and runs the demo on data it makes
#   DATA_ROOT=~/VOCdevkit/VOC2012 WEIGHTS=vgg16_20M_mc.caffemodel bash run.sh voc12-vgg16
#   bash run.sh demo --stages cues,train-s        only these stages (what they read must be there)
#   bash run.sh demo --ablation static            stage s with the changes of prototxts/ablations/static.yaml
#   bash run.sh demo --plan                       what would run, and why; nothing runs
#   bash run.sh demo --from train-f               begin with this stage; --force: though it is done
#
# A stage that is done is passed over; a run that was stopped goes on where it stopped. Everything a run reads and makes
# lies in work/<experiment>/ (work/<experiment>-seed<N>/ for a seed other than 0; an ablation in
# work/<experiment>-<ablation>/, with data, classifier and cues of the plain run, which is made first).
set -euo pipefail
{  # bash reads a script while it runs it; in braces it is read whole, so that editing it harms no run in progress

# ---- settings, each overridable from the environment -----------------------------------------------------------
EXPERIMENT=${EXPERIMENT:-demo}   # folder below prototxts/; the first argument overrides it
DATA_ROOT=${DATA_ROOT:-}         # photos in VOC layout (see README); the demo makes its own
WEIGHTS=${WEIGHTS:-}             # .caffemodel trained on ImageNet to start from; the demo starts from nothing
VGG_WEIGHTS=${VGG_WEIGHTS:-}     # voc12-resnet101: VGG16's .caffemodel, for the classifier of the cues
CUES=${CUES:-}                   # a finished cue file (.pickle or .npz) instead of the stages cam and cues
INPUT_LIST=${INPUT_LIST:-}       # the list "<photo> <number>" that came with CUES, whose numbers are its keys
MASKS=${MASKS:-SegmentationClass}  # folder of DATA_ROOT with the true masks (with SBD: SegmentationClassAug)
ENGINE=${ENGINE:-auto}           # auto | embedded | caffe (real Caffe)
CRF_BACKEND=${CRF_BACKEND:-own}   # own (CRF/) | pydensecrf (for comparison)
CAFFE_ROOT=${CAFFE_ROOT:-}       # where real Caffe was built (CAFFE_ROOT/python is used)
DEVICE=${DEVICE:-cpu}            # cpu, a GPU number, or several with commas: trainings use all of them, 0,1
PRECISION=${PRECISION:-auto}     # auto (bf16 where the device has it, else fp32) | fp32 | tf32 | bf16
SEED=${SEED:-0}                  # seed of fillers, order, mirroring and dropout
MAX_ITER=${MAX_ITER:-}           # end every training after so many iterations (to try things out)
BATCH=${BATCH:-}                 # photos an iteration instead of the experiment's (to try things out)
SNAPSHOT_KEEP=${SNAPSHOT_KEEP:-} # keep so many of a training's newest snapshots; default: all
TENSORBOARD=${TENSORBOARD:-0}    # 1: trainings write curves and pictures for TensorBoard (tensorboard --logdir work)
SKIP_BAD=${SKIP_BAD:-0}          # 1 leaves photos with faults out of the run, instead of stopping at them (--skip-bad)
ALLOW_MODULES=${ALLOW_MODULES:-} # Python modules with layers that nets may name besides the project's (see SECURITY.md)
ALLOW_OUTPUT=${ALLOW_OUTPUT:-}   # folders, with colons between, that nets may write to outside the run (HDF5Output)
WORK=${WORK:-work}               # runs are made below this folder
STAGES=${STAGES:-}               # comma-separated stages; default: all of the experiment
ABLATION=${ABLATION:-}           # name of a file in prototxts/ablations; --ablation overrides it

called_as="bash $(printf %q "${BASH_SOURCE[0]}")"
cd "$(dirname "${BASH_SOURCE[0]}")"
usage() {
  # the head of this file, as far as it is comment, then the settings
  sed -n '2,/^set -/p' run.sh | sed -n 's/^# \{0,1\}//p'
  echo; echo "Experiments: $(for f in prototxts/*/settings.yaml; do basename "$(dirname "$f")"; done | paste -sd' ')"
  echo "Stages: data check lists cam cues static train-s label train-f full segment evaluate report"
  echo "Ablations: $(for f in prototxts/ablations/*.yaml; do basename "$f" .yaml; done | paste -sd' ')"
  echo "Settings (environment):"
  sed -n 's/^\([A-Z_]*\)=\${[A-Z_]*:-\([^}]*\)} *# \(.*\)/  \1 (\2): \3/p' run.sh
}
for word in "$@"; do case "$word" in -h|--help) usage; exit 0 ;; esac; done

export EXPERIMENT DATA_ROOT WEIGHTS VGG_WEIGHTS CUES INPUT_LIST MASKS ENGINE CRF_BACKEND CAFFE_ROOT DEVICE PRECISION SEED \
  MAX_ITER BATCH SNAPSHOT_KEEP SKIP_BAD TENSORBOARD ALLOW_MODULES ALLOW_OUTPUT WORK STAGES ABLATION
bash setup.sh
export PYTHONPATH=$PWD
exec .venv/bin/python -m tools.run --called-as="$called_as" "$@"
}
