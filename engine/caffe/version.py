"""The version of Caffe whose prototxts, files and Python interface the engine takes."""

__version__ = "1.0.0"
