"""Learning rate policies and update rules against their formulas, written out for one number."""

import inspect
import math

import pytest
import torch
from caffe import device, update_rules
from caffe.proto import caffe_pb2


def solver(**fields):
    return caffe_pb2.SolverParameter(base_lr=0.5, gamma=0.25, power=2, stepsize=10, max_iter=100, **fields)


@pytest.mark.parametrize(("policy", "expected"), [
    ("fixed", [0.5, 0.5, 0.5, 0.5]),
    ("step", [0.5, 0.5, 0.5 * 0.25, 0.5 * 0.25**3]),
    ("exp", [0.5, 0.5 * 0.25**9, 0.5 * 0.25**10, 0.5 * 0.25**30]),
    ("inv", [0.5, 0.5 / 3.25**2, 0.5 / 3.5**2, 0.5 / 8.5**2]),
    ("poly", [0.5, 0.5 * 0.91**2, 0.5 * 0.9**2, 0.5 * 0.7**2]),
    ("sigmoid", [0.5 / (1 + math.exp(2.5)), 0.5 / (1 + math.exp(0.25)), 0.25, 0.5 / (1 + math.exp(-5))]),
])
def test_policies_at_0_9_10_and_30(policy, expected):
    param = solver(lr_policy=policy)
    rates = [update_rules.learning_rate(param, i, update_rules.steps_passed(param, i, 0)) for i in (0, 9, 10, 30)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(("power", "expected"), [(1, -0.5 * 0.5), (2, 0.5 * 0.25), (0.9, 0)])
def test_poly_goes_on_after_max_iter_where_its_power_is_whole(power, expected):
    param = solver(lr_policy="poly")
    param.power = power
    assert update_rules.learning_rate(param, 150, 0) == pytest.approx(expected)


@pytest.mark.parametrize("policy", ["step", "exp", "inv", "multistep", "sigmoid"])
def test_gamma_below_0_is_refused_by_the_policies_that_read_it(policy):
    param = solver(lr_policy=policy)
    param.gamma = -0.5
    with pytest.raises(ValueError, match=f"lr_policy '{policy}': gamma -0.5, expected 0 or more"):
        update_rules.check(param, "SGD")
    param.lr_policy = "poly"
    update_rules.check(param, "SGD")


def test_multistep_passes_one_stepvalue_an_iteration():
    param, step, steps = solver(lr_policy="multistep", stepvalue=[3, 5]), 0, []
    for iteration in range(7):
        step = update_rules.steps_passed(param, iteration, step)
        steps.append(step)
    assert steps == [0, 0, 0, 1, 1, 2, 2]
    assert update_rules.learning_rate(param, 6, 2) == 0.5 * 0.25**2


def test_regularization():
    gradient, weights = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([2.0, -4.0, 0.0])
    assert update_rules.regularize(gradient, weights, 0.5, "L2").tolist() == [2.0, -1.0, 1.0]
    assert update_rules.regularize(gradient, weights, 0.5, "L1").tolist() == [1.5, 0.5, 1.0]
    assert update_rules.regularize(gradient, weights, 0.0, "L2") is gradient
    assert gradient.tolist() == [1, 1, 1]


def by_hand(kind, gradients, rate, p):
    """Updates of one weight, by the formulas of the papers as Caffe has them."""
    a = b = 0.0
    for t, g in enumerate(gradients, 1):
        if kind == "SGD":
            a = p.momentum * a + rate * g
            yield a
        elif kind == "Nesterov":
            before, a = a, p.momentum * a + rate * g
            yield (1 + p.momentum) * a - p.momentum * before
        elif kind == "AdaGrad":
            a += g * g
            yield rate * g / (math.sqrt(a) + p.delta)
        elif kind == "RMSProp":
            a = p.rms_decay * a + (1 - p.rms_decay) * g * g
            yield rate * g / (math.sqrt(a) + p.delta)
        elif kind == "AdaDelta":
            a = p.momentum * a + (1 - p.momentum) * g * g
            step = g * math.sqrt((b + p.delta) / (a + p.delta))
            b = p.momentum * b + (1 - p.momentum) * step * step
            yield rate * step
        else:
            a = p.momentum * a + (1 - p.momentum) * g
            b = p.momentum2 * b + (1 - p.momentum2) * g * g
            yield rate * math.sqrt(1 - p.momentum2**t) / (1 - p.momentum**t) * a / (math.sqrt(b) + p.delta)


@pytest.mark.parametrize("kind", list(update_rules.RULES))
def test_update_rules(kind):
    param = solver(momentum=0.9, momentum2=0.99, rms_decay=0.95, delta=1e-3)
    gradients = [1.0, -2.0, 0.5, 0.0]
    rule, slots = update_rules.RULES[kind]
    history = tuple(torch.zeros(1) for _ in range(slots))
    ours = [float(rule(torch.tensor([g]), history, 0.1, param, t)) for t, g in enumerate(gradients)]
    assert ours == pytest.approx(list(by_hand(kind, gradients, 0.1, param)), rel=1e-5)


def test_rules_and_policies_state_their_equation_and_source():
    for rule in {rule for rule, _ in update_rules.RULES.values()}:
        text = " ".join(rule.__doc__.split())
        assert "update " in text and "solver.cpp" in text and any(year in text for year in map(str, range(1980, 2016)))
    policies = "fixed step multistep exp inv poly sigmoid".split()
    assert all(policy in update_rules.learning_rate.__doc__ for policy in policies)


def test_settings_of_the_device_say_what_they_do():
    functions = [value for value in vars(device).values() if inspect.isfunction(value) and value.__name__[0] != "_"]
    assert [f.__name__ for f in functions if f.__module__ == "caffe.device" and not f.__doc__] == []
