"""Localisation cues from image-level labels: CAM for the foreground, saliency for the background."""

from dsrg.io.interrupts import end_silently_while_importing

end_silently_while_importing(__name__)

from dsrg.io.utf8_mode import read_names_as_utf8  # noqa: E402 (Ctrl-C first)

read_names_as_utf8(__name__)
