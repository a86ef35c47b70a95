"""Update rules and learning rate policies (Caffe's sgd_solvers.cpp), free of nets and files.

An update rule is ``rule(gradient, history, rate, param, iteration) -> update`` for one parameter blob; the weights
become ``weights - update``. All tensors are float32; history is a tuple of tensors of the blob's shape, which the rule
changes in place (the update may be one of them).

In the equations of the rules, g is the gradient with its weight decay, a the rate (learning rate times lr_mult), t the
update's number from 1, d the solver's `delta`; products, quotients and roots are element by element.
"""

import math

import torch


def learning_rate(param, iteration, step_index):
    """Learning rate of a SolverParameter at `iteration` (sgd_solver.cpp, GetLearningRate).

    With i the iteration and k the steps passed: fixed base_lr; step and multistep base_lr gamma^k; exp
    base_lr gamma^i; inv base_lr (1 + gamma i)^-power; poly base_lr (1 - i / max_iter)^power; sigmoid
    base_lr / (1 + exp(-gamma (i - stepsize))).

    Parameters
    ----------
    param : caffe_pb2.SolverParameter
    iteration : int
        0-based.
    step_index : int
        Steps passed so far (step and multistep; see :func:`steps_passed`).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Unknown lr_policy.
    """
    base, gamma, power = param.base_lr, param.gamma, param.power
    policy = param.lr_policy
    if policy == "fixed":
        return base
    if policy in ("step", "multistep"):
        return base * gamma**step_index
    if policy == "exp":
        return base * gamma**iteration
    if policy == "inv":
        return base * (1.0 + gamma * iteration) ** -power
    if policy == "poly":
        left = 1.0 - iteration / param.max_iter  # below 0 beyond max_iter, where only a whole power has a value
        return base * (left if float(power).is_integer() else max(0.0, left)) ** power
    if policy == "sigmoid":
        return base / (1.0 + math.exp(-gamma * (iteration - param.stepsize)))
    raise ValueError(f"lr_policy {policy!r}: expected fixed, step, exp, inv, multistep, poly or sigmoid")


def steps_passed(param, iteration, step_index):
    """Caffe's current_step after looking at `iteration` (with multistep it moves one stepvalue at a time).

    Parameters
    ----------
    param : SolverParameter
    iteration, step : int
        The iteration to come; steps passed before it.

    Returns
    -------
    int
    """
    if param.lr_policy == "step":
        return iteration // param.stepsize
    if param.lr_policy == "multistep" and step_index < len(param.stepvalue):
        return step_index + (iteration >= param.stepvalue[step_index])
    return step_index


def regularize(gradient, weights, decay, kind):
    """Add the gradient of the weight decay: L2 (decay * w) or L1 (decay * sign w).

    Parameters
    ----------
    gradient, weights : torch.Tensor, float32
        Of one shape; not changed.
    decay : float
        weight_decay times decay_mult.
    kind : {"L2", "L1"}

    Returns
    -------
    torch.Tensor, float32
        `gradient` itself where decay is 0.

    Raises
    ------
    ValueError
        Another kind.
    """
    if not decay:
        return gradient
    if kind == "L2":
        return gradient.add(weights, alpha=decay)
    if kind == "L1":
        return gradient.add(weights.sign(), alpha=decay)
    raise ValueError(f"regularization_type {kind!r}: expected L1 or L2")


def sgd(gradient, history, rate, param, iteration):
    """Stochastic gradient descent with momentum m: v <- m v + a g; update v.

    Caffe's form (sgd_solver.cpp): the rate is inside the velocity. Bottou, "Stochastic gradient tricks", 2012.

    Parameters
    ----------
    gradient, history, rate, param, iteration
        As of every update rule, see above.

    Returns
    -------
    Tensor
    """
    (v,) = history
    return v.mul_(param.momentum).add_(gradient, alpha=rate)


def nesterov(gradient, history, rate, param, iteration):
    """Nesterov's accelerated gradient: v' = m v + a g; update (1 + m) v' - m v; v <- v'.

    Nesterov 1983, in the form of Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013 (nesterov_solver.cpp).

    Parameters
    ----------
    gradient, history, rate, param, iteration
        As of every update rule, see above.

    Returns
    -------
    Tensor
    """
    (v,) = history
    before = v * -param.momentum
    v.mul_(param.momentum).add_(gradient, alpha=rate)
    return before.add_(v, alpha=1 + param.momentum)


def adagrad(gradient, history, rate, param, iteration):
    """AdaGrad: h <- h + g g; update a g / (sqrt(h) + d).

    Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning", 2011 (adagrad_solver.cpp).

    Parameters
    ----------
    gradient, history, rate, param, iteration
        As of every update rule, see above.

    Returns
    -------
    Tensor
    """
    (h,) = history
    h.addcmul_(gradient, gradient)
    return gradient.div(h.sqrt().add_(param.delta)).mul_(rate)


def rmsprop(gradient, history, rate, param, iteration):
    """RMSProp with r = rms_decay: h <- r h + (1 - r) g g; update a g / (sqrt(h) + d).

    Tieleman and Hinton, "Neural networks for machine learning", lecture 6.5, 2012 (rmsprop_solver.cpp).

    Parameters
    ----------
    gradient, history, rate, param, iteration
        As of every update rule, see above.

    Returns
    -------
    Tensor
    """
    (h,) = history
    h.mul_(param.rms_decay).addcmul_(gradient, gradient, value=1 - param.rms_decay)
    return gradient.div(h.sqrt().add_(param.delta)).mul_(rate)


def adadelta(gradient, history, rate, param, iteration):
    """AdaDelta with m = momentum: h <- m h + (1 - m) g g; s = g sqrt((u + d) / (h + d)); u <- m u + (1 - m) s s;
    update a s.

    Zeiler, "ADADELTA: an adaptive learning rate method", 2012 (adadelta_solver.cpp, which has the rate besides).

    Parameters
    ----------
    gradient, history, rate, param, iteration
        As of every update rule, see above.

    Returns
    -------
    Tensor
    """
    squares, updates = history
    keep = param.momentum
    squares.mul_(keep).addcmul_(gradient, gradient, value=1 - keep)
    step = gradient * updates.add(param.delta).div_(squares + param.delta).sqrt_()
    updates.mul_(keep).addcmul_(step, step, value=1 - keep)
    return step.mul_(rate)


def adam(gradient, history, rate, param, iteration):
    """Adam with b1 = momentum, b2 = momentum2: m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g g;
    update a sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + d).

    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, with the second form of its section 2: d is
    added to the root before the correction (adam_solver.cpp).

    Parameters
    ----------
    gradient, history, rate, param, iteration
        As of every update rule, see above.

    Returns
    -------
    Tensor
    """
    m, v = history
    t = iteration + 1
    beta1, beta2 = param.momentum, param.momentum2
    m.mul_(beta1).add_(gradient, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
    return m.div(v.sqrt().add_(param.delta)).mul_(rate * correction)


#: solver type -> (rule, number of history blobs for each parameter)
RULES = {
    "SGD": (sgd, 1),
    "Nesterov": (nesterov, 1),
    "AdaGrad": (adagrad, 1),
    "RMSProp": (rmsprop, 1),
    "AdaDelta": (adadelta, 2),
    "Adam": (adam, 2),
}


def check(param, type_name):
    """Refuse settings that Caffe refuses, before any work is done.

    Parameters
    ----------
    param : SolverParameter
    type_name : str

    Raises
    ------
    ValueError
    """
    for name in ("base_lr", "gamma", "power", "momentum", "momentum2", "rms_decay", "delta", "weight_decay",
                 "clip_gradients"):
        if not math.isfinite(getattr(param, name)):
            raise ValueError(f"{name} {getattr(param, name):g}: expected a finite number")
    if type_name in ("AdaGrad", "RMSProp") and param.momentum:
        raise ValueError(f"{type_name} solver: momentum {param.momentum:g} cannot be used; leave it out")
    if type_name == "RMSProp" and not 0 <= param.rms_decay < 1:
        raise ValueError(f"RMSProp solver: rms_decay {param.rms_decay:g}, expected 0 <= rms_decay < 1")
    if type_name == "Adam" and not (0 <= param.momentum < 1 and 0 <= param.momentum2 < 1):
        raise ValueError(f"Adam solver: momentum {param.momentum:g} and momentum2 {param.momentum2:g}, expected [0, 1)")
    if param.lr_policy in ("step", "exp", "inv", "multistep", "sigmoid") and param.gamma < 0:
        raise ValueError(f"lr_policy '{param.lr_policy}': gamma {param.gamma:g}, expected 0 or more")
    if param.lr_policy in ("step", "sigmoid") and param.stepsize <= 0:
        raise ValueError(f"lr_policy '{param.lr_policy}': stepsize {param.stepsize}, expected a positive number")
    if param.lr_policy == "poly" and param.max_iter <= 0:
        raise ValueError(f"lr_policy 'poly': max_iter {param.max_iter}, expected a positive number")
    for name in ("iter_size", "average_loss"):
        if getattr(param, name) < 1:
            raise ValueError(f"{name} {getattr(param, name)}: expected 1 or more")
    learning_rate(param, 0, 0)
    regularize(torch.zeros(1), torch.zeros(1), 1.0, param.regularization_type)
