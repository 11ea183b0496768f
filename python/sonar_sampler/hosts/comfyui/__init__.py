"""The ComfyUI pack: the samplers in every KSampler's list, and nodes for their options.

Imported by the pack's own `__init__.py` inside the host. The host runs its own sampling code; this package gives it
sampling functions and nodes of its V3 schema.

| module | what it holds |
|---|---|
| `extension` | what the host loads |
| `nodes` | the nodes |
| `inputs` | the table of options as inputs of nodes |
| `curve` | a value that changes over the steps |
| `settings` | the options of one sampler, frozen |
| `samplers` | the samplers in the host's list |
| `sampling` | the sampling functions |
| `noise` | the host's noise |
| `modalities` | latents of several kinds, audio and video, in one run |
"""

from sonar_sampler.hosts.comfyui.extension import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
