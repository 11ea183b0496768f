"""Sonar Lead and Sonar Lead ODE in the webui: the preset Lead by the choice of a sampler."""

import copy

import pytest
from webui.jobs import FORMS, LABELS, STRONG

from sonar_sampler.presets import PRESETS

LEAD = PRESETS["Lead"].options
SOLVERS = {"Sonar Lead": "Sonar Euler a", "Sonar Lead ODE": "Sonar Euler"}
EACH = pytest.mark.parametrize("name", SOLVERS)
HIRES = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.6}


@EACH
@pytest.mark.parametrize("form", FORMS)
def test_it_is_its_solver_with_the_preset(host, form, name):
    host.use(form)
    led = host.run(sampler_name=name)
    asked = host.run(sonar=LEAD, sampler_name=SOLVERS[name])
    assert led.latent.equal(asked.latent)
    assert not led.latent.equal(host.run(sampler_name=SOLVERS[name]).latent)
    assert "Sonar momentum current: 0.5, " in led.processed.info
    assert "Sonar momentum mode: lead" in led.processed.info
    assert "sign" not in led.processed.info


@EACH
@pytest.mark.parametrize("form", FORMS)
def test_what_the_panel_shows_counts_if_its_mode_is_lead(host, form, name):
    host.use(form)
    preset = host.run(sampler_name=name).latent
    assert host.run(sonar=STRONG, sampler_name=name).latent.equal(preset)
    assert host.run(sonar={**STRONG, "sampler": name.removeprefix("Sonar ")}).latent.equal(preset)
    own = {**LEAD, "momentum": 0.75}
    shown = host.run(sonar=own, sampler_name=name)
    assert shown.latent.equal(host.run(sonar=own, sampler_name=SOLVERS[name]).latent)
    assert not shown.latent.equal(preset)
    assert "Sonar momentum current: 0.75, " in shown.processed.info


@EACH
@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_a_classic_panel_counts(host, form, name):
    host.use(form)
    panel = {**STRONG, "momentum_start": 2, "momentum_stop": 3, "lead_guard": 0.01, "momentum_sign": "neg"}
    assert host.run(sonar=panel, sampler_name=name).latent.equal(host.run(sampler_name=name).latent)
    for named, value in (("momentum_start", 2), ("lead_guard", 0.01)):
        asked = host.run(args=[{named: value}], sampler_name=name)
        assert asked.latent.equal(host.run(sonar={**LEAD, named: value}, sampler_name=name).latent)
        assert not asked.latent.equal(host.run(sampler_name=name).latent)


def test_what_a_request_names_counts(host):
    named = host.run(args=[{"momentum": 0.75}], sampler_name="Sonar Lead")
    assert named.latent.equal(host.run(sonar={**LEAD, "momentum": 0.75}).latent)
    classic = host.run(args=[{"momentum_mode": "classic"}], sampler_name="Sonar Lead")
    assert classic.latent.equal(host.run(sonar={}).latent)
    assert "Sonar momentum mode: classic" in classic.processed.info


@pytest.mark.parametrize(("name", "base"), [("Sonar Lead", {}), ("Sonar Lead ODE", {}), ("Euler", {"sampler": "Lead"})])
def test_a_pasted_text_of_one_whose_preset_was_put_aside_makes_the_same_image(host, name, base):
    first = host.run(args=[{"preset": "Cousin", **base}], sampler_name=name)
    values = host.pasted(first.processed.info)
    assert values["Preset"] == "Cousin"
    shown = PRESETS[values["Preset"]].options
    again = host.run(sonar={**shown, "sampler": values["Base sampler"]}, sampler_name=values["Sampling method"])
    assert again.latent.equal(first.latent)


def test_an_axis_of_presets_names_the_sampler_that_ran(host):
    axis = host.axes()["[Sonar] Preset"]
    infos = {}
    for preset in ("Cousin", "Lead"):
        cell = copy.copy(host.make(sampler_name="Sonar Lead"))
        axis.apply(cell, preset, [preset])
        infos[preset] = host.start(cell).info
    assert "Sampler: Sonar Euler a, " in infos["Cousin"]
    assert "Sampler: Sonar Lead, " in infos["Lead"]


def test_an_axis_counts(host):
    axis = host.axes()["[Sonar] Momentum current"]
    cell = copy.copy(host.make(sampler_name="Sonar Lead"))
    axis.confirm(cell, [0.75])
    axis.apply(cell, 0.75, [0.75])
    info = host.start(cell).info
    assert "Sonar momentum current: 0.75, " in info
    assert "Sonar momentum mode: lead" in info


def test_a_grid_runs_through_its_pairs(host):
    lists = {"grid": True, "grid_momentum": "0.5, 0.75", "grid_momentum_hist": "0"}
    cells = host.run(sonar=lists, sampler_name="Sonar Lead")
    for latent, momentum in zip(cells.latents, (0.5, 0.75), strict=True):
        assert latent.equal(host.run(sonar={**LEAD, "momentum": momentum}).latent)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "fields", [{}, HIRES, {**HIRES, "hr_sampler_name": "Sonar Euler"}], ids=["one", "two", "other"]
)
def test_a_pasted_text_makes_the_same_image(host, form, fields):
    host.use(form)
    first = host.run(sampler_name="Sonar Lead", **fields)
    values = host.pasted(first.processed.info)
    assert (values["Preset"], values["Momentum mode"], values["Momentum current"]) == ("Lead", "lead", 0.5)
    again = host.run(sonar=LEAD, sampler_name=values["Sampling method"], **fields)
    assert all(one.equal(other) for one, other in zip(first.latents, again.latents, strict=True))
    assert again.latent.equal(first.latent)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fields", [{}, {**HIRES, "hr_sampler_name": "Sonar Lead"}], ids=["one", "hires"])
def test_a_pasted_text_of_one_without_momentum_has_none(host, form, fields):
    host.use(form)
    panel = {**LEAD, "momentum": 1.0}
    first = host.run(sonar=panel, sampler_name="Sonar Lead", **fields)
    values = host.pasted(first.processed.info)
    shown = {name: values[LABELS[name]] for name in (*LEAD, "preset")}
    again = host.run(sonar=shown, sampler_name=values["Sampling method"], **fields)
    assert all(one.equal(other) for one, other in zip(first.latents, again.latents, strict=True))


def test_it_may_be_the_sampler_of_the_hires_pass_alone(host):
    first = host.run(sonar=STRONG, hr_sampler_name="Sonar Lead", **HIRES)
    plain = host.run(sonar=STRONG, hr_sampler_name="Sonar Euler a", **HIRES)
    led = host.run(sonar={**STRONG, **LEAD}, hr_sampler_name="Sonar Euler a", **HIRES)
    assert first.latents[0].equal(plain.latents[0])
    assert not first.latents[1].equal(plain.latents[1])
    assert not first.latents[0].equal(led.latents[0])
    assert "Sonar momentum current: 0.8, " in first.processed.info
    off = host.run(sonar={**STRONG, "hires": False}, hr_sampler_name="Sonar Lead", **HIRES)
    none = host.run(sonar={**STRONG, "hires": False}, hr_sampler_name="Euler a", **HIRES)
    assert off.latents[1].equal(none.latents[1])


def test_a_hires_sampler_that_cannot_lead_is_refused_before_the_first_pass(host, monkeypatch):
    assert len(host.run(sonar={**LEAD, "hires": False}, hr_sampler_name="Sonar Heun", **HIRES).latents) == 2
    made = []
    monkeypatch.setattr(host.module("sd_samplers_common").Sampler, "launch_sampling", lambda *_: made.append(1))
    for options in ({"sonar": LEAD}, {"sampler_name": "Sonar Lead"}):
        message = host.refused(hr_sampler_name="Sonar Heun", **HIRES, **options)
        assert "the hires pass has Sonar Heun" in message
    assert made == []


def test_what_the_panel_hides_in_a_mode_does_not_count(host):
    hidden = {"momentum_sign": "neg", "momentum_hist_init": "rand_init"}
    assert host.run(sonar={**LEAD, **hidden}).latent.equal(host.run(sonar=LEAD).latent)
    assert host.run(sonar={**STRONG, "lead_guard": 0.9}).latent.equal(host.run(sonar=STRONG).latent)
    assert "momentum_sign = neg: must be pos" in host.refused(args=[{**LEAD, "momentum_sign": "neg"}])


def test_a_method_of_the_page_that_cannot_lead_becomes_euler_a(host):
    """So that the preset works on a page that nobody has touched."""
    result = host.run(sonar=LEAD, sampler_name="DPM++ 2M")
    assert result.latent.equal(host.run(sampler_name="Sonar Lead").latent)
    assert "Sonar instead of: DPM++ 2M" in result.processed.info
    assert "Sonar has no DPM++ 2M that leads: Sonar Euler a was used instead." in result.p.comments


def test_a_solver_of_second_order_that_was_chosen_refuses_it(host):
    assert "must be classic with sampler = heun" in host.refused(sonar=LEAD, sampler_name="Sonar Heun")
