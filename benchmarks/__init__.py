"""Speed and memory, each against a peer in the same run."""

import sys
from pathlib import Path

from dsrg.io.interrupts import end_silently_while_importing

end_silently_while_importing(__name__)

# Where `bash setup.sh --dev` puts pydensecrf, the peer of the CRF; in front of our stand-in of that name.
_PEERS = Path(__file__).resolve().parents[1] / ".venv" / "peers"
if _PEERS.is_dir():
    sys.path.insert(0, str(_PEERS))
