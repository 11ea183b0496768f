"""A picture of the page that can be drawn on, on hosts whose gradio has a brush for it."""

from __future__ import annotations

import inspect
from typing import Any

import gradio as gr

_BRUSH = "#ffffff"


class Drawable(gr.Image):  # type: ignore[misc]
    """Answers the picture, and with a drawing on it `{"image": picture, "mask": drawing}`.

    The page sends a picture before it has made the canvas, which gradio's own component fails on.
    """

    def get_block_name(self) -> str:
        """What the page shows it as."""
        return "image"

    def preprocess(self, x: Any) -> Any:
        """From what the page sends."""
        if isinstance(x, dict) and x.get("mask") is None:
            x = x.get("image")
        if x is None or isinstance(x, dict):
            return super().preprocess(x)
        return gr.processing_utils.decode_base64_to_image(x).convert(self.image_mode)


def picture(**arguments: Any) -> Any:
    """A control for a picture (PIL, RGBA) with gradio's arguments, to be drawn on where that can be."""
    if "brush_color" not in inspect.signature(gr.Image.__init__).parameters:
        return gr.Image(type="pil", image_mode="RGBA", **arguments)
    return Drawable(type="pil", image_mode="RGBA", tool="sketch", brush_color=_BRUSH, **arguments)
