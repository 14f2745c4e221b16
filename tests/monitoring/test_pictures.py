import numpy as np

from alexnet_jax.monitoring.pictures import kernel_grid, prediction_sheet


def test_a_kernel_is_scaled_to_its_own_range():
    """A weak kernel shows its form as a strong one does."""
    kernel = np.array([-1.0, 0.0, 1.0], np.float32).reshape(1, 1, 3, 1)
    grid = kernel_grid(np.concatenate([kernel, 100 * kernel], axis=3))
    first, second = grid[20, 20], grid[20, 66]
    assert first.tolist() == second.tolist() == [0, 128, 255]


def test_a_constant_kernel_is_drawn():
    assert kernel_grid(np.zeros((3, 3, 3, 1), np.float32)).shape == (44, 44, 3)


def colors_of(labels, probabilities):
    images = np.full((1, 8, 8, 3), 255, np.uint8)
    sheet = prediction_sheet(
        images, np.array(labels), np.array([probabilities]), ["cat", "dog", "cow"]
    )
    text = sheet[180:].reshape(-1, 3).astype(int)  # Below the image and its class.
    red, green, _ = text[text.sum(axis=1) < 400].T
    return bool((green > red).any()), bool((red > green).any())


def test_the_right_class_is_green_and_the_others_red():
    assert colors_of([1], [0.2, 0.7, 0.1]) == (True, True)


def test_without_the_right_class_nothing_is_green():
    images = np.full((1, 8, 8, 3), 255, np.uint8)
    names = [f"class {label}" for label in range(5)]
    sheet = prediction_sheet(images, np.array([4]), np.array([[0.4, 0.3, 0.2, 0.1, 0.0]]), names)
    text = sheet.reshape(-1, 3).astype(int)
    assert not (text[:, 1] > text[:, 0] + 50).any()
