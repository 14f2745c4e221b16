import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_network import apply, init

from alexnet_jax.errors import UserError
from alexnet_jax.models import MODELS, create_model
from alexnet_jax.models.layers import Layer
from alexnet_jax.models.spec import Convolution


def shapes(name):
    model = create_model(name)
    size = model.spec.crop_size
    images = jnp.zeros((1, size, size, 3))
    return jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))["params"]


@pytest.fixture(scope="module")
def original():
    model = create_model("original")
    return init(model, jnp.zeros((1, 224, 224, 3)))["params"]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("original", 60_965_224),
        ("paper", 60_965_224),
        ("single_tower", 62_378_344),
        ("one_column", 59_798_312),
        ("caffe", 60_965_224),
        ("caffenet", 60_965_224),
        ("owt", 61_100_840),
        # original, and conv6: 256 kernels of 3x3 over 256 channels.
        ("six_conv", 60_965_224 + 3 * 3 * 256 * 256 + 256),
    ],
)
def test_parameter_count(name, count):
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes(name))) == count


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_float32_whatever_the_compute_dtype(name):
    model = create_model(name, num_classes=7, dtype=jnp.bfloat16)
    size = model.spec.crop_size
    images = jnp.zeros((2, size, size, 3))
    logits, variables = jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), images, train=False)
    )
    assert (logits.shape, logits.dtype) == ((2, 7), jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(("name", "first"), [("original", 224), ("paper", 227)])
def test_map_sizes_are_those_of_the_paper(name, first):
    model = create_model(name)
    images = jnp.zeros((1, first, first, 3))
    _, seen = jax.eval_shape(
        lambda: model.init_with_output(
            jax.random.key(0), images, train=False, capture_intermediates=True
        )
    )
    maps = {
        key: value["__call__"][0].shape
        for key, value in seen["intermediates"].items()
        if key.startswith("conv") and not key.endswith("_activation")
    }
    assert maps == {
        "conv1": (1, 55, 55, 96),
        "conv2": (1, 27, 27, 256),
        "conv3": (1, 13, 13, 384),
        "conv4": (1, 13, 13, 384),
        "conv5": (1, 13, 13, 256),
    }
    assert shapes(name)["fc6"]["kernel"].shape == (9216, 4096)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "deviation", "bias"),
    [
        ("conv1", 0.01, 0.0),
        ("conv2", 0.01, 1.0),
        ("conv3", 0.03, 0.0),
        ("conv4", 0.03, 1.0),
        ("conv5", 0.03, 1.0),
        ("fc6", 0.01, 1.0),
        ("fc7", 0.01, 1.0),
        ("fc8", 0.01, 0.0),
    ],
)
def test_original_starts_as_the_2012_code_did(original, layer, deviation, bias):
    kernel = np.asarray(original[layer]["kernel"], np.float64)
    # Six standard errors of a Gaussian sample's deviation.
    assert abs(kernel.std() / deviation - 1) < 6 / np.sqrt(2 * kernel.size)
    assert np.abs(kernel).max() > 3.5 * deviation, "the Gaussian is not truncated"
    assert np.all(np.asarray(original[layer]["bias"]) == bias)


def test_the_paper_starts_all_kernels_alike():
    spec = MODELS["paper"]
    assert {layer.kernel_std for layer in (*spec.convolutions, *spec.dense)} == {0.01}


@pytest.mark.slow
def test_columns_of_a_grouped_layer_do_not_mix():
    model = create_model("tiny", num_classes=4)
    images = jax.random.normal(jax.random.key(1), (1, 80, 80, 3))
    params = init(model, images)["params"]

    def conv2(params):
        _, seen = apply(model, {"params": params}, images, capture_intermediates=True)
        return seen["intermediates"]["conv2"]["__call__"][0]

    kernel = params["conv1"]["kernel"].at[..., :6].multiply(3.0)  # The first column's half.
    changed = params | {"conv1": params["conv1"] | {"kernel": kernel}}
    before, after = conv2(params), conv2(changed)
    np.testing.assert_array_equal(before[..., 16:], after[..., 16:])
    assert not np.allclose(before[..., :16], after[..., :16])


@pytest.mark.slow
def test_training_needs_a_dropout_key_and_uses_it():
    model = create_model("tiny", num_classes=4)
    images = jax.random.normal(jax.random.key(1), (1, 80, 80, 3))
    variables = init(model, images)
    first, second = (
        apply(model, variables, images, train=True, rngs={"dropout": jax.random.key(seed)})
        for seed in (0, 1)
    )
    assert not np.allclose(first, second)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match="no model 'alexnet'.*original, paper"):
        create_model("alexnet")


def test_one_class_is_refused():
    with pytest.raises(UserError, match="num_classes=1"):
        create_model("tiny", num_classes=1)


@pytest.mark.parametrize("dtype", ["float16", "int8", "double", jnp.float16, jnp.dtype("int32")])
def test_an_unknown_dtype_lists_the_known_ones(dtype):
    with pytest.raises(UserError, match="the known ones: float32, bfloat16"):
        create_model("tiny", dtype=dtype)


@pytest.mark.parametrize("dtype", ["bfloat16", jnp.bfloat16, jnp.dtype("bfloat16")])
def test_bfloat16_computes_with_parameters_logits_and_gradients_of_float32(dtype):
    model, images = create_model("tiny", num_classes=4, dtype=dtype), jnp.ones((2, 80, 80, 3))

    def forward(params):
        logits, kept = model.apply(
            {"params": params}, images, train=False, capture_intermediates=True
        )
        return jnp.sum(logits), (logits, kept["intermediates"])

    params = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))["params"]
    gradients, (logits, kept) = jax.eval_shape(jax.grad(forward, has_aux=True), params)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, gradients, logits))} == {
        jnp.dtype("float32")
    }
    *hidden, output = (kept[name]["__call__"][0].dtype for name in params)
    assert (set(hidden), output) == ({jnp.dtype("bfloat16")}, jnp.dtype("float32"))


def test_gradients_of_biases_are_summed_in_float32():
    # So many ones that a sum of bfloat16 numbers, whose steps widen, stops at 1,024.
    layer = Layer(
        Convolution(features=2, window=1, after=()),
        product=lambda x, kernel, groups: x @ kernel[0, 0].astype(x.dtype),
        initialization="gaussian",
        dtype=jnp.bfloat16,
        result_dtype=jnp.bfloat16,
    )
    x = jnp.ones((1, 41, 41, 2), jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    gradients = jax.grad(lambda v: layer.apply(v, x).astype(jnp.float32).sum())(variables)
    np.testing.assert_array_equal(gradients["params"]["bias"], 41 * 41)


@pytest.mark.slow
def test_plain_kernels_give_the_same_logits_and_gradients():
    images = 50 * jax.random.normal(jax.random.key(1), (2, 80, 80, 3))
    fast, plain = (create_model("tiny", 10, kernels=kernels) for kernels in ("fast", "plain"))
    params = init(fast, images)

    def logits_and_gradients(model):
        def loss(params):
            logits = model.apply(params, images, train=False)
            return jnp.sum(jnp.square(logits)), logits

        (_, logits), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
        return [logits, *jax.tree.leaves(gradients)]

    for actual, expected in zip(*map(logits_and_gradients, (fast, plain)), strict=True):
        assert np.abs(actual - expected).max() <= 1e-4 * np.abs(expected).max()


def test_plain_kernels_are_those_of_xla():
    images = jnp.zeros((1, 80, 80, 3))
    model = create_model("tiny", 10, kernels="plain")
    program = jax.jit(lambda key: model.init(key, images, train=False)).trace(jax.random.key(0))
    text = str(program.jaxpr)
    assert "custom_vjp" not in text
    assert text.count("reduce_window_max") == 3


def test_kernels_that_are_not_there_list_those_that_are():
    with pytest.raises(UserError, match="no kernels 'quick'; the known ones: fast, plain"):
        create_model("tiny", kernels="quick")
