"""That products are what `model.dtype` and `model.precision` say, in the programs themselves."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_network import init
from ml_collections import ConfigDict

from alexnet_jax.data.statistics import Statistics
from alexnet_jax.errors import UserError
from alexnet_jax.models import create_model
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.system.cores import vector_units
from alexnet_jax.training.experiment import make_experiment
from alexnet_jax.training.from_config import make_preprocessing
from alexnet_jax.training.step import describe_batch
from configs import imagenet

pytestmark = pytest.mark.slow

PLATFORMS = ("cpu", "cuda", "tpu")
PRODUCT = re.compile(r"stablehlo\.(?:dot_general|convolution)")


@pytest.fixture(scope="module")
def wide_logits():
    """`tiny` in bfloat16 with its variables, so that logits have a deviation of about 19."""
    model = create_model("tiny", dtype=jnp.bfloat16)
    images = 60 * jax.random.normal(jax.random.key(1), (64, 80, 80, 3))
    variables = init(model, images[:1])
    apply = jax.jit(lambda variables, images: model.apply(variables, images, train=False))
    params = variables["params"]
    spread = jnp.std(apply(variables, images))
    output = {"kernel": params["fc8"]["kernel"] * 19 / spread, "bias": params["fc8"]["bias"]}
    return apply, {"params": params | {"fc8": output}}, images


def test_bfloat16_logits_do_not_tie(wide_logits):
    """Rounded to bfloat16, a sixth of the images had a fifth and a sixth class alike."""
    logits = np.asarray(wide_logits[0](*wide_logits[1:]))
    assert 15 < logits.std() < 25
    ranked = np.sort(logits, axis=1)
    assert (ranked[:, -5] != ranked[:, -6]).all()


@pytest.mark.parametrize(
    ("platform", "factors"),
    # A product on GPUs reads a float32 kernel, and one of few images on CPUs with AMX.
    [("cpu", "f32" if vector_units() == "amx" else "bf16"), ("cuda", "f32"), ("tpu", "bf16")],
    ids=PLATFORMS,
)
def test_bfloat16_products_become_float32_logits_without_rounding(wide_logits, platform, factors):
    apply, *arguments = wide_logits
    text = apply.trace(*arguments).lower(lowering_platforms=(platform,)).as_text()
    inputs = "(?:64x256|256x64)"  # The second where they are turned.
    shapes = rf"\(tensor<{inputs}x{factors}>, tensor<256x1000x{factors}>\) -> tensor<64x1000xf32>"
    assert re.search(f"dot_general.*{shapes}", text)
    assert "64x1000xbf16" not in text


def lowered_products(platform, devices=1, **model):
    """Return the products of a training step, a line of StableHLO each."""
    config = imagenet.get_config()
    config.model.update(ConfigDict(model))
    config.augment.crop = "random_resized"
    config.data.update(image_size=256, crop_size=224)
    if model["name"] == "tiny":
        config.data.update(image_size=96, crop_size=80)
    config.train.batch_size = 8
    size = config.data.image_size
    gray = Statistics(np.zeros((size, size, 3), np.float32), np.eye(3), np.ones(3), 1)
    mesh = make_data_mesh(jax.devices()[:devices])
    preprocessing = make_preprocessing(config.data.normalization, gray.mean_image)
    experiment = make_experiment(config, mesh, gray, 1000, preprocessing)
    batch = describe_batch(8, size, mesh)
    traced = experiment.train_step.trace(experiment.network.abstract_state, batch)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    return [line for line in text.splitlines() if PRODUCT.search(line)]


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(("network", "devices"), [("original", 1), ("owt", 1), ("tiny", 4)])
def test_all_float32_products_of_a_step_are_float32_on_every_platform(network, devices, platform):
    """Forward, in the gradients, and in augmentation: no TensorFloat-32, no bfloat16."""
    products = lowered_products(platform, devices, name=network)
    assert len(products) > 20
    wrong = [line for line in products if line.count("HIGHEST") != 2]
    assert not wrong


def test_fast_leaves_a_network_s_products_to_the_platform():
    *augmentation, _ = (
        len([line for line in lowered_products("tpu", name="tiny", **model) if "HIGHEST" in line])
        for model in ({"precision": "fast"}, {"dtype": "bfloat16"}, {})
    )
    # Rows and columns of the crops, and the colors; in float32 also the sums of LRN, in which
    # squares reach 1e5: two layers, forward, recomputed and in the gradient.
    assert augmentation == [3 + 2 * 3, 3]


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="no precision 'double'; the known ones: float32, fast"):
        create_model("tiny", precision="double")
