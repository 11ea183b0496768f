"""What each option of the panel does to a job: samplers, momentum, its steps, references, the second pass."""

import importlib
import json
import re

import pytest
import torch
from PIL import Image
from webui.jobs import FORMS, GUIDE, OTHER, SONAR, STRONG, encode, picture

LED = ("Sonar Lead", "Sonar Lead ODE")
HIRES = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.6}
PULLED = {"ref_source": "Image", "ref_image": encode(picture()), "ref_factor": 0.2}


@pytest.mark.parametrize("name", SONAR)
def test_a_sampler_works_without_the_script(host, name):
    result = host.run(sampler_name=name)
    assert f"Sampler: {name}, " in result.processed.info
    assert f"Sonar momentum current: {0.5 if name in LED else 0.95}, " in result.processed.info
    plain = "Euler a" if name in ("Sonar Euler a", "Sonar Lead") else "Euler"
    assert not result.latent.equal(host.run(sampler_name=plain).latent)


@pytest.mark.parametrize("form", FORMS)
def test_the_script_wins_over_the_page_where_it_names_a_sampler(host, form):
    host.use(form)
    result = host.run(sonar={"sampler": "Naive"}, sampler_name=OTHER)
    assert "Sampler: Sonar Naive, " in result.processed.info
    assert "instead of" not in result.processed.info
    assert result.latent.equal(host.run(sampler_name="Sonar Naive").latent)


def test_a_sampler_that_has_no_momentum_becomes_euler_a(host):
    result = host.run(sonar={}, sampler_name=OTHER)
    assert "Sampler: Sonar Euler a, " in result.processed.info
    assert f"Sonar instead of: {OTHER}" in result.processed.info
    assert result.latent.equal(host.run(sampler_name="Sonar Euler a").latent)


@pytest.mark.parametrize("change", [{"momentum": 0.7}, {"momentum_hist": 0.1}, {"momentum_sign": "neg"},
                                    {"momentum_hist_init": "rand_init"}, {"momentum_start": "60%"},
                                    {"momentum_stop": "2"}], ids=lambda change: next(iter(change)))  # fmt: skip
def test_each_option_of_momentum_matters(host, change):
    assert not host.run(sonar={**STRONG, **change}).latent.equal(host.run(sonar=STRONG).latent)


def test_momentum_may_last_for_some_steps(host):
    never = host.run(sonar={**STRONG, "momentum_start": "50"})
    assert never.latent.equal(host.run(sampler_name="Euler a").latent)
    by_step, by_part = (host.run(sonar={**STRONG, "momentum_stop": stop}) for stop in ("2", "40%"))
    assert by_step.latent.equal(by_part.latent)


def test_a_hires_pass_without_sonar(host):
    first_only = host.run(sonar={**STRONG, "hires": False}, **HIRES)
    both = host.run(sonar=STRONG, **HIRES)
    assert first_only.latents[0].equal(both.latents[0])
    assert not first_only.latents[1].equal(both.latents[1])
    assert "Sonar hires pass: off" in first_only.processed.info
    plain = host.run(sonar={"momentum": 1.0, "hires": False}, **HIRES)
    assert [one.equal(other) for one, other in zip(plain.latents, host.run(**HIRES).latents, strict=True)] == [True] * 2


def test_a_hires_sampler_that_was_chosen_is_left_alone(host):
    chosen = host.run(sonar=STRONG, hr_sampler_name="Euler", **HIRES)
    assert "Hires sampler: Euler, " in chosen.processed.info
    assert not chosen.latents[1].equal(host.run(sonar=STRONG, hr_sampler_name="Sonar Euler", **HIRES).latents[1])
    only_there = host.run(sonar=STRONG, sampler_name=OTHER, hr_sampler_name="Sonar Euler", **HIRES)
    assert f"Sampler: {OTHER}, " in only_there.processed.info
    assert only_there.latents[0].equal(host.run(sampler_name=OTHER, **HIRES).latents[0])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("size", [(96, 64), (33, 200)])
def test_a_reference_of_any_kind(host, mode, size):
    image = encode(picture(mode, size))
    result = host.run(sonar={**STRONG, **PULLED, "ref_image": image}, batch_size=2)
    plain = host.run(sonar=STRONG, batch_size=2)
    assert not any(one.equal(other) for one, other in zip(result.latent, plain.latent, strict=True))
    assert "Sonar reference hash: " in result.processed.info
    url = host.run(sonar={**STRONG, **PULLED, "ref_image": f"data:image/png;base64,{image}"}, batch_size=2)
    page = host.run(sonar={**STRONG, **PULLED, "ref_image": picture(mode, size)}, batch_size=2)
    assert result.processed.info == url.processed.info == page.processed.info
    assert result.latent.equal(url.latent)
    assert result.latent.equal(page.latent)


@pytest.mark.parametrize("sampler", ["Euler a", "Euler", "Naive", "DPM++ 2M"])
@pytest.mark.parametrize("method", ["linear", "euler", "denoised"])
def test_a_reference_pulls_in_every_sampler(host, sampler, method):
    options = {"sampler": sampler, "ref_method": method}
    assert not host.run(sonar={**options, **PULLED}).latent.equal(host.run(sonar=options).latent)


def test_a_reference_does_not_depend_on_what_ran_before(host):
    first = host.run(sonar=PULLED)
    host.run(seed=5)
    host.run(sonar={**PULLED, "ref_image": encode(picture("L"))}, width=128)
    assert host.run(sonar=PULLED).latent.equal(first.latent)
    assert host.run(sonar=PULLED, batch_size=2).latent[0].equal(first.latent[0])


def test_the_image_of_img2img_as_the_reference(host):
    fields = {"kind": "img2img", "init_images": [picture()], "denoising_strength": 0.9}

    def run(options):
        torch.manual_seed(0)  # the host's img2img encodes with a random draw
        return host.run(sonar={**STRONG, **options}, **fields)

    pulled = run({"ref_source": "img2img image", "ref_factor": 0.2})
    assert not pulled.latent.equal(run({}).latent)
    assert run({"ref_source": "img2img image", "ref_factor": 0.0}).latent.equal(run({}).latent)
    assert "Sonar reference: img2img image, " in pulled.processed.info
    assert "reference hash" not in pulled.processed.info


@pytest.mark.parametrize(
    "example", re.findall(r"```json\n(.*?)```", GUIDE, re.S), ids=["dropdown", "grid", "accordion"]
)
def test_the_guides_requests_do_what_it_says(host, example):
    body = json.loads(example)
    host.use(FORMS["alwayson_scripts" in body])
    args = body.pop("script_args", None) or body.pop("alwayson_scripts")["sonar"]["args"]
    body.pop("script_name", None)
    texts = host.run(args=args, **{**body, "steps": 4}).processed.infotexts
    if args[0].get("grid"):
        assert [text.split("momentum current: ")[1].split(",")[0] for text in texts[1:]] == [
            "0.8", "0.8", "0.875", "0.875", "0.95", "0.95",
        ]  # fmt: skip
        assert all("Sampler: Sonar Euler, " in text for text in texts[1:])
    else:
        assert "Sonar momentum current: 0.9, " in texts[0]
        assert f"Sampler: Sonar {body['sampler_name']}, " in texts[0]


GUIDED = {"preset": "Guided by an image", "ref_image": encode(picture())}


def half(left):
    """A mask of the left or the right half."""
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64) if left else (32, 0, 64, 64))
    return encode(mask)


def test_the_preset_guided_by_an_image_is_its_options(host):
    by_hand = {"momentum": 1.0, "ref_method": "denoised", "ref_factor": 0.3, "ref_stop": 0.5, "ref_detail": 0.25}
    guided = host.run(args=[GUIDED])
    assert guided.processed.info == host.run(sonar={**by_hand, "ref_image": GUIDED["ref_image"]}).processed.info
    for word in ("method: denoised", "factor: 0.3", "detail: 0.25", "match: channel", "fade: 0.1"):
        assert f"Sonar reference {word}" in guided.processed.info
    assert "Reference is Image, so give an image" in host.refused(
        args=[{**GUIDED, "ref_image": None, "ref_source": "Image"}]
    )


def test_a_mask_says_where_the_reference_counts(host):
    plain = host.run(sonar={"momentum": 1}).latent
    changed = []
    for left in (True, False):
        result = host.run(args=[{**GUIDED, "ref_detail": 1, "ref_mask": half(left)}], steps=2)
        base = host.run(sonar={"momentum": 1}, steps=2).latent
        sides = (result.latent - base).abs().mean((0, 1, 2))
        changed.append((sides[:3].mean(), sides[-3:].mean()))
        assert "Sonar reference mask hash: " in result.processed.info
    assert changed[0][0] > 2 * changed[0][1]
    assert changed[1][1] > 2 * changed[1][0]
    white = encode(Image.new("L", (64, 64), 255))
    everywhere = host.run(args=[{**GUIDED, "ref_mask": white}]).latent
    assert everywhere.allclose(host.run(args=[GUIDED]).latent, atol=1e-4)
    assert not everywhere.equal(plain)


def test_a_mask_that_the_method_does_not_use_is_left_alone(host):
    options = {**PULLED, "ref_method": "linear"}
    assert host.run(sonar={**options, "ref_mask": half(left=True)}).latent.equal(host.run(sonar=options).latent)


def test_reference_and_mask_fit_every_pass(host, monkeypatch):
    seen, reference = [], importlib.import_module("sonar_sampler.hosts.webui.reference")
    original = reference.mask

    def told(image, x):
        seen.append(original(image, x))
        return seen[-1]

    monkeypatch.setattr(reference, "mask", told)
    host.run(args=[{**GUIDED, "ref_mask": half(left=True)}], **HIRES)
    assert [tuple(mask.shape) for mask in seen] == [(1, 1, 8, 8), (1, 1, 16, 16)]
    assert seen[0][0, 0].tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 8
