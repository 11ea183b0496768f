"""What the host loads."""

from __future__ import annotations

from typing import Any

from comfy_api.v0_0_2 import ComfyExtension

from sonar_sampler.hosts.comfyui import nodes, samplers


class SonarExtension(ComfyExtension):  # type: ignore[misc]
    """The nodes."""

    async def get_node_list(self) -> list[type[Any]]:
        """The nodes."""
        return list(nodes.NODES)


async def comfy_entrypoint() -> SonarExtension:
    """The host calls it when it loads the pack: the samplers are in its list from then on."""
    samplers.register()
    return SonarExtension()
