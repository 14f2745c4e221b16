import jax
import numpy as np
import pytest
from made_weights import make_bundle

from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import make_view_predictor
from alexnet_jax.evaluation.views import CENTER
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.weights import export_weights, import_weights


@pytest.fixture(scope="module")
def bundle():
    return make_bundle(modifications=("batch_norm",))


@pytest.fixture(scope="module")
def program(bundle, tmp_path_factory):
    """The exported program, read as somebody else would who has JAX and nothing of ours."""
    path = tmp_path_factory.mktemp("stablehlo") / "tiny.stablehlo"
    export_weights(bundle, path, "stablehlo")
    return jax.export.deserialize(bytearray(path.read_bytes()))


def images(count):
    return np.random.default_rng(3).integers(0, 256, (count, 96, 96, 3)).astype(np.uint8)


def test_it_is_for_cpus_gpus_and_tpus(program):
    assert program.platforms == ("cpu", "cuda", "tpu")


def test_it_takes_pixels_alone(program):
    assert [str(each) for each in program.in_avals] == ["uint8[b,96,96,3]"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4])
def test_it_gives_the_probabilities_that_evaluate_uses(program, bundle, count):
    mesh = make_data_mesh(jax.devices()[:1])
    predict = make_view_predictor(bundle.model, bundle.preprocessing, bundle.crop_size, mesh)
    expected = predict(bundle.variables, images(count), CENTER)
    np.testing.assert_allclose(program.call(images(count)), expected, atol=1e-6)


def test_another_size_of_images_is_refused(program):
    with pytest.raises(ValueError, match="96"):
        program.call(np.zeros((1, 80, 80, 3), np.uint8))


def test_an_unknown_format_lists_the_known_ones(bundle, tmp_path):
    with pytest.raises(UserError, match="no format 'onnx'; the known ones: torchvision"):
        import_weights(tmp_path / "network", "onnx")
    with pytest.raises(UserError, match="no format 'caffe'; the known ones: torchvision"):
        export_weights(bundle, tmp_path / "network", "caffe")


def test_a_mean_is_for_caffes_files(tmp_path):
    with pytest.raises(UserError, match="--mean is for --format=caffe"):
        import_weights(tmp_path / "network", "torchvision", bgr_mean=[1, 2, 3])
