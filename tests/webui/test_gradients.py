"""Gradients in a real web UI: the loss falls, no other job is touched, and the page has the tab."""

import threading
import time

import pytest
from playwright.sync_api import expect

from webui.jobs import GUIDED, difference, encode, picture
from webui.test_api import values
from webui.test_page import FAST

PROMPT = {"momentum": 1, "grad_c_iter": 5, "grad_c_alpha": 0.05}
LATENT = {"momentum": 1, "grad_x_iter": 5, "grad_x_sigma": 0.3}
NEAR = {**GUIDED, "ref_image": encode(picture()), "grad_r_iter": 2}


def losses(result, name):
    return [float(number) for number in values(result, f"Sonar {name} loss").split(" to ")]


@pytest.mark.parametrize(
    ("options", "name"), [(PROMPT, "prompt"), (LATENT, "latent"), (NEAR, "reference")], ids=["prompt", "latent", "near"]
)
def test_gradients_lower_their_loss_change_the_image_and_touch_no_other_job(webui, options, name):
    off = {key: value for key, value in options.items() if not key.startswith("grad")}
    plain = webui.run(sonar=off)
    optimised = webui.run(sonar=options)
    before, after = losses(optimised, name)
    assert after < before
    assert difference(optimised.image, plain.image) > 0
    again, later = webui.run(sonar=options), webui.run(sonar=off)
    assert difference(again.image, optimised.image) == 0
    assert again.infotexts == optimised.infotexts
    assert difference(later.image, plain.image) == 0
    assert later.infotexts == plain.infotexts


def test_interrupt_is_honoured_between_iterations_which_are_in_the_progress(webui):
    answer = []
    options = {"momentum": 1, "grad_c_iter": 100, "grad_c_alpha": 0.001}
    job = threading.Thread(target=lambda: answer.append(webui.run(sonar=options, steps=60)))
    job.start()
    webui.wait(lambda progress: str(progress["textinfo"]).startswith("Sonar: prompt loss"), seconds=120)
    webui.post("interrupt")
    begun = time.monotonic()
    job.join(60)
    assert len(answer[0].images) == 1
    assert time.monotonic() - begun < 10
    assert webui.get("progress")["textinfo"] is None


@pytest.mark.parametrize("prompt", ["a cat AND a dog", "a [cat:dog:0.5]"])
def test_a_prompt_that_cannot_be_optimised_is_told_and_the_image_is_plain(webui, prompt):
    plain, told = webui.run(sonar={"momentum": 1}, prompt=prompt), webui.run(sonar=PROMPT, prompt=prompt)
    assert difference(told.image, plain.image) == 0
    assert "loss" not in told.infotexts[0]


def test_gradients_without_a_limit_are_refused(webui):
    for options in ({"grad_c_iter": 101}, {"grad_c_iter": -1}, {"grad_c_alpha": -0.1}, {"grad_rule": "adam"}):
        (name,) = options
        assert name in webui.refused(sonar=options)


def test_gradients_are_off_and_can_be_switched_on(page, webui):
    page.at("#txt2img_prompt textarea").fill("a cat")
    page.select("#txt2img_sampling", "Euler a")
    page.open_panel()
    page.generate(seed=37)
    assert "loss" not in page.infotext
    page.open_tab("gradients")
    page.number(page.id("grad_c_iter"), 3)
    page.number(page.id("grad_c_alpha"), 0.05)
    page.number(page.id("grad_x_iter"), 2)
    expect(page.says("summary")).to_contain_text("gradients")
    page.generate(seed=38)
    page.shot("gradients")
    assert "Sonar prompt iterations: 3" in page.infotext
    assert "Sonar prompt loss: " in page.infotext
    assert "Sonar latent loss: " in page.infotext
    assert difference(page.images()[0], webui.run(seed=38, cfg_scale=7, sonar={}, **FAST).image) > 0
