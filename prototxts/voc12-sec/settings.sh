# shellcheck shell=bash disable=SC2034
# voc12-sec: SEC, seed + expand + constrain on DeepLab-LargeFOV. Read by run.sh; the nets are the prototxts beside this file.
NEEDS_WEIGHTS="VGG16 trained on ImageNet with fc6 of 1024 outputs (vgg16_20M.caffemodel)"
SKIP_STAGES="static label train-f full"   # SEC neither grows nor retrains
# Cues: CAM above 20 % of its maximum (the default), background where training-free saliency is low.
# The class maps are the classifier's weights on the features before its global average.
CUE_ARGS="--background saliency:0.06 --features-blob fc7_CAM --classifier scores"
# One size of input, that of training, then the CRF.
SEGMENT_S_ARGS="--sizes 321"
