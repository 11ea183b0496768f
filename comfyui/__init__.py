"""The pack's root for ComfyUI: all of it is in the package `sonar_sampler`."""

import sys
from pathlib import Path

try:
    from sonar_sampler.hosts.comfyui import comfy_entrypoint
except ModuleNotFoundError as error:
    if error.name != "sonar_sampler":
        raise
    clone = Path(__file__).parent.parent
    package = clone if (clone / "Cargo.toml").exists() else "sonar-sampler[torch]"
    # ComfyUI shows the message in its log, behind the pack's name.
    raise ImportError(f'Sonar needs its package: "{sys.executable}" -m pip install "{package}"') from None

# Whole, because a clone of the repository is loaded from the folder above.
WEB_DIRECTORY = str(Path(__file__).parent / "web")

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
