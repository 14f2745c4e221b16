"""Published errors on the data sets of the paper, with their sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Errors of one published network, as fractions; None where the source gives none."""

    title: str
    views: str
    top1_error: float | None
    top5_error: float | None
    source: str


_PAPER = "Krizhevsky, Sutskever, Hinton, NIPS 2012"

# By data set.
PUBLISHED: dict[str, list[Published]] = {
    "imagenet2012": [
        Published("1 CNN", "ten_crop", 0.407, 0.182, f"{_PAPER}, table 2"),
        Published("5 CNNs", "ten_crop", 0.381, 0.164, f"{_PAPER}, table 2"),
        Published(
            "torchvision's alexnet", "center", 1 - 0.56522, 1 - 0.79066,
            "torchvision, AlexNet_Weights.IMAGENET1K_V1",
        ),
    ],
    "imagenet2010": [
        Published("1 CNN, test images", "ten_crop", 0.375, 0.170, f"{_PAPER}, table 1"),
        Published("1 CNN, test images", "center", 0.390, 0.183, f"{_PAPER}, footnote 5"),
    ],
}  # fmt: skip
