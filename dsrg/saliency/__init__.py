"""Saliency of photos: the training-free method and DRFI."""
