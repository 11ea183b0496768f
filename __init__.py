from .comfyui import WEB_DIRECTORY, comfy_entrypoint  # noqa: D104, F401 - for a clone in custom_nodes of ComfyUI
