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

# ---- variables, each overridable from the environment; `run.sh --help` shows these lines -------------------------
# what runs
EXPERIMENT=${EXPERIMENT:-demo}   # folder below prototxts/; the first argument overrides it
STAGES=${STAGES:-}               # comma-separated stages; --stages overrides it
ABLATION=${ABLATION:-}           # name of a file in prototxts/ablations; --ablation overrides it
WORK=${WORK:-work}               # runs are made below this folder
LIVE_PAGE=${LIVE_PAGE:-1}        # 0: the page is made by the stage report alone, not after every stage
# data and weights
DATA_ROOT=${DATA_ROOT:-}         # photos in VOC layout (see README); the demo makes its own
WEIGHTS=${WEIGHTS:-}             # .caffemodel trained on ImageNet to start from; the demo starts from nothing
VGG_WEIGHTS=${VGG_WEIGHTS:-}     # voc12-resnet101: VGG16's .caffemodel, for the classifier of the cues
CUES=${CUES:-}                   # a finished cue file (.pickle or .npz) instead of the stages cam and cues
INPUT_LIST=${INPUT_LIST:-}       # the list "<photo> <number>" that came with CUES, whose numbers are its keys
MASKS=${MASKS:-SegmentationClass}  # folder of DATA_ROOT with the true masks (with SBD: SegmentationClassAug)
SKIP_BAD=${SKIP_BAD:-}           # 1 leaves photos with faults out of the run, instead of stopping at them (--skip-bad)
# training
SEED=${SEED:-0}                  # seed of fillers, order, mirroring and dropout
MAX_ITER=${MAX_ITER:-}           # end every training after so many iterations (to try things out)
BATCH=${BATCH:-}                 # photos an iteration instead of the experiment's (to try things out)
SNAPSHOT_KEEP=${SNAPSHOT_KEEP:-} # keep so many of a training's newest snapshots; default: all
TENSORBOARD=${TENSORBOARD:-}     # 1: trainings write curves and pictures for TensorBoard (tensorboard --logdir work)
# machine
DEVICE=${DEVICE:-cpu}            # cpu, a GPU number, or several with commas, 0,1: all are used
NPROC=${NPROC:-}                 # processes that share the photos of cues, label, segment, evaluate; default: one a device
PRECISION=${PRECISION:-auto}     # auto (bf16 where the device has it, else fp32) | fp32 | tf32 | bf16
ENGINE=${ENGINE:-auto}           # auto | embedded | caffe (real Caffe)
CAFFE_ROOT=${CAFFE_ROOT:-}       # where real Caffe was built (CAFFE_ROOT/python is used)
CRF_BACKEND=${CRF_BACKEND:-own}  # own (CRF/) | pydensecrf (for comparison)
# nets of strangers
ALLOW_MODULES=${ALLOW_MODULES:-} # Python modules with layers that nets may name besides the project's (see SECURITY.md)
ALLOW_OUTPUT=${ALLOW_OUTPUT:-}   # folders, with colons between, that prototxts may write to outside the run
# ------------------------------------------------------------------------------------------------------------------

called_as="bash $(printf %q "${BASH_SOURCE[0]}")"
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  echo "usage: [VARIABLE=value ..] bash run.sh [EXPERIMENT] [option ..]"; echo
  sed -n '2,/^set -/p' run.sh | sed -n 's/^# \{0,1\}//p'     # the head of this file, as far as it is comment
  cat <<'TEXT'

Options
  --stages A,B     only these stages, or groups of them such as segment (also --only)
  --from STAGE     begin with this stage
  --ablation NAME  change layers as prototxts/ablations/NAME.yaml says
  --plan           say what would run and why, and run nothing
  --force          run these stages though they are done; earlier results are moved to stale/
  --keep-edits     run with prototxts edited in the run's folder
  --adopt          run nothing, and take the results that are there for what they would be made from now
  --skip-bad       leave photos with faults out of the run, instead of stopping at them
  --quiet          print results, warnings and errors alone
  --traceback      print the traceback of whatever ends the run
  -h, --help       this text

Stages, in their order
  data             the demo's photos, drawn (other experiments: DATA_ROOT)
  check            the data set read whole; a run stops at faults, or leaves the photos out (--skip-bad)
  lists            ids, image labels and numbers of the photos
  cam              training of the classifier that finds where classes are; cam-quality: how well it knows them
  cues             localisation cues from its class maps and the saliency
  static           stage s with seeds that do not grow: the baseline
  train-s          stage s: region growing while the network trains
  label            pseudo-labels of the train photos by stage s
  train-f          stage f: the network trained again on the pseudo-labels
  full             the same net on true masks: the reference
  segment          label maps of the val photos by each network (segment-static, segment-s, segment-f, segment-full)
  calibrate        what makes stage f's probabilities mean what they say, fitted on train photos kept apart from it
  evaluate         IoU of cues, pseudo-labels and label maps against true masks (evaluate-cues, evaluate-labels,
                   evaluate-static, evaluate-s, evaluate-f, evaluate-full)
  report           report.html, the page of the run, and its table
TEXT
  echo; echo "Experiments (prototxts/README.md says how to make your own)"
  for file in prototxts/*/settings.yaml; do
    says=$(sed -n '1s/^# [^:]*: \(.*\)\. The prototxts.*/\1/p' "$file")
    printf '%s\t%s\n' "$(basename "$(dirname "$file")")" "$says"
  done | columns 20
  echo; echo "Ablations"
  for file in prototxts/ablations/*.yaml; do
    printf '%s\t%s\n' "$(basename "$file" .yaml)" "$(sed -n 's/^says: //p' "$file")"
  done | columns 20
  echo; echo "Variables [default], given before the command or exported: SEED=1 bash run.sh demo"
  sed -n '/^# ---- variables/,/^# -----*$/p' run.sh |
    sed -n 's/^# \([a-z].*\)/  \1:/p; s/^\([A-Z_]*\)=\${[A-Z_]*:-\([^}]*\)} *# \(.*\)/\1 [\2]\t\3/p' |
    sed 's/ \[\]\t/\t/; /\t/s/^/  /' | columns 28
}
columns() { awk -F '\t' -v width="$1" 'NF == 1 {print; next} {printf "  %-" width "s %s\n", $1, $2}'; }
for word in "$@"; do case "$word" in -h|--help) usage; exit 0 ;; esac; done

export EXPERIMENT DATA_ROOT WEIGHTS VGG_WEIGHTS CUES INPUT_LIST MASKS ENGINE CRF_BACKEND CAFFE_ROOT DEVICE PRECISION SEED \
  MAX_ITER BATCH SNAPSHOT_KEEP SKIP_BAD NPROC TENSORBOARD LIVE_PAGE ALLOW_MODULES ALLOW_OUTPUT WORK STAGES ABLATION
bash setup.sh
export PYTHONPATH=$PWD
exec .venv/bin/python -m tools.run --called-as="$called_as" "$@"
}
