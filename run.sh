#!/usr/bin/env bash
# The whole pipeline of one experiment: from photos with image-level labels to a trained, evaluated network.
#
#   bash run.sh                                   sets up and runs the demo on data it makes
#   DATA_ROOT=~/VOCdevkit/VOC2012 WEIGHTS=vgg16_20M_mc.caffemodel bash run.sh voc12-vgg16
#   bash run.sh demo --stages cues,train-s        only these stages (what they read must be there)
#   bash run.sh demo --ablation static            stage s with the changes of prototxts/ablations/static.yaml
#
# A stage that is done is skipped; a run that was cut off goes on where it stopped. Everything a run reads and makes
# lies in work/<experiment>/ (work/<experiment>-seed<N>/ for a seed other than 0; an ablation in
# work/<experiment>-<ablation>/, with data, classifier and cues of the plain run, which is made first).
set -euo pipefail
{  # bash reads a script while it runs it; in braces it is read whole, so that editing it harms no run in progress

# ---- settings, each overridable from the environment -----------------------------------------------------------
EXPERIMENT=${EXPERIMENT:-demo}   # folder below prototxts/; the first argument overrides it
DATA_ROOT=${DATA_ROOT:-}         # photos in VOC layout (see README); the demo makes its own
WEIGHTS=${WEIGHTS:-}             # .caffemodel trained on ImageNet to start from; the demo starts from nothing
CUES=${CUES:-}                   # a finished cue file (.pickle or .npz) instead of the stages cam and cues
INPUT_LIST=${INPUT_LIST:-}       # the list "<photo> <number>" that came with CUES, whose numbers are its keys
MASKS=${MASKS:-SegmentationClass}  # folder of DATA_ROOT with the true masks (with SBD: SegmentationClassAug)
ENGINE=${ENGINE:-auto}           # auto | embedded | caffe (real Caffe)
CAFFE_ROOT=${CAFFE_ROOT:-}       # where real Caffe was built (CAFFE_ROOT/python is used)
DEVICE=${DEVICE:-cpu}            # cpu, a GPU number, or several with commas: trainings use all of them, 0,1
PRECISION=${PRECISION:-auto}     # auto (bf16 where the device has it, else fp32) | fp32 | tf32 | bf16
SEED=${SEED:-0}                  # seed of fillers, order, mirroring and dropout
MAX_ITER=${MAX_ITER:-}           # end every training after so many iterations (to try things out)
BATCH=${BATCH:-}                 # photos an iteration instead of the experiment's (to try things out)
WORK=${WORK:-work}               # runs are made below this folder
STAGES=${STAGES:-}               # comma-separated stages; default: all of the experiment
ABLATION=${ABLATION:-}           # name of a file in prototxts/ablations; --ablation overrides it

cd "$(dirname "${BASH_SOURCE[0]}")"
ROOT=$PWD
ALL_STAGES=(data lists cam cues static train-s label train-f full segment evaluate report)
fail() { echo "error: $*" >&2; exit 1; }
usage_error() { echo "error: $*" >&2; exit 2; }
ablations() { for f in prototxts/ablations/*.yaml; do basename "$f" .yaml; done | paste -sd' '; }
experiments() { for f in prototxts/*/settings.sh; do basename "$(dirname "$f")"; done | paste -sd' '; }
usage() {
  # the head of this file, as far as it is comment, then the settings
  sed -n '2,/^set -/p' run.sh | sed -n 's/^# \{0,1\}//p'
  echo; echo "Experiments: $(experiments)"
  echo "Stages: ${ALL_STAGES[*]}"
  echo "Ablations: $(ablations)"
  echo "Settings (environment):"
  sed -n 's/^\([A-Z_]*\)=\${[A-Z_]*:-\([^}]*\)} *# \(.*\)/  \1 (\2): \3/p' run.sh
}

experiment_given=
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --stages) [ $# -ge 2 ] || usage_error "--stages needs a list, e.g. --stages cues,train-s"; STAGES=$2; shift ;;
    --stages=*) STAGES=${1#*=} ;;
    --ablation) [ $# -ge 2 ] || usage_error "--ablation needs a name, one of: $(ablations)"; ABLATION=$2; shift ;;
    --ablation=*) ABLATION=${1#*=} ;;
    -*) usage_error "unknown option '$1'; see bash run.sh --help" ;;
    *) [ -z "$experiment_given" ] || usage_error "one experiment at a time, got '$experiment_given' and '$1'"
       EXPERIMENT=$1; experiment_given=$1 ;;
  esac
  shift
done
[ -f "prototxts/$EXPERIMENT/settings.sh" ] ||
  usage_error "unknown experiment '$EXPERIMENT'; expected one of: $(experiments)"
[ -z "$ABLATION" ] || [ -f "prototxts/ablations/$ABLATION.yaml" ] ||
  usage_error "unknown ablation '$ABLATION'; expected one of: $(ablations)"
[[ "$SEED" =~ ^[0-9]+$ ]] || usage_error "SEED=$SEED: expected a whole number, 0 or more"
[[ "$MAX_ITER" =~ ^[0-9]*$ ]] || usage_error "MAX_ITER=$MAX_ITER: expected a whole number"
[[ "$BATCH" =~ ^([1-9][0-9]*)?$ ]] || usage_error "BATCH=$BATCH: expected a whole number, 1 or more"
[[ "$ENGINE" =~ ^(auto|embedded|caffe)$ ]] || usage_error "ENGINE=$ENGINE: expected auto, embedded or caffe"
for s in ${STAGES//,/ }; do
  [[ " ${ALL_STAGES[*]} " == *" $s "* ]] || usage_error "unknown stage '$s'; expected some of: ${ALL_STAGES[*]}"
done

# ---- what the experiment says ----------------------------------------------------------------------------------
MAKE_DATA=            # command that makes the data set below $DATA_DIR, for experiments that bring their own
SKIP_STAGES=          # stages this experiment leaves out unless --stages names them
NEEDS_WEIGHTS=        # non-empty: WEIGHTS must be given
CAM_WEIGHTS=$WEIGHTS  # where the classifier starts
S_WEIGHTS=$WEIGHTS    # where stage s (and static) starts; 'cam' = from the classifier
F_WEIGHTS=s           # where stage f starts; 's' = from stage s
FULL_WEIGHTS=         # where the fully supervised reference starts ('cam', 's' or a file); default: as stage s
STATIC_SET="update-seed.grow=false"  # what makes stage s the static-seeds baseline
CUE_FILE=cues/localization_cues.pickle  # where train-s looks for the cues
CUE_ARGS= SEGMENT_S_ARGS= LABEL_ARGS= SEGMENT_F_ARGS=
# shellcheck disable=SC1090
. "prototxts/$EXPERIMENT/settings.sh"

absolute() { case "$1" in ""|/*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
DATA_ROOT=$(absolute "$DATA_ROOT"); WEIGHTS=$(absolute "$WEIGHTS"); CUES=$(absolute "$CUES"); WORK=$(absolute "$WORK")
INPUT_LIST=$(absolute "$INPUT_LIST")
for v in CAM_WEIGHTS S_WEIGHTS F_WEIGHTS FULL_WEIGHTS; do [ -f "${!v}" ] && printf -v "$v" %s "$(absolute "${!v}")"; done
if [ -z "$MAKE_DATA" ]; then
  [ -n "$DATA_ROOT" ] || usage_error "experiment $EXPERIMENT needs DATA_ROOT, a folder in VOC layout (JPEGImages/, ImageSets/, ...)"
fi
if [ -n "$DATA_ROOT" ]; then
  [ -d "$DATA_ROOT" ] || fail "DATA_ROOT=$DATA_ROOT: no such folder"
  [ -d "$DATA_ROOT/JPEGImages" ] || fail "DATA_ROOT=$DATA_ROOT has no folder JPEGImages; expected VOC layout (see README, Data)"
fi
[ -z "$NEEDS_WEIGHTS" ] || [ -n "$WEIGHTS" ] || usage_error "experiment $EXPERIMENT needs WEIGHTS, $NEEDS_WEIGHTS"
[ -z "$WEIGHTS" ] || [ -f "$WEIGHTS" ] || fail "WEIGHTS=$WEIGHTS: no such file"
[ -z "$CUES" ] || [ -f "$CUES" ] || fail "CUES=$CUES: no such file"
[ -z "$INPUT_LIST" ] || [ -f "$INPUT_LIST" ] || fail "INPUT_LIST=$INPUT_LIST: no such file"

# ---- set-up ----------------------------------------------------------------------------------------------------
ENGINE=$ENGINE bash setup.sh
PATH=$ROOT/.venv/bin:$PATH
export PYTHONPATH=$ROOT ENGINE CAFFE_ROOT GLOG_minloglevel=${GLOG_minloglevel:-2}
# glibc hands big blocks back to the kernel after each use and gets them back zeroed, page by page: a tenth of a
# training step on the CPU. Keep them instead.
export MALLOC_MMAP_MAX_=${MALLOC_MMAP_MAX_:-0} MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-2147483647}
suffix=; [ "$SEED" = 0 ] || suffix=-seed$SEED
BASE=$WORK/$EXPERIMENT$suffix RUN=$WORK/$EXPERIMENT${ABLATION:+-$ABLATION}$suffix
mkdir -p "$RUN"/{models,logs,results,stamps,cues}
cp "prototxts/$EXPERIMENT"/*.prototxt "$RUN"
if [ -n "$ABLATION" ]; then
  python -m tools.ablate "prototxts/ablations/$ABLATION.yaml" "$RUN"  # first: it may not fit this experiment
  ABLATION='' STAGES=data,lists,cam,cues bash run.sh "$EXPERIMENT"
  DATA_ROOT=$(cd -P "$BASE/data" && pwd) CUES=$BASE/$CUE_FILE
  SKIP_STAGES+=" static label train-f full"  # an ablation is of stage s, unless --stages asks for more
fi
[ -z "$BATCH" ] || python -m tools.set_batch "$BATCH" "$RUN"
cd "$RUN"
if [ -n "$DATA_ROOT" ]; then ln -sfn "$DATA_ROOT" data; elif [ -n "$MAKE_DATA" ]; then ln -sfn made-data data; fi
ln -sfn "data/$MASKS" masks

selected() {
  if [ -n "$STAGES" ]; then [[ ",$STAGES," == *",$1,"* ]]; else [[ " $SKIP_STAGES " != *" $1 "* ]]; fi
}
# stage NAME --reads .. --makes .. -- COMMAND: runs it once (tools/stage.py)
stage() { python -m tools.stage "$@"; }
train() { # train STAGE SOLVER WEIGHTS [ARG..]: one training, resumed from its newest snapshot
  local name=$1 solver=$2 weights=$3; shift 3
  local reads=(solver-"$solver".prototxt train-"$solver".prototxt lists)
  [ -f "train-$solver.prototxt" ] || reads=(solver-"$solver".prototxt "$solver"-train.prototxt lists)
  local with=(); [ -z "$MAX_ITER" ] || with=(--max-iter "$MAX_ITER")
  [ -z "$weights" ] || { with+=(--weights "$weights"); reads+=("$weights"); }
  stage "$name" --reads "${reads[@]}" ${TRAIN_READS:-} --makes "models/${PREFIX}_*" -- \
    python -m training.train --solver "solver-$solver.prototxt" "${with[@]}" --resume --seed "$SEED" \
    --device "$DEVICE" --precision "$PRECISION" --log "logs/$name.jsonl" "$@"
}
segment() { # segment NAME WEIGHTS IDS OUT [ARG..]
  local name=$1 weights=$2 ids=$3 out=$4; shift 4
  stage "$name" --reads deploy.prototxt "$weights" "$ids" --makes "$out" -- \
    python -m tools.segment --net deploy.prototxt --weights "$weights" --list "$ids" --images data/JPEGImages \
    --out "$out" --device "$DEVICE" --precision "$PRECISION" "$@"
}
evaluate() { # evaluate NAME FOLDER IDS
  stage "evaluate-$1" --reads "$2" "$3" lists/classes.txt --makes "results/$1.json" -- \
    python -m tools.evaluate --pred "$2" --gt "data/$MASKS" --list "$3" --classes lists/classes.txt \
    --out "results/$1.json"
}
has_masks() { # has_masks IDS: whether all of them have a true mask; if not, says so
  local id missing=0
  while read -r id; do [ -f "data/$MASKS/$id.png" ] || missing=$((missing + 1)); done < "$1"
  [ "$missing" = 0 ] || echo "== evaluate: photos of $1 left out, $missing of them have no mask in DATA_ROOT/$MASKS"
  [ "$missing" = 0 ]
}

# ---- the stages ------------------------------------------------------------------------------------------------
if selected data && [ -z "$DATA_ROOT" ] && [ -n "$MAKE_DATA" ]; then
  # shellcheck disable=SC2086
  stage data --makes made-data -- $MAKE_DATA --out made-data --seed "$SEED"
fi
if selected lists; then
  reads=(data/ImageSets/Segmentation ${INPUT_LIST:+"$INPUT_LIST"})
  for f in data/{image_labels,classes,image_ids}.txt data/Annotations; do [ ! -e "$f" ] || reads+=("$f"); done
  stage lists --reads "${reads[@]}" --makes lists/input_list.txt lists/classes.txt -- \
    python -m tools.make_lists --data data --out lists --masks masks ${INPUT_LIST:+--numbers "$INPUT_LIST"}
fi
# <prefix>_iter_<max_iter>.caffemodel of every solver of the experiment
mapfile -t finals < <(python -m tools.final_model ${MAX_ITER:+--max-iter $MAX_ITER} solver-{cam,s,f,full}.prototxt)
CAM=${finals[0]} S=${finals[1]} F=${finals[2]} FULL=${finals[3]}
STATIC=models/static${S#models/s}
[ -z "$ABLATION" ] || CAM=$BASE/$CAM
model_or_file() { case "$1" in cam) echo "$CAM" ;; s) echo "$S" ;; *) echo "$1" ;; esac; }
# With finished cues the classifier is trained only where stage s starts from it; an ablation takes the plain run's.
NEEDS_CAM=yes
[ -z "$CUES" ] || { [ "$S_WEIGHTS" = cam ] && [ -z "$ABLATION" ]; } || NEEDS_CAM=
FULL_WEIGHTS=$(model_or_file "${FULL_WEIGHTS:-$S_WEIGHTS}")
S_WEIGHTS=$(model_or_file "$S_WEIGHTS"); F_WEIGHTS=$(model_or_file "$F_WEIGHTS")

[ -z "$NEEDS_CAM" ] || ! selected cam || PREFIX=cam train cam cam "$CAM_WEIGHTS"
if [ -n "$CUES" ]; then
  ln -sfn "$CUES" "$CUE_FILE"
elif selected cues; then
  # shellcheck disable=SC2086
  stage cues --reads cam-deploy.prototxt "$CAM" lists/input_list.txt lists/image_labels.txt --makes "$CUE_FILE" -- \
    python -m localization_cues.make_cues --net cam-deploy.prototxt --weights "$CAM" --list lists/input_list.txt \
    --images data/JPEGImages --labels lists/image_labels.txt --out "$CUE_FILE" $CUE_ARGS
fi
export TRAIN_READS=$CUE_FILE
selected static && PREFIX=static train static s "$S_WEIGHTS" --set "$STATIC_SET" --snapshot-prefix models/static
selected train-s && PREFIX=s train train-s s "$S_WEIGHTS"
if selected label; then
  # shellcheck disable=SC2086
  segment label "$S" lists/train_id.txt labels --labels lists/image_labels.txt $LABEL_ARGS
fi
export TRAIN_READS=labels
selected train-f && PREFIX=f train train-f f "$F_WEIGHTS"
export TRAIN_READS=
if selected full; then
  # without masks there is no reference to train; asked for by name, the training says what it misses
  if [ -n "$STAGES" ] || [ -d masks ]; then PREFIX=full train full full "$FULL_WEIGHTS"
  else echo "== full: left out, DATA_ROOT has no $MASKS"; fi
fi
if selected segment; then
  for model in static s f full; do
    declare -n weights="${model^^}"
    [ -f "$weights" ] || continue
    args=$SEGMENT_F_ARGS; [[ $model == f || $model == full ]] || args=$SEGMENT_S_ARGS
    # shellcheck disable=SC2086
    segment "segment-$model" "$weights" lists/val_id.txt "segmentations/$model" $args
  done
fi
if selected evaluate; then
  if has_masks lists/train_id.txt; then
    stage evaluate-cues --reads "$CUE_FILE" lists/input_list.txt --makes results/cues.json -- \
      python -m localization_cues.evaluate_cues --cues "$CUE_FILE" --list lists/input_list.txt \
      --masks "data/$MASKS" --classes lists/classes.txt --out results/cues.json
    [ ! -d labels ] || evaluate labels labels lists/train_id.txt
  fi
  if has_masks lists/val_id.txt; then
    for model in static s f full; do
      [ ! -d "segmentations/$model" ] || evaluate "$model" "segmentations/$model" lists/val_id.txt
    done
  fi
fi
selected report && python -m tools.report .
exit 0
}
