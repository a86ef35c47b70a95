"""caffe.coord_map: crops of fully convolutional nets, against ramps that real nets pass on and published offsets."""

import caffe
import numpy as np
import pytest
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    compose,
    coord_map,
    coord_map_from_to,
    crop,
    inverse,
)


def conv(bottom, kernel, stride=1, pad=0, dilation=1):
    """A convolution that takes the mean of its window, so that a ramp stays a ramp."""
    filler = dict(type="constant", value=1 / kernel**2)
    return L.Convolution(bottom, num_output=1, kernel_size=kernel, stride=stride, pad=pad, dilation=dilation,
                         bias_term=False, weight_filler=filler)


def mean_pool(bottom, kernel, stride, pad=0):
    return L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=kernel, stride=stride, pad=pad)


def upsample(bottom, factor, pad=0):
    """Bilinear interpolation, which keeps a ramp too."""
    return L.Deconvolution(bottom, convolution_param=dict(num_output=1, kernel_size=2 * factor, stride=factor, pad=pad,
                                                          bias_term=False, weight_filler=dict(type="bilinear")))


def data(height=96, width=80):
    return L.Input(shape=dict(dim=[1, 1, height, width]))


CHAINS = {
    "convolution": lambda x: conv(x, 5, 2, 3),
    "dilation": lambda x: conv(x, 3, 2, 4, dilation=4),
    "pooling": lambda x: mean_pool(x, 3, 2, 1),
    "deconvolution": lambda x: upsample(x, 3, 1),
    "there and back": lambda x: upsample(mean_pool(conv(x, 3), 4, 4), 4),
    "an odd chain": lambda x: upsample(L.ReLU(conv(mean_pool(conv(x, 7, 2, 6), 3, 3), 3, 1, 2, dilation=2)), 2, 1),
    "a branch": lambda x: L.Eltwise(conv(x, 3, 1, 1), conv(x, 5, 1, 2), coeff=[0.5, 0.5]),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_map_says_which_coordinate_of_the_data_a_place_of_the_top_sees(tmp_path, name):
    n = caffe.NetSpec()
    n.data = data()
    n.top = CHAINS[name](n.data)
    (tmp_path / "n.prototxt").write_text(str(n.to_proto()))
    net = caffe.Net(str(tmp_path / "n.prototxt"), caffe.TEST)
    axis, a, b = coord_map_from_to(n.top, n.data)
    assert axis in (1, None)
    for k, length in enumerate((96, 80)):
        ramp = np.arange(length).reshape((-1, 1) if k == 0 else (1, -1))
        net.blobs["data"].data[...] = ramp
        seen = net.forward()["top"][0, 0]
        seen = (seen if k == 0 else seen.T)[:, min(seen.shape) // 2]
        middle = np.arange(len(seen) // 3, 2 * len(seen) // 3)  # away from the borders, which see padding
        np.testing.assert_allclose(seen[middle], np.ravel(a)[-1] * middle + np.ravel(b)[-1], atol=1e-3)


def vgg(n, pad):
    """The layers of VGG16 that move coordinates, to the scores."""
    x = L.Convolution(n.data, num_output=1, kernel_size=3, pad=pad)
    for block, convolutions in enumerate((1, 2, 3, 3, 3)):
        for _ in range(convolutions):
            x = L.ReLU(L.Convolution(x, num_output=1, kernel_size=3, pad=1), in_place=True)
        x = L.Pooling(x, pool=P.Pooling.MAX, kernel_size=2, stride=2)
        n[f"pool{block + 1}"] = x
    n.fc6 = L.Convolution(x, num_output=1, kernel_size=7)
    n.score = L.Convolution(L.Dropout(n.fc6, in_place=True), num_output=1, kernel_size=1)


def up(bottom, factor):
    return L.Deconvolution(bottom, convolution_param=dict(num_output=1, kernel_size=2 * factor, stride=factor))


def offsets(net):
    return [(layer.crop_param.axis, list(layer.crop_param.offset)) for layer in net.to_proto().layer
            if layer.type == "Crop"]


def test_offsets_of_fcn_32s_16s_and_8s_are_the_published_ones():
    """Those of the prototxts that Shelhamer, Long and Darrell publish with their nets (first convolution: pad 100)."""
    n = caffe.NetSpec()
    n.data = data(500, 500)
    vgg(n, 100)
    n.out = crop(up(n.score, 32), n.data)
    assert offsets(n) == [(2, [19])]

    n = caffe.NetSpec()
    n.data = data(500, 500)
    vgg(n, 100)
    n.up2 = up(n.score, 2)
    n.pool4c = crop(L.Convolution(n.pool4, num_output=1, kernel_size=1), n.up2)
    n.fuse = L.Eltwise(n.up2, n.pool4c)
    n.out = crop(up(n.fuse, 16), n.data)
    assert offsets(n) == [(2, [5]), (2, [27])]

    n = caffe.NetSpec()
    n.data = data(500, 500)
    vgg(n, 100)
    n.up2 = up(n.score, 2)
    n.fuse4 = L.Eltwise(n.up2, crop(L.Convolution(n.pool4, num_output=1, kernel_size=1), n.up2))
    n.up4 = up(n.fuse4, 2)
    n.fuse3 = L.Eltwise(n.up4, crop(L.Convolution(n.pool3, num_output=1, kernel_size=1), n.up4))
    n.out = crop(up(n.fuse3, 8), n.data)
    assert offsets(n) == [(2, [5]), (2, [9]), (2, [31])]


def test_each_axis_has_a_map_of_its_own():
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 1, 9, 9, 9]))
    n.conv = L.Convolution(n.data, num_output=1, kernel_size=[3, 5, 1], stride=[1, 2, 3], pad=[0, 1, 2])
    axis, a, b = coord_map_from_to(n.conv, n.data)
    # x of the data = stride y + (kernel - 1) / 2 - pad
    assert axis == 1 and np.allclose(a, [1, 2, 3]) and np.allclose(b, [1, 1, -2])
    axis, a, b = coord_map_from_to(n.data, n.conv)
    assert np.allclose(a, [1, 1 / 2, 1 / 3]) and np.allclose(b, [-1, -1 / 2, 2 / 3])


def test_crop_moves_coordinates():
    n = caffe.NetSpec()
    n.data = data()
    n.crop = L.Crop(n.data, data(9, 9), axis=2, offset=4)
    n.again = L.Crop(n.crop, data(5, 5), crop_param=dict(axis=2, offset=[1, 2]))
    axis, a, b = coord_map_from_to(n.again, n.data)
    assert axis == 1 and np.all(a == 1) and list(b) == [5, 6]


def test_maps_compose_and_invert():
    double, shift = (1, 2.0, 0.0), (None, 1.0, 3.0)
    assert compose(double, shift) == (1, 2.0, 6.0)  # 2 (x + 3)
    assert compose(shift, double) == (1, 2.0, 3.0)  # 2 x + 3
    assert inverse((1, 2.0, 6.0)) == (1, 0.5, -3.0)
    assert compose(inverse((1, 2.0, 6.0)), (1, 2.0, 6.0)) == (1, 1.0, 0.0)
    with pytest.raises(AxisMismatchException, match="axis 1 and axis 2"):
        compose(double, (2, 1, 0))


def test_the_axis_is_that_of_the_layers():
    n = caffe.NetSpec()
    n.data = data()
    n.conv = L.Convolution(n.data, num_output=1, kernel_size=3, axis=2)
    assert coord_map_from_to(n.conv, n.data)[0] == 2
    assert coord_map(n.conv.fn)[0] == 2 and coord_map(L.ReLU(n.data).fn) == (None, 1, 0)


def test_crops_that_cannot_be_are_refused():
    n = caffe.NetSpec()
    n.data = data()
    n.conv = conv(n.data, 3)
    n.ip = L.InnerProduct(n.conv, num_output=2)
    with pytest.raises(UndefinedMapException, match="InnerProduct has no coordinate map"):
        coord_map(n.ip.fn)
    for pair in ((n.ip, n.data), (n.data, data()), (n.data, n.ip)):
        with pytest.raises(RuntimeError, match="Could not compute map between tops"):
            coord_map_from_to(*pair)
    with pytest.raises(AssertionError, match=r"scale mismatch on crop \(a = \[2.\]\)"):
        crop(conv(n.data, 3, 2), n.data)
    with pytest.raises(AssertionError, match=r"cannot crop negative offset \(b = \[1.\]\)"):
        crop(n.conv, n.data)
    with pytest.raises(AssertionError, match=r"cannot crop noninteger offset \(b = \[-0.5\]\)"):
        crop(conv(n.data, 2, 1, 1), n.data)
    with pytest.raises(AssertionError, match="crop does not read kernel_h, kernel_w; give lists, height first"):
        crop(L.Convolution(n.data, kernel_h=3, kernel_w=3, num_output=1), n.data)
    with pytest.raises(UndefinedMapException, match="Pooling without kernel_size"):
        coord_map(L.Pooling(n.data, global_pooling=True).fn)
