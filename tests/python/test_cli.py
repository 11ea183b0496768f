"""The command `sonar`, as a user calls it."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image

from command import COMMAND, QUICK, call, made, opened, pixels, refused, with_texts


def test_pictures_of_a_count_are_the_pictures_made_alone(tmp_path):
    together = made("txt2img", *QUICK, "--count", "3", out=tmp_path / "a")
    alone = made("txt2img", "mountains sunset", "--steps", "4", "--seed", "9", out=tmp_path / "b")
    assert [path.name for path in together] == [f"mountains-sunset-{seed}.png" for seed in (7, 8, 9)]
    assert together[2].read_bytes() == alone[0].read_bytes()


def test_a_picture_is_never_overwritten(tmp_path):
    first = made("txt2img", *QUICK, out=tmp_path)
    second = made("txt2img", *QUICK, out=tmp_path)
    assert first != second
    assert first[0].read_bytes() == second[0].read_bytes()


def test_the_png_tells_everything_in_the_webuis_form(tmp_path):
    options = [
        "--negative-prompt",
        "lake: a, b",
        "--momentum",
        "0.9,0.8,0.7,1",
        "--ref-stop",
        "50%",
        "--sampler",
        "euler",
    ]
    (path,) = made("txt2img", *QUICK, *options, out=tmp_path)
    prompt, negative, parameters = opened(path).text["parameters"].split("\n")
    assert prompt == "mountains sunset"
    assert negative == "Negative prompt: lake: a, b"
    assert parameters.startswith("Steps: 4, Sampler: Sonar Euler, Schedule type: karras, CFG scale: 4.0, Seed: 7, ")
    assert 'Sonar momentum current: "0.9,0.8,0.7,1.0"' in parameters


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--sampler", "euler", "--s-churn", "3", "--momentum-sign", "neg,pos,pos,neg", "--schedule", "linear"],
        ["--sampler", "naive", "--momentum-sign", "rand", "--momentum-hist-init", "rand_new", "--cfg-scale", "1.5"],
        ["--negative-prompt", 'lake, "quoted": x', "--eta", "0.37", "--momentum", "0.1,0.2,0.3,0.4"],
    ],
)
def test_again_makes_the_same_file(tmp_path, options):
    (path,) = made("txt2img", *QUICK, *options, out=tmp_path)
    (again,) = made("again", str(path), out=tmp_path)
    assert again != path
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("command", ["txt2img", "steps"])
def test_a_preset_is_its_options_by_name(tmp_path, command):
    (named,) = made(command, *QUICK, "--preset", "lead", out=tmp_path / "a")
    by_hand = ["--momentum-mode", "lead", "--momentum", "0.5", "--momentum-hist", "0"]
    (asked,) = made(command, *QUICK, *by_hand, out=tmp_path / "b")
    assert named.read_bytes() == asked.read_bytes()
    assert named.read_bytes() != made(command, *QUICK, out=tmp_path / "c")[0].read_bytes()
    (own,) = made(command, *QUICK, "--momentum", "0.7", "--preset", "Sharper", out=tmp_path / "d")
    text = opened(own).text["parameters"]
    assert "Sonar momentum current: 0.7, Sonar momentum history: 0.9, " in text
    assert "Sonar momentum sign: neg" in text


def test_a_preset_leaves_the_lists_of_a_grid_alone(tmp_path):
    lists = ["--momentum", "0.5:0.75:2", "--momentum-hist", "0"]
    sheet = next(path for path in made("grid", *QUICK, "--preset", "lead", *lists, out=tmp_path) if "grid" in path.name)
    text = opened(sheet).text["parameters"]
    assert 'Sonar momentum current search list: "0.5,0.75"' in text
    assert "Sonar momentum mode: lead" in text


def test_again_needs_no_reference_file(tmp_path):
    reference = tmp_path / "reference.png"
    x, y = np.meshgrid(np.arange(300), np.arange(200))
    Image.fromarray(np.stack([x % 256, y % 256, (x * y) % 256, 255 - x % 256], -1).astype(np.uint8)).save(reference)
    pull = ["--reference", str(reference), "--ref-factor", "0.3"]
    (path,) = made("txt2img", *QUICK, *pull, out=tmp_path)
    (plain,) = made("txt2img", *QUICK, out=tmp_path)
    assert np.abs(pixels(path) - pixels(plain)).mean() > 2
    reference.unlink()
    (again,) = made("again", str(path), out=tmp_path)
    assert again.read_bytes() == path.read_bytes()


def test_momentum_changes_the_picture_visibly(tmp_path):
    (off,) = made("txt2img", *QUICK, "--momentum", "1", out=tmp_path)
    (on,) = made("txt2img", *QUICK, "--momentum", "0.75", out=tmp_path)
    assert np.abs(pixels(on) - pixels(off)).mean() > 2


def test_a_grid_has_a_row_for_each_momentum_and_a_picture_for_each_cell(tmp_path):
    (sheet,) = made("grid", *QUICK, "--momentum", "0.7:0.9:2", "--momentum-hist", "0.5:0.9", out=tmp_path)
    cells = sorted(path.name for path in sheet.with_suffix("").iterdir())
    assert cells == [f"momentum-{m}-history-{h}.png" for m in (0.7, 0.9) for h in (0.5, 0.7, 0.9)]
    width, height = opened(sheet).size
    assert width > height
    (alone,) = made("txt2img", *QUICK, "--momentum", "0.9", "--momentum-hist", "0.5", out=tmp_path)
    assert (sheet.with_suffix("") / "momentum-0.9-history-0.5.png").read_bytes() == alone.read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C reaches the whole console on Windows")
def test_an_interrupted_grid_keeps_its_pictures_and_draws_the_sheet(tmp_path, interruptible):
    arguments = ["grid", *QUICK[:3], "--steps", "40", "--momentum", "0.5:0.9:9", "--momentum-hist", "0.5:0.9:9"]
    cells = tmp_path / "grid-mountains-sunset-7"
    with subprocess.Popen([*COMMAND, *arguments, "--out", str(tmp_path)], stdout=subprocess.PIPE, text=True) as run:
        try:
            deadline = time.monotonic() + 60
            while len(list(cells.glob("*.png"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            run.send_signal(signal.SIGINT)
            output, _ = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 130
    sheet = opened(output.strip())
    done = list(cells.glob("*.png"))
    assert 2 <= len(done) < 81
    for path in done:
        opened(path)
    colours = sheet.convert("RGB").getcolors(maxcolors=10**7)
    assert sum(count for count, colour in colours if colour == (0xE6, 0xE6, 0xE6)) > 256 * 256 * (80 - len(done))


def test_steps_draws_the_run(tmp_path):
    (sheet,) = made("steps", *QUICK, "--momentum", "0.75", out=tmp_path)
    assert opened(sheet).size[0] > 4 * 128
    (off,) = made("steps", *QUICK, "--momentum", "1", out=tmp_path)
    assert sheet.read_bytes() != off.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["txt2img", "sea", "--momentum", "1.5"], "momentum = 1.5: must be in [0, 1]"),
        (["txt2img", "sea", "--momentum", "nan"], "momentum = NaN: must be in [0, 1]"),
        (["txt2img", "sea", "--momentum", "high"], "momentum = 'high': must be a number"),
        (["txt2img", "sea", "--momentum", "0.5,0.6"], "momentum = 2 entries"),
        (["txt2img", "sea", "--eta", "1,2"], "eta = (1.0, 2.0): must be a number"),
        (["txt2img", "sea", "--sampler", "hein"], "sampler = 'hein': must be one of euler_a, euler, naive, heun"),
        (["txt2img", "sea", "--sampler", "nowhere.py:f"], "there is no file 'nowhere.py'"),
        (["txt2img", "sea", "--momentum-sign", "up"], "momentum_sign = 'up'"),
        (["txt2img", "sea", "--ref-stop", "1.5"], "ref_stop = '1.5'"),
        (["txt2img", "sea", "--reference", "nowhere.png"], "reference = 'nowhere.png': there is no such file"),
        (["txt2img", "sea", "--reference", __file__], "not a picture that can be read"),
        (["txt2img", "sea", "--steps", "0"], "0 is not in the range"),
        (["txt2img", "sea", "--momentom", "1"], "--momentum"),
        (["grid", "sea", "--momentum", "0.9:0.1:0.2"], "momentum = '0.9:0.1:0.2'"),
        (["grid", "sea", "--momentum", ""], "momentum = ''"),
        (["grid", "sea", "--momentum-hist", "0.5:2"], "momentum_hist = 1.25: must be in [0, 1]"),
        (["again", "nowhere.png"], "image = 'nowhere.png': there is no such file"),
        (["again", __file__], "not a picture that can be read"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_name_value_and_what_is_allowed(tmp_path, arguments, told):
    done = call(*arguments, out=tmp_path)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "has no parameters"),
        ("just a prompt", "has no parameters"),
        ("a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Model: v1-5", "was made by 'v1-5'"),
        ("a cat\nSteps: 20, Model: Sonar embedded model", "parameters are incomplete or changed"),
        ("a\nSteps: x, Sampler: Sonar Euler, CFG scale: 7, Seed: 1, Schedule type: karras, Model: Sonar embedded model",
         "parameters are incomplete or changed: Steps = 'x'"),
        ("a\nSteps: 2, Sampler: Sonar Euler, CFG scale: 7, Seed: 1, Schedule type: karras, Sonar eta: -1, "
         "Model: Sonar embedded model", "eta = -1"),
    ],
)  # fmt: skip
def test_again_tells_what_is_wrong_with_a_picture(tmp_path, text, told):
    path = with_texts(tmp_path / "other.png", **({} if text is None else {"parameters": text}))
    line = refused("again", str(path), out=tmp_path)
    assert f"image = {str(path)!r}: " in line
    assert told in line


def test_words_that_the_model_does_not_know_are_named(tmp_path):
    done = call("txt2img", "mountains zebra", "--seed", "1", "--steps", "2", out=tmp_path)
    assert done.exit_code == 0
    assert "does not know: zebra" in done.stderr


def test_every_option_of_the_registry_is_in_the_help():
    from sonar_sampler import registry

    text = " ".join(call("txt2img", "--help").stdout.split())
    for name, knob in registry.knobs().items():
        if name not in ("flow", "exact_last_step"):
            assert f"--{name.replace('_', '-')}" in text
            assert knob.help.split(".")[0][:20] in text or name == "seed"
