"""A random permutation that can be evaluated at any position, without a table."""

import numpy as np

_ROUNDS = 6


def permute(positions: np.ndarray, length: int, seed: int, epoch: int) -> np.ndarray:
    """Return the examples at `positions` of an epoch, in a random order of `length` examples.

    A Feistel network over a rectangle of rows x columns with at least `length` cells (Black and
    Rogaway, *Ciphers with Arbitrary Finite Domains*, 2002): each round shifts one coordinate by a
    hash of the other, which is invertible. A cell beyond `length` is permuted again until it falls
    inside. Own code, because a run resumed after an upgrade must see the same order.

    Positions and results are int64 [n] in [0, length); over all positions, each index comes once.
    """
    columns = int(np.ceil(np.sqrt(length)))
    rows = -(-length // columns)
    keys = np.random.SeedSequence((seed, epoch)).generate_state(2 * _ROUNDS, np.uint64)
    indices = _shuffle_once(positions.astype(np.uint64), rows, columns, keys)
    while (outside := indices >= length).any():
        indices[outside] = _shuffle_once(indices[outside], rows, columns, keys)
    return indices.astype(np.int64)


def _shuffle_once(cells: np.ndarray, rows: int, columns: int, keys: np.ndarray) -> np.ndarray:
    row, column = cells // np.uint64(columns), cells % np.uint64(columns)
    for first, second in keys.reshape(_ROUNDS, 2):
        row = (row + _hash(column, first)) % np.uint64(rows)
        column = (column + _hash(row, second)) % np.uint64(columns)
    return row * np.uint64(columns) + column


def _hash(values: np.ndarray, key: np.uint64) -> np.ndarray:
    """Mix 64 bits (the finaliser of SplitMix64); return the top half, so that sums fit."""
    mixed = values ^ key
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed >> np.uint64(32)
