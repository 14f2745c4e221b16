"""A reader of TensorBoard's event files, which are TFRecords of `Event` messages."""

import struct

from tensorboardX.proto.event_pb2 import Event


def read_events(folder):
    """The events of the only file in a folder."""
    (path,) = folder.iterdir()
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        # A checksum of four bytes follows the length, and another the message.
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def read_values(folder):
    """The values of a folder's event file: {tag: [(step, value), …]}."""
    values = {}
    for event in read_events(folder):
        for value in event.summary.value:
            values.setdefault(value.tag, []).append((event.step, value))
    return values
