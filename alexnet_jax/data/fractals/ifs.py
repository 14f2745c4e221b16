"""Iterated function systems: a few affine maps whose attractor is a fractal.

Categories of fractals are found as in FractalDB (Kataoka et al., *Pre-training without Natural
Images*, ACCV 2020): draw maps at random, keep the systems whose picture fills enough of the
frame. Points come from sums and products of float32 arrays, the same on every machine.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

_MAX_STRETCH = 0.85  # Largest singular value of a map; leaves room for `jitter_system`.
_TICKETS = 256  # One random byte chooses a map.
_CHAINS = 512
_BURN_IN = 24
_PROBE_POINTS = 16_384
_PROBE_SIZE = 64
_MIN_FILL, _MAX_FILL = 0.25, 0.55  # A narrow band, so that area tells little about a category.
_DESCRIPTOR_SIZE = 16
_DESCRIPTOR_ANGLES = (0, -12, 12, -24, 24)


@dataclasses.dataclass(frozen=True)
class System:
    """An iterated function system whose attractor touches all four sides of [-1, 1]²."""

    # float64 [K, 2, 3], K = 2 to 8; map k sends p to maps[k, :, :2] @ p + maps[k, :, 2].
    maps: np.ndarray
    tickets: np.ndarray  # uint8 [256], the map that each value of a random byte stands for.


def find_systems(seed: int, count: int, max_similarity: float) -> list[System]:
    """Find `count` systems whose pictures fill the frame and differ from one another.

    The first n are the same for any `count` >= n. A candidate is dropped when some turn or mirror
    image of its picture correlates more than `max_similarity`, in (0, 1], with one already chosen.
    """
    chosen: list[System] = []
    descriptors = np.empty((count, _DESCRIPTOR_SIZE**2))
    candidates = _filling_systems(seed)
    while len(chosen) < count:
        system, points = next(candidates)
        views = _descriptors(points)
        if not chosen or (views @ descriptors[: len(chosen)].T).max() <= max_similarity:
            descriptors[len(chosen)] = views[0]
            chosen.append(system)
    return chosen


def jitter_system(system: System, strength: float, rng: np.random.Generator) -> System:
    """Multiply each parameter of each map by its own factor in 1 ± `strength`."""
    factors = rng.uniform(1 - strength, 1 + strength, system.maps.shape)
    return dataclasses.replace(system, maps=system.maps * factors)


def draw_points(system: System, count: int, rng: np.random.Generator) -> np.ndarray:
    """Play the chaos game: float32 [2, count], points of the attractor with its natural density.

    Once the chains have reached the attractor, every step keeps the old points and adds as
    many new ones, each the image of an old one under a random map.
    """
    table = system.maps.reshape(-1, 6).astype(np.float32)[system.tickets].T.copy()  # [6, 256]
    points = rng.uniform(-1, 1, (2, _CHAINS)).astype(np.float32)
    for _ in range(_BURN_IN):
        points = _step(points, table, rng)
    while points.shape[1] < count:
        points = np.concatenate([points, _step(points, table, rng)], axis=1)
    return points[:, :count]


def count_points(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Count the points in each pixel of a frame, int64 [height, width]; leave out those outside.

    `points`, float32 [2, N], are in pixels: x to the right, y downward, from the upper left corner.
    """
    inside = (points[0] >= 0) & (points[0] < width) & (points[1] >= 0) & (points[1] < height)
    columns, rows = points[:, inside].astype(np.int32)
    return np.bincount(rows * width + columns, minlength=height * width).reshape(height, width)


def turn_points(points: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate points [2, N] about the origin."""
    # Python floats take the array's float32 instead of widening it.
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = points
    return np.stack([cosine * x - sine * y, sine * x + cosine * y])


def _step(points: np.ndarray, table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    choice = rng.integers(_TICKETS, size=points.shape[1], dtype=np.uint8).astype(np.intp)
    a, b, e, c, d, f = (row[choice] for row in table)
    x, y = points
    return np.stack([a * x + b * y + e, c * x + d * y + f])


def _filling_systems(seed: int) -> Iterator[tuple[System, np.ndarray]]:
    """Yield random systems that fill the frame, with points of their attractors."""
    rng = np.random.default_rng(seed)
    while True:
        system = _random_system(rng)
        points = draw_points(system, _PROBE_POINTS, rng)
        low, high = points.min(axis=1).astype(float), points.max(axis=1).astype(float)
        if (high - low).min() < 1e-3:
            continue
        points = (((points.T - low) / (high - low)).T * 2 - 1).astype(np.float32)
        frame = count_points((points + 1) * (_PROBE_SIZE / 2), _PROBE_SIZE, _PROBE_SIZE)
        if _MIN_FILL <= np.count_nonzero(frame) / frame.size <= _MAX_FILL:
            yield _fit_to_frame(system, low, high), points


def _random_system(rng: np.random.Generator) -> System:
    """Draw two to eight maps, each until it shrinks every length."""
    maps = np.full((rng.integers(2, 9), 2, 3), np.eye(2, 3))
    for affine in maps:
        while np.linalg.norm(affine[:, :2], ord=2) >= _MAX_STRETCH:
            affine[:] = rng.uniform(-1, 1, (2, 3))
    # As in FractalDB, a map is chosen in proportion to the area it covers; flat ones seldom.
    areas = np.abs(np.linalg.det(maps[:, :, :2])) + 0.02
    bounds = np.round(np.cumsum(areas) / areas.sum() * _TICKETS).astype(int)
    tickets = np.repeat(np.arange(len(maps)), np.diff(bounds, prepend=0)).astype(np.uint8)
    return System(maps, tickets)


def _fit_to_frame(system: System, low: np.ndarray, high: np.ndarray) -> System:
    """Change coordinates so that the box from `low` to `high` becomes [-1, 1]²."""
    half, center = (high - low) / 2, (high + low) / 2
    linear, shift = system.maps[:, :, :2], system.maps[:, :, 2]
    shift = (linear @ center + shift - center) / half
    linear = linear * half[None, None, :] / half[None, :, None]
    return dataclasses.replace(system, maps=np.concatenate([linear, shift[..., None]], axis=2))


def _descriptors(points: np.ndarray) -> np.ndarray:
    """Describe a picture by its coarse density, as it is and as an instance may turn it.

    Each row of the result, float64 [views, 256], has mean 0 and length 1; the first is upright.
    """
    rows = []
    for picture in (points, np.stack([-points[0], points[1]])):
        for degrees in _DESCRIPTOR_ANGLES:
            # 0.7: the corners of the frame stay in sight when they turn.
            pixels = (turn_points(picture, degrees) * 0.7 + 1) * (_DESCRIPTOR_SIZE / 2)
            counts = count_points(pixels, _DESCRIPTOR_SIZE, _DESCRIPTOR_SIZE)
            row = np.sqrt(counts.ravel())
            row -= row.mean()
            rows.append(row / np.linalg.norm(row))
    return np.stack(rows)
