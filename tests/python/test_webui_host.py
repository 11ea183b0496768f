"""How the extension lives in its host: loading, reloading, settings, axes, leaks, grids, refusals."""

import sys
from copy import copy

import pytest
from PIL import Image
from webui.jobs import FORMS, SONAR, STRONG, encode, picture

from hosted import ROOT

TABS = ("txt2img", "img2img")
HIRES = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.6}


# Loading


def test_reloading_the_page_changes_nothing(host):
    samplers, callbacks = host.module("sd_samplers"), host.module("script_callbacks")

    def seen():
        return (
            [data.name for data in samplers.all_samplers],
            sorted(samplers.all_samplers_map),
            samplers.samplers_map["sonar_euler_a"],
            {event: len(listed) for event, listed in callbacks.callbacks.items() if listed},
            [script.name for kind in TABS for script in host.runner(kind).scripts],
            [key for key in host.shared.opts.data_labels if key.startswith("sonar")],
        )

    listed, before = samplers.all_samplers, seen()
    for _ in range(2):
        host.load()
    assert seen() == before
    assert samplers.all_samplers is listed, "other extensions hold the list itself"
    assert [name for name in before[0] if "Sonar" in name] == list(SONAR)
    assert before[0][-len(SONAR) :] == list(SONAR)
    assert all(value is not None for data in listed for value in data.options.values()), "a request for them would fail"


def test_an_unloaded_extension_leaves_the_samplers_of_others(host):
    scripts, samplers = host.module("scripts"), host.module("sd_samplers")
    before = len(samplers.all_samplers)
    folders = scripts.extension_dirs[:]
    scripts.extension_dirs.clear()
    try:
        host.load()
        assert [data.name for data in samplers.all_samplers if "Sonar" in data.name] == []
        assert len(samplers.all_samplers) == before - len(SONAR)
        assert not host.module("sd_samplers_kdiffusion").sampler_extra_params.keys() - {"sample_euler", "sample_heun"}
    finally:
        scripts.extension_dirs[:] = folders
        host.load()


def test_a_name_that_was_looked_up_too_early_is_found_later(host):
    """The host caches what it answered while the sampler was not there."""
    samplers = host.module("sd_samplers")
    sampler = sys.modules["sonar_sampler.hosts.webui.sampler"]
    sampler.unregister()
    assert samplers.get_sampler_and_scheduler("Sonar Euler a", None)[0] != "Sonar Euler a"
    sampler.register()
    assert samplers.get_sampler_and_scheduler("Sonar Euler a", None)[0] == "Sonar Euler a"
    # No name ends with that of a scheduler: the host would cut it off.
    assert all(samplers.get_sampler_and_scheduler(name, "Karras") == (name, "Karras") for name in SONAR)
    host.load()


def test_the_list_of_upscalers_is_full_at_the_first_start(host):
    host.shared.sd_upscalers = []
    host.load()
    names = [upscaler.name for upscaler in host.shared.sd_upscalers]
    assert len(names) == 3
    for kind in TABS:
        assert host.controls(kind)["Upscaler"].choices == names


def test_the_script_has_the_same_arguments_on_both_tabs(host):
    for form in ("Script dropdown", "Accordion with Enable"):
        host.use(form)
        labels = [[control.label for control in host.script(kind).controls] for kind in TABS]
        assert labels[0] == labels[1]
        assert all(labels[0])


def test_nothing_is_written_into_the_extension(host):
    def files():
        folders = (ROOT, ROOT / "scripts", ROOT / "img", ROOT / "python" / "sonar_sampler" / "hosts" / "webui")
        return {
            path for folder in folders for path in folder.glob("*") if path.suffix in (".json", ".txt", ".png", ".log")
        }

    before = files()
    host.load()
    host.run(sonar={**STRONG, "ref_source": "Image", "ref_image": encode(picture()), "upscale": True})
    host.run(sonar={"grid": True, "grid_momentum": "0.8, 0.9"}, do_not_save_grid=False)
    assert files() == before


def test_the_script_is_thin():
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path


# Jobs do not know each other


def broken_model(host, monkeypatch, at=2):
    denoiser = host.module("sd_samplers_kdiffusion").CFGDenoiserKDiffusion
    forward = denoiser.forward

    def failing(self, *args, **kwargs):
        if self.step == at:
            raise RuntimeError("out of memory")
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(denoiser, "forward", failing)


@pytest.mark.parametrize("form", FORMS)
def test_a_job_that_raises_leaves_nothing_behind(host, monkeypatch, form):
    host.use(form)
    before = host.run()
    always_on = list(before.p.scripts.alwayson_scripts)
    callbacks = host.module("script_callbacks").callbacks
    events = {event: list(listed) for event, listed in callbacks.items() if listed}
    with monkeypatch.context() as patch:
        broken_model(host, patch)
        with pytest.raises(RuntimeError, match="out of memory"):
            host.run(sonar={**STRONG, "upscale": True, "upscale_ratio": 2.0}, do_not_save_samples=False)
    after = host.run()
    assert after.processed.info == before.processed.info
    assert after.latent.equal(before.latent)
    assert after.processed.images[0].size == (64, 64)
    assert after.p.scripts.alwayson_scripts == always_on
    assert {event: list(listed) for event, listed in callbacks.items() if listed} == events


@pytest.mark.parametrize("form", FORMS)
def test_options_live_on_the_job(host, form):
    host.use(form)
    plain = host.run(sampler_name="Sonar Euler a")
    host.run(sonar={**STRONG, "sampler": "Naive"})
    again = host.run(sampler_name="Sonar Euler a")
    assert again.latent.equal(plain.latent)
    assert again.processed.info == plain.processed.info


def test_a_job_that_runs_again_without_the_script_is_plain(host):
    """As a host's batch of files does: one job object, and whoever holds it may switch the script off."""
    host.use(FORMS[1])
    p = host.make(sonar={"upscale": True, "upscale_ratio": 2.0, "sampler": "Naive", **STRONG}, sampler_name="LMS")
    assert host.start(p).images[0].size == (128, 128)
    p.script_args[host.script().args_from] = False
    p.sampler_name = "Sonar Euler"
    again = host.start(p)
    expected = host.run(sampler_name="Sonar Euler").processed
    assert again.images[0].tobytes() == expected.images[0].tobytes()
    assert again.info == expected.info


def test_settings_are_the_defaults_of_jobs_without_the_script(host):
    expected = host.run(sonar={**STRONG, "sampler": "Euler", "momentum_sign": "neg", "momentum_stop": "50%"})
    for key, value in {"momentum": 0.8, "momentum_hist": 0.6, "momentum_sign": "neg", "momentum_stop": "50%"}.items():
        host.shared.opts.set(f"sonar_{key}", value)
    result = host.run(sampler_name="Sonar Euler")
    assert result.latent.equal(expected.latent)


def test_the_panel_starts_with_the_settings(host):
    host.shared.opts.set("sonar_momentum", 0.7)
    host.shared.opts.set("sonar_ref_method", "euler")
    host.load()
    try:
        controls = host.controls()
        assert (controls["Momentum current"].value, controls["Reference method"].value) == (0.7, "euler")
    finally:
        host.reset()
        host.load()


@pytest.mark.parametrize(
    ("name", "bad"), [("momentum", 7), ("momentum_stop", "never"), ("momentum_sign", "up"), ("ref_factor", None)]
)
def test_a_bad_value_is_not_stored(host, name, bad):
    before = host.shared.opts.data[f"sonar_{name}"]
    assert not host.shared.opts.set(f"sonar_{name}", bad)
    assert host.shared.opts.data[f"sonar_{name}"] == before


def test_every_setting_is_on_the_settings_page(host):
    labels = host.shared.opts.data_labels
    ours = {key for key in labels if key.startswith("sonar_")}
    stored = "form sampler momentum momentum_hist momentum_sign momentum_hist_init momentum_start momentum_stop"
    for name in f"{stored} ref_method ref_factor ref_start ref_stop hires upscaler".split():
        assert f"sonar_{name}" in ours
    assert all(tuple(labels[key].section) == ("sonar", "Sonar") for key in ours)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [{"momentum": 7}, {"ref_source": "Image"}, {"momentum_stop": "never"}])
def test_a_bad_value_ends_the_job_with_an_error(host, form, bad):
    host.use(form)
    label = {"momentum": "Momentum current = 7", "ref_source": "Reference image", "momentum_stop": "Momentum stop = 'n"}
    with pytest.raises(ValueError, match=label[next(iter(bad))]):
        host.run(sonar=bad)


def test_a_bad_setting_ends_the_job_with_an_error(host):
    """Written into the file by hand; the Settings page refuses it."""
    for name, bad in (("momentum_stop", "never"), ("momentum", 7.0)):
        host.reset()
        host.shared.opts.data[f"sonar_{name}"] = bad
        with pytest.raises(ValueError, match=rf"= {bad!r}: .*default in Settings"):
            host.run(sampler_name="Sonar Euler a")


def test_the_user_is_told_of_another_sampler(host):
    result = host.run(sonar=STRONG, sampler_name="LMS")
    assert "LMS" in result.processed.comments
    assert "Sonar Euler a" in result.processed.comments
    assert host.run(sonar=STRONG, sampler_name="Euler").processed.comments == ""


# Files and sheets


def test_the_saved_file_is_the_image_that_is_shown(host):
    sonar = {**STRONG, "upscale": True, "upscale_ratio": 2.0}
    result = host.run(sonar=sonar, batch_size=2, do_not_save_samples=False).processed
    assert len(host.saved) == 2
    for (image, text), shown, shown_text in zip(host.saved, result.images, result.infotexts, strict=True):
        assert image.size == shown.size == (128, 128)
        assert image.tobytes() == shown.tobytes()
        assert text == shown_text


def test_each_image_of_a_batch_has_its_own_text(host):
    texts = host.run(sonar=STRONG, seed=3, batch_size=2, n_iter=2).processed.infotexts
    assert [text.split("Seed: ")[1].split(",")[0] for text in texts] == ["3", "4", "5", "6"]
    assert all("Sampler: Sonar Euler a," in text and "Sonar momentum current: 0.8" in text for text in texts)


@pytest.mark.parametrize(("fields", "passes"), [({}, 1), ({"n_iter": 2}, 2), (HIRES, 2), ({**HIRES, "n_iter": 2}, 4)])
def test_a_grid_counts_its_jobs(host, fields, passes):
    result = host.run(sonar={"grid": True, "grid_momentum": "0.8, 0.9", "grid_momentum_hist": "0.5"}, **fields)
    assert len(result.latents) == 2 * passes
    state = host.shared.state
    assert (state.job_no, state.job_count) == (2 * passes, 2 * passes)


def test_a_grid_is_saved_with_its_labels(host):
    sonar = {"grid": True, "grid_momentum": "0.8, 0.9", "grid_momentum_hist": "0.5, 0.6, 0.7"}
    result = host.run(sonar=sonar, do_not_save_grid=False, do_not_save_samples=False, batch_size=2)
    columns, rows = host.annotated[-1]
    assert [label.split()[-1] for label in columns] == ["0.5", "0.6", "0.7"]
    assert [label.split()[-1] for label in rows] == ["0.8", "0.9"]
    (sheet, text) = host.saved.pop()
    assert sheet.size == result.processed.images[0].size
    assert text == result.processed.infotexts[0] == result.processed.images[0].info["parameters"]
    assert len(host.saved) == 12
    assert len(result.processed.images) == 1 + 12
    assert len(result.processed.all_seeds) == 12


def test_each_cell_of_a_grid_is_the_job_of_its_values(host):
    """Also on a bare host, whose job has other batches after one another."""
    sonar = {
        "grid": True,
        "grid_momentum": "0.75:0.95:2",
        "grid_momentum_hist": "0.5, 0.7, 0.9",
        "momentum_sign": "rand",
    }
    made = host.run(sonar=sonar)
    cells = [(momentum, hist) for momentum in (0.75, 0.95) for hist in (0.5, 0.7, 0.9)]
    for k, (momentum, hist) in enumerate(cells):
        alone = host.run(sonar={"momentum": momentum, "momentum_hist": hist, "momentum_sign": "rand"})
        assert made.latents[k].equal(alone.latent)
        assert made.processed.infotexts[1 + k] == alone.processed.info


def test_a_grid_of_upscaled_images(host):
    sonar = {
        "grid": True,
        "grid_momentum": "0.8, 0.9",
        "grid_momentum_hist": "0.5",
        "upscale": True,
        "upscale_ratio": 2.0,
    }
    result = host.run(sonar=sonar)
    assert [image.size for image in result.processed.images[1:]] == [(128, 128)] * 2


@pytest.mark.parametrize("cell", [0, 1, 4])
def test_a_grid_that_is_interrupted(host, monkeypatch, cell):
    model = host.shared.sd_model
    start, steps = model.calls, 4
    denoiser = host.module("sd_samplers_kdiffusion").CFGDenoiserKDiffusion
    forward = denoiser.forward

    def interrupting(self, *args, **kwargs):
        if model.calls - start == cell * steps + 2:
            host.shared.state.interrupt()
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(denoiser, "forward", interrupting)
    sonar = {"grid": True, "grid_momentum": "0.75:0.95:3", "grid_momentum_hist": "0.5, 0.6"}
    processed = host.run(sonar=sonar, steps=steps).processed
    finished = max(cell, 1)
    assert len(processed.images) == 1 + finished
    assert len(processed.infotexts) == 1 + finished
    columns, rows = host.annotated[-1]
    assert (len(columns), len(rows)) == (2, -(-finished // 2))
    assert not host.reported


def test_a_cell_that_raises_ends_the_grid_with_the_error(host, monkeypatch):
    broken_model(host, monkeypatch, at=1)
    with pytest.raises(RuntimeError, match="out of memory"):
        host.run(sonar={"grid": True, "grid_momentum": "0.8, 0.9"})


# Axes of the X/Y/Z plot


@pytest.fixture
def axes(host):
    return host.axes()


def cell(host, p, values):
    """A cell of the plot: the host copies the job shallowly, and the axes change the copy."""
    pc = copy(p)
    for axis, value in values.items():
        typed = axis.type(value)
        axis.confirm(pc, [typed])
        axis.apply(pc, typed, [typed])
    return host.module("processing").process_images(pc)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("label", "text", "options"),
    [
        ("Momentum current", "0.8", {"momentum": 0.8}),
        ("Momentum sign", "neg", {"momentum_sign": "neg"}),
        ("Momentum stop", "2", {"momentum_stop": "2"}),
        ("Base sampler", "Naive", {"sampler": "Naive"}),
        ("Preset", "Sharper", {"preset": "Sharper"}),
        ("Upscale ratio", "2", {"upscale": True, "upscale_ratio": 2.0}),
        ("Hires pass", "False", {"hires": False}),
    ],
)
def test_an_axis_is_its_option(host, axes, form, label, text, options):
    """Without the script, too: an axis is enough to want Sonar."""
    host.use(form)
    fields = HIRES if label == "Hires pass" else {}
    expected = host.run(args=[options], **fields).processed
    made = cell(host, host.make(**fields), {axes[f"[Sonar] {label}"]: text})
    script = ", Script: Sonar" if host.is_dropdown else ""
    assert made.info == expected.info.replace(script, "")
    assert made.images[0].tobytes() == expected.images[0].tobytes()


def test_a_bad_value_of_an_axis_is_refused_before_the_first_cell(host, axes):
    axis = axes["[Sonar] Momentum current"]
    with pytest.raises(ValueError, match="momentum = 7"):
        axis.confirm(host.make(), [0.8, 7.0])
    assert axes["[Sonar] Momentum sign"].choices() == ["pos", "neg", "rand"]


@pytest.mark.parametrize("form", FORMS)
def test_cells_of_the_xyz_plot_do_not_find_each_others_texts(host, axes, form):
    """The cells share one dictionary of parameters."""
    host.use(form)
    p = host.make(sampler_name="Sonar Euler")
    texts = []
    for name in ("Sonar Naive", "Euler a", "LMS"):
        pc = copy(p)
        pc.sampler_name = name
        texts.append(host.module("processing").process_images(pc).info)
    assert "Sonar momentum current" in texts[0]
    assert not any("Sonar" in text for text in texts[1:])
    both = [cell(host, p, {axes["[Sonar] Momentum sign"]: sign}).info for sign in ("neg", "pos")]
    assert ["sign: neg" in text for text in both] == [True, False]


# The request's arguments


@pytest.mark.parametrize("form", FORMS)
def test_options_by_name_in_a_request(host, form):
    host.use(form)
    options = {"momentum": 0.8, "momentum_sign": "neg", "sampler": "Euler"}
    assert host.run(args=[options]).processed.info == host.run(sonar=options).processed.info
    assert "'momentun': no such option; did you mean momentum?" in host.refused(args=[{"momentun": 0.8}])


def test_arguments_that_a_request_leaves_out_are_the_settings(host):
    first = host.run(args=["Euler", 0.8]).processed.info
    assert first == host.run(sonar={"sampler": "Euler", "momentum": 0.8}).processed.info
    assert host.run(args=[]).processed.info == host.run(sonar={}).processed.info
    assert "script_args has" in host.refused(args=[*host.make(sonar={}).script_args[1:], 1])


def test_a_preset_by_name(host):
    by_hand = {"momentum": 0.95, "momentum_hist": 0.9, "momentum_sign": "neg"}
    assert host.run(args=[{"preset": "Sharper"}]).processed.info == host.run(sonar=by_hand).processed.info
    more = host.run(args=[{"preset": "Sharper", "momentum": 0.9}]).processed.info
    assert more == host.run(sonar={**by_hand, "momentum": 0.9}).processed.info


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"momentum": 2}, ("momentum", "2")),
        ({"momentum": "much"}, ("momentum", "much")),
        ({"momentum_hist": -0.5}, ("momentum_hist", "-0.5")),
        ({"momentum_sign": "up"}, ("momentum_sign", "up", "pos, neg, rand")),
        ({"momentum_hist_init": "zeros"}, ("momentum_hist_init", "zeros")),
        ({"sampler": "DDIM"}, ("sampler", "DDIM")),
        ({"momentum_start": "soon"}, ("momentum_start", "soon")),
        ({"ref_source": "Image", "ref_image": "xyz!"}, ("ref_image", "xyz!")),
        ({"ref_source": "Image", "ref_image": encode(picture(), "EPS")}, ("ref_image", "PNG")),
        ({"ref_source": "Image", "ref_image": 7}, ("ref_image is a int",)),
        ({"ref_source": "Image", "ref_image": None}, ("image",)),
        ({"ref_source": "img2img image"}, ("ref_source", "img2img image")),
        ({"ref_method": "denoised", "ref_detail": 0}, ("ref_detail", "0.01")),
        ({"ref_method": "denoised", "ref_start": 3}, ("ref_start = 3", "fraction")),
        ({"ref_method": "denoised", "ref_start": "80%", "ref_stop": "50%"}, ("ref_start = 0.8", "ref_stop")),
        ({"ref_method": "denoised", "ref_image": encode(picture()), "ref_mask": "xyz!"}, ("ref_mask", "xyz!")),
        (
            {"ref_method": "denoised", "ref_image": encode(picture()), "ref_mask": encode(Image.new("L", (8, 8)))},
            ("ref_mask", "black everywhere"),
        ),
        ({"ref_factor": "NaN"}, ("ref_factor",)),
        ({"ref_factor": float("nan")}, ("ref_factor", "nan")),
        ({"upscale": "yes"}, ("upscale = 'yes'", "true or false")),
        ({"upscale": True, "upscaler": "Magic"}, ("upscaler", "Magic", "Lanczos")),
        ({"upscale": True, "upscale_ratio": 1000.0}, ("upscale_ratio",)),
        ({"upscale": True, "upscale_width": 0.5}, ("upscale_width", "whole number")),
        ({"preset": "Sharpest"}, ("preset", "Sharpest")),
        ({"grid": True, "grid_momentum": "much"}, ("grid_momentum", "much")),
        ({"grid": True, "grid_momentum": "0.5:0.9:0"}, ("grid_momentum", "0.5:0.9:0")),
        ({"grid": True, "grid_momentum": "3"}, ("grid_momentum", "3")),
    ],
    ids=lambda value: "-".join(map(str, value.values()))[:20] if isinstance(value, dict) else None,
)
def test_a_bad_value_is_refused_with_the_reason(host, form, options, words):
    host.use(form)
    answers = [host.refused(args=[options]), host.refused(sonar=options)]
    assert all(word in answer for word in words for answer in answers), answers
    assert "Sonar" not in host.run().processed.info
    assert not host.reported


def bomb(side=13300):
    """A small file with very many pixels."""
    return encode(Image.new("1", (side, side)))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"ref_source": "Image", "ref_image": bomb()}, "megapixels"),
        ({"ref_source": "Image", "ref_image": "A" * 64_000_001}, "characters"),
        ({"momentum": 10**400}, "momentum"),
        ({"ref_factor": 1e300}, "ref_factor"),
        ({"momentum": [0.9] * 200_000}, "momentum"),
        ({"momentum_stop": "9" * 5000}, "momentum_stop"),
        ({"momentum_stop": 10**400}, "momentum_stop"),
        ({"momentum_sign": "pos" * 300_000}, "momentum_sign"),
        ({"upscaler": "x" * 1_000_000, "upscale": True}, "upscaler"),
        ({"grid": True, "grid_momentum": "0.5," * 250_000}, "grid_momentum"),
        ({"grid": True, "grid_momentum": "0:1:" + "9" * 400}, "grid_momentum"),
        ({"grid": True, "grid_momentum": "0:1:5e-324"}, "grid_momentum"),
        ({"grid": True, "grid_momentum": "0:1:1000", "grid_momentum_hist": "0:1:1000"}, "1000000 images"),
        ({"x" * 1_000_000: 1}, "no such option"),
    ],
    ids=["bomb", "text", "huge", "large", "list", "step", "huge-step", "choice", "name", "grid", "count", "tiny-step",
         "cells", "option"],
)  # fmt: skip
def test_what_is_far_too_large_is_refused_shortly(host, options, word):
    answer = host.refused(args=[options])
    assert word in answer
    assert len(answer) < 700


def test_a_sheet_that_is_too_large_is_refused_before_the_first_image(host):
    lists = {"grid": True, "grid_momentum": "0:1:30", "grid_momentum_hist": "0:1:30"}
    calls = host.shared.sd_model.calls
    text = host.refused(sonar=lists, width=512, height=512)
    assert "30 x 30 = 900 images, a sheet of 236 megapixels: at most 200" in text
    upscaled = {**lists, "grid_momentum": "0.5", "upscale": True, "upscale_ratio": 8.0}
    assert "megapixels" in host.refused(sonar=upscaled, width=512, height=512)
    assert host.shared.sd_model.calls == calls


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"upscale_ratio": 2.0}, (128, 192)),
        ({"upscale_width": 128}, (128, 192)),
        ({"upscale_height": 192}, (128, 192)),
        ({"upscale_width": 128, "upscale_height": 128}, (128, 128)),
        ({"upscaler": "None", "upscale_ratio": 2.0}, (64, 96)),
    ],
)
def test_upscaling(host, options, size):
    result = host.run(sonar={"upscale": True, "upscaler": "Lanczos", **options}, height=96)
    assert result.processed.images[0].size == size
