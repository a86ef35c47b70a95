"""`densecrf.utils` of the package dense-crf under pydensecrf's name."""

from densecrf.utils import *  # noqa: F403
from densecrf.utils import __all__, __doc__  # noqa: F401
