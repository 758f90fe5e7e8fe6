"""How a client's camera sees a picture: natural variation, named and seeded, and a lens that gets dirty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from replay.simulate.datasets.examples import Array, Examples, Labels


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """One client's camera.

    ``capture`` = shift by up to ``shift_px`` in each direction (bilinear), times ``gain``, contrast about mid-grey,
    plus Gaussian noise; clipped to [0, 1]. From ``dirty_from_s`` on, the lens dims and blurs before the noise.

    Attributes:
        gain: brightness factor of this camera; each picture varies it by another ±5 %.
        contrast: factor on the distance from mid-grey.
        shift_px: largest shift, pixels.
        noise_sd: standard deviation of the sensor noise, in units of full scale.
        dirty_from_s: scenario time in seconds at which the lens gets dirty; infinity for never.
        side: pixels across the picture.
        warp_px: standard deviation of a smooth warp of the picture, pixels, as if the digit were written again.
        dim: brightness factor of the dirty lens. ``blur_px``: standard deviation of its Gaussian blur, pixels.
    """

    rng: np.random.Generator
    gain: float
    contrast: float
    shift_px: float
    noise_sd: float
    dirty_from_s: float = math.inf
    side: int = 8
    warp_px: float = 0.0
    dim: float = 0.75
    blur_px: float = 0.55

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        noise_sd: float | None = None,
        dirty_from_s: float = math.inf,
        *,
        side: int = 8,
        warp_px: float = 0.0,
    ) -> Sensor:
        """A camera of ordinary make, its traits drawn from ``rng``, which also feeds its noise."""
        return cls(
            rng=rng,
            gain=float(rng.uniform(0.85, 1.05)),
            contrast=float(rng.uniform(0.9, 1.1)),
            shift_px=float(rng.uniform(0.1, 0.4)),
            noise_sd=float(rng.uniform(0.01, 0.03)) if noise_sd is None else noise_sd,
            dirty_from_s=dirty_from_s,
            side=side,
            warp_px=warp_px,
        )

    def capture(self, image: Array, at_s: float, steady: bool = False) -> Array:
        """One picture ``(d,)`` of ``image`` ``(d,)`` at ``at_s`` seconds; ``steady`` varies noise alone."""
        picture = image.reshape(self.side, self.side)
        gain = self.gain
        if not steady:
            if self.warp_px:
                picture = self._warped(picture)
            offset = self.rng.uniform(-self.shift_px, self.shift_px, size=2)
            picture = ndimage.shift(picture, offset, order=1, mode="constant", cval=0.0)
            gain *= float(self.rng.uniform(0.95, 1.05))
        picture = (picture * gain - 0.5) * self.contrast + 0.5
        if at_s >= self.dirty_from_s:
            picture = ndimage.gaussian_filter(np.clip(picture, 0.0, 1.0), self.blur_px, mode="constant") * self.dim
        picture = picture + self.rng.normal(0.0, self.noise_sd, size=picture.shape)
        return np.asarray(np.clip(picture, 0.0, 1.0), dtype=np.float64).reshape(-1)

    def _warped(self, picture: Array) -> Array:
        """Bilinear look-up at places moved by a field random on a 4 x 4 grid, linear between (after Simard 2003)."""
        upsampled = _upsampling(self.side)
        rows, columns = upsampled @ self.rng.normal(0.0, self.warp_px, size=(2, 4, 4)) @ upsampled.T
        grid = np.arange(self.side, dtype=np.float64)
        return np.asarray(ndimage.map_coordinates(picture, (grid[:, None] + rows, grid + columns), order=1))

    def between(self, scene: Array, following: Array, blend: float) -> Array:
        """One picture melting into another."""
        return np.asarray((1.0 - blend) * scene + blend * following)


@cache
def _upsampling(side: int) -> Array:
    """Linear interpolation from 4 equidistant places to ``side``, ``(side, 4)``."""
    at = np.linspace(0.0, 3.0, side)[:, None]
    return np.asarray(np.clip(1.0 - np.abs(at - np.arange(4.0)), 0.0, 1.0))


def varied(examples: Examples, seed: int, copies: int, side: int, warp_px: float = 0.0) -> tuple[Array, Labels]:
    """The examples and ``copies`` variations of them, as seen through as many cameras."""
    rng = np.random.default_rng(seed)
    x = [examples.x]
    for _ in range(copies):
        sensor = Sensor.draw(rng, side=side, warp_px=warp_px)
        x.append(np.stack([sensor.capture(image, 0.0) for image in examples.x]))
    return np.concatenate(x), np.tile(examples.y, copies + 1)
