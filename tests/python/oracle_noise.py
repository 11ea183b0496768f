"""The seeded generator once more, from its specifications: ChaCha8 (Bernstein 2008) and the ziggurat (Doornik 2005).

The 32-byte key of a stream is the image's seed, the step (8 bytes each, little-endian) and the purpose.
"""

import math
import struct
from functools import lru_cache

import numpy as np

STEP, HISTORY, SIGN, INITIAL, STEP_AGAIN = 1, 2, 3, 4, 5

_R = 3.654152885361008796
_V = 0.00492867323399


def _quarter(s, a, b, c, d):
    for left, right, turn in ((a, b, 16), (c, d, 12), (a, b, 8), (c, d, 7)):
        s[left] = (s[left] + s[right]) & 0xFFFFFFFF
        other = d if left == a else b
        mixed = s[other] ^ s[left]
        s[other] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF


def _block(key, counter):
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key)]
    start += [counter & 0xFFFFFFFF, counter >> 32, 0, 0]
    state = list(start)
    for _ in range(4):
        for k in range(4):
            _quarter(state, k, 4 + k, 8 + k, 12 + k)
        for k in range(4):
            _quarter(state, k, 4 + (k + 1) % 4, 8 + (k + 2) % 4, 12 + (k + 3) % 4)
    return [(a + b) & 0xFFFFFFFF for a, b in zip(state, start, strict=True)]


def words(seed, step, purpose):
    """The stream's 32-bit words."""
    key = struct.pack("<QQQQ", seed, step, purpose, 0)
    counter = 0
    while True:
        yield from _block(key, counter)
        counter += 1


def sign(seed, step):
    """The random sign of an image at a step."""
    return "neg" if next(words(seed, step, SIGN)) & 1 else "pos"


@lru_cache
def _tables():
    """Abscissae of the 256 layers and the density there, from the outermost (the tail's box) inwards."""
    density = lambda x: math.exp(-x * x / 2)  # noqa: E731
    x = [_V / density(_R), _R]
    for _ in range(254):
        x.append(math.sqrt(-2 * math.log(_V / x[-1] + density(x[-1]))))
    x.append(0.0)
    return x, [density(value) for value in x]


def _normal(stream):
    x, f = _tables()

    def bits():
        low = next(stream)
        return low | next(stream) << 32

    def open01():
        return ((bits() >> 12) + 0.5) * 2.0**-52

    while True:
        drawn = bits()
        layer = drawn & 0xFF
        u = (drawn >> 12) * 2.0**-51 - 1
        value = u * x[layer]
        if abs(value) < x[layer + 1]:
            return value
        if layer == 0:
            tail, y = 1.0, 0.0
            while -2 * y < tail * tail:
                tail, y = math.log(open01()) / _R, math.log(open01())
            return tail - _R if u < 0 else _R - tail
        uniform = (bits() >> 11) * 2.0**-53
        if f[layer + 1] + (f[layer] - f[layer + 1]) * uniform < math.exp(-value * value / 2):
            return value


def normal(shape, seeds, step, purpose):
    """Standard normal numbers in float64, one stream per image."""
    size = math.prod(shape[1:])
    images = []
    for seed in seeds:
        stream = words(seed, step, purpose)
        images.append([_normal(stream) for _ in range(size)])
    return np.array(images).reshape(shape)
