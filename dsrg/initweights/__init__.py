"""From trained classifiers of Caffe or PyTorch to the initial weights of a net; the command is tools.make_init."""
