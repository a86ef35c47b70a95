"""VGG16, bottleneck ResNet and SqueezeNet v1.0 in torch with torchvision's parameter names, written for the tests.

Widths are free, so that they can be tiny. `frame(model, colour)` makes a copy see a border of `colour` (normalised RGB)
around the photo where the original pads with 0: what a Caffe net sees that pads after its own mean.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

VGG_STAGES = (2, 2, 3, 3, 3)


class Vgg(nn.Module):
    """`widths` of the five stages, `hidden` outputs of both hidden layers, 7x7 maps before them (inputs of 224)."""

    def __init__(self, widths, hidden):
        super().__init__()
        layers, before = [], 3
        for count, width in zip(VGG_STAGES, widths, strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(before * 49, hidden), nn.ReLU(), nn.Dropout(),
                                        nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, 5))

    @property
    def first(self):
        return self.features[0]

    def forward(self, x):
        return self.classifier[:5](self.features(x).flatten(1))  # fc7 with its ReLU


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, dilation, stride_in_3x3, shortcut):
        super().__init__()
        width = outputs // 4
        one, three = (1, stride) if stride_in_3x3 else (stride, 1)
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, one, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, three, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        if shortcut:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    """`stages`: (blocks, outputs, stride, dilation, dilation of the first block) of layer1 to layer4."""

    def __init__(self, stages, stride_in_3x3):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
        before = 64
        for number, (blocks, outputs, stride, dilation, at_first) in enumerate(stages, start=1):
            layers = [Block(before, outputs, stride, at_first, stride_in_3x3, True)]
            layers += [Block(outputs, outputs, 1, dilation, stride_in_3x3, False) for _ in range(blocks - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*layers))
            before = outputs
        self.fc = nn.Linear(before, 5)

    @property
    def first(self):
        return self.conv1

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Fire(nn.Module):
    def __init__(self, inputs, squeeze, expand, dilation):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=dilation, dilation=dilation)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """Version 1.0 with the pads, last stride and dilation of this project's net; `widths`: (squeeze, expand)."""

    def __init__(self, widths):
        super().__init__()
        fires, before = [], 96
        for number, (squeeze, expand) in widths.items():
            fires.append(Fire(before, squeeze, expand, 2 if number == 9 else 1))
            before = 2 * expand
        pool = [nn.MaxPool2d(3, stride, padding=1) for stride in (2, 2, 1)]
        self.features = nn.Sequential(nn.Conv2d(3, 96, 7, 2, padding=3), nn.ReLU(), pool[0], *fires[:3], pool[1],
                                      *fires[3:7], pool[2], fires[7])
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(before, 5, 1))

    @property
    def first(self):
        return self.features[0]

    def forward(self, x):
        return self.features(x)


def random_(model, seed=0):
    """Fill every parameter and statistic so that signals keep their size; returns the model, for testing."""
    generator = torch.Generator().manual_seed(seed)
    for name, values in model.state_dict().items():
        if not values.is_floating_point():
            continue
        noise = torch.randn(values.shape, generator=generator)
        if values.ndim > 1:
            values.copy_(noise * (2 / values[0].numel()) ** 0.5)
        elif name.endswith("running_var") or ("bn" in name or "downsample.1" in name) and name.endswith("weight"):
            values.copy_(1 + 0.3 * noise.clamp(-2, 2))
        else:
            values.copy_(0.3 * noise)
    return model.eval()


def frame(model, colour):
    """A copy whose first convolution sees `colour` (3 numbers) beyond the photo instead of 0."""
    framed = copy.deepcopy(model)
    pad, framed.first.padding = framed.first.padding[0], (0, 0)
    offset = torch.tensor(colour, dtype=torch.float32)[:, None, None]
    framed.first.register_forward_pre_hook(lambda _, x: (F.pad(x[0] - offset, [pad] * 4) + offset,))
    return framed
