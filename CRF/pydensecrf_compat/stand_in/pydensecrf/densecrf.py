"""`densecrf.densecrf` of the package dense-crf under pydensecrf's name."""

from densecrf.densecrf import *  # noqa: F403
from densecrf.densecrf import __all__, __doc__  # noqa: F401
