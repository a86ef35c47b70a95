"""The cue file, pickle or npz: the one place that knows its forms."""
