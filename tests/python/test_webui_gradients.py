"""Gradients in the web UI: the loss falls and is told, and nothing of the host's is touched."""

import re

import pytest
import torch
from webui.jobs import FORMS, encode, picture

PLAIN = {"momentum": 1.0}
PROMPT = {**PLAIN, "grad_c_iter": 3, "grad_c_alpha": 0.02}
ALL = {**PROMPT, "grad_x_iter": 2, "grad_r_iter": 1, "ref_method": "denoised", "ref_factor": 0.2, "ref_detail": 0.5}


def losses(text):
    """Name of a loss -> before and after, as an infotext has them."""
    found = re.findall(r"Sonar (\w+ loss(?: hires)?): ([\d.e-]+) to ([\d.e-]+)", text)
    return {name: (float(before), float(after)) for name, before, after in found}


@pytest.fixture
def xl(host):
    """A model whose conditions are dicts, as SDXL's and SD3's are."""

    class Xl(host.module("tiny_model").TinyModel):
        def get_learned_conditioning(self, prompts):
            rows = super().get_learned_conditioning(prompts)
            if not any(prompts):
                return {"crossattn": rows, "vector": rows * 0}
            return [{"crossattn": row, "vector": row * 0} for row in rows]

        def apply_model(self, x_in, t, cond):
            return super().apply_model(x_in, t, {"c_crossattn": [cond["crossattn"] + cond["vector"]]})

    host.module("tiny_model").loaded["tiny"] = Xl()
    host.module("tiny_model").load()


def test_the_losses_fall_and_are_in_the_infotext_the_log_and_the_progress(host, monkeypatch, capsys):
    shown = []
    state = type(host.shared.state)
    monkeypatch.setattr(
        state, "textinfo", property(lambda self: shown[-1] if shown else None, lambda _self, text: shown.append(text)),
        raising=False,
    )  # fmt: skip
    result = host.run(sonar={**ALL, "ref_source": "Image", "ref_image": picture()}, batch_size=2, n_iter=2)
    plain = host.run(sonar=PLAIN, batch_size=2, n_iter=2)
    assert len(result.processed.infotexts) == 4
    told = [losses(text) for text in result.processed.infotexts]
    for of_image in told:
        assert set(of_image) == {"prompt loss", "latent loss", "reference loss"}
        assert all(after < before for before, after in of_image.values()), of_image
    assert len({of_image["prompt loss"] for of_image in told}) == 4, "each image has its own"
    for text in result.processed.infotexts:
        assert "Sonar prompt iterations: 3, Sonar prompt skip: 0, Sonar prompt alpha: 0.02" in text
        assert "Sonar latent iterations: 2" in text
        assert "Sonar reference iterations: 1" in text
        assert "Sonar gradient rule: norm" in text
    assert "Sonar: prompt loss" in capsys.readouterr().out
    assert any(text and text.startswith("Sonar: reference loss") for text in shown)
    assert shown[-1] is None
    assert all(name not in plain.processed.infotexts[0] for name in ("loss", "iterations", "alpha"))
    assert not result.latent.equal(plain.latent)


def test_off_nothing_is_different_and_nothing_is_told(host):
    off = dict.fromkeys(("grad_c_iter", "grad_x_iter", "grad_r_iter"), 0)
    one, other = host.run(sonar={**PLAIN, **off, "grad_c_alpha": 0.05}), host.run(sonar=PLAIN)
    assert one.latent.equal(other.latent)
    assert "Sonar prompt" not in one.processed.infotexts[0]


def test_the_next_job_and_the_host_s_conditions_are_untouched(host):
    before = host.run(sonar=PLAIN)
    p = host.make(sonar=PROMPT)
    kept = []
    setup = type(p).setup_conds

    def keep(self):
        setup(self)
        self.kept = self.c, [one.schedules[0].cond.clone() for (one,) in self.c.batch], self.uc, self.uc.clone()
        kept.append(self.kept)

    p.setup_conds = keep.__get__(p)
    host.start(p)
    (c, rows, uc, uc_before) = kept[0]
    assert all(one.schedules[0].cond.equal(row) for (one,), row in zip(c.batch, rows, strict=True))
    assert uc.equal(uc_before)
    assert all(weight.grad is None for weight in host.shared.sd_model.parameters())
    assert host.run(sonar=PLAIN).latent.equal(before.latent)


@pytest.mark.parametrize("kind", ["tensor", "dict"])
def test_until_something_is_optimised_the_model_is_the_host_s_bit_for_bit(host, request, kind):
    """Weights of prompts too, as in "a cat :0.5"."""
    if kind == "dict":
        request.getfixturevalue("xl")

    def run(options):
        p = host.make(sonar=options, batch_size=2)
        setup, latents = type(p).setup_conds, []

        def weighted(self):
            setup(self)
            for prompts in self.c.batch:
                prompts[0].weight = 0.5

        p.setup_conds = weighted.__get__(p)
        sample = type(p).sample
        p.sample = lambda *given: latents.append(sample(p, *given)) or latents[-1]
        host.start(p)
        return latents[0]

    plain = run(PLAIN)
    assert run({**PROMPT, "grad_c_skip": 50}).equal(plain)
    assert not run(PROMPT).equal(plain)


def test_an_image_of_a_batch_is_the_single_image(host):
    batch = host.run(sonar={**PROMPT, "grad_x_iter": 2}, batch_size=2)
    for k in range(2):
        alone = host.run(sonar={**PROMPT, "grad_x_iter": 2}, seed=1 + k)
        torch.testing.assert_close(alone.latent[0], batch.latent[k], rtol=1e-4, atol=1e-4)
        one, other = losses(alone.processed.infotexts[0]), losses(batch.processed.infotexts[k])
        assert [*one] == [*other] == ["prompt loss", "latent loss"]
        assert all(one[name] == pytest.approx(other[name], rel=1e-3) for name in one)


def test_conditions_that_are_dicts(host, xl):
    result = host.run(sonar=PROMPT)
    before, after = losses(result.processed.infotexts[0])["prompt loss"]
    assert after < before
    assert not result.latent.equal(host.run(sonar=PLAIN).latent)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"prompt": "a cat AND a dog"}, "the prompt has AND"),
        ({"prompt": "a cat -> a dog"}, "the prompt is edited in mid-run"),
        ({"refiner_checkpoint": "tiny2", "refiner_switch_at": 0.5}, "a refiner brings another model"),
    ],
)
def test_what_cannot_be_optimised_is_one_line_and_the_plain_picture(host, fields, why):
    result, plain = host.run(sonar=PROMPT, **fields), host.run(sonar=PLAIN, **fields)
    assert why in result.processed.comments
    assert result.latent.equal(plain.latent)
    assert "loss" not in result.processed.infotexts[0]


def test_a_model_that_has_no_gradient_is_one_line_and_the_plain_picture(host, monkeypatch):
    model = type(host.shared.sd_model)
    apply = model.apply_model

    def out_of_memory(self, x_in, t, cond):
        if torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return apply(self, x_in, t, cond)

    monkeypatch.setattr(model, "apply_model", out_of_memory)
    result = host.run(sonar=PROMPT)
    assert result.processed.comments.count("Sonar: no gradients") == 1
    assert "CUDA out of memory" in result.processed.comments
    assert result.latent.equal(host.run(sonar=PLAIN).latent)


def test_interrupt_is_honoured_between_iterations(host, monkeypatch):
    model, calls = type(host.shared.sd_model), []
    apply = model.apply_model

    def interrupting(self, x_in, t, cond):
        calls.append(1)
        if len(calls) == 3:
            host.shared.state.interrupt()
        return apply(self, x_in, t, cond)

    monkeypatch.setattr(model, "apply_model", interrupting)
    result = host.run(sonar={**PLAIN, "grad_c_iter": 100})
    assert len(calls) < 6
    assert torch.isfinite(result.latent).all()
    assert host.shared.state.textinfo is None


def test_the_hires_pass_has_its_own_losses_and_switched_off_none(host):
    fields = {"enable_hr": True, "hr_second_pass_steps": 4, "denoising_strength": 0.6}
    both = losses(host.run(sonar=PROMPT, **fields).processed.infotexts[0])
    assert set(both) == {"prompt loss", "prompt loss hires"}
    assert set(losses(host.run(sonar={**PROMPT, "hires": False}, **fields).processed.infotexts[0])) == {"prompt loss"}


def test_a_text_that_is_pasted_brings_the_options_back(host):
    text = host.run(sonar={**PROMPT, "grad_x_iter": 2, "grad_x_sigma": 0.3, "grad_rule": "sign"}).processed.infotexts[0]
    values = host.pasted(text)
    told = {name: values[name] for name in ("Prompt iterations", "Prompt alpha", "Latent iterations", "Latent sigma")}
    assert told == {"Prompt iterations": 3, "Prompt alpha": 0.02, "Latent iterations": 2, "Latent sigma": 0.3}
    assert values["Gradient rule"] == "sign"
    assert values["Reference iterations"] == 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("named", [True, False], ids=["named", "listed"])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"grad_c_iter": 101}, "grad_c_iter = 101: must be a whole number from 0 to 100"),
        ({"grad_c_iter": -1}, "grad_c_iter = -1"),
        ({"grad_c_iter": 1.5}, "grad_c_iter = 1.5"),
        ({"grad_x_alpha": -0.1}, "grad_x_alpha = -0.1: must be a finite number above 0"),
        ({"grad_x_alpha": float("nan")}, "grad_x_alpha = nan"),
        ({"grad_rule": "adam"}, "grad_rule = 'adam': must be one of norm, sign"),
        (
            {"grad_r_iter": 1, "ref_image": encode(picture())},
            "grad_r_iter = 1: needs ref_method = denoised",
        ),
    ],
)
def test_requests_that_make_no_sense_are_refused(host, form, named, options, text):
    """By name and in the list of the panel's values, also where the option means nothing yet."""
    host.use(form)
    if "ref_image" in options and not named:
        options = {**options, "ref_source": "Image", "ref_image": picture()}
    assert text in (host.refused(args=[options]) if named else host.refused(sonar=options))


def test_a_drawing_on_the_reference_is_its_mask(host):
    drawing = picture().point(lambda _: 0)
    drawing.paste("white", (0, 0, 40, 64))
    guided = {**PLAIN, "ref_source": "Image", "ref_method": "denoised", "ref_factor": 0.3}
    drawn = host.run(sonar={**guided, "ref_image": {"image": picture(), "mask": drawing}})
    given = host.run(sonar={**guided, "ref_image": picture(), "ref_mask": drawing})
    blank = host.run(sonar={**guided, "ref_image": {"image": picture(), "mask": drawing.point(lambda _: 0)}})
    everywhere = host.run(sonar={**guided, "ref_image": picture()})
    assert drawn.latent.equal(given.latent)
    assert drawn.processed.infotexts == given.processed.infotexts
    assert blank.latent.equal(everywhere.latent)
    assert not drawn.latent.equal(everywhere.latent)
