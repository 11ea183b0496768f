"""The reference picture: from any file, in any mode, as a person sees it."""

import numpy as np
import pytest
from PIL import Image

from command import QUICK, made, opened, pixels, refused
from sonar_sampler.cli.reference import prepare_reference
from sonar_sampler.toy import ToyModel

PULL = ["--ref-factor", "0.1"]


def photograph(width=300, height=200):
    """Colours with an up, a down, a left and a right."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return Image.fromarray((np.stack([x, y, x * y], -1) * 255).astype(np.uint8))


def pulled(path, out):
    return made("txt2img", *QUICK, *PULL, "--reference", str(path), out=out)[0]


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P", "I;16", "CMYK", "RGBA"])
def test_a_picture_of_every_mode_pulls(tmp_path, mode):
    image = photograph()
    grey = np.asarray(image.convert("L"), np.uint16)
    image = Image.fromarray(grey * 257) if mode == "I;16" else image.convert(mode)
    path = tmp_path / ("reference.jpg" if mode == "CMYK" else "reference.png")
    image.save(path)
    (plain,) = made("txt2img", *QUICK, out=tmp_path)
    picture = pulled(path, tmp_path)
    assert np.abs(pixels(picture) - pixels(plain)).mean() > 2
    path.unlink()
    (again,) = made("again", str(picture), out=tmp_path)
    assert again.read_bytes() == picture.read_bytes()


def test_a_grey_reference_pulls_light_and_dark_as_the_coloured_one_does():
    colours = photograph()
    prepared = prepare_reference(colours.convert("L"))
    assert ToyModel().encode(prepared).std(axis=(1, 2)).min() > 0.01
    light = [np.asarray(image.convert("L"), float).ravel() for image in (prepared, prepare_reference(colours))]
    assert np.corrcoef(*light)[0, 1] > 0.99


def test_sixteen_bits_of_grey_are_not_clipped():
    grey = np.asarray(photograph().convert("L"), np.uint16)
    deep, shallow = (prepare_reference(Image.fromarray(array)) for array in (grey * 257, grey.astype(np.uint8)))
    assert np.abs(np.asarray(deep, int) - np.asarray(shallow, int)).max() <= 2


@pytest.mark.parametrize("colour", ["black", "white", "red", "#808080"])
def test_a_picture_of_one_colour_is_refused_in_words(tmp_path, colour):
    Image.new("RGB", (300, 200), colour).save(tmp_path / "flat.png")
    line = refused("txt2img", *QUICK, "--reference", str(tmp_path / "flat.png"), out=tmp_path)
    assert "flat.png': is a picture of one colour; a reference needs light and dark parts" in line
    assert "channel" not in line


def turned(image, orientation):
    """An image stored in such a way that its EXIF orientation shows it as `image`."""
    back = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    return image if back is None else image.transpose(back)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_photograph_is_honoured(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned(photograph(), orientation).save(tmp_path / "photo.png", exif=exif)
    upright = np.asarray(prepare_reference(photograph()), int)
    found = np.asarray(prepare_reference(opened(tmp_path / "photo.png")), int)
    assert np.abs(found - upright).max() <= 2
    with Image.open(tmp_path / "photo.png") as image:
        assert np.abs(np.asarray(prepare_reference(image), int) - upright).max() <= 2


def test_a_transparent_picture_lies_on_white():
    image = photograph().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 150, 200))
    left = np.asarray(prepare_reference(image))[:, :100]
    assert left.min() == 255


@pytest.mark.parametrize("cut", [50, 2000])
def test_a_damaged_picture_is_refused(tmp_path, cut):
    path = tmp_path / "cut.jpg"
    photograph().save(path, quality=95)
    path.write_bytes(path.read_bytes()[:cut])
    assert "not a picture that can be read" in refused("txt2img", *QUICK, "--reference", str(path), out=tmp_path)


GUIDED = ["--preset", "guided by an image"]


@pytest.fixture
def files(tmp_path):
    photograph().save(tmp_path / "reference.png")
    mask = Image.new("L", (300, 300))
    mask.paste(255, (0, 0, 150, 300))
    mask.save(tmp_path / "mask.png")
    return ["--reference", str(tmp_path / "reference.png")], ["--reference-mask", str(tmp_path / "mask.png")]


def test_a_mask_says_where_the_reference_counts_and_is_in_the_file(tmp_path, files):
    reference, mask = files
    (plain,) = made("txt2img", *QUICK, "--momentum", "1", out=tmp_path)
    (whole,) = made("txt2img", *QUICK, *GUIDED, "--ref-factor", "0.8", "--ref-stop", "0.75", *reference, out=tmp_path)
    (half,) = made(
        "txt2img", *QUICK, *GUIDED, "--ref-factor", "0.8", "--ref-stop", "0.75", *reference, *mask, out=tmp_path
    )
    left, right = (np.abs(pixels(half) - pixels(plain))[:, side].mean() for side in (slice(None, 96), slice(160, None)))
    assert left > 1.1 * right
    assert np.abs(pixels(whole) - pixels(plain))[:, 160:].mean() > right
    for path in (*files[0][1:], *files[1][1:]):
        (tmp_path / path).unlink()
    (again,) = made("again", str(half), out=tmp_path)
    assert again.read_bytes() == half.read_bytes()


def test_grids_and_steps_take_a_mask(tmp_path, files):
    reference, mask = files
    options = [*QUICK, "--ref-method", "denoised", "--ref-factor", "0.3", *reference, *mask]
    for command in ("grid", "steps"):
        sheet = made(command, *options, out=tmp_path)[-1]
        assert opened(made("again", str(sheet), out=tmp_path)[-1]).tobytes() == opened(sheet).tobytes()


def test_masks_that_cannot_be_used_are_refused_in_words(tmp_path, files):
    reference, mask = files
    Image.new("L", (64, 64)).save(tmp_path / "black.png")
    black = ["--reference-mask", str(tmp_path / "black.png")]
    assert "black.png': is black everywhere" in refused("txt2img", *QUICK, *GUIDED, *reference, *black, out=tmp_path)
    assert "give --reference, too" in refused("txt2img", *QUICK, *GUIDED, *mask, out=tmp_path)
    assert "needs ref_method = denoised" in refused("txt2img", *QUICK, *reference, *mask, out=tmp_path)
    there_is_none = ["--reference-mask", str(tmp_path / "none.png")]
    line = refused("txt2img", *QUICK, *GUIDED, *reference, *there_is_none, out=tmp_path)
    assert "reference-mask = " in line and "there is no such file" in line
