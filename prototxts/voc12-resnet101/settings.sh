# shellcheck shell=bash disable=SC2034
# voc12-resnet101: stage s and f on DeepLab-v2's ResNet-101. Read by run.sh; the nets are the prototxts beside this file.
NEEDS_WEIGHTS="ResNet-101 trained on ImageNet (Kaiming He's); VGG_WEIGHTS is VGG16's for the classifier of the cues"
CAM_WEIGHTS=${VGG_WEIGHTS:-}  # the cues are made with VGG16, as the paper's; not needed with CUES
[ -n "$CAM_WEIGHTS" ] || [ -n "$CUES" ] ||
  usage_error "experiment voc12-resnet101 needs VGG_WEIGHTS (vgg16_20M.caffemodel, for the cues) or CUES (a finished cue file)"
SKIP_STAGES="static full"
# The class maps are the classifier's weights on the features before its global average.
CUE_ARGS="--background saliency:0.06 --features-blob fc7_CAM --classifier scores"
SEGMENT_S_ARGS="--sizes 241 321 401"
LABEL_ARGS="--sizes 241 321 401"
SEGMENT_F_ARGS="--scales 0.75 1 1.25"
