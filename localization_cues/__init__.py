"""Localisation cues from image-level labels: CAM for the foreground, saliency for the background."""
