"""DRFI saliency: multi-level segmentation, 93 features of each region, a random forest, fusion of the levels.

Jiang, Wang, Yuan, Wu, Zheng and Li, "Salient Object Detection: A Discriminative Regional Feature Integration
Approach", CVPR 2013 (long form: arXiv 1410.5926). Run it with ``python -m localization_cues.drfi``.
"""
