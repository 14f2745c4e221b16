"""How networks start: the mean and deviation in each layer, and what of the logits is the image's.

The images are 1/f noise with ImageNet's mean and color covariance, clipped to 0-255.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from alexnet_jax.models import create_model

pytestmark = pytest.mark.slow

# ImageNet's colors, RGB on the 0-255 scale (2012's data): mean, axes, deviations along them.
MEAN = np.array([127.305, 119.715, 104.913])
AXES = np.array(
    [
        [-0.5635105, -0.7125795, 0.4179551],
        [-0.5761844, -0.0235417, -0.8169806],
        [-0.5920030, 0.7011963, 0.3973112],
    ]
)
DEVIATIONS = np.array([121.780061, 37.093889, 19.720833])
IMAGES = 16


def natural_noise(size):
    """Draw images whose amplitudes fall as 1/frequency, minus the mean: [IMAGES, size, size, 3]."""
    side = 256
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf  # No brightness of its own in an image's mean.
    white = np.random.default_rng(0).standard_normal((IMAGES, 3, side, side))
    fields = np.fft.irfft2(np.fft.rfft2(white) / frequency, s=(side, side))
    fields /= fields.std(axis=(0, 2, 3), keepdims=True)
    colors = np.moveaxis(fields, 1, -1) * DEVIATIONS @ AXES.T
    offset = (side - size) // 2
    crops = colors[:, offset : offset + size, offset : offset + size]
    return (np.clip(crops + MEAN, 0, 255) - MEAN).astype(np.float32)


def start(name):
    """Returns logits in evaluation, and what each layer with parameters is given and computes."""
    model = create_model(name)
    images = natural_noise(model.spec.crop_size)

    @jax.jit
    def compute(key, images):
        params = model.init(key, images[:1], train=False)
        seen = {}

        def watch(call, args, kwargs, context):
            result = call(*args, **kwargs)
            if context.module.name:
                seen[context.module.name] = (args[0], result)
            return result

        with nn.intercept_methods(watch):
            return model.apply(params, images, train=False), seen

    logits, seen = compute(jax.random.key(0), images)
    return np.asarray(logits, np.float64), seen


@pytest.fixture(scope="module")
def original():
    return start("original")


def mean_energy(inputs, window, stride, padding):
    """Mean of the sum of squares that a kernel of one group of channels is given."""
    squares = jnp.square(inputs).mean(axis=-1, keepdims=True)
    if window is None:
        return float(squares.mean())
    box = jnp.ones((window, window, 1, 1))
    sums = lax.conv_general_dilated(
        squares,
        box,
        (stride, stride),
        (padding, padding),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return float(sums.mean())


@pytest.mark.parametrize(
    ("layer", "kernel_std", "bias", "channels", "geometry"),
    [
        ("conv1", 0.01, 0, 3, (11, 4, (0, 3))),
        ("conv2", 0.01, 1, 48, (5, 1, (2, 2))),
        ("conv3", 0.03, 0, 256, (3, 1, (1, 1))),
        ("conv4", 0.03, 1, 192, (3, 1, (1, 1))),
        ("conv5", 0.03, 1, 192, (3, 1, (1, 1))),
        ("fc6", 0.01, 1, 9216, (None, None, None)),
        ("fc7", 0.01, 1, 4096, (None, None, None)),
        ("fc8", 0.01, 0, 4096, (None, None, None)),
    ],
)
def test_layers_of_original_start_with_the_scale_of_their_gaussian(
    original, layer, kernel_std, bias, channels, geometry
):
    """Independent weights of deviation s give s·sqrt(the sum of the inputs' squares)."""
    inputs, outputs = original[1][layer]
    outputs = np.asarray(outputs, np.float64)
    deviation = kernel_std * np.sqrt(channels * mean_energy(inputs, *geometry))
    assert outputs.std() == pytest.approx(deviation, rel=0.1)
    # One draw a kernel: four standard errors.
    assert abs(outputs.mean() - bias) < 4 * deviation / np.sqrt(outputs.shape[-1])


def image_share(logits):
    """A logit's deviation from image to image over the root mean square of all logits."""
    across_images = logits.std(axis=0, ddof=1)
    return np.sqrt(np.mean(across_images**2) / np.mean(logits**2))


def test_eight_percent_of_originals_logits_depend_on_the_image(original):
    assert image_share(original[0]) == pytest.approx(0.079, rel=0.2)


@pytest.mark.parametrize(
    ("name", "share"), [("paper", 0.007), ("caffenet", 0.010), ("caffe", 0.054)]
)
def test_less_does_where_all_kernels_start_alike(name, share):
    """Bias 1 and deviation 0.01 everywhere drown the image; Caffe's bias of 0.1 does less so."""
    logits, _ = start(name)
    assert image_share(logits) == pytest.approx(share, rel=0.2)
