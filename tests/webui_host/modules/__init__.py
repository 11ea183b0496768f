"""A small host with the contract of AUTOMATIC1111's webui, for tests: real gradio, torch and k-diffusion, a tiny model.

Written from the contract that its extensions see (hooks and their order, samplers, infotexts, page, API); it knows no
extension. What no test needs is left out.
"""

import sys
from pathlib import Path

# Where k_sampling.py is: k-diffusion's own package imports its training code, which is not installed.
sys.path.append(str(Path(__file__).resolve().parents[2] / "python"))
import k_sampling

k_sampling.without_training()
