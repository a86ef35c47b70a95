"""Files of the same bytes under several names: links, hard links and copies of one photo."""

import contextlib
import hashlib
import os


def copies(paths, of=None):
    """Groups of files with the same content.

    Files are read only where another has the same size, so that thousands of photos cost little.

    Parameters
    ----------
    paths : dict of str to Path
        Name -> file; files that cannot be read are left out.
    of : container of str, optional
        Names of which copies are looked for; all by default.

    Returns
    -------
    list of list of str
        Names of each group of two or more, in the order given.
    """
    by_size, by_digest = {}, {}
    for name, path in paths.items():
        with contextlib.suppress(OSError):
            by_size.setdefault(os.stat(path).st_size, []).append(name)
    for size, names in by_size.items():
        wanted = size and len(names) > 1 and (of is None or any(name in of for name in names))
        for name in names if wanted else ():
            with contextlib.suppress(OSError), open(paths[name], "rb") as file:
                by_digest.setdefault(hashlib.file_digest(file, "sha256").digest(), []).append(name)
    return [names for names in by_digest.values() if len(names) > 1]
