"""A training's scalars and pictures as TensorBoard reads them, in its own messages and records, without torch."""

import os
import socket
import time
from pathlib import Path

import cv2
import numpy as np

from dsrg.io import voc
from dsrg.io.errors import UserError
from dsrg.report.cue_overlay import overlay

POINTS = 5000       # of a curve at most; TensorBoard shows a thousand
PICTURES = 12       # times that pictures are written, at even distances
PHOTOS = 3          # of the batch, beside each other in a picture's rows
SIDE = 240          # longer side of a photo in them
FLUSHED = 10.0      # seconds after which a viewer sees what was written


class TensorboardLog:
    """Event files of one training.

    Scalars: `loss/<name>`; `rate`; `time/step` and, where the data layers tell, `time/data wait` (seconds); where the
    net grows seeds, `seeds/grown` and `seeds/cues`, shares of the map 0..1, and `seeds/<class number>`, cells a photo.
    Pictures: photo, cues and grown seeds of the batch's first photos.

    Parameters
    ----------
    folder : str or Path
    solver : pycaffe solver
    net : NetParameter
        Of the training net, which names the layers' blobs.
    start, end : int
        Iterations done before and after. A viewer drops what an earlier part wrote of `start` and later.

    Raises
    ------
    UserError
        Without the package tensorboard.
    """

    def __init__(self, folder, solver, net, start, end):
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise UserError(f"TensorBoard is asked for (TENSORBOARD=1 or --tensorboard), but {error.name or error} is "
                            "not installed; pip install -r requirements.txt, or train without") from None
        self._event, self._summary, self._folder = event_pb2, summary_pb2.Summary, str(folder)
        self._solver, self._growth = solver, _growing(net)
        self._every, self._pictures = max(1, -(-end // POINTS)), max(1, end // PICTURES)
        self._waiting = [layer for layer in solver.net.layers if hasattr(layer, "waited")]
        self._waited = self._wait()
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{start}"
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._file = open(Path(folder, name), "wb")  # noqa: SIM115 (open as long as the training)
        except OSError as error:
            raise self._failed(error) from None
        # TensorBoard's own EventFileWriter writes in a thread, whose errors end up on the terminal as tracebacks
        self._records, self._flushed = RecordWriter(self._file), time.monotonic()
        self._add(self._event.Event(file_version="brain.Event:2"))
        session = self._event.SessionLog(status=self._event.SessionLog.START)
        self._add(self._event.Event(step=start, session_log=session))

    def write(self, iteration, rate, losses, seconds):
        """Iteration number `iteration` (updates done before it) is complete.

        Parameters
        ----------
        iteration : int
        rate : float or None
        losses : dict of str to float
        seconds : float
        """
        waited, self._waited = self._waited, self._wait()
        if iteration % self._every:
            return
        values = {f"loss/{name}": value for name, value in losses.items()}
        if rate is not None:
            values["rate"] = rate
        values["time/step"] = seconds
        if self._waiting:
            values["time/data wait"] = self._waited - waited
        entries = []
        if self._growth is not None:
            cues, grown = (self._blob(name) for name in self._growth[:2])
            values |= _seed_numbers(cues, grown)
            if iteration % self._pictures == 0:
                entries.append(self._picture("seeds", self._sheet(cues, grown)))
        entries += [self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._add(self._event.Event(step=iteration, summary=self._summary(value=entries)))

    def close(self):
        """Write what is not written yet."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from None

    def _add(self, event):
        event.wall_time = time.time()
        try:
            self._records.write(event.SerializeToString())
            if time.monotonic() - self._flushed > FLUSHED:
                self._file.flush()
                self._flushed = time.monotonic()
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error):
        return UserError(f"TensorBoard's events in {self._folder} cannot be written: {error.strerror or error}; free "
                         "space, or train without them; --resume goes on from the last snapshot")

    def _wait(self):
        return sum(layer.waited for layer in self._waiting)

    def _blob(self, name):
        return np.asarray(self._solver.net.blobs[name].data)

    def _sheet(self, cues, grown):
        """uint8 RGB: a row a photo with photo, cues and grown seeds, of equal height."""
        images = self._blob(self._growth[2])[:PHOTOS]
        rows = []
        for image, photo_cues, seeds in zip(images, cues, grown, strict=False):
            photo = np.clip(image.transpose(1, 2, 0) + np.float32(voc.MEAN_BGR), 0, 255).astype(np.uint8)[..., ::-1]
            factor = SIDE / max(photo.shape[:2])
            photo = cv2.resize(np.ascontiguousarray(photo), None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
            maps = (np.where(one.any(axis=0), one.argmax(axis=0), -1) for one in (photo_cues, seeds))
            rows.append(np.hstack([photo, *(overlay(photo, label_map, voc.palette()) for label_map in maps)]))
        return np.vstack(rows)

    def _picture(self, tag, image_rgb):
        _, encoded = cv2.imencode(".png", image_rgb[..., ::-1])
        height, width = image_rgb.shape[:2]
        return self._summary.Value(tag=tag, image=self._summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=encoded.tobytes()))


def _growing(net):
    """Blobs (cues, grown seeds, photos) of the net's DSRGLayer, or None."""
    layer = next((one for one in net.layer if one.python_param.layer == "DSRGLayer"), None)
    return None if layer is None else (layer.bottom[2], layer.top[0], layer.bottom[3])


def _seed_numbers(cues, grown):
    """Shares of the map and cells a photo of each class, from arrays (N, C, h, w) of 0 and 1."""
    values = {"seeds/cues": float(cues.any(axis=1).mean()), "seeds/grown": float(grown.any(axis=1).mean())}
    cells = grown.sum(axis=(2, 3)).mean(axis=0)
    return values | {f"seeds/class {number}": float(count) for number, count in enumerate(cells)}
