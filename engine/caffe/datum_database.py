"""LMDB databases of Datum records: written whole or not at all, read record by record."""

import os
import shutil

import cv2
import lmdb

from .errors import DatabaseError
from .layers.datum import values_of as datum_values
from .lmdb_files import open_database
from .proto import caffe_pb2

COMMIT = 1000  # records a transaction


class Writer:
    """A new LMDB: ``put(key, datum)``; a context manager that puts the whole in its place at the end, or removes it.

    Raises
    ------
    DatabaseError
        Where `path` exists, or cannot be written.
    """

    def __init__(self, path):
        self.path = os.fspath(path).rstrip("/")
        if os.path.lexists(self.path):
            raise DatabaseError(f"'{self.path}' exists; remove it, or give the database another name")
        self._temporary = os.path.join(os.path.dirname(self.path), f".{os.path.basename(self.path)}.{os.getpid()}.tmp")
        self._pending = []

    def __enter__(self):
        try:  # nobody else has this folder, and on a full disk the mapped file of locks ends the process (SIGBUS)
            self._env = lmdb.open(self._temporary, map_size=1 << 24, lock=False)
        except (lmdb.Error, OSError) as error:
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise self._error(error) from error
        return self

    def _error(self, error):
        return DatabaseError(f"cannot write the database '{self.path}': {error}; free space or choose another folder")

    def put(self, key, datum):
        """Add a record; keys come in the order in which they are to be read.

        Parameters
        ----------
        key : str
        datum : Datum
        """
        self._pending.append((key.encode(errors="surrogateescape"), datum.SerializeToString()))
        if len(self._pending) == COMMIT:
            self._write()

    def _write(self):
        while True:
            try:
                with self._env.begin(write=True) as transaction:
                    for key, value in self._pending:
                        transaction.put(key, value)
                break
            except lmdb.MapFullError:
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            except lmdb.Error as error:
                raise self._error(error) from error
        self._pending = []

    def __exit__(self, kind, error, traceback):
        try:
            with self._env:
                if kind is None:
                    self._write()
            if kind is None:
                os.rename(self._temporary, self.path)
        except OSError as failed:
            raise self._error(failed) from failed
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)


def records(path):
    """Every record of an LMDB as (name for messages, Datum), in the order of the keys.

    Parameters
    ----------
    path : str or os.PathLike

    Yields
    ------
    (str, Datum)

    Raises
    ------
    DatabaseError
        No database, an empty one, or a record that is not a Datum.
    """
    env = open_database(path, readahead=True)
    with env, env.begin() as transaction:
        if not env.stat()["entries"]:
            raise DatabaseError(f"the LMDB '{path}' is empty")
        for key, value in _items(path, transaction.cursor()):
            what = f"record '{key.decode(errors='replace')}' of '{path}'"
            try:
                yield what, caffe_pb2.Datum.FromString(value)
            except Exception as error:
                raise DatabaseError(f"{what} is not a Datum message") from error


def _items(path, cursor):
    """Keys and values, the library's complaints told as ours."""
    try:
        yield from cursor
    except lmdb.Error as error:
        raise DatabaseError(f"the LMDB '{path}' is damaged: {error}; make or copy it again") from error


def values_of(what, datum):
    """A record's values, (C, H, W): uint8, or float32 where it holds floats.

    Parameters
    ----------
    what : str
        The record, for messages.
    datum : Datum

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    DatabaseError
        A picture that cannot be decoded, or another number of values than the shape needs.
    """
    try:
        return datum_values(datum, cv2.IMREAD_UNCHANGED)
    except ValueError as error:
        raise DatabaseError(f"{what} {error}") from error
