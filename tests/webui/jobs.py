"""What the tests of both webuis, the real one and the small one in tests/webui_host, ask for and look at."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sonar_sampler.listed import LISTED

GUIDE = (Path(__file__).parents[2] / "docs" / "webui.md").read_text()
FORMS = ["Script dropdown", "Accordion with Enable"]
SONAR = tuple(f"Sonar {listed.label}" for listed in LISTED.values())
OTHER = "LMS"
"""A sampler of every webui that Sonar does not have."""
JOB = {"prompt": "a cat", "seed": 1, "steps": 5, "width": 64, "height": 64, "cfg_scale": 5, "sampler_name": "Euler a"}
STRONG = {"momentum": 0.8, "momentum_hist": 0.6}
GUIDED = {
    "momentum": 1.0,
    "ref_source": "Image",
    "ref_method": "denoised",
    "ref_factor": 0.3,
    "ref_stop": "0.5",
    "ref_detail": 0.25,
}
"""The preset Guided by an image, with an image to be given."""
LABELS = {
    "enable": "Sonar",
    "sampler": "Base sampler",
    "momentum": "Momentum current",
    "momentum_hist": "Momentum history",
    "momentum_sign": "Momentum sign",
    "momentum_hist_init": "Momentum history init",
    "momentum_start": "Momentum start",
    "momentum_stop": "Momentum stop",
    "momentum_mode": "Momentum mode",
    "lead_guard": "Lead guard",
    "ref_source": "Reference",
    "ref_image": "Reference image",
    "ref_method": "Reference method",
    "ref_factor": "Reference factor",
    "ref_start": "Reference start",
    "ref_stop": "Reference stop",
    "ref_fade": "Reference fade",
    "ref_match": "Reference match",
    "ref_detail": "Reference detail",
    "ref_mask": "Reference mask",
    "hires": "Hires pass",
    "upscale": "Upscaling",
    "upscaler": "Upscaler",
    "upscale_ratio": "Upscale ratio",
    "upscale_width": "Upscale width",
    "upscale_height": "Upscale height",
    "preset": "Preset",
    "grad_c_iter": "Prompt iterations",
    "grad_c_skip": "Prompt skip",
    "grad_c_alpha": "Prompt alpha",
    "grad_x_iter": "Latent iterations",
    "grad_x_alpha": "Latent alpha",
    "grad_x_sigma": "Latent sigma",
    "grad_r_iter": "Reference iterations",
    "grad_rule": "Gradient rule",
    "grid": "Grid search",
    "grid_momentum": "Momentum current search list",
    "grid_momentum_hist": "Momentum history search list",
}


def picture(mode="RGB", size=(96, 64)):
    image = Image.new("RGBA", size, (200, 40, 40, 255))
    ImageDraw.Draw(image).ellipse((8, 8, size[0] // 2, size[1] - 8), fill=(30, 60, 220, 255))
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
    return image.convert(mode)


def encode(image, kind="PNG"):
    """A picture as a request holds it."""
    out = io.BytesIO()
    image.save(out, kind)
    return base64.b64encode(out.getvalue()).decode()


def decode(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


def pixels(image):
    return np.asarray(image.convert("RGB"), dtype=np.int16)


def difference(one, other):
    """The largest difference of two pictures' colour values."""
    assert one.size == other.size, (one.size, other.size)
    return int(np.abs(pixels(one) - pixels(other)).max())
