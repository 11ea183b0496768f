"""What the panel and the table of options are made of, seen from within the test host."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image, ImageChops
from webui.api_cases import GUIDE, picture
from webui.client import encode
from webui.fixtures import FORMS, HOST_ROOT, ROOT

from sonar_sampler.presets import PRESETS
from sonar_sampler.registry import SonarConfig, knobs

STRONG = {"momentum": 0.8, "momentum_hist": 0.6}


def webui(name):
    """A module of the extension, which is loaded with the host."""
    return sys.modules[f"sonar_sampler.hosts.webui.{name}"]


# Presets


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_found_again_in_its_values(host, preset):
    options = webui("options")
    SonarConfig(**PRESETS[preset].options)
    values = {name: option.default for name, option in options.OPTIONS.items()}
    assert options.preset_of({**values, **options.preset_values(preset)}) == preset
    assert options.preset_of({**values, **options.preset_values(preset), "momentum_hist": 0.123}) == "Custom"


def test_the_panel_starts_with_the_preset_of_the_settings(host):
    assert host.client.script("sonar")["args"][-1]["value"] == "Classic"


def test_a_broken_settings_file_does_not_spoil_the_page(host):
    host.shared.opts.data["sonar_momentum"] = "abc"
    try:
        host.reload()
        arguments = {arg["label"]: arg.get("value") for arg in host.client.script("sonar")["args"]}
        assert arguments["Momentum current"] == 0.95
    finally:
        host.reset()
        host.reload()


def test_an_empty_field_is_no_error(host):
    look = webui("look")
    values = {name: option.default for name, option in webui("options").OPTIONS.items()} | {"enable": True}
    assert (
        look.look({**values, "momentum": None}, look.Host("Euler")).texts["summary"] == "Sonar Euler · Custom, ? / 0.75"
    )


# Grids


class Broken:
    """A model that answers NaN for one momentum, or for one image of a batch."""

    def __init__(self, host, monkeypatch, momentum=None, image=slice(None)):
        denoiser = host.module("sd_samplers_cfg_denoiser").CFGDenoiser
        forward = denoiser.forward

        def failing(model, *args, **kwargs):
            denoised = forward(model, *args, **kwargs)
            if momentum is None or model.p.sonar.config.momentum == momentum:
                denoised[image] = torch.nan
            return denoised

        monkeypatch.setattr(denoiser, "forward", failing)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batches", [{}, {"batch_size": 2, "n_iter": 2}], ids=["one", "batches"])
def test_a_cell_that_fails_is_marked_and_the_others_are_kept(host, monkeypatch, form, batches):
    host.use(form)
    sonar = {"grid": True, "grid_momentum": "0.7, 0.8, 0.9", "grid_momentum_hist": "0.5, 0.6"}
    whole = host.run(sonar=sonar, **batches).processed
    Broken(host, monkeypatch, momentum=0.8)
    result = host.run(sonar=sonar, do_not_save_samples=False, **batches).processed
    per_cell = 4 if batches else 1
    assert len(result.images) == len(result.infotexts) == 1 + 4 * per_cell
    assert len(result.all_seeds) == 4 * per_cell
    assert len(host.module("images").saved) == 4 * per_cell
    kept = [k for k in range(1, 1 + 6 * per_cell) if not 2 * per_cell < k <= 4 * per_cell]
    assert [list(image.getdata()) for image in result.images[1:]] == [list(whole.images[k].getdata()) for k in kept]
    assert result.infotexts[1:] == [whole.infotexts[k] for k in kept]
    sheet = result.images[0]
    assert sheet.size == whole.images[0].size
    assert "no image at 0.8 / 0.5" in result.comments
    assert "no image at 0.8 / 0.6" in result.comments
    # Of the three rows only the middle one is another.
    _, top, _, bottom = ImageChops.difference(sheet, whole.images[0]).getbbox()
    above = sheet.height - 3 * 64 - 2 * 4
    assert above + 64 <= top < bottom <= above + 2 * (64 + 4)


def test_a_grid_whose_cells_all_fail_is_an_error(host, monkeypatch):
    Broken(host, monkeypatch)
    with pytest.raises(ArithmeticError, match="finite"):
        host.run(sonar={"grid": True, "grid_momentum": "0.7, 0.8", "grid_momentum_hist": "0.5"})


@pytest.mark.parametrize("form", FORMS)
def test_a_job_that_runs_again_runs_the_same_grid(host, form):
    """As the host's batch of img2img does: one job object for all files."""
    host.use(form)
    first = host.run(sonar={"grid": True, "grid_momentum": "0.7, 0.8", "grid_momentum_hist": "0.5"})
    again = host.module("jobs").run_job(first.p, first.p.script_args)
    assert again.infotexts == first.processed.infotexts
    assert first.p.n_iter == 1
    assert "sample" not in vars(first.p)


def test_a_hires_grid_knows_the_size_of_its_sheet(host):
    lists = {"grid": True, "grid_momentum": "0.7:0.9:10", "grid_momentum_hist": "0.5:0.9:10"}
    fields = {"width": 1024, "height": 1024, "enable_hr": True}
    with pytest.raises(ValueError, match="sheet of 419 megapixels"):
        host.run(sonar=lists, hr_scale=2.0, **fields)
    with pytest.raises(ValueError, match="sheet of 236 megapixels"):
        host.run(sonar=lists, hr_resize_x=1536, **fields)


# Numbers that are not


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_without_the_hosts_check_a_lost_image_is_as_with_its_own_samplers(host, monkeypatch):
    fields = {"batch_size": 3, "seed": 5}
    whole = {name: host.run(sampler_name=name, **fields) for name in ("Euler a", "Sonar Euler a")}
    monkeypatch.setattr(host.shared.cmd_opts, "disable_nan_check", True, raising=False)
    Broken(host, monkeypatch, image=1)
    for name, expected in whole.items():
        lost = host.run(sampler_name=name, **fields)
        assert torch.isnan(lost.latent[1]).all()
        assert lost.latent[0].equal(expected.latent[0])
        assert lost.latent[2].equal(expected.latent[2])
        assert lost.processed.images[1].getextrema() == ((0, 0),) * 3
    monkeypatch.setattr(host.shared.cmd_opts, "disable_nan_check", False)
    with pytest.raises(ArithmeticError, match="finite"):
        host.run(sampler_name="Sonar Euler a", **fields)


# References


def test_the_hash_of_a_reference_is_that_of_its_pixels(host):
    digest = webui("reference").digest
    assert digest(picture("RGB")) == digest(picture("RGB").convert("RGBA"))
    assert len({digest(image) for image in (picture(), picture("L"), picture(size=(64, 96)))}) == 3


def test_a_reference_is_refused_before_it_is_decoded(host, monkeypatch):
    text = encode(Image.new("1", (8000, 4001)))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="8000 x 4001 pixels: at most 32 megapixels"):
        webui("reference").decode(text)


# Errors


def test_errors_have_the_words_of_the_page(host):
    labelled = webui("refusal").labelled
    assert labelled("momentum = 2.0: must be in [0, 1]") == "Momentum current = 2.0: must be in [0, 1]"
    assert labelled("momentum_hist and others") == "momentum_hist and others"
    text = "grid_momentum and grid_momentum_hist make 2 x 2"
    assert labelled(text) == "Momentum current search list and Momentum history search list make 2 x 2"


# One table


def test_the_guides_table_is_that_of_the_options(host):
    """Each option of a request once, with its choices."""
    options = webui("options").OPTIONS
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|$", GUIDE, re.M)
    told = {name: values for names, values in rows for name in re.findall(r"`(\w+)`", names)}
    assert set(told) == set(options) - {"enable"}
    for name, option in options.items():
        for choice in option.knob.choices:
            assert f"`{choice}`" in told[name], (name, choice)


def test_the_core_s_groups_are_all_in_the_table(host):
    options = webui("options").OPTIONS
    shown = {name for name, knob in knobs().items() if knob.group in ("momentum", "reference")}
    assert shown <= set(options)
    assert list(options["sampler"].knob.choices[1:]) == list(webui("options").METHODS)


NEW_OPTION = """
import json, os, sys
sys.path[:0] = [{host!r}, {tests!r}]
from sonar_sampler import registry
from sonar_sampler.registry import Knob, SonarConfig, default, knobs
knob = Knob("Momentum spin", "Which way round.", "choice", "momentum", choices=("left", "right"))
table, seen = {{**knobs(), "momentum_spin": knob}}, []
defaults = {{**{{name: default(name) for name in knobs()}}, "momentum_spin": "left"}}
registry.knobs, registry.default = lambda: table, defaults.__getitem__
def configured(**options):
    seen.append(options.pop("momentum_spin", None))
    return SonarConfig(**options)
registry.SonarConfig = configured
from modules import infotext_utils, initialize
from pathlib import Path
from webui.client import Webui
webui = Webui(initialize.start(Path({folder!r}), [Path({root!r})], {port}))
text = webui.run(**webui.by_name({{"momentum_spin": "right"}})).infotexts[0]
params = infotext_utils.parse_generation_parameters(text)
pasted = infotext_utils.paste_fields["txt2img"]["fields"]
fields = {{getattr(component, "label", None): target for component, target in pasted}}
print(json.dumps({{
    "argument": "Momentum spin" in [arg["label"] for arg in webui.script("sonar")["args"]],
    "setting": webui.get("options").get("sonar_momentum_spin"),
    "axis": "[Sonar] Momentum spin" in webui.axes(),
    "text": "Sonar momentum spin: right," in text,
    "pasted": fields["Momentum spin"](params),
    "config": "right" in seen,
    "refused": "must be one of left, right" in webui.refused(**webui.by_name({{"momentum_spin": "up"}})),
}}))
sys.stdout.flush()
os._exit(0)
"""


def test_a_new_option_of_the_core_is_everywhere_by_its_row_alone(host, tmp_path):
    from webui.fixtures import free_port

    program = NEW_OPTION.format(
        host=str(HOST_ROOT), tests=str(ROOT / "tests"), root=str(ROOT), folder=str(tmp_path), port=free_port()
    )
    found = run(program, tmp_path)
    assert found == {"argument": True, "setting": "left", "axis": True, "text": True, "pasted": "right", "config": True,
                     "refused": True}  # fmt: skip


def run(program, folder):
    """What a program prints last; it has a host of its own."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True, text=True, timeout=200, cwd=folder, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# Without the package

NO_PACKAGE = """
import json, os, sys
sys.path[:0] = [{host!r}, {tests!r}]
from modules import errors, initialize, sd_samplers, shared
from pathlib import Path
from webui.client import Webui
webui = Webui(initialize.start(Path({folder!r}), [Path({root!r})], {port}))
texts = [c["props"].get("value") for c in shared.demo.get_config_file()["components"]]
asked = {{
    "dropdown": {{"script_name": "sonar", "script_args": [{{"momentum": 0.9}}]}},
    "accordion": {{"alwayson_scripts": {{"sonar": {{"args": [{{"momentum": 0.9}}]}}}}}},
    "position": {{"alwayson_scripts": {{"sonar": {{"args": [True, "Euler"]}}}}}},
    "off": {{"alwayson_scripts": {{"sonar": {{"args": [False]}}}}}},
    "plain": {{}},
}}
answers = {{name: webui.post("txt2img", webui.request(**body)) for name, body in asked.items()}}
print(json.dumps({{
    "texts": [text for text in texts if "Sonar is" in str(text)],
    "reported": [str(entry) for entry in errors.reported if "503" not in str(entry)],
    "samplers": [data.name for data in sd_samplers.all_samplers if "Sonar" in data.name],
    "status": {{name: answer.status_code for name, answer in answers.items()}},
    "detail": answers["accordion"].json()["detail"],
}}))
sys.stdout.flush()
os._exit(0)
"""


def test_without_the_package_the_panel_and_the_api_say_what_is_missing(tmp_path):
    """The host starts; who asks for Sonar is not given a plain image."""
    from webui.fixtures import free_port

    extension, data = tmp_path / "sonar", tmp_path / "data"
    data.mkdir()
    compiled = shutil.ignore_patterns("_core.*.so", "_core.pyd", "__pycache__")
    for name in ("src", "python", "scripts"):
        shutil.copytree(ROOT / name, extension / name, ignore=compiled)
    for name in ("Cargo.toml", "Cargo.lock", "build.rs", "install.py", "style.css"):
        shutil.copy(ROOT / name, extension / name)
    installed = subprocess.run(
        [sys.executable, str(extension / "install.py")],
        capture_output=True, text=True, timeout=100, env={**os.environ, "PATH": "", "HOME": str(tmp_path)}, check=True,
    )  # fmt: skip
    reason = installed.stdout.strip().removeprefix("Sonar is not available: ")
    assert "https://rustup.rs" in reason
    program = NO_PACKAGE.format(
        host=str(HOST_ROOT), tests=str(ROOT / "tests"), root=str(extension), folder=str(data), port=free_port()
    )
    found = run(program, tmp_path)
    # The page makes a link of the address.
    texts = [text.replace("<", "").replace(">", "") for text in found["texts"]]
    assert texts
    assert all(reason in text for text in texts)
    assert found["status"] == {"dropdown": 503, "accordion": 503, "position": 503, "off": 200, "plain": 200}
    assert reason in found["detail"]
    assert (found["reported"], found["samplers"]) == ([], [])
