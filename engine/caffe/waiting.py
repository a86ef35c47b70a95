"""How OpenMP's threads wait between two pieces of work: briefly awake, then asleep.

By default libgomp's threads spin some 300,000 rounds before they sleep (LLVM's: 200 ms), on a core that another process
may need: two trainings on two cores take several times what they should, each waiting for threads that the other's
spinning keeps off the cores. 1000 rounds are microseconds, what libgomp itself takes where it knows that threads
outnumber cores, and bridge the gap between two operations of a net.
"""

import os
import sys

#: variable -> value, of GNU's and of LLVM's (Intel's) runtime
BRIEFLY = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "1"}
#: whoever sets one of these has chosen
CHOICES = ("OMP_WAIT_POLICY", *BRIEFLY)


def wait_briefly(environment=None):
    """Set the waiting of OpenMP's threads, unless the user has or torch is loaded: the runtime reads it once, then.

    Parameters
    ----------
    environment : dict, optional
        What to set it in, by default this process's environment, which its children inherit.
    """
    if environment is None:
        if "torch" in sys.modules:
            return
        environment = os.environ
    if not any(name in environment for name in CHOICES):
        environment.update(BRIEFLY)
