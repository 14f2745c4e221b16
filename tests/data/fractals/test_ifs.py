import hashlib

import numpy as np
import pytest

from alexnet_jax.data.fractals import ifs
from alexnet_jax.data.fractals.ifs import (
    System,
    count_points,
    draw_points,
    find_systems,
    jitter_system,
)


@pytest.fixture(scope="module")
def systems():
    return find_systems(seed=1, count=6, max_similarity=0.7)


def sierpinski():
    """The triangle with corners (-1, -1), (1, -1), (0, 1): three maps that halve it."""
    corners = np.array([[-1, -1], [1, -1], [0, 1]])
    maps = np.stack([np.column_stack([np.eye(2) / 2, corner / 2]) for corner in corners])
    return System(maps, tickets=(np.arange(256) % 3).astype(np.uint8))


def test_chaos_game_draws_the_sierpinski_triangle():
    x, y = draw_points(sierpinski(), 10_000, np.random.default_rng(0)).astype(float)

    # In coordinates along two sides, no binary digit is 1 in both: Pascal's triangle mod 2.
    up = (y + 1) / 2
    along = (x + 1) / 2 - up / 2
    digits = 2 ** np.arange(1, 8)[:, None]
    shared = (up * digits).astype(int) & (along * digits).astype(int) & 1
    # Float32 leaves a point or two on the wrong side of a binary fraction.
    assert shared.any(axis=0).mean() < 0.01
    assert up.max() > 0.99 and along.max() > 0.99


def test_points_spread_by_tickets():
    y = draw_points(sierpinski(), 30_000, np.random.default_rng(0))[1]

    # A third of the tickets is for the upper triangle.
    assert (y > 0).mean() == pytest.approx(1 / 3, abs=0.02)


def test_attractors_touch_all_sides_of_the_frame(systems):
    for system in systems:
        points = draw_points(system, 20_000, np.random.default_rng(0))
        # Thin tips are seldom visited, so another game ends a little before or beyond.
        assert np.allclose(points.min(axis=1), -1, atol=0.1)
        assert np.allclose(points.max(axis=1), 1, atol=0.1)


def test_attractors_fill_enough_of_the_frame_and_not_all(systems):
    for system in systems:
        points = draw_points(system, 16_384, np.random.default_rng(0))
        filled = np.count_nonzero(count_points((points + 1) * 32, 64, 64)) / 64**2
        assert 0.2 < filled < 0.6


def test_systems_have_two_to_eight_maps_each_in_use(systems):
    for system in systems:
        assert 2 <= len(system.maps) <= 8
        assert set(system.tickets) == set(range(len(system.maps)))


def test_more_systems_begin_with_the_same_ones(systems):
    fewer = find_systems(seed=1, count=3, max_similarity=0.7)

    for short, long in zip(fewer, systems[:3], strict=True):
        assert np.array_equal(short.maps, long.maps)


def test_another_seed_finds_other_systems(systems):
    other = find_systems(seed=2, count=1, max_similarity=0.7)[0]

    assert not np.array_equal(other.maps, systems[0].maps)


def test_no_view_of_a_system_resembles_another(systems):
    views = [
        ifs._descriptors(draw_points(system, 16_384, np.random.default_rng(0)))
        for system in systems
    ]

    for later in range(len(views)):
        for earlier in range(later):
            # The points are another draw than the search saw.
            assert (views[later] @ views[earlier][0]).max() < 0.7 + 0.03


def test_jitter_stays_within_its_strength(systems):
    system = systems[0]

    jittered = jitter_system(system, 0.05, np.random.default_rng(0))

    ratio = jittered.maps / system.maps
    assert 0.95 <= ratio.min() < 0.98 and 1.02 < ratio.max() <= 1.05


def test_jittered_systems_stay_bounded():
    for system in find_systems(seed=3, count=20, max_similarity=1.0):
        jittered = jitter_system(system, 0.06, np.random.default_rng(0))
        assert np.abs(draw_points(jittered, 4_096, np.random.default_rng(0))).max() < 3


def test_points_outside_the_frame_are_not_counted():
    points = np.array([[0.5, -0.1, 3.0, 2.9], [0.5, 0.5, 0.5, 1.9]], np.float32)

    counts = count_points(points, height=2, width=3)

    assert counts.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_points_are_the_same_on_every_machine(systems):
    counts = count_points(
        (draw_points(systems[0], 20_000, np.random.default_rng(5)) + 1) * 48, 96, 96
    )

    # Sums and products of float32 only; a change here is a new version of the data set.
    digest = hashlib.sha256(counts.astype("<i4").tobytes()).hexdigest()
    assert digest[:16] == "bfabd8a8364dd987"
