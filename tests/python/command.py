"""The command `sonar`, as a user calls it, for tests."""

import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image, PngImagePlugin

from sonar_sampler.cli import main

COMMAND = [sys.executable, "-m", "sonar_sampler.cli"]
QUICK = ["mountains sunset", "--seed", "7", "--steps", "4"]


def call(*arguments, out=None):
    folder = [] if out is None else ["--out", str(out)]
    return CliRunner().invoke(main, [*arguments, *folder], prog_name="sonar")


def made(*arguments, out):
    done = call(*arguments, out=out)
    assert done.exit_code == 0, done.output
    return [Path(line) for line in done.stdout.split("\n") if line]


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image


def pixels(path):
    return np.asarray(opened(path).convert("RGB"), float)


def with_texts(path, **texts):
    """A PNG with some texts in it."""
    info = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def refused(*arguments, out, status=2):
    """The one line in which a call is refused."""
    done = call(*arguments, out=out)
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    (line,) = [line for line in done.stderr.split("\n") if line.startswith("Error: ")]
    assert "Traceback" not in done.stderr
    assert len(line) < 700
    return line
