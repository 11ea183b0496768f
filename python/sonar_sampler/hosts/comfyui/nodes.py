"""The nodes."""

from __future__ import annotations

from typing import Any

from comfy import samplers as host_samplers
from comfy_api.v0_0_2 import io

from sonar_sampler.errors import ConfigError
from sonar_sampler.hosts.comfyui import inputs, samplers
from sonar_sampler.hosts.comfyui.curve import Curve, parse_curve
from sonar_sampler.hosts.comfyui.settings import Guidance, Settings
from sonar_sampler.registry import Knob, SonarConfig, knobs

NOISE = Knob(
    "Noise",
    "comfyui: ComfyUI's own, one stream for the whole batch. per image: each image of a batch has its own, from the "
    "seed and its place, so that it does not depend on its neighbours.",
    "choice",
    "host",
    choices=("comfyui", "per image"),
)
_CATEGORY = "sampling/custom_sampling/samplers"
_GUIDANCE, _SCHEDULE = io.Custom("SONAR_GUIDANCE"), io.Custom("SONAR_SCHEDULE")
_CURVES = ("momentum", "momentum_hist")


class SonarSampler(io.ComfyNode):  # type: ignore[misc]
    """A sampler with all its options."""

    @classmethod
    def define_schema(cls) -> Any:
        """The options of the table, and what other nodes give."""
        return io.Schema(
            node_id="SonarSampler",
            display_name="Sonar Sampler",
            category=_CATEGORY,
            description="A sampler with momentum, for SamplerCustom and SamplerCustomAdvanced.",
            inputs=[
                *inputs.of_options(inputs.names("sampler", "momentum", "noise")),
                inputs.of_knob("noise", NOISE, NOISE.choices[0]),
                _GUIDANCE.Input("guidance", optional=True, tooltip="A reference that pulls: Sonar Guidance."),
                _SCHEDULE.Input(
                    "schedule", optional=True, tooltip="Momentum that changes over the steps: Sonar Schedule."
                ),
            ],
            outputs=[io.Sampler.Output()],
        )

    @classmethod
    def execute(
        cls,
        sampler: str,
        noise: str,
        guidance: Guidance | None = None,
        schedule: dict[str, Curve] | None = None,
        **options: Any,
    ) -> Any:
        """The sampler; options that are not allowed are refused here, not in the run."""
        settings = Settings(inputs.read(options), schedule or {}, guidance, per_image=noise == NOISE.choices[1])
        settings.config(1, sampler=sampler)
        return io.NodeOutput(host_samplers.KSAMPLER(samplers.FUNCTIONS[sampler], {"settings": settings}))


class SonarGuidance(io.ComfyNode):  # type: ignore[misc]
    """A reference latent and how it pulls."""

    @classmethod
    def define_schema(cls) -> Any:
        """The latent, and the options of the table."""
        return io.Schema(
            node_id="SonarGuidance",
            display_name="Sonar Guidance",
            category=_CATEGORY,
            description="Pulls a picture towards a reference: give it to Sonar Sampler.",
            inputs=[
                io.Latent.Input("latent", tooltip="The reference, of the size of the picture's latent (VAE Encode)."),
                *inputs.of_options(inputs.names("reference")),
                io.Mask.Input("mask", optional=True, tooltip="Where the reference counts, for the method denoised."),
            ],
            outputs=[_GUIDANCE.Output(display_name="guidance")],
        )

    @classmethod
    def execute(cls, latent: dict[str, Any], mask: Any = None, **options: Any) -> Any:
        """The guidance."""
        read = inputs.read(options)
        if SonarConfig(**read).ref_method != "denoised" and mask is not None:
            raise ConfigError(
                f"ref_method = {read['ref_method']!r}: takes no mask; choose denoised, or leave the mask out"
            )
        return io.NodeOutput(Guidance(latent["samples"], read, mask))


class SonarSchedule(io.ComfyNode):  # type: ignore[misc]
    """Momentum that changes over the steps."""

    @classmethod
    def define_schema(cls) -> Any:
        """A text for each curve."""
        help_text = (
            "Values spread evenly over the steps and joined by straight lines: 0.75, 0.95, 1 begins at 0.75, is at "
            "0.95 half way and ends at 1. Empty leaves the value of Sonar Sampler."
        )
        return io.Schema(
            node_id="SonarSchedule",
            display_name="Sonar Schedule",
            category=_CATEGORY,
            description="Momentum that changes over the steps: give it to Sonar Sampler.",
            inputs=[
                io.String.Input(
                    name,
                    default="0.75, 1" if name == _CURVES[0] else "",
                    display_name=knobs()[name].label,
                    tooltip=help_text,
                )
                for name in _CURVES
            ],
            outputs=[_SCHEDULE.Output(display_name="schedule")],
        )

    @classmethod
    def execute(cls, **texts: str) -> Any:
        """The curves that have values."""
        curves = {name: curve for name, text in texts.items() if (curve := parse_curve(text, name)) is not None}
        if not curves:
            raise ConfigError(f"{' and '.join(texts)} are empty: give one of them values, such as 0.75, 1")
        return io.NodeOutput(curves)


NODES = (SonarSampler, SonarGuidance, SonarSchedule)
