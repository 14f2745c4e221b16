"""Trains a network with the core alone: no other room of the package can be imported.

This is also the shortest program that trains on arrays of one's own.
"""

import sys
from pathlib import Path

import numpy as np

ROOMS = ("config", "models", "data", "parallel", "evaluation", "training", "system", "errors")
SUBROOMS = {"data": ("decoding",)}


class OnlyTheCore:
    """Refuses to import anything else of the package; `sys.meta_path` has it."""

    def find_spec(self, name, path=None, target=None):
        package, room, *rest = [*name.split("."), ""]
        if package == "alexnet_jax" and room:
            assert room in ROOMS, f"the core imports {name}"
            below = Path(path[0], rest[0]).is_dir() and rest[0]
            assert not below or below in SUBROOMS.get(room, ()), f"the core imports {name}"


class Arrays:
    """Eight images of noise, each of its own class, as a `data.image_source.ImageSource`."""

    num_classes, image_size, fingerprint = 8, 96, None
    directory, class_names = Path(), [f"class {label}" for label in range(8)]
    images = np.random.default_rng(0).integers(0, 256, (8, 96, 96, 3), np.uint8)

    def __len__(self):
        return len(self.images)

    def read_into(self, indices, images, labels):
        images[:], labels[:] = self.images[indices], indices


class InMemory:
    """Keeps the numbers of a run, as a `training.loop.Record`."""

    def __init__(self):
        self.losses, self.states, self.evaluated = [], {}, {}

    def reach(self, step, state):
        pass

    def train(self, step, values):
        self.losses.append(values["loss"])

    def scores(self, step, views):
        return None

    def watch(self, step, batches, predictor):
        return batches

    def evaluation(self, step, scores, state):
        self.evaluated[step] = scores

    def has_saved(self, step):
        return step in self.states

    def save(self, step, state):
        self.states[step] = state


def main():
    sys.meta_path.insert(0, OnlyTheCore())
    from alexnet_jax.config import default_config
    from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches
    from alexnet_jax.training.experiment import build_without_data
    from alexnet_jax.training.loop import Loop
    from alexnet_jax.training.preemption import PreemptionGuard

    config, arrays, record = default_config(), Arrays(), InMemory()
    config.model.update(name="tiny", num_classes=8, kernels="plain", modifications=("no_dropout",))
    config.data.update(image_size=96)
    config.augment.update(crop="center", flip=False, color_noise=0.0)
    config.schedule.update(name="constant", learning_rate=0.005)
    config.train.update(batch_size=8, steps=20)
    config.eval.every_steps = config.checkpoint.every_steps = 20
    config.eval.batch_size = 8
    config.log.every_steps = 1
    experiment = build_without_data(config)
    training = TrainingBatches(arrays, batch_size=8, seed=0, steps=20)
    loop = Loop(experiment, training, EvaluationBatches(arrays, 8), 1, record, PreemptionGuard())
    loop.run(experiment.create_state(), 0)
    assert len(record.losses) == 20
    assert record.losses[-1] < record.losses[0] / 2, record.losses
    assert record.evaluated[20]["ten_crop"]["count"] == 8
    assert int(record.states[20].step) == 20


if __name__ == "__main__":
    main()
