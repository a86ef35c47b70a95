# shellcheck shell=bash disable=SC2034
# voc12-vgg16: the paper's experiment. Read by run.sh; the networks and solvers are the prototxts beside this file.
NEEDS_WEIGHTS="VGG16 trained on ImageNet with fc6/fc7 in every branch (vgg16_20M_mc.caffemodel)"
SKIP_STAGES="static full"   # 8000 and 20000 iterations more; ask for them with --stages
# Cues: CAM above 20 % of its maximum (SEC); background where training-free saliency is below 0.06 (the paper's rule).
# The class maps are the classifier's weights on the features before its global average.
CUE_ARGS="--background saliency:0.06 --features-blob fc7_CAM --classifier scores"
# The original's test-ms.py: square inputs of three sizes, scores summed, then the CRF; also for the pseudo-labels.
SEGMENT_S_ARGS="--sizes 241 321 401"
LABEL_ARGS="--sizes 241 321 401"
# The original's test-ms-f.py: three scales of the photo.
SEGMENT_F_ARGS="--scales 0.75 1 1.25"
