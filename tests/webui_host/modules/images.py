"""Pictures: sizes, sheets with labels, files."""

import math
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFont, PngImagePlugin

from modules import script_callbacks, shared
from modules.shared import opts

LANCZOS = Image.Resampling.LANCZOS


def read(fp, **kwargs):
    image = Image.open(fp, **kwargs)
    image.load()
    return image


def flatten(img, bgcolor):
    """Without transparency."""
    if img.mode == "RGBA":
        background = Image.new("RGBA", img.size, bgcolor)
        background.paste(img, mask=img)
        img = background
    return img.convert("RGB")


def get_font(fontsize):
    return ImageFont.load_default(fontsize)


def _resize(im, w, h, upscaler_name):
    if upscaler_name not in (None, "", "None") and im.mode != "L" and (scale := max(w / im.width, h / im.height)) > 1:
        found = [x for x in shared.sd_upscalers if x.name == upscaler_name] or shared.sd_upscalers[:1]
        im = found[0].scaler.upscale(im, scale, found[0].data_path)
    return im if im.size == (w, h) else im.resize((w, h), resample=LANCZOS)


def resize_image(resize_mode, im, width, height, upscaler_name=None):
    """0: stretch; 1: fill and crop; 2: fit (the rest is black here)."""
    upscaler_name = upscaler_name or opts.upscaler_for_img2img
    if resize_mode == 0:
        return _resize(im, width, height, upscaler_name)
    wider = (width / height > im.width / im.height) == (resize_mode == 1)
    w, h = (width, im.height * width // im.width) if wider else (im.width * height // im.height, height)
    result = Image.new("RGB", (width, height))
    result.paste(_resize(im, w, h, upscaler_name), (width // 2 - w // 2, height // 2 - h // 2))
    return result


def image_grid(imgs, batch_size=1, rows=None):
    if rows is None:
        rows = opts.n_rows if opts.n_rows > 0 else batch_size if opts.n_rows == 0 else round(math.sqrt(len(imgs)))
    rows = min(rows, len(imgs))
    params = script_callbacks.ImageGridLoopParams(imgs, math.ceil(len(imgs) / rows), rows)
    script_callbacks.image_grid_callback(params)
    w, h = (max(side) for side in zip(*(img.size for img in imgs), strict=True))
    grid = Image.new("RGB", (params.cols * w, params.rows * h), opts.grid_background_color)
    for i, img in enumerate(params.imgs):
        grid.paste(img, (i % params.cols * w + (w - img.width) // 2, i // params.cols * h + (h - img.height) // 2))
    return grid


class GridAnnotation:
    def __init__(self, text="", is_active=True):
        self.text, self.is_active, self.size = text, is_active, None


annotated: list[tuple[list[str], list[str]]] = []
"""For tests: the labels (columns, rows) of each sheet that was drawn."""


def draw_grid_annotations(im, width, height, hor_texts, ver_texts, margin=0):
    cols, rows = im.width // width, im.height // height
    assert cols == len(hor_texts), f"bad number of horizontal texts: {len(hor_texts)}; must be {cols}"
    assert rows == len(ver_texts), f"bad number of vertical texts: {len(ver_texts)}; must be {rows}"
    labels = [["\n".join(str(line.text) for line in lines) for lines in texts] for texts in (hor_texts, ver_texts)]
    annotated.append(tuple(labels))
    font = get_font(max(8, (width + height) // 25))
    pad_left = width * 3 // 4 if any(labels[1]) else 0
    pad_top = font.size * 3 if any(labels[0]) else 0
    size = (im.width + pad_left + margin * (cols - 1), im.height + pad_top + margin * (rows - 1))
    result = Image.new("RGB", size, ImageColor.getcolor(opts.grid_background_color, "RGB"))
    draw = ImageDraw.Draw(result)
    for row in range(rows):
        y = pad_top + (height + margin) * row
        draw.multiline_text((pad_left / 2, y + height / 2), labels[1][row], "black", font, anchor="mm", align="center")
        for col in range(cols):
            x = pad_left + (width + margin) * col
            result.paste(im.crop((width * col, height * row, width * (col + 1), height * (row + 1))), (x, y))
            if row == 0:
                draw.multiline_text(
                    (x + width / 2, pad_top / 2), labels[0][col], "black", font, anchor="mm", align="center"
                )
    return result


saved: list[tuple[str, str]] = []
"""For tests: file name and infotext of each picture that was saved."""


def save_image(
    image,
    path,
    basename,
    seed=None,
    prompt=None,
    extension="png",
    info=None,
    short_filename=False,
    no_prompt=False,
    grid=False,
    pnginfo_section_name="parameters",
    p=None,
    existing_info=None,
    forced_filename=None,
    suffix="",
    save_to_dirs=None,
):
    Path(path).mkdir(parents=True, exist_ok=True)
    number = sum(1 for _ in Path(path).iterdir())
    name = forced_filename or f"{basename + '-' if basename else ''}{number:05}{'' if seed is None else f'-{seed}'}"
    fullfn = str(Path(path) / f"{name}{suffix}.{extension}")
    pnginfo = {**(existing_info or {}), **({pnginfo_section_name: info} if info is not None else {})}
    params = script_callbacks.ImageSaveParams(image, p, fullfn, pnginfo)
    script_callbacks.before_image_saved_callback(params)
    chunks = PngImagePlugin.PngInfo()
    for key, value in params.pnginfo.items():
        chunks.add_text(key, str(value))
    params.image.save(params.filename, pnginfo=chunks)
    params.image.already_saved_as = params.filename
    saved.append((params.filename, info))
    script_callbacks.image_saved_callback(params)
    return params.filename, None
