"""What the panel and the table of options are made of: presets, hints, saving, errors, grids with failed cells."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image, ImageChops
from webui.jobs import FORMS, GUIDE, OTHER, SONAR, encode, picture

from hosted import HOST_ROOT, ROOT
from sonar_sampler.presets import PRESETS
from sonar_sampler.registry import SonarConfig, knobs


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
    assert host.controls()["Preset"].value == "Classic"


def test_a_broken_settings_file_does_not_spoil_the_page(host):
    host.shared.opts.data["sonar_momentum"] = "abc"
    try:
        host.load()
        assert host.controls()["Momentum current"].value == 0.95
    finally:
        host.reset()
        host.load()


@pytest.fixture
def seen(host):
    """What the panel shows, for some options that are not at their defaults and for controls of the page."""
    look, options = webui("look"), webui("options").OPTIONS

    def seen(values=None, expected="", **page):
        every = {name: option.default for name, option in options.items()} | {"enable": True} | (values or {})
        return look.look(every, look.Host(**{"sampler": "Euler", **page}), expected)

    return seen


def hidden(look):
    return {group for group, shown in look.visible.items() if not shown}


def test_what_does_not_apply_is_hidden(seen):
    nothing = {"image", "referring", "denoised", "upscaling", "lists", "mode_lead"}
    assert hidden(seen()) == nothing
    assert hidden(seen({"momentum": 1})) == nothing | {"momentum_hist", "moving"}
    assert hidden(seen({"momentum_mode": "lead"})) == nothing - {"mode_lead"} | {"mode_classic"}
    assert hidden(seen({"ref_source": "Image"})) == nothing - {"image", "referring"}
    assert hidden(seen({"ref_source": "img2img image"})) == nothing - {"referring"}
    denoised = {"ref_source": "img2img image", "ref_method": "denoised"}
    assert hidden(seen(denoised)) == nothing - {"referring", "denoised"}
    assert hidden(seen({"upscale": True})) == nothing - {"upscaling"}
    assert hidden(seen(hires=False)) == nothing | {"hires"}
    assert hidden(seen({"grid": True})) == nothing - {"lists"} | {"momentum", "momentum_hist"}
    assert hidden(seen({"grid": True, "momentum": 1, "grid_momentum_hist": ""})) == nothing - {"lists"} | {"momentum"}


@pytest.mark.parametrize(
    ("values", "page", "summary"),
    [
        ({}, {}, "Sonar Euler · Classic, 0.95 / 0.75"),
        ({"enable": False}, {}, ""),
        ({"momentum_hist": 0.5}, {}, "Sonar Euler · Custom, 0.95 / 0.5"),
        ({"momentum": None}, {}, "Sonar Euler · Custom, ? / 0.75"),
        ({"momentum": 1}, {}, "Sonar Euler · no momentum"),
        ({"sampler": "Naive"}, {}, "Sonar Naive · Classic, 0.95 / 0.75"),
        ({}, {"sampler": OTHER}, f"Sonar Euler a instead of {OTHER} · Classic, 0.95 / 0.75"),
        ({}, {"sampler": None}, "Classic, 0.95 / 0.75"),
        ({}, {"sampler": OTHER, "hires": True, "hires_sampler": "Sonar Euler"}, "Sonar Euler · Classic, 0.95 / 0.75"),
        ({"grid": True, "grid_momentum": "0.75:0.95:2", "grid_momentum_hist": "0.5, 0.7, 0.9"}, {},
         "Sonar Euler · grid of 6"),
        ({"grid": True, "grid_momentum": "a:b"}, {}, "Sonar Euler · grid"),
        ({}, {"sampler": "Sonar Lead"}, "Sonar Lead · Lead, 0.5 / 0"),
        ({"momentum_mode": "lead", "momentum": 0.6, "momentum_sign": "neg"}, {"sampler": "Sonar Lead"},
         "Sonar Lead · Custom, 0.6 / 0.75"),
        ({"ref_source": "Image", "upscale": True, "upscale_ratio": 2}, {},
         "Sonar Euler · Classic, 0.95 / 0.75 · reference · upscaled"),
    ],
)  # fmt: skip
def test_the_header_says_what_will_run(seen, values, page, summary):
    assert seen(values, **page).texts["summary"] == summary


def test_what_there_is_to_say(seen):
    assert seen(sampler=OTHER).texts["note"] == f"Sonar has no {OTHER}: Sonar Euler a will run instead."
    assert seen().texts["note"] == ""
    own = "Sonar Lead brings a momentum of its own; to set it here, choose the preset Lead."
    assert seen(sampler="Sonar Lead").texts["note"] == own
    assert seen({"momentum_mode": "lead", "momentum_sign": "neg"}, sampler="Sonar Lead").texts["note"] == ""
    assert seen({"sampler": "Lead"}).texts["note"] == own
    lead = {"momentum_mode": "lead"}
    replaced = "Sonar has no DPM++ 2M that leads: Sonar Euler a will run instead."
    assert seen(lead, sampler="DPM++ 2M").texts["note"] == replaced
    assert seen({**lead, "sampler": "Heun"}).texts["note"].startswith("Sonar Heun does not lead, ")
    assert seen(lead, sampler="Sonar Lead ODE").texts["note"] == seen(lead).texts["note"] == ""
    grid = {"grid": True, "grid_momentum": "0.75:0.95:2", "grid_momentum_hist": "0.5, 0.7, 0.9"}
    assert seen(grid).texts["cells"] == "2 x 3 = 6 images and a sheet"
    assert "Momentum current search list = &#x27;a:b&#x27;" in seen({**grid, "grid_momentum": "a:b"}).texts["cells"]
    assert "ratio is 1" in seen({"upscale": True}).texts["upscaling"]
    assert "upscaler is None" in seen({"upscale": True, "upscaler": "None", "upscale_ratio": 2}).texts["upscaling"]
    assert seen({"upscale": True, "upscale_width": 64}).texts["upscaling"] == ""
    assert "contrast" in seen(webui("options").preset_values("Sharper")).texts["preset"]


def test_another_reference_than_that_of_the_pasted_text_is_told(seen):
    digest = webui("reference").digest(picture())
    assert seen({"ref_source": "Image"}, digest).texts["reference"].endswith(f"hash {digest}: give it here.")
    right = seen({"ref_source": "Image", "ref_image": picture()}, digest).texts["reference"]
    assert right == f"This is the image of the pasted text (hash {digest})."
    assert "Another image" in seen({"ref_source": "Image", "ref_image": picture("L")}, digest).texts["reference"]
    assert seen({"ref_source": "Image", "ref_image": picture()}).texts["reference"] == ""


# Events


def control(host, elem_id):
    """A component of the panel that is no option of it."""
    script = host.script()
    for component in made(script):
        if component.elem_id == script.elem_id(elem_id):
            return component
    raise AssertionError(elem_id)


def made(script):
    """Every component that laying the panel out makes."""
    import gradio

    components, init = [], gradio.Component.__init__

    def keep(self, *args, **more):
        components.append(self)
        init(self, *args, **more)

    gradio.Component.__init__ = keep
    try:
        script.controls = script.ui(False)
    finally:
        gradio.Component.__init__ = init
    return components


def test_a_change_of_a_control_makes_the_panel_look_again(host):
    button = control(host, "look")
    controls = host.controls()
    updates = button.happen("click", {controls["Momentum current"]: 1, controls["Grid search"]: True})
    shown = {output.elem_id.removeprefix("script_txt2img_sonar_"): update for output, update in updates.items()}
    assert shown["group_lists"] == {"visible": True}
    assert shown["group_momentum"] == {"visible": False}
    assert shown["text_cells"]["value"] == "5 x 5 = 25 images and a sheet"
    assert shown["preset"] == {"value": "Custom"}
    for label, component in controls.items():
        assert "change" in component.events or label == "Preset", label


def test_a_preset_sets_every_option_of_momentum(host):
    control(host, "look")
    controls = host.controls()
    updates = controls["Preset"].happen("input", {controls["Preset"]: "Sharper"})
    assert updates[controls["Momentum history"]] == {"value": 0.9}
    assert updates[controls["Momentum sign"]] == {"value": "neg"}
    assert updates[controls["Momentum stop"]] == {"value": "100%"}
    assert not any(controls["Preset"].happen("input", {controls["Preset"]: "Custom"}).values())


def test_save_as_default(host, tmp_path):
    host.shared.config_filename = tmp_path / "config.json"
    button = control(host, "save")
    controls, stored = host.controls(), host.shared.opts.data

    def said(**values):
        given = {controls[label.replace("_", " ")]: value for label, value in values.items()}
        ((update,),) = [button.happen("click", given).values()]
        return update["value"]

    assert said(Momentum_current=0.85) == "Saved: 1 defaults changed."
    assert stored["sonar_momentum"] == json.loads(host.shared.config_filename.read_text())["sonar_momentum"] == 0.85
    assert said(Momentum_current=0.85) == "These are the defaults already."
    assert said(Momentum_current=0.5, Momentum_stop="never").startswith("Not saved: Momentum stop = 'never'")
    assert stored["sonar_momentum"] == 0.85
    host.shared.config_filename = tmp_path / "missing" / "config.json"
    assert said(Momentum_current=0.9).startswith("Not saved: ")


def test_each_control_has_its_help(host):
    silent = [label for label, component in host.controls().items() if len(component.info or "") < 15]
    assert silent == []


def test_the_samplers_of_the_panel_are_those_of_the_lists(host):
    choices = host.controls()["Base sampler"].choices
    assert [f"Sonar {label}" for label in choices[1:]] == list(SONAR)


# Grids


class Broken:
    """A model that answers NaN for one momentum, or for one image of a batch."""

    def __init__(self, host, monkeypatch, momentum=None, image=slice(None)):
        denoiser = host.module("sd_samplers_kdiffusion").CFGDenoiserKDiffusion
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
    assert len(host.saved) == 4 * per_cell
    kept = [k for k in range(1, 1 + 6 * per_cell) if not 2 * per_cell < k <= 4 * per_cell]
    assert [image.tobytes() for image in result.images[1:]] == [whole.images[k].tobytes() for k in kept]
    assert result.infotexts[1:] == [whole.infotexts[k] for k in kept]
    sheet = result.images[0]
    assert sheet.size == whole.images[0].size
    assert "no image at 0.8 / 0.5" in result.comments
    assert "no image at 0.8 / 0.6" in result.comments
    # Of the three rows only the middle one is another.
    _, top, _, bottom = ImageChops.difference(sheet, whole.images[0]).getbbox()
    assert 64 <= top < bottom <= 128


def test_a_grid_whose_cells_all_fail_is_an_error(host, monkeypatch):
    Broken(host, monkeypatch)
    with pytest.raises(ArithmeticError, match="finite"):
        host.run(sonar={"grid": True, "grid_momentum": "0.7, 0.8", "grid_momentum_hist": "0.5"})


@pytest.mark.parametrize("form", FORMS)
def test_a_job_that_runs_again_runs_the_same_grid(host, form):
    """As the host's batch of img2img does: one job object for all files."""
    host.use(form)
    first = host.run(sonar={"grid": True, "grid_momentum": "0.7, 0.8", "grid_momentum_hist": "0.5"})
    again = host.start(first.p)
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
        webui("reference").decode(text, "ref_image")


# Errors


def test_errors_have_the_words_of_the_page(host):
    labelled = webui("refusal").labelled
    assert labelled("momentum = 2.0: must be in [0, 1]") == "Momentum current = 2.0: must be in [0, 1]"
    assert labelled("momentum_hist and others") == "momentum_hist and others"
    text = "grid_momentum and grid_momentum_hist make 2 x 2"
    assert labelled(text) == "Momentum current search list and Momentum history search list make 2 x 2"


# One table


def test_the_guides_table_is_that_of_the_options(host):
    """Each option of a request that is the web UI's own once; those of the table of all options may be there too."""
    options = webui("options").OPTIONS
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|$", GUIDE, re.M)
    told = {name: values for names, values in rows for name in re.findall(r"`(\w+)`", names)}
    assert set(options) - {"enable"} - set(knobs()) <= set(told) <= set(options)
    assert "[options.md](options.md)" in GUIDE
    for name, values in told.items():
        for choice in options[name].knob.choices:
            assert f"`{choice}`" in values, (name, choice)


def test_the_core_s_groups_are_all_in_the_table(host):
    options = webui("options").OPTIONS
    shown = {name for name, knob in knobs().items() if knob.group in ("momentum", "reference")}
    assert shown <= set(options)
    assert list(options["sampler"].knob.choices[1:]) == list(webui("options").METHODS)


NEW_OPTION = """
import json
from sonar_sampler import registry
from sonar_sampler.gradients import Gradients
from sonar_sampler.registry import Knob, SonarConfig, default, knobs
knob = Knob("Momentum spin", "Which way round.", "choice", "momentum", choices=("left", "right"))
table, seen = {**knobs(), "momentum_spin": knob}, []
defaults = {**{name: default(name) for name in knobs()}, "momentum_spin": "left"}
registry.knobs = lambda of=SonarConfig: knobs(of) if of is Gradients else table
registry.default = lambda name, of=SonarConfig: default(name, of) if of is Gradients else defaults[name]
def configured(**options):
    seen.append(options.pop("momentum_spin", None))
    return SonarConfig(**options)
registry.SonarConfig = configured
from hosted import Host
host = Host()
text = host.run(args=[{"momentum_spin": "right"}]).processed.info
print(json.dumps({
    "argument": "Momentum spin" in host.controls(),
    "setting": host.shared.opts.data.get("sonar_momentum_spin"),
    "axis": "[Sonar] Momentum spin" in host.axes(),
    "text": "Sonar momentum spin: right" in text,
    "pasted": host.pasted(text)["Momentum spin"],
    "config": "right" in seen,
    "refused": "must be one of left, right" in host.refused(args=[{"momentum_spin": "up"}]),
}))
"""


def test_a_new_option_of_the_core_is_everywhere_by_its_row_alone(tmp_path):
    pytest.importorskip("k_diffusion")
    assert run(NEW_OPTION, tmp_path) == {"argument": True, "setting": "left", "axis": True, "text": True,
                                         "pasted": "right", "config": True, "refused": True}  # fmt: skip


def run(program, folder, *arguments):
    """What a program prints last; it has a host of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT / "tests" / "python", ROOT / "tests", HOST_ROOT)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        capture_output=True, text=True, timeout=100, cwd=folder, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# Without the package

NO_PACKAGE = """
import json, sys
import gradio
from fastapi import HTTPException
shown, init = [], gradio.Markdown.__init__
gradio.Markdown.__init__ = lambda self, text, **more: shown.append(text) or init(self, text, **more)
from pathlib import Path
from hosted import Host
for name in [name for name in sys.modules if name.partition(".")[0] == "sonar_sampler"]:
    del sys.modules[name]  # the tests' own import of it
host = Host(Path(sys.argv[1]))
always_on, selectable = host.runner().alwayson_scripts[0], host.runner().selectable_scripts[0]
asked = {
    "dropdown": [1, False],
    "accordion": [0, {"momentum": 0.9}],
    "on": [0, True],
    "off": [0, False],
}
answers = {}
for name, given in asked.items():
    p = host.make()
    p.script_args = given
    assert (always_on.args_from, selectable.args_from) == (1, 2)
    try:
        host.start(p)
        answers[name] = "an image"
    except HTTPException as error:
        answers[name] = [error.status_code, error.detail]
print(json.dumps({
    "shown": shown,
    "reported": host.reported,
    "samplers": [data.name for data in host.module("sd_samplers").all_samplers if "Sonar" in data.name],
    "answers": answers,
}))
"""


def test_without_the_package_the_panel_and_the_api_say_what_is_missing(tmp_path):
    """The host starts; who asks for Sonar is not given a plain image."""
    pytest.importorskip("k_diffusion")
    extension = tmp_path / "sonar"
    compiled = shutil.ignore_patterns("_core.*.so", "_core.pyd", "__pycache__")
    for name in ("src", "python", "scripts"):
        shutil.copytree(ROOT / name, extension / name, ignore=compiled)
    for name in ("Cargo.toml", "Cargo.lock", "build.rs", "install.py"):
        shutil.copy(ROOT / name, extension / name)
    installed = subprocess.run(
        [sys.executable, str(extension / "install.py")],
        capture_output=True, text=True, timeout=100, env={**os.environ, "PATH": "", "HOME": str(tmp_path)}, check=True,
    )  # fmt: skip
    reason = installed.stdout.strip().removeprefix("Sonar is not available: ")
    assert "https://rustup.rs" in reason
    found = run(NO_PACKAGE, tmp_path, extension)
    # The page makes a link of the address.
    texts = [text.replace("<", "").replace(">", "") for text in found["shown"]]
    assert texts
    assert all(reason in text for text in texts)
    refusal = [503, f"Sonar is not available: {reason}"]
    assert found["answers"] == {"dropdown": refusal, "accordion": refusal, "on": refusal, "off": "an image"}
    assert (found["reported"], found["samplers"]) == ([], [])
