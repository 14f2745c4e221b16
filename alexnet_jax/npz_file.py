"""Reading .npz files that may be damaged, or claim to hold more than they should."""

from pathlib import Path

import numpy as np

_MOST_BYTES = 1 << 28  # Unpacked: a mean image of 4,096 pixels a side.


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a .npz file, by name; nothing in it is run.

    Raises:
        ValueError: it cannot be read, whatever the reason, or is too large; by its directory, so
            before anything is unpacked.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            size = sum(member.file_size for member in arrays.zip.infolist())
            if size > _MOST_BYTES:
                raise ValueError(f"it unpacks to {size:,} bytes, more than {_MOST_BYTES:,}")
            return dict(arrays)
    except Exception as error:  # zipfile's, zlib's, NumPy's header parser's, MemoryError, ...
        raise ValueError(str(error) or type(error).__name__) from error
