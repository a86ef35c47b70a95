# shellcheck shell=bash disable=SC2034
# msrc15-squeezenet: real photos, minutes on two cores. Read by run.sh; the nets are the prototxts beside this file.
NEEDS_WEIGHTS="SqueezeNet v1.0 trained on ImageNet (squeezenet_v1.0.caffemodel)"
# Cues: CAM above 40 % of its maximum where the saliency is at least 0.2; background where it is below 0.1.
# SEC takes 20 %: higher makes fewer and surer seeds, and leaves the rest to region growing.
CUE_ARGS="--threshold 0.4 --background saliency:0.1 --gate saliency:0.2"
# Square inputs of three sizes, scores summed, then the CRF (the original's test-ms.py); also for the pseudo-labels.
SEGMENT_S_ARGS="--sizes 241 321 401"
LABEL_ARGS="--sizes 241 321 401"
SEGMENT_F_ARGS="--sizes 241 321 401"
