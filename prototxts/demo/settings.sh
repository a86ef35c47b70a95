# shellcheck shell=bash disable=SC2034
# demo: creatures the run draws itself, minutes on two cores. Read by run.sh; the nets are the prototxts beside this file.
MAKE_DATA="python -m tools.make_demo_data"
# No weights from elsewhere: the classifier starts from nothing, stage s from the classifier.
S_WEIGHTS=cam
F_WEIGHTS=s
# Stage f goes on from stage s, as the original; the reference goes on from the same weights, for as many iterations.
FULL_WEIGHTS=s
# Cues: CAM above 30 % of its maximum; background where the saliency is below 0.06 (DSRG).
CUE_ARGS="--threshold 0.3 --background saliency:0.06"
# One size of input, that of training, then the CRF with its widths divided by 3 (photos of 160 pixels, not 500).
SEGMENT_S_ARGS="--sizes 129 --crf-scale 3"
LABEL_ARGS="--sizes 129 --crf-scale 3"
SEGMENT_F_ARGS="--scales 1 --crf-scale 3"
