"""The classifiers whose weights are known: how Caffe and torchvision name their layers, and what each was trained as.

A key is the name of a layer in this project's nets (conv4_1, res3a_branch2b, fire5/conv3x3_2), branches of one layer
(fc6_1 .. fc6_4) having the key of that layer (fc6).
"""

import re

from dsrg.initweights.architecture_contract import Architecture, Norm, Spec, Trained
from dsrg.io.errors import UserError


class Vgg16(Architecture):
    """VGG16 (Simonyan and Zisserman): 13 convolutions of 3x3, fc6 on a map of 7x7, fc7."""

    kind, first, reducible = "vgg16", "conv1_1", ("fc6", "fc7")
    #: torchvision's places in `features`
    PLACES = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10, "conv3_2": 12, "conv3_3": 14,
              "conv4_1": 17, "conv4_2": 19, "conv4_3": 21, "conv5_1": 24, "conv5_2": 26, "conv5_3": 28}

    @staticmethod
    def recognises(store):
        names = store.arrays
        if store.framework == "torch":
            return "features.0.weight" in names and any(name.startswith("classifier.6.") or "features.28." in name
                                                        for name in names)
        return "conv5_3" in names

    def __init__(self, store):
        self.store = store
        names = store.arrays
        if "conv5_4" in names or "features.34.weight" in names and "features.1.running_mean" not in names:
            raise UserError(f"{store.path} is VGG19; the net is VGG16")
        if "features.1.running_mean" in names:
            raise UserError(f"{store.path} is a VGG with BatchNorm; the net has none: give the plain VGG16")

    def key(self, target):
        if target in self.PLACES:
            return target
        match = re.fullmatch(r"(fc[67])(_\d+)?", target)
        return match and match[1]

    def source_name(self, key):
        if self.store.framework == "caffe":
            return key
        return {"fc6": "classifier.0", "fc7": "classifier.3"}.get(key) or f"features.{self.PLACES[key]}"

    def trained(self, key):
        weight, bias = _pair(self.store, self.source_name(key))
        if key in self.reducible:
            # a matrix, or (old files) one in the last two of four axes; channels, rows, columns in this order in both
            outputs, inputs = weight.shape if weight.ndim == 2 else weight.shape[:2]
            if weight.ndim == 4 and weight.shape[:2] == (1, 1):
                outputs, inputs = weight.shape[2:]
            channels = outputs_of(self, "conv5_3") if key == "fc6" else outputs_of(self, "fc6")
            side = round((weight.size / outputs / channels) ** 0.5)
            if outputs * channels * side**2 != weight.size:
                raise UserError(f"{self.store.path}: '{self.source_name(key)}' is {outputs}x{inputs}, which is not a "
                                f"kernel on {channels} channels")
            weight = weight.reshape(outputs, channels, side, side)
        return Trained(self.source_name(key), weight, bias)

    def spec(self, key):
        if key.startswith("conv"):
            return Spec(pad=1, step=2 ** (int(key[4]) - 1))
        return Spec(step=32)


class ResNet(Architecture):
    """Bottleneck ResNets (He et al.): stride in the 1x1 convolution in Caffe's, in the 3x3 in torchvision's (v1.5)."""

    kind, first, reducible = "resnet101", "conv1", ()

    @staticmethod
    def recognises(store):
        return "layer1.0.conv3.weight" in store.arrays or "res2a_branch2c" in store.arrays

    def __init__(self, store):
        self.store = store
        #: whether the 3x3 convolution of the first block of a stage halves the map
        self.stride_in_3x3 = store.framework == "torch" or store.strides.get("res3a_branch2b", 1) == 2

    def key(self, target):
        return target if target == "conv1" or re.fullmatch(r"res\d[a-z]\d{0,3}_branch(1|2[abc])", target) else None

    def norm_names(self, key):
        """Layers of Caffe that normalise and scale the output of `key`.

        Parameters
        ----------
        key : str

        Returns
        -------
        tuple of (str, str)
            Its BatchNorm and its Scale.
        """
        suffix = "_conv1" if key == "conv1" else key.removeprefix("res")
        return f"bn{suffix}", f"scale{suffix}"

    def source_name(self, key):
        if self.store.framework == "caffe" or key == "conv1":
            return key
        stage, block, branch = self._parts(key)
        return f"layer{stage - 1}.{block}." + ("downsample.0" if branch == "1" else f"conv{'abc'.index(branch[1]) + 1}")

    def trained(self, key):
        name = self.source_name(key)
        weight, bias = _pair(self.store, name)
        if self.store.framework == "torch":
            bn = "bn1" if key == "conv1" else name.replace("downsample.0", "downsample.1").replace(".conv", ".bn")
            values = [_array(self.store, f"{bn}.{part}") for part in ("running_mean", "running_var", "weight", "bias")]
            return Trained(name, weight, bias, Norm(*values, eps=1e-5))
        statistics, scale = (_array(self.store, layer) for layer in self.norm_names(key))
        factor = float(statistics[2].ravel()[0]) or 1.0
        mean, variance, gamma, beta = (array.ravel() for array in (*statistics[:2], *scale[:2]))
        return Trained(name, weight, bias, Norm(mean / factor, variance / factor, gamma, beta, eps=1e-5))

    def spec(self, key):
        if key == "conv1":
            return Spec(stride=2, pad=3)
        stage, block, branch = self._parts(key)
        first = block == 0 and stage > 2
        strided = ("1", "2b") if self.stride_in_3x3 else ("1", "2a")
        step = 2**stage
        if first and (branch in ("1", "2a") or branch == "2b" and self.stride_in_3x3):
            step //= 2
        return Spec(stride=2 if first and branch in strided else 1, pad=int(branch == "2b"), step=step)

    @staticmethod
    def _parts(key):
        """Stage 2 to 5, block from 0, branch; blocks are a, b, c, .. or a, b1, b2, .."""
        match = re.fullmatch(r"res(\d)([a-z])(\d*)_branch(\w+)", key)
        return int(match[1]), int(match[3]) if match[3] else ord(match[2]) - ord("a"), match[4]


class SqueezeNet(Architecture):
    """SqueezeNet v1.0 (Iandola et al.): 96 outputs of 7x7 first; fire modules of a squeeze and two expand layers."""

    kind, first, reducible = "squeezenet", "conv1", ()
    PLACES = {2: 3, 3: 4, 4: 5, 5: 7, 6: 8, 7: 9, 8: 10, 9: 12}  # torchvision's in `features`
    PARTS = {"conv1x1_1": ("squeeze", "squeeze1x1"), "conv1x1_2": ("expand1x1", "expand1x1"),
             "conv3x3_2": ("expand3x3", "expand3x3")}             # torchvision's and the released caffemodel's

    @staticmethod
    def recognises(store):
        return any("squeeze" in name or name.startswith("fire2/") for name in store.arrays)

    def __init__(self, store):
        self.store = store
        if "features.6.squeeze.weight" in store.arrays or self.trained("conv1").weight.shape[2] == 3:
            raise UserError(f"{store.path} is SqueezeNet 1.1 (first kernel 3x3); the net is 1.0")

    def key(self, target):
        return target if target == "conv1" or re.fullmatch(r"fire[2-9]/conv(1x1_[12]|3x3_2)", target) else None

    def source_name(self, key):
        if key == "conv1":
            return "conv1" if self.store.framework == "caffe" else "features.0"
        fire, part = key.split("/")
        if self.store.framework == "torch":
            return f"features.{self.PLACES[int(fire[4:])]}.{self.PARTS[part][0]}"
        return key if key in self.store.arrays else f"{fire}/{self.PARTS[part][1]}"

    def trained(self, key):
        name = self.source_name(key)
        return Trained(name, *_pair(self.store, name))

    def spec(self, key):
        if key == "conv1":
            return Spec(stride=2)
        number = int(key[4])
        return Spec(pad=int("3x3" in key), step=4 if number < 5 else 8 if number < 9 else 16)


ARCHITECTURES = (Vgg16, ResNet, SqueezeNet)


def recognise(store, kind="auto"):
    """The architecture of a weights file; `kind` is one of the kinds, or auto to go by the names in the file.

    Parameters
    ----------
    store : Store
    kind : str

    Returns
    -------
    Architecture
        For the arrays of the store.

    Raises
    ------
    UserError
        Names of none of the architectures.
    """
    for architecture in ARCHITECTURES:
        if kind == architecture.kind or kind == "auto" and architecture.recognises(store):
            return architecture(store)
    names = ", ".join(list(store.arrays)[:4])
    raise UserError(f"{store.path}: the names in it ({names}, ..) are those of none of "
                    f"{', '.join(a.kind for a in ARCHITECTURES)}")


def outputs_of(architecture, key):
    """Outputs of a layer; its bias tells them whatever the shape of its weight.

    Parameters
    ----------
    architecture : Architecture
    key : str
        As of `Architecture.key`.

    Returns
    -------
    int
    """
    _, bias = _pair(architecture.store, architecture.source_name(key))
    return bias.size


def _pair(store, name):
    """Weight and bias (or None) of a layer."""
    if store.framework == "torch":
        return _array(store, f"{name}.weight"), store.arrays.get(f"{name}.bias")
    arrays = _array(store, name)
    return arrays[0], arrays[1].ravel() if len(arrays) > 1 else None


def _array(store, name):
    if name not in store.arrays:
        raise UserError(f"{store.path} has no '{name}', which this net needs; it is a smaller or another network")
    return store.arrays[name]
