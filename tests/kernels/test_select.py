import jax
import jax.numpy as jnp
import pytest

from alexnet_jax.kernels.select import conv_form


@pytest.mark.parametrize(
    ("images", "kernel", "stride", "groups", "form"),
    [
        ((32, 224, 224, 3), (11, 11, 3, 96), 4, 1, "in_bands"),  # conv1
        ((32, 27, 27, 96), (5, 5, 48, 256), 1, 2, "winograd_1d"),  # conv2
        ((32, 13, 13, 256), (3, 3, 256, 384), 1, 1, "winograd_2d"),  # conv3
        ((32, 13, 13, 384), (3, 3, 192, 256), 1, 2, "winograd_2d"),  # conv5
        ((64, 10, 10, 16), (3, 3, 16, 32), 1, 1, "at_once"),  # narrow
        ((32, 27, 27, 96), (5, 5, 96, 256), 2, 1, "at_once"),  # of as many features as XLA divides
    ],
)
def test_the_form_of_a_convolution_in_float32(images, kernel, stride, groups, form):
    images, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (images, kernel))
    assert conv_form(images, kernel, stride, groups) == form


def test_bfloat16_has_too_few_digits_for_transforms():
    images = jax.ShapeDtypeStruct((32, 13, 13, 256), jnp.bfloat16)
    kernel = jax.ShapeDtypeStruct((3, 3, 256, 384), jnp.bfloat16)
    assert conv_form(images, kernel, 1, 1) == "at_once"
