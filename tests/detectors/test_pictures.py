"""Where the features of pictures lie, whatever the order of axes."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.pictures import as_images, as_rows, is_picture


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3), (3, 5, 6)])
def test_images_have_channels_first_and_go_back_to_the_same_rows(shape: tuple[int, ...]) -> None:
    images = np.arange(2 * 3 * 5 * 6).reshape(2, 3, 5, 6)[:, : 3 if len(shape) == 3 else 1]
    rows = (np.moveaxis(images, 1, 3) if shape[-1] == 3 else images).reshape(2, -1)
    assert is_picture(shape)
    assert np.array_equal(as_images(rows, shape), images)
    assert np.array_equal(as_rows(images, shape), rows)


@pytest.mark.parametrize("shape", [(), (64,), (3, 9), (3, 9, 1), (4, 3, 9), (1, 8, 8, 1)])
def test_too_small_or_of_another_number_of_axes_is_no_picture(shape: tuple[int, ...]) -> None:
    assert not is_picture(shape)
