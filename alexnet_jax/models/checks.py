"""Checks of the operations' arguments, for the plain forms and the fast ones."""


def check_convolution(
    images: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: int,
    padding: tuple[int, int],
    groups: int,
) -> None:
    """Raise ValueError, with the numbers, for shapes that do not fit together."""
    given = f"images {images}, kernel {kernel}, stride {stride}, padding {padding}, groups {groups}"
    if len(images) != 4 or len(kernel) != 4:
        raise ValueError(f"{given}: images are [B, H, W, C], kernels [h, w, C / groups, features]")
    if stride < 1 or groups < 1 or len(padding) != 2 or min(padding) < 0:
        raise ValueError(
            f"{given}: stride and groups are at least 1, padding is two numbers of at least 0"
        )
    if images[3] != kernel[2] * groups or kernel[3] % groups:
        raise ValueError(
            f"{given}: images need {kernel[2] * groups} channels, and groups divide the features"
        )
    if min(images[1:3]) + sum(padding) < max(kernel[:2]):
        raise ValueError(f"{given}: the padded images are smaller than the kernel")


def check_normalization(channels: int, size: int, groups: int) -> None:
    """Raise ValueError for an even window, or groups that do not divide the channels."""
    if size % 2 == 0:
        raise ValueError(f"size={size}: a window around a channel has an odd number of channels")
    if channels % groups:
        raise ValueError(f"{channels} channels do not divide into {groups} groups")


def check_pooling(shape: tuple[int, ...], window: int) -> None:
    """Raise ValueError for maps, [B, H, W, C], that are smaller than the window."""
    if min(shape[1:3]) < window:
        raise ValueError(
            f"a {window}x{window} pooling window does not fit a map of {shape[1]}x{shape[2]}; "
            "give the network larger crops"
        )
