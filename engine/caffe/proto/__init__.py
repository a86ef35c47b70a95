"""Messages of prototxt files, caffemodels and solver states: ``from caffe.proto import caffe_pb2``."""
