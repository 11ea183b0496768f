"""The Sonar samplers in the host's lists of samplers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules import script_callbacks, sd_samplers, sd_samplers_common, sd_samplers_kdiffusion

from sonar_sampler.errors import ConfigError
from sonar_sampler.hosts.webui import infotext, reference, sampling
from sonar_sampler.hosts.webui import job as jobs
from sonar_sampler.hosts.webui.job import NAMES
from sonar_sampler.hosts.webui.options import METHODS, REF_IMAGE, REF_INIT
from sonar_sampler.hosts.webui.refusal import refusing
from sonar_sampler.listed import LISTED
from sonar_sampler.registry import default

# Options of the host's `SamplerData` for solvers that the host has not itself, by the core's name.
_OPTIONS: Mapping[str, Mapping[str, Any]] = {"naive": {"uses_ensd": True}}

DEFAULT = next(name for name, listed in NAMES.items() if listed == default("sampler"))
"""The sampler that stands in for one that Sonar does not have."""

_FUNCTIONS = {name: sampling.function(listed) for name, listed in NAMES.items()}


def replacement(name: str, mode: str) -> str | None:
    """The Sonar sampler that a method of the page becomes; None if Sonar does not have it in a momentum mode."""
    if name in NAMES:
        return name
    return jobs.sampler_name(name) if name in METHODS and takes(METHODS[name], mode) else None


def takes(listed: str, mode: str) -> bool:
    """Whether a sampler of `LISTED` takes a momentum mode."""
    return mode != "lead" or LISTED[listed].facts.leads


def missing(name: str, mode: str) -> str:
    """Why `replacement` has none."""
    return f"Sonar has no {name}" if mode != "lead" else f"Sonar has no {name} that leads"


def check_hires(p: Any, job: jobs.Job) -> None:
    """Refuses a hires sampler before the first pass is made, which would be lost."""
    name: Any = getattr(p, "hr_sampler_name", None)
    mode = job.config.momentum_mode
    if name in NAMES and getattr(p, "enable_hr", False) and job.hires and not takes(NAMES[name], mode):
        raise ConfigError(
            f"momentum_mode = {mode}: the hires pass has {name}, whose steps are of second order already; choose Sonar "
            "Euler a or Sonar Euler for it"
        )


class SonarSampler(sd_samplers_kdiffusion.KDiffusionSampler):  # type: ignore[misc]
    """The host's own sampler, told of each pass before it begins: the reference cannot be encoded in the loop."""

    def sample(self, p: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """One txt2img pass; see the host."""
        with refusing(p):
            begin(p, x, initial=None)
            return _told(p, super().sample(p, x, *args, **kwargs))

    def sample_img2img(self, p: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """One img2img or hires pass; see the host."""
        with refusing(p):
            begin(p, x, initial=None if getattr(p, "is_hr_pass", False) else x)
            return _told(p, super().sample_img2img(p, x, *args, **kwargs))


def begin(p: Any, x: Any, initial: Any) -> None:
    """Leaves on the job what the sampling function needs for a pass, and what the infotext must say.

    Args:
        p: the host's job.
        x: a latent of the size of the pass.
        initial: the latent of the img2img image, if there is one.
    """
    job = jobs.of(p)
    is_second = getattr(p, "is_hr_pass", False)
    if not is_second:
        p.sonar_losses = None
    infotext.write(p, job)
    if is_second:
        job = job.of_sampler(getattr(p, "hr_sampler_name", None)) if job.hires else job.plain()
    else:
        check_hires(p, job)  # without the script it has not been done
    latent = None
    if job.ref_source == REF_IMAGE and job.ref_image is not None:
        latent = reference.latent(p, job.ref_image, x)
    elif job.ref_source == REF_INIT:
        latent = initial
    mask = None if latent is None or job.ref_mask is None else reference.mask(job.ref_mask, x)
    p.sonar_pass = sampling.Pass(job, latent, mask)


def _told(p: Any, latent: Any) -> Any:
    """The result of a pass, after its losses went into the infotext."""
    if getattr(p, "sonar_losses", None):
        infotext.write(p, jobs.of(p))
    return latent


def register() -> None:
    """Puts the samplers into the host's lists, in place of those that an earlier load left there."""
    _remove()
    for name, function in _FUNCTIONS.items():
        options, settings = _of_host(LISTED[NAMES[name]].solver)
        data = sd_samplers_common.SamplerData(name, _constructor(function), [f"sonar_{NAMES[name]}"], options)
        sd_samplers.all_samplers.append(data)
        sd_samplers.all_samplers_map[name] = data
        # Keyed by the callable: that is what the host looks up.
        sd_samplers_kdiffusion.sampler_extra_params[function] = settings
    _publish()
    script_callbacks.on_script_unloaded(unregister)


def unregister() -> None:
    """Takes the samplers out again."""
    _remove()
    _publish()


def _of_host(solver: str) -> tuple[dict[str, Any], list[str]]:
    """What the host has for its own sampler of that label: its options, and the settings that it passes."""
    for label, function, _aliases, options in getattr(sd_samplers_kdiffusion, "samplers_k_diffusion", []):
        if label == LISTED[solver].label:
            return dict(options), list(sd_samplers_kdiffusion.sampler_extra_params.get(function, []))
    return dict(_OPTIONS.get(solver, {})), []


def _constructor(function: Any) -> Any:
    return lambda model: SonarSampler(function, model)


def _remove() -> None:
    # In place: other extensions hold the lists themselves.
    sd_samplers.all_samplers[:] = [data for data in sd_samplers.all_samplers if data.name not in NAMES]
    for name, function in _FUNCTIONS.items():
        sd_samplers.all_samplers_map.pop(name, None)
        sd_samplers_kdiffusion.sampler_extra_params.pop(function, None)


def _publish() -> None:
    sd_samplers.set_samplers()
    lookup: Any = getattr(sd_samplers, "get_sampler_and_scheduler", None)
    if hasattr(lookup, "cache_clear"):
        lookup.cache_clear()
