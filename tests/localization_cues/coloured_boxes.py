"""A classifier that sees redness and blueness; the photos with red and blue boxes are the fixture box_folder."""

import numpy as np

from dsrg.find_caffe import the_caffe

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }\n'
MAPS = INPUT + """
layer { name: "CAM" type: "Convolution" bottom: "data" top: "CAM"
        convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }
"""
POOLED = MAPS + """
layer { name: "pool" type: "Pooling" bottom: "CAM" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "p" type: "Sigmoid" bottom: "pool" top: "p" }
"""
COLOURS_BGR = np.array([[-0.5, -0.5, 1], [1, -0.5, -0.5]], np.float32)      # redness, blueness


def net(folder, text, weights=COLOURS_BGR):
    caffe = the_caffe()
    weights = np.vstack([weights, np.zeros((1, 3), np.float32)])            # class 'other' is not known
    (folder / "cam.prototxt").write_text(text.replace("num_output: 2", "num_output: 3"))
    made = caffe.Net("cam.prototxt", caffe.TEST)
    made.params["CAM"][0].data[..., 0, 0] = weights
    made.save("cam.caffemodel")
