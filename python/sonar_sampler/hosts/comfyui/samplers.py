"""The Sonar samplers in the host's list."""

from __future__ import annotations

from collections.abc import Mapping

from comfy import samplers

from sonar_sampler.hosts.comfyui import sampling
from sonar_sampler.listed import LISTED

NAMES: Mapping[str, str] = {
    f"sonar_{name}" if listed.preset else f"sonar_classic_{name}": name for name, listed in LISTED.items()
}
"""Name in the host's list -> its name in `LISTED`. Other packs have `sonar_euler` and `sonar_euler_ancestral`."""

FUNCTIONS = {listed: sampling.function(listed) for listed in NAMES.values()}
"""Name in `LISTED` -> the function that the host calls."""


def register() -> None:
    """Puts the samplers into the host's list, once however often it is called."""
    for name, listed in NAMES.items():
        # Where the host looks a sampler of its list up.
        setattr(samplers.k_diffusion_sampling, f"sample_{name}", FUNCTIONS[listed])
        # In place: other modules hold the list itself.
        if name not in samplers.SAMPLER_NAMES:
            samplers.SAMPLER_NAMES.append(name)
