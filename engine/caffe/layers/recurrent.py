"""Recurrent layers over sequences (T, N, ...): RNN, LSTM, and LSTMUnit, one step of an LSTM.

Bottoms: x (T, N, ...), cont (T, N), which is 0 where a sequence begins and 1 where it goes on, optionally a static
input (N, ...), and with expose_hidden the state before the first step, (1, N, num_output) each. Tops: the outputs
(T, N, num_output), and with expose_hidden the state after the last step. Without expose_hidden a forward continues
from the last state of the one before.

No gradient flows through states, exposed or not: the diffs of the exposed last states are not read and those of the
first states not written, since Caffe shares the data of these blobs with its unrolled net and not the diffs.

Parameter blobs are in the order of Caffe's unrolled net:
    LSTM  W_xc (4D, I), b_c (4D,), [W_xc_static (4D, S),] W_hc (4D, D); gates i, f, o, g
    RNN   W_xh (D, I), b_h (D,), [W_xh_static (D, S),] W_hh (D, D), W_ho (D, D), b_o (D,)
"""

import math

import torch
import torch.nn.functional as F

from ..layer import register
from ..torch_layer import TorchLayer


def lstm_step(cell, gates, cont):
    """One step: cell (N, D), gates (N, 4D) before their functions, cont (N, 1) -> next cell and output.

    Parameters
    ----------
    cell, gates, cont : Tensor

    Returns
    -------
    (Tensor, Tensor)
    """
    i, f, o, g = gates.chunk(4, -1)
    cell = cont * torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return cell, torch.sigmoid(o) * torch.tanh(cell)


class _Recurrent(TorchLayer):
    bottoms = (2, None)
    tops = (1, None)
    labels = (1,)
    fp32 = True
    keeps = None

    def setup(self, bottom, top):
        p = self.param = self._layer_param.recurrent_param
        self.size = p.num_output
        if self.size < 1:
            raise self.error("num_output is missing or 0; expected the number of hidden units")
        exposed = self.states if p.expose_hidden else 0
        if not 0 <= len(bottom) - 2 - exposed <= 1 or len(top) != 1 + exposed:
            raise self.error(f"{len(bottom)} bottoms and {len(top)} tops; expected {2 + exposed} or {3 + exposed} "
                             f"(x, cont, a static input or not, {exposed} states) and {1 + exposed}")
        self.static = len(bottom) == 3 + exposed
        x = bottom[0].dims
        if len(x) < 3:
            raise self.error(f"bottom 0 is {x}; expected (T, N, ...) with at least 3 axes")
        wide = self.gates * self.size
        self.add_param((wide, math.prod(x[2:])), p.weight_filler)
        self.add_param((wide,), p.bias_filler)
        if self.static:
            self.add_param((wide, math.prod(bottom[2].dims[1:])), p.weight_filler)
        self.add_param((wide, self.size), p.weight_filler)
        self.reset()

    def reset(self):
        """Forget the state: the next forward begins with zeros."""
        self.state = None

    def infer(self, x, cont, *rest):
        steps, n = x[:2]
        expected = [("cont", cont, (steps, n))]
        if self.static:
            expected.append(("the static input", rest[0][:1], (n,)))
        expected += [("a state", shape, (1, n, self.size)) for shape in rest[self.static :]]
        for what, shape, wanted in expected:
            if shape != wanted:
                raise self.error(f"{what} is {shape}; expected {wanted} for the bottom {x}")
        if math.prod(x[2:]) != self.blobs[0].dims[1]:
            raise self.error(f"the bottom is {x}; the weights were made for {self.blobs[0].dims[1]} values a step")
        state = [(1, n, self.size)] * (self.states if self.param.expose_hidden else 0)
        return [(steps, n, self.size), *state]

    def compute(self, x, cont, *rest):
        steps, n = x.shape[:2]
        rest = list(rest)
        static = rest.pop(0) if self.static else None
        if self.param.expose_hidden:
            state = [rest.pop(0)[0].detach() for _ in range(self.states)]
        elif self.state is not None and self.state[0].shape[0] == n:
            state = [s.to(x) for s in self.state]
        else:
            state = [x.new_zeros(n, self.size)] * self.states
        inputs = F.linear(x.reshape(steps, n, -1), rest.pop(0), rest.pop(0))
        if static is not None:
            inputs = inputs + F.linear(static.reshape(n, -1), rest.pop(0))
        outputs = []
        for t in range(steps):
            output, state = self.step(inputs[t], cont[t].reshape(n, 1), state, rest)
            outputs.append(output)
        last = [s.detach() for s in state]
        if not self.replaying:
            self.state = last
        exposed = [s[None] for s in last] if self.param.expose_hidden else []
        return torch.stack(outputs), *exposed

    def backward(self, top, propagate_down, bottom):
        inputs = len(bottom) - (self.states if self.param.expose_hidden else 0)
        super().backward(top, [*propagate_down[:inputs], *[False] * (len(bottom) - inputs)], bottom)


@register("LSTM")
class LSTM(_Recurrent):
    """States: output h, cell c."""

    states, gates = 2, 4

    def step(self, inputs, cont, state, weights):
        output, cell = state
        cell, output = lstm_step(cell, inputs + F.linear(cont * output, weights[0]), cont)
        return output, [output, cell]


@register("RNN")
class RNN(_Recurrent):
    """h = tanh(W_hh h + W_xh x + b_h), output tanh(W_ho h + b_o). State: h."""

    states, gates = 1, 1

    def setup(self, bottom, top):
        super().setup(bottom, top)
        self.add_param((self.size, self.size), self.param.weight_filler)
        self.add_param((self.size,), self.param.bias_filler)

    def step(self, inputs, cont, state, weights):
        hidden = torch.tanh(inputs + F.linear(cont * state[0], weights[0]))
        return torch.tanh(F.linear(hidden, weights[1], weights[2])), [hidden]


@register("LSTMUnit")
class LSTMUnit(TorchLayer):
    """Cell (1, N, D), gates (1, N, 4D) in the order i, f, o, g, cont (1, N) -> next cell and output (1, N, D)."""

    bottoms = (3, 3)
    tops = (2, 2)
    labels = (2,)
    fp32 = True

    def infer(self, cell, gates, cont):
        if len(cell) != 3 or cell[0] != 1 or gates != (1, cell[1], 4 * cell[2]) or math.prod(cont) != cell[1]:
            raise self.error(f"cell {cell}, gates {gates}, cont {cont}; expected (1, N, D), (1, N, 4D) and (1, N)")
        return [cell, cell]

    def compute(self, cell, gates, cont):
        cell, output = lstm_step(cell[0], gates[0], cont.reshape(-1, 1))
        return cell[None], output[None]
