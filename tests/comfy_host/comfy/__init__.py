"""A small ComfyUI: what a pack of samplers and nodes touches of it."""
