"""The pack's root for ComfyUI: all of it is in the package `sonar_sampler`."""

from pathlib import Path

from sonar_sampler.hosts.comfyui import comfy_entrypoint

# Whole, because a clone of the repository is loaded from the folder above.
WEB_DIRECTORY = str(Path(__file__).parent / "web")

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
