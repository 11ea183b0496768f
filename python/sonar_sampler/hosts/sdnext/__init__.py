"""Sonar's samplers in SD.Next, which samples by schedulers of diffusers.

Imported by `scripts/sonar.py` inside the host. They are added at the end of its lists, since its page sends numbers of
samplers; for a flow-matching model the host takes "NAME FlowMatch" by itself.
"""

from sonar_sampler.hosts.sdnext.schedulers import register

__all__ = ["register"]
