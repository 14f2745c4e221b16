"""A trained network, and the report of its run."""

import shutil

import numpy as np
import pytest

from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.runs.run import open_split
from alexnet_jax.runs.trained import load_trained


@pytest.fixture(scope="session")
def trained(finished):
    """The network of the short run."""
    return load_trained(finished[0], make_data_mesh())


@pytest.fixture(scope="session")
def photographs(trained):
    """The center crops of sixty training images, uint8."""
    split = open_split(trained.config, "train")
    images, labels = np.zeros((60, 96, 96, 3), np.uint8), np.zeros(60, np.int32)
    split.read_into(np.arange(60), images, labels)
    return images[:, 8:88, 8:88]


@pytest.fixture(scope="session")
def reported(finished, make_once):
    """A copy of the short run's workdir with its report."""

    def make(folder):
        from alexnet_jax.report.making import make_report

        shutil.copytree(finished[0], folder)
        make_report([folder], images=80, training_images=80)

    return make_once("reported", make)
