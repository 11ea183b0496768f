"""Pictures: sizes and sheets. Nothing is written: tests look at `saved` and `annotated`."""

from PIL import Image, ImageFont

saved = []
"""For tests: each picture that would be a file, with its infotext."""
annotated = []
"""For tests: the labels (columns, rows) of each sheet."""


def get_font(fontsize):
    return ImageFont.load_default(fontsize)


def resize_image(resize_mode, im, width, height, upscaler_name=None):
    """0: stretch; 1: fill and crop."""
    if resize_mode == 0:
        return im.resize((width, height))
    scale = max(width / im.width, height / im.height)
    w, h = round(im.width * scale), round(im.height * scale)
    left, top = (w - width) // 2, (h - height) // 2
    return im.resize((w, h)).crop((left, top, left + width, top + height))


def image_grid(imgs, batch_size=1, rows=None):
    rows = rows or 1
    columns, (w, h) = -(-len(imgs) // rows), imgs[0].size
    grid = Image.new("RGB", (columns * w, rows * h))
    for k, image in enumerate(imgs):
        grid.paste(image, (k % columns * w, k // columns * h))
    return grid


class GridAnnotation:
    def __init__(self, text=""):
        self.text = text


def draw_grid_annotations(im, width, height, hor_texts, ver_texts, margin=0):
    columns, rows = im.width // width, im.height // height
    assert columns == len(hor_texts), f"bad number of horizontal texts: {len(hor_texts)}; must be {columns}"
    assert rows == len(ver_texts), f"bad number of vertical texts: {len(ver_texts)}; must be {rows}"
    annotated.append(tuple([lines[0].text for lines in texts] for texts in (hor_texts, ver_texts)))
    return im


def save_image(image, path, basename, seed=None, prompt=None, extension="png", info=None, grid=False, p=None):
    saved.append((image.copy(), info))
