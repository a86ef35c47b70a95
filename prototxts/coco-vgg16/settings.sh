# shellcheck shell=bash disable=SC2034
# coco-vgg16: voc12-vgg16 with the 81 classes of COCO. Read by run.sh; the nets are the prototxts beside this file.
NEEDS_WEIGHTS="VGG16 trained on ImageNet with fc6/fc7 in every branch (vgg16_20M_mc.caffemodel)"
CUE_FILE=cues/localization_cues.npz  # mapped into memory: the cues of so many photos stay on disk
SKIP_STAGES="static full"   # 8000 and 20000 iterations more; ask for them with --stages
# Cues: CAM above 20 % of its maximum (SEC); background where training-free saliency is below 0.06 (the paper's rule).
# The class maps are the classifier's weights on the features before its global average.
CUE_ARGS="--background saliency:0.06 --features-blob fc7_CAM --classifier scores"
# The original's test-coco.py: one square input, then the CRF; also for the pseudo-labels.
SEGMENT_S_ARGS="--sizes 481"
LABEL_ARGS="--sizes 481"
# The original's test-coco-f.py: the photo at its size.
SEGMENT_F_ARGS="--scales 1"
