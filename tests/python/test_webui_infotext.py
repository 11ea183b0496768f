"""From options to the text of an image and back."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from webui.jobs import FORMS, LABELS, encode, picture

from sonar_sampler.steps import parse_step

IMAGE = encode(picture())

numbers = st.integers(0, 100).map(lambda hundredths: hundredths / 100)
positions = st.one_of(
    st.integers(0, 12).map(str),
    numbers.map(str),
    st.integers(0, 100).map("{}%".format),
    st.sampled_from([0, 3, 0.5, 1.0]),
)


def in_order(start, stop):
    """A range of steps that the core takes: two of a kind must not be backwards."""
    start, stop = parse_step(start, "start"), parse_step(stop, "stop")
    return type(start) is not type(stop) or start <= stop


OPTIONS = st.fixed_dictionaries(
    {
        "sampler": st.sampled_from(["As selected above", "Euler a", "Euler", "Naive"]),
        "momentum": st.one_of(st.just(1.0), numbers),
        "momentum_hist": numbers,
        "momentum_sign": st.sampled_from(["pos", "neg", "rand"]),
        "momentum_hist_init": st.sampled_from(["zero", "rand_init", "rand_new"]),
        "momentum_start": positions,
        "momentum_stop": positions,
        "ref_source": st.sampled_from(["Off", "Image"]),
        "ref_method": st.sampled_from(["linear", "euler"]),
        "ref_factor": st.sampled_from([-0.1, 0.0, 0.02, 0.3, 1]),
        "ref_start": positions,
        "ref_stop": positions,
        "hires": st.booleans(),
        "upscale": st.booleans(),
        "upscaler": st.sampled_from(["None", "Lanczos", "Nearest"]),
        "upscale_ratio": st.sampled_from([1.0, 1.5, 2]),
        "upscale_width": st.sampled_from([0, 96]),
        "upscale_height": st.sampled_from([0, 80]),
    }
).filter(
    lambda options: all(in_order(options[f"{what}_start"], options[f"{what}_stop"]) for what in ("momentum", "ref"))
)


def sonar_options(values):
    return {name: values[label] for name, label in LABELS.items() if label in values and name not in ("enable", "grid")}


def settings_of(host, text):
    """What a text says; 80 and 80.0 are the same."""

    def number(value):
        try:
            return float(value)
        except (TypeError, ValueError):
            return value

    params = host.module("infotext_utils").parse_generation_parameters(text)
    return {key: number(value) for key, value in params.items()}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(options={"momentum_stop": "1"}, hires=False)
@example(options={"momentum_start": "0", "momentum_stop": "1.0"}, hires=False)
@example(options={"momentum_stop": "100%", "ref_source": "Image", "ref_stop": "1", "ref_start": "1.0"}, hires=False)
@given(options=OPTIONS, hires=st.booleans())
def test_a_pasted_text_makes_the_same_image_and_the_same_text(host, form, options, hires):
    host.use(form)
    fields = {"steps": 4, "enable_hr": hires, "hr_scale": 1.5, "denoising_strength": 0.7}
    image = {"ref_image": IMAGE} if options.get("ref_source") == "Image" else {}
    first = host.run(sonar={**options, **image}, **fields)
    values = host.pasted(first.processed.info)
    assert values["Script"] == "Sonar" if host.is_dropdown else values["Sonar"] is True
    restored = sonar_options(values)
    fields |= {"sampler_name": values["Sampling method"], "seed": int(values["Seed"])}
    image = {"ref_image": IMAGE} if restored["ref_source"] == "Image" else {}
    again = host.run(sonar={**restored, **image}, **fields)
    assert settings_of(host, again.processed.info) == settings_of(host, first.processed.info)
    assert all(one.equal(other) for one, other in zip(first.latents, again.latents, strict=True))
    assert again.processed.images[0].size == first.processed.images[0].size


CHANGED = {
    "momentum": 0.8,
    "momentum_hist": 0.4,
    "momentum_sign": "neg",
    "momentum_hist_init": "rand_new",
    "momentum_start": "2",
    "momentum_stop": "0.9",
    "ref_source": "Image",
    "ref_method": "euler",
    "ref_factor": 0.3,
    "ref_start": "1",
    "ref_stop": "0.5",
    "hires": False,
    "upscale": True,
    "upscaler": "Nearest",
    "upscale_ratio": 2.0,
}
SIZED = {"upscale": True, "upscale_width": 96, "upscale_height": 80}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [CHANGED, SIZED], ids=["all", "upscaled-size"])
def test_every_option_comes_back(host, form, options):
    host.use(form)
    image = {"ref_image": IMAGE} if "ref_source" in options else {}
    text = host.run(sonar={**options, **image}, enable_hr=True, steps=4).processed.info
    restored = sonar_options(host.pasted(text))
    assert {name: as_position(name, restored[name]) for name in options} == {
        name: as_position(name, value) for name, value in options.items()
    }


def as_position(name, value):
    """Steps may be written as 0.5 or as 50%."""
    return parse_step(value, name) if name.endswith(("_start", "_stop")) else value


@pytest.mark.parametrize("form", FORMS)
def test_a_text_without_reference_and_upscaling_turns_them_off(host, form):
    host.use(form)
    values = host.pasted(host.run(sonar={"momentum": 0.9}).processed.info)
    assert (values["Reference"], values["Upscaling"], values["Hires pass"]) == ("Off", False, True)
    assert as_position("momentum_stop", values["Momentum stop"]) == 1.0


def test_a_plain_text_turns_the_script_off(host):
    text = host.run().processed.info
    host.use(FORMS[0])
    assert host.pasted(text)["Script"] == "None"
    host.use(FORMS[1])
    values = host.pasted(text)
    assert values["Sonar"] is False
    assert "Momentum current" not in values


@pytest.mark.parametrize(("wrote", "reads"), [FORMS, FORMS[::-1]])
def test_a_text_of_the_other_form(host, wrote, reads):
    host.use(wrote)
    text = host.run(sonar={"momentum": 0.8, "sampler": "Euler"}).processed.info
    host.use(reads)
    values = host.pasted(text)
    assert values["Momentum current"] == 0.8
    assert values.get("Sonar", values.get("Script")) in (True, "Sonar")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sampler", ["Euler a", "Euler", "Naive"])
def test_a_text_of_the_original_extension(host, form, sampler):
    host.use(form)
    text = (
        "a cat\nSteps: 5, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 64x64, "
        f"Sonar sampler: {sampler}, Sonar momentum: 0.85, Sonar momentum_hist: 0.4, Version: v1.6.0"
    )
    values = host.pasted(text)
    assert values.get("Sonar", values.get("Script")) in (True, "Sonar")
    assert (values["Base sampler"], values["Momentum current"], values["Momentum history"]) == (sampler, 0.85, 0.4)


def test_a_text_that_somebody_edited(host):
    text = (
        "a cat\nSteps: 5, Sampler: Sonar Euler a, CFG scale: 7, Seed: 1, Size: 64x64, "
        "Sonar momentum current: a lot, Sonar momentum sign: up, Sonar momentum stop: soon, Sonar reference: Moon"
    )
    values = host.pasted(text)
    restored = sonar_options(values)
    assert (restored["momentum"], restored["momentum_sign"], restored["ref_source"]) == (0.95, "pos", "Off")
    host.run(sonar=restored)


def test_the_text_of_a_grid_sets_the_grid_up(host):
    sonar = {"grid": True, "grid_momentum": "0.75:0.95:2", "grid_momentum_hist": "0.5, 0.6"}
    result = host.run(sonar=sonar)
    values = host.pasted(result.processed.infotexts[0])
    assert {name: values[LABELS[name]] for name in sonar} == sonar
    cell = host.pasted(result.processed.infotexts[1])
    assert (cell["Grid search"], cell["Momentum current"], cell["Momentum history"]) == (False, 0.75, 0.5)


def test_the_hosts_parser_reads_every_key(host):
    text = host.run(sonar={**CHANGED, "ref_image": IMAGE}, enable_hr=True).processed.info
    params = host.module("infotext_utils").parse_generation_parameters(text)
    keys = [key for key in params if key.startswith("Sonar")]
    # Upscaling is told by the upscaler; the reference has a hash; what was not changed is told too.
    assert len(keys) > len(CHANGED)
    assert not [key for key in keys if key.endswith(("-1", "-2"))]


@pytest.mark.parametrize("form", FORMS)
def test_a_pasted_image_of_a_sampler_without_the_script(host, form):
    """Made by "Sonar Euler" with the Settings page; pasted after the settings changed, it is still that image."""
    host.use(form)
    first = host.run(sampler_name="Sonar Euler")
    host.shared.opts.set("sonar_momentum", 0.6)
    values = host.pasted(first.processed.info)
    again = host.run(sonar=sonar_options(values), sampler_name=values["Sampling method"])
    assert again.latent.equal(first.latent)
