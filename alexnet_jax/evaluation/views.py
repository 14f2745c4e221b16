"""The views of an image in an evaluation: the center crop and ten crops (paper §4.1)."""

import jax
import jax.numpy as jnp

CENTER = 2  # The number of the center crop among the ten views.
VIEWS: dict[str, tuple[int, ...]] = {"center": (CENTER,), "ten_crop": tuple(range(10))}
VIEW_TITLES = {"center": "center crop", "ten_crop": "ten crops"}


def ten_crop_offsets(image_size: int, crop_size: int) -> list[tuple[int, int]]:
    """Return (top, left) of the crops at top left, top right, center, bottom left, bottom right."""
    far = image_size - crop_size
    return [(0, 0), (0, far), (far // 2, far // 2), (far, 0), (far, far)]  # The 2012 code's order.


def first_of_same_pixels(number: int, image_size: int, crop_size: int) -> int:
    """Return the first view with the pixels of this one.

    It is another view only if crops are almost as large as the images, so that offsets coincide.
    """
    offsets = ten_crop_offsets(image_size, crop_size)
    mirror, place = divmod(number, len(offsets))
    return mirror * len(offsets) + offsets.index(offsets[place])


def cut_view(images: jax.Array, number: jax.Array | int, crop_size: int) -> jax.Array:
    """Cut a view from [B, S, S, 3]: numbers 0 to 4 are the crops, 5 to 9 their mirror images.

    The number may be traced, so that one compiled program serves all views.
    """
    batch, side, _, channels = images.shape
    # Not by indexing: XLA's CPU compiler (jax 0.10.2) narrows a table of small numbers to bytes,
    # and then fails to translate the slice that starts there, in programs of several processes.
    top, left = (
        sum(jnp.where(number % 5 == place, offset, 0) for place, offset in enumerate(offsets))
        for offsets in zip(*ten_crop_offsets(side, crop_size), strict=True)
    )
    zero = jnp.zeros_like(top)
    size = (batch, crop_size, crop_size, channels)
    view = jax.lax.dynamic_slice(images, (zero, top, left, zero), size)
    return jnp.where(number < 5, view, view[:, :, ::-1])
