"""The nets that a solver file names, one to train and any number to test: Caffe's InitTrainNet and InitTestNets."""

from .errors import SolverError
from .net import TEST, TRAIN, Net
from .proto import caffe_pb2
from .prototxt import read_net


def net_to_train(source, param):
    """The net to train, with the weights that the file's `weights` name.

    Parameters
    ----------
    source : str
        The solver file, for messages.
    param : SolverParameter

    Returns
    -------
    Net

    Raises
    ------
    SolverError
        None or several of net, net_param, train_net and train_net_param.
    CaffeError
        A net or weights that cannot be used.
    """
    given = [name for name in ("net", "net_param", "train_net", "train_net_param") if param.HasField(name)]
    if len(given) != 1:
        raise SolverError(f"{source}: give one of net, net_param, train_net, train_net_param; it has "
                          f"{', '.join(given) or 'none'}")
    net = _build(*_message(source, param, given[0]), TRAIN, param.train_state)
    for entry in param.weights:
        for path in filter(None, entry.split(",")):
            net.copy_from(path)
    return net


def nets_to_test(source, param):
    """The nets of test_net_param and test_net; where test_iter has more entries, the trained net in phase TEST.

    Parameters
    ----------
    source, param
        As of net_to_train.

    Returns
    -------
    list of Net
        With weights of their own; the solver shares its net's with them.

    Raises
    ------
    SolverError
        Another number of test_iter or test_state than of nets, or no test_interval.
    """
    jobs = [(net, source) for net in param.test_net_param] + [(read_net(path), path) for path in param.test_net]
    generic = next((name for name in ("net", "net_param") if param.HasField(name)), None)
    if generic:  # the remaining test_iter are for the net that is trained
        jobs += [_message(source, param, generic) for _ in range(len(param.test_iter) - len(jobs))]
    if len(jobs) != len(param.test_iter):
        raise SolverError(f"{source}: {len(param.test_iter)} test_iter for {len(jobs)} test net(s); give one each")
    if len(param.test_state) not in (0, len(jobs)):
        raise SolverError(f"{source}: {len(param.test_state)} test_state for {len(jobs)} test net(s); "
                          "give one each or none")
    if jobs and param.test_interval <= 0:
        raise SolverError(f"{source}: test nets need test_interval, the iterations from test to test")
    states = list(param.test_state) or [caffe_pb2.NetState()] * len(jobs)
    nets = [_build(*job, TEST, state) for job, state in zip(jobs, states, strict=True)]
    for net in nets:
        net.debug_info = param.debug_info
    return nets


def _message(source, param, name):
    """The NetParameter of a field of the solver, and the file it is from."""
    value = getattr(param, name)
    return (read_net(value), value) if isinstance(value, str) else (value, source)


def _build(message, source, phase, state):
    level = state.level if state.HasField("level") else message.state.level
    return Net.from_param(message, phase, level, state.stage, source)
