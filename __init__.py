"""For a clone in custom_nodes of ComfyUI: the pack is in the folder comfyui."""

import importlib.util

# Other tools that meet a package here look into it, too.
if importlib.util.find_spec("comfy_api"):
    from .comfyui import WEB_DIRECTORY, comfy_entrypoint

    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
