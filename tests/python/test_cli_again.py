"""What a file holds is what it was made from: prompts, sheets, and `sonar show`."""

import json

import pytest

from command import QUICK, call, made, opened
from sonar_sampler.cli import infotext


@pytest.mark.parametrize(
    "prompt",
    [
        "sea\nNegative prompt: lake",
        "Negative prompt: lake",
        "sea\nSteps: 3, Sampler: Euler a, CFG scale: 7, Seed: 1",
        "sea\nSteps: 3, Sampler: Euler a, CFG scale: 7, Seed: 1, Model: Sonar embedded model\n",
        "  sea  \n\n",
        "\n sea",
        "sea\r\nlake",
        "море, 山 \U0001f30a",
        'a "b" \\ c: d, e',
        "",
    ],
)
@pytest.mark.parametrize("negative", ["", "lake\nNegative prompt: city\nSteps: 9", "snow "])
def test_every_prompt_comes_back_exactly(tmp_path, prompt, negative):
    given = [prompt, "-n", negative, "--seed", "1", "--steps", "1"]
    (path,) = made("txt2img", *given, out=tmp_path)
    (again,) = made("again", str(path), out=tmp_path)
    assert again.read_bytes() == path.read_bytes()
    shown = json.loads(call("show", str(again), "--json").stdout)
    assert (shown["prompt"], shown["negative_prompt"]) == (prompt, negative)


def test_an_ordinary_prompt_is_told_once(tmp_path):
    (path,) = made("txt2img", *QUICK, "-n", "lake", out=tmp_path)
    assert list(opened(path).text) == ["parameters"]


@pytest.mark.parametrize(
    "text",
    [
        "a\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 512x512",
        'a\nNegative prompt: b\nSteps: 1, A: "x, y: \\"z\\"", B: 5" wide, C: , D: "open, E: 1',
        "a\nSteps: 1, no colon, 1a b-c/d: 7,",
    ],
)
def test_the_infotext_is_read_as_the_webui_does(text):
    # The expression of the webui's infotext_utils, which is slow for texts made for that.
    import re

    pattern = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
    found = {name: value.strip() for name, value in pattern.findall(text.split("\n")[-1])}
    read = infotext.read(text)[2]
    assert read.keys() == found.keys()
    assert all(
        read[name] == (json.loads(value) if value[:1] == '"' == value[-1:] else value) for name, value in found.items()
    )


def test_again_makes_a_grid_again(tmp_path):
    lists = ["--momentum", "0.7:0.9:2", "--momentum-hist", "0.5,0.9"]
    (sheet,) = made("grid", *QUICK, *lists, "--sampler", "euler", out=tmp_path)
    (again,) = made("again", str(sheet), out=tmp_path)
    assert again.read_bytes() == sheet.read_bytes()
    cells = sorted(path.name for path in sheet.with_suffix("").iterdir())
    assert cells == sorted(path.name for path in again.with_suffix("").iterdir())
    assert len(cells) == 4
    parameters = opened(sheet).text["parameters"]
    assert 'Sonar momentum current search list: "0.7,0.9"' in parameters
    assert "Sonar momentum current: " not in parameters


def test_again_makes_a_contact_sheet_again(tmp_path):
    (sheet,) = made("steps", *QUICK, "--momentum", "0.6", out=tmp_path)
    (again,) = made("again", str(sheet), out=tmp_path)
    assert again.read_bytes() == sheet.read_bytes()


def test_a_grid_makes_only_the_pictures_that_are_missing(tmp_path):
    grid = ["grid", *QUICK, "--momentum", "0.7:0.9:2", "--momentum-hist", "0.5:0.9"]
    (sheet,) = made(*grid, out=tmp_path)
    first, *_, last = sorted(sheet.with_suffix("").iterdir())
    before = {path: path.stat().st_mtime_ns for path in sheet.with_suffix("").iterdir()}
    whole = sheet.read_bytes()
    first.unlink()
    sheet.unlink()
    done = call(*grid, out=tmp_path)
    assert done.stdout.strip() == str(sheet)
    assert "5 of the pictures were there already" in done.stderr
    assert sheet.read_bytes() == whole
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == [first]
    # A picture that cannot be read any more is made again.
    last.write_bytes(last.read_bytes()[:20_000])
    assert made(*grid, out=tmp_path) == [sheet]
    assert opened(last).size == (384, 384)


@pytest.mark.parametrize("other", [["--steps", "5"], ["--sampler", "euler"], ["-n", "lake"], ["--momentum", "0.7,0.8"]])
def test_a_grid_with_other_parameters_goes_elsewhere(tmp_path, other):
    grid = ["grid", *QUICK, "--momentum", "0.7", "--momentum-hist", "0.5"]
    (sheet,) = made(*grid, out=tmp_path)
    kept = {path: path.read_bytes() for path in [sheet, *sheet.with_suffix("").iterdir()]}
    (second,) = made(*grid, *other, out=tmp_path)
    assert second.name == "grid-mountains-sunset-7-2.png"
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_a_grid_without_its_sheet_is_not_mixed_with_another(tmp_path):
    grid = ["grid", *QUICK, "--momentum", "0.7", "--momentum-hist", "0.5"]
    (sheet,) = made(*grid, out=tmp_path)
    sheet.unlink()
    (second,) = made(*grid, "--steps", "5", out=tmp_path)
    assert second.name == "grid-mountains-sunset-7-2.png"


def test_a_picture_of_a_grid_that_diverges_leaves_the_others(tmp_path, monkeypatch):
    from sonar_sampler import NumericError
    from sonar_sampler.cli.job import Job

    run = Job.run

    def failing(job, progress=None):
        if job.config.momentum == 0.8:
            raise NumericError("step 3: the latent is not finite")
        return run(job, progress)

    monkeypatch.setattr(Job, "run", failing)
    done = call("grid", *QUICK, "--momentum", "0.7:0.9", "--momentum-hist", "0.5", "--json", out=tmp_path)
    assert done.exit_code == 1
    assert "1 pictures could not be made; the first: momentum-0.8-history-0.5: step 3" in done.stderr
    told = json.loads(done.stdout)
    assert told["complete"] is False
    assert [picture["momentum"] for picture in told["pictures"]] == [0.7, 0.9]
    assert (0xE6, 0xE6, 0xE6) in {colour for _, colour in opened(told["path"]).getcolors(10**7)}


def test_show_tells_the_parameters_to_people_and_programs(tmp_path):
    (path,) = made(
        "txt2img", "sea\nnight", "-n", "lake", "--seed", "7", "--steps", "2", "--momentum", "0.6,0.7", out=tmp_path
    )
    lines = [
        line.split("  ")[0] + ": " + line.split("  ")[-1].strip() for line in call("show", str(path)).stdout.split("\n")
    ]
    assert lines[:5] == ["Prompt: sea", ": night", "Negative prompt: lake", "Steps: 2", "Sampler: Sonar Euler a"]
    shown = json.loads(call("show", str(path), "--json").stdout)
    assert shown["path"] == str(path)
    assert shown["prompt"] == "sea\nnight"
    assert shown["parameters"]["Seed"] == 7
    assert shown["parameters"]["CFG scale"] == 4.0
    assert shown["parameters"]["Sonar momentum current"] == "0.6,0.7"


def test_json_tells_what_was_made(tmp_path):
    done = call("txt2img", *QUICK, "--count", "2", "--json", out=tmp_path)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["parameters"]["Seed"] for one in told] == [7, 8]
    for one in told:
        assert one == json.loads(call("show", one["path"], "--json").stdout)
