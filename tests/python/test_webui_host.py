"""How the extension lives in its host: loading, reloading, settings, leaks, grids, files."""

import sys
from pathlib import Path

import pytest
from PIL import Image
from webui.api_cases import SONAR, picture
from webui.client import encode
from webui.fixtures import ROOT

TABS = ("txt2img", "img2img")
STRONG = {"momentum": 0.8, "momentum_hist": 0.6}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.6}


# Loading


def test_reloading_the_page_changes_nothing(host):
    samplers, callbacks, xyz = (host.module(name) for name in ("sd_samplers", "script_callbacks", "script_loading"))
    events = ("ui_settings", "before_ui", "infotext_pasted", "script_unloaded", "before_image_saved")

    def seen():
        plot = next(module for path, module in xyz.loaded_scripts.items() if path.endswith("xyz_grid.py"))
        return (
            [data.name for data in samplers.all_samplers],
            sorted(samplers.all_samplers_map),
            samplers.samplers_map["sonar_euler_a"],
            [axis.label for axis in plot.axis_options],
            {event: callbacks.count(event) for event in events},
            [info["name"] for info in host.client.get("script-info")],
            [key for key in host.shared.opts.data_labels if key.startswith("sonar")],
            len(host.module("infotext_utils").paste_fields["txt2img"]["fields"]),
        )

    listed, before = samplers.all_samplers, seen()
    for _ in range(2):
        host.reload()
    assert seen() == before
    assert samplers.all_samplers is listed, "other extensions hold the list itself"
    assert [name for name in before[0] if "Sonar" in name] == list(SONAR)
    assert before[0][-len(SONAR) :] == list(SONAR)


def test_an_unloaded_extension_leaves_the_samplers_of_others(host):
    scripts, samplers = host.module("scripts"), host.module("sd_samplers")
    before = len(samplers.all_samplers)
    folders = scripts.extension_dirs[:]
    scripts.extension_dirs.clear()
    try:
        host.reload()
        assert [data.name for data in samplers.all_samplers if "Sonar" in data.name] == []
        assert len(samplers.all_samplers) == before - len(SONAR)
        assert not host.module("sd_samplers_kdiffusion").sampler_extra_params.keys() - {"sample_euler", "sample_heun"}
    finally:
        scripts.extension_dirs[:] = folders
        host.reload()


def test_a_name_that_was_looked_up_too_early_is_found_later(host):
    """The host caches what it answered while the sampler was not there."""
    samplers = host.module("sd_samplers")
    sampler = sys.modules["sonar_sampler.hosts.webui.sampler"]
    sampler.unregister()
    assert samplers.get_sampler_and_scheduler("Sonar Euler a", None)[0] != "Sonar Euler a"
    sampler.register()
    assert samplers.get_sampler_and_scheduler("Sonar Euler a", None)[0] == "Sonar Euler a"
    for name in SONAR:
        own = samplers.all_samplers_map[name].options.get("scheduler")
        for scheduler in ("Automatic", "Karras"):
            # The host calls a sampler's own scheduler Automatic.
            told = "Automatic" if own == scheduler.lower() else scheduler
            assert samplers.get_sampler_and_scheduler(name, scheduler) == (name, told)
    host.reload()


def test_the_list_of_upscalers_is_full_at_the_first_start(host):
    names = [upscaler.name for upscaler in host.shared.sd_upscalers]
    assert len(names) == 3
    host.module("shared").sd_upscalers = []
    host.reload()
    for kind in TABS:
        arguments = {arg["label"]: arg for arg in host.client.script("sonar", kind)["args"]}
        assert arguments["Upscaler"]["choices"] == names


def test_the_script_has_the_same_arguments_on_both_tabs(host):
    for form in ("Script dropdown", "Accordion with Enable"):
        host.use(form)
        labels = [
            [arg["label"] for arg in host.client.script("sonar", kind)["args"]] for kind in ("txt2img", "img2img")
        ]
        assert labels[0] == labels[1]
        assert all(labels[0])


def test_nothing_is_written_into_the_extension(host):
    def files():
        folders = (ROOT, ROOT / "scripts", ROOT / "img", ROOT / "python" / "sonar_sampler" / "hosts" / "webui")
        return {
            path for folder in folders for path in folder.glob("*") if path.suffix in (".json", ".txt", ".png", ".log")
        }

    before = files()
    host.reload()
    host.run(sonar={**STRONG, "ref_source": "Image", "ref_image": encode(picture()), "upscale": True})
    host.run(sonar={"grid": True, "grid_momentum": "0.8, 0.9"}, do_not_save_grid=False)
    assert files() == before


def test_the_script_is_thin():
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path


# Jobs do not know each other


def broken_model(host, monkeypatch, at=2):
    denoiser = host.module("sd_samplers_cfg_denoiser").CFGDenoiser
    forward = denoiser.forward

    def failing(self, *args, **kwargs):
        if self.step == at:
            raise RuntimeError("out of memory")
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(denoiser, "forward", failing)


@pytest.mark.parametrize("form", ["Script dropdown", "Accordion with Enable"])
def test_a_job_that_raises_leaves_nothing_behind(host, monkeypatch, form):
    host.use(form)
    before = host.run()
    always_on = list(before.p.scripts.alwayson_scripts)
    events = dict(host.module("script_callbacks")._callbacks)
    with monkeypatch.context() as patch:
        broken_model(host, patch)
        with pytest.raises(RuntimeError, match="out of memory"):
            host.run(sonar={**STRONG, "upscale": True, "upscale_ratio": 2.0}, do_not_save_samples=False)
    after = host.run()
    assert after.processed.info == before.processed.info
    assert after.latent.equal(before.latent)
    assert after.processed.images[0].size == (64, 64)
    assert after.p.scripts.alwayson_scripts == always_on
    assert dict(host.module("script_callbacks")._callbacks) == events


@pytest.mark.parametrize("form", ["Script dropdown", "Accordion with Enable"])
def test_options_live_on_the_job(host, form):
    host.use(form)
    plain = host.run(sampler_name="Sonar Euler a")
    host.run(sonar={**STRONG, "sampler": "Naive"})
    again = host.run(sampler_name="Sonar Euler a")
    assert again.latent.equal(plain.latent)
    assert again.processed.info == plain.processed.info


def test_settings_are_the_defaults_of_jobs_without_the_script(host):
    expected = host.run(sonar={**STRONG, "sampler": "Euler", "momentum_sign": "neg", "momentum_stop": "50%"})
    for key, value in {"momentum": 0.8, "momentum_hist": 0.6, "momentum_sign": "neg", "momentum_stop": "50%"}.items():
        host.shared.opts.set(f"sonar_{key}", value)
    result = host.run(sampler_name="Sonar Euler")
    assert result.latent.equal(expected.latent)


def test_the_panel_starts_with_the_settings(host):
    host.shared.opts.set("sonar_momentum", 0.7)
    host.shared.opts.set("sonar_ref_method", "euler")
    host.reload()
    try:
        arguments = {arg["label"]: arg["value"] for arg in host.client.script("sonar")["args"] if "value" in arg}
        assert (arguments["Momentum current"], arguments["Reference method"]) == (0.7, "euler")
    finally:
        host.reset()
        host.reload()


def test_every_setting_is_on_the_settings_page(host):
    labels = host.shared.opts.data_labels
    ours = {key for key in labels if key.startswith("sonar_")}
    stored = "form sampler momentum momentum_hist momentum_sign momentum_hist_init momentum_start momentum_stop"
    for name in f"{stored} ref_method ref_factor ref_start ref_stop hires upscaler".split():
        assert f"sonar_{name}" in ours
    assert all(tuple(labels[key].section) == ("sonar", "Sonar") for key in ours)


@pytest.mark.parametrize("form", ["Script dropdown", "Accordion with Enable"])
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
    result = host.run(sonar=sonar, batch_size=2, do_not_save_samples=False)
    saved = host.module("images").saved
    assert len(saved) == 2
    for (name, text), shown in zip(saved, result.processed.images, strict=True):
        with Image.open(name) as image:
            assert image.size == shown.size == (128, 128)
            assert list(image.getdata()) == list(shown.getdata())
            assert image.info["parameters"] == text
    assert [text for _, text in saved] == result.processed.infotexts


def test_each_image_of_a_batch_has_its_own_text(host):
    texts = host.run(sonar=STRONG, seed=3, batch_size=2, n_iter=2).processed.infotexts
    assert [text.split("Seed: ")[1].split(",")[0] for text in texts] == ["3", "4", "5", "6"]
    assert all("Sampler: Sonar Euler a," in text and "Sonar momentum current: 0.8" in text for text in texts)


@pytest.mark.parametrize(("fields", "passes"), [({}, 1), ({"n_iter": 2}, 2), (HIRES, 2), ({**HIRES, "n_iter": 2}, 4)])
def test_a_grid_counts_its_jobs(host, fields, passes):
    result = host.run(sonar={"grid": True, "grid_momentum": "0.8, 0.9", "grid_momentum_hist": "0.5"}, **fields)
    assert len(result.latents) == 2 * passes
    state = host.shared.state
    assert (state.highest_job_no, state.highest_job_count) == (2 * passes, 2 * passes)


def test_a_grid_is_saved_with_its_labels(host):
    sonar = {"grid": True, "grid_momentum": "0.8, 0.9", "grid_momentum_hist": "0.5, 0.6, 0.7"}
    result = host.run(sonar=sonar, do_not_save_grid=False, do_not_save_samples=False, batch_size=2)
    images = host.module("images")
    labels = images.annotated[-1]
    assert [label.split()[-1] for label in labels[0]] == ["0.5", "0.6", "0.7"]
    assert [label.split()[-1] for label in labels[1]] == ["0.8", "0.9"]
    sheets = [(name, text) for name, text in images.saved if "grid" in Path(name).parent.name]
    assert len(sheets) == 1
    with Image.open(sheets[0][0]) as sheet:
        assert sheet.size == result.processed.images[0].size
        assert sheet.info["parameters"] == result.processed.infotexts[0]
    assert len(images.saved) == 1 + 12
    assert len(result.processed.images) == 1 + 12
    assert len(result.processed.all_seeds) == 12


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
    denoiser = host.module("sd_samplers_cfg_denoiser").CFGDenoiser
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
    columns, rows = host.module("images").annotated[-1]
    assert (len(columns), len(rows)) == (2, -(-finished // 2))
    assert not host.reported


def test_a_cell_that_raises_ends_the_grid_with_the_error(host, monkeypatch):
    broken_model(host, monkeypatch, at=1)
    with pytest.raises(RuntimeError, match="out of memory"):
        host.run(sonar={"grid": True, "grid_momentum": "0.8, 0.9"})


@pytest.mark.parametrize("form", ["Script dropdown", "Accordion with Enable"])
def test_cells_of_the_xyz_plot_do_not_find_each_others_texts(host, form):
    """The host copies the job shallowly: the cells share one dictionary of parameters."""
    host.use(form)
    result = host.client.xyz({"Sampler": "Sonar Naive,Euler a,LMS"}, sampler_name="Sonar Euler")
    texts = result.infotexts[-3:]
    assert "Sonar momentum current" in texts[0]
    assert not any("Sonar" in text for text in texts[1:])


# The request's arguments


@pytest.mark.parametrize("form", ["Script dropdown", "Accordion with Enable"])
def test_options_by_name_in_a_request(host, form):
    host.use(form)
    client, options = host.client, {"momentum": 0.8, "momentum_sign": "neg", "sampler": "Euler"}
    expected = client.run(sonar=options)
    if client.is_dropdown:
        named = client.run(script_name="sonar", script_args=[options])
    else:
        named = client.run(alwayson_scripts={"sonar": {"args": [options]}})
    assert named.infotexts == expected.infotexts
    bad = {"momentun": 0.8}
    body = (
        {"script_name": "sonar", "script_args": [bad]}
        if client.is_dropdown
        else {"alwayson_scripts": {"sonar": {"args": [bad]}}}
    )
    assert "momentum" in client.refused(**body)


def test_arguments_that_a_request_leaves_out_are_the_settings(host):
    client = host.client
    first = client.run(script_name="sonar", script_args=["Euler", 0.8])
    assert first.infotexts == client.run(sonar={"sampler": "Euler", "momentum": 0.8}).infotexts
    assert client.run(script_name="sonar", script_args=[]).infotexts == client.run(sonar={}).infotexts
