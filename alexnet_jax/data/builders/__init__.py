"""The data sets that `prepare` can make, by name: one class and one line here add one."""

from alexnet_jax.data.builders.cifar10 import Cifar10
from alexnet_jax.data.builders.folder import Folder
from alexnet_jax.data.builders.fractals import Fractals
from alexnet_jax.data.builders.idx import FashionMnist, Kmnist, Mnist
from alexnet_jax.data.builders.imagenet2010 import Imagenet2010
from alexnet_jax.data.builders.imagenet2012 import Imagenet2012
from alexnet_jax.data.builders.record_builder import RecordBuilder

DATA_SETS: dict[str, type[RecordBuilder]] = {
    "imagenet2012": Imagenet2012,
    "folder": Folder,
    "fractals": Fractals,
    "mnist": Mnist,
    "fashion_mnist": FashionMnist,
    "kmnist": Kmnist,
    "cifar10": Cifar10,
    "imagenet2010": Imagenet2010,
}
