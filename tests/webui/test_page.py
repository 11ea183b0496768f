"""What a user sees in the page."""

import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from webui.jobs import FORMS, GUIDED, OTHER, SONAR, difference, encode, picture

FAST = {"steps": 4, "width": 64, "height": 64}


def plain_text(seed=1):
    return f"a cat\nSteps: 4, Sampler: Euler, CFG scale: 7, Seed: {seed}, Size: 64x64"


def test_the_samplers_are_in_both_lists(page):
    listed = page.choices("#txt2img_sampling")
    assert [name for name in listed if name.startswith("Sonar")] == list(SONAR)
    page.at("#txt2img_hr").click()
    if page.webui.get("options").get("hires_fix_show_sampler") is False:
        pytest.skip("the webui's settings hide the hires sampler (hires_fix_show_sampler)")
    listed = page.choices("#hr_sampler")
    assert [name for name in listed if name.startswith("Sonar")] == list(SONAR)


def test_a_preset_sets_the_sliders_and_a_slider_makes_it_custom(page):
    page.open_panel()
    assert page.value("preset") == "Classic"
    page.select(page.id("preset"), "Sharper")
    expect(page.at(f"{page.id('momentum_hist')} input[type=number]")).to_have_value("0.9")
    expect(page.says("preset")).to_contain_text("contrast")
    page.open_tab("momentum")
    assert page.value("momentum_sign") == "neg"
    expect(page.says("summary")).to_contain_text("Sharper, 0.95 / 0.9")
    page.select(page.id("preset"), "Another mood")
    expect(page.at(f"{page.id('momentum')} input[type=number]")).to_have_value("0.75")
    expect(page.says("summary")).to_contain_text("Another mood, 0.75 / 0.75")
    assert page.value("momentum_sign") == "pos"
    page.slide("momentum", 5)
    expect(page.says("summary")).to_contain_text("Custom, 0.8 / 0.75")
    assert page.value("preset") == "Custom"
    page.generate(seed=15)
    assert "Sonar momentum current: 0.8, Sonar momentum history: 0.75" in page.infotext


def test_the_header_says_whether_sonar_is_on(page):
    if page.webui.is_dropdown:
        pytest.skip("there the Script dropdown says it")
    expect(page.says("summary")).to_have_text("")
    page.tick("enable")
    expect(page.says("summary")).to_contain_text("Classic, 0.95 / 0.75")
    page.shot("on")
    page.tick("enable", on=False)
    expect(page.says("summary")).to_have_text("")


def test_save_as_default(page, webui):
    page.open_panel()
    page.number(page.id("momentum"), 0.85)
    page.open_tab("momentum")
    try:
        page.at(page.id("save")).click()
        expect(page.says("saved")).to_contain_text("Saved: 1 default")
        assert webui.get("options")["sonar_momentum"] == 0.85
        page.number(page.id("momentum"), 0.5)
        page.write("momentum_stop", "never")
        page.at(page.id("save")).click()
        expect(page.says("saved")).to_contain_text("Not saved: Momentum stop = 'never'")
        assert webui.get("options")["sonar_momentum"] == 0.85
    finally:
        webui.post("options", {"sonar_momentum": 0.95}).raise_for_status()


def test_another_reference_than_that_of_the_pasted_text_is_told(page, tmp_path):
    page.at("#txt2img_prompt textarea").fill("a cat")
    page.open_panel()
    page.open_tab("reference")
    page.choose("ref_source", "Image")
    for name, mode in (("right", "RGB"), ("wrong", "L")):
        picture(mode).save(tmp_path / f"{name}.png")
    upload = f"{page.id('ref_image')} input[type=file]"
    page.at(upload).set_input_files(tmp_path / "right.png")
    page.expect_picture("ref_image")
    page.generate(seed=33)
    text = page.infotext
    expected = text.split("Sonar reference hash: ")[1].split(",")[0]
    page.paste(text)
    expect(page.says("reference")).to_contain_text(f"This is the image of the pasted text (hash {expected})")
    page.clear("ref_image")
    expect(page.says("reference")).to_contain_text(f"the image of hash {expected}: give it here")
    page.at(upload).set_input_files(tmp_path / "wrong.png")
    expect(page.says("reference")).to_contain_text("Another image")
    page.shot("another-reference")


def test_an_image_with_sonar_is_that_of_a_request(page, webui):
    page.at("#txt2img_prompt textarea").fill("a cat")
    page.select("#txt2img_sampling", "Euler a")
    page.generate(seed=10)
    of_the_host = set(page.errors)
    page.open_panel()
    page.slide("momentum", -5)
    assert page.value("momentum") == 0.9
    page.open_tab("momentum")
    page.choose("momentum_sign", "neg")
    page.shot("panel")
    page.generate(seed=11)
    page.shot("result")
    assert "Sampler: Sonar Euler a," in page.infotext
    assert "Sonar momentum current: 0.9," in page.infotext
    assert "Sonar momentum sign: neg" in page.infotext
    asked = webui.run(sonar={"momentum": 0.9, "momentum_sign": "neg"}, seed=11, cfg_scale=7, **FAST)
    assert difference(page.images()[0], asked.image) == 0
    assert set(page.errors) <= of_the_host


def test_a_pasted_text_restores_the_panel(page):
    page.at("#txt2img_prompt textarea").fill("a cat")
    page.open_panel()
    page.number(page.id("momentum"), 0.85)
    page.number(page.id("momentum_hist"), 0.4)
    page.open_tab("momentum")
    page.select(page.id("sampler"), "Euler")
    page.choose("momentum_hist_init", "rand_init")
    page.write("momentum_stop", "75%")
    page.generate(seed=21)
    text, image = page.infotext, page.images()[0]

    page.paste(plain_text())
    if page.webui.is_dropdown:
        page.expect_shown("momentum", False)
    else:
        expect(page.at(f"{page.id('enable')}-checkbox input")).not_to_be_checked()
    page.generate(seed=22)
    assert "Sonar" not in page.infotext

    page.paste(text)
    page.expect_shown("momentum")
    expect(page.at(f"{page.id('momentum')} input[type=number]")).to_have_value("0.85")
    assert page.value("momentum_hist") == 0.4
    assert "Euler" in (page.value("sampler"), page.at("#txt2img_sampling input").input_value().removeprefix("Sonar "))
    assert page.value("momentum_hist_init") == "rand_init"
    assert page.value("momentum_stop") in ("75%", "0.75")
    page.shot("pasted")
    page.generate(seed=21)
    assert page.infotext == text
    assert difference(page.images()[0], image) == 0


def test_an_empty_prompt_pastes_the_last_job(page):
    """The host writes its text before it samples."""
    page.at("#txt2img_prompt textarea").fill("a cat")
    page.open_panel()
    page.number(page.id("momentum"), 0.8)
    page.generate(seed=25)
    page.number(page.id("momentum"), 0.5)
    page.at("#txt2img_prompt textarea").fill("")
    page.at("#paste").click()
    expect(page.at("#txt2img_prompt textarea")).to_have_value("a cat")
    expect(page.at(f"{page.id('momentum')} input[type=number]")).to_have_value("0.8")
    page.expect_shown("momentum")


def test_the_settings_page_changes_defaults_and_form(page, webui):
    """With "Reload UI", which must not list the samplers twice."""
    kept = {name: webui.get("options")[name] for name in ("sonar_momentum", "sonar_form")}
    was_dropdown = webui.is_dropdown
    try:
        page.open_settings("Sonar")
        page.number("#setting_sonar_momentum", 0.8)
        page.tab.locator("#setting_sonar_form label", has_text=FORMS[was_dropdown]).click()
        page.shot("settings")
        page.at("#settings_submit").click()
        expect(page.at("#settings_result")).to_contain_text("sonar_")
        assert {*re.findall(r"sonar_\w+", page.at("#settings_result").inner_text())} == {*kept}
        page = page.reload_ui(lambda: webui.is_dropdown != was_dropdown)
        page.open_panel()
        assert page.value("momentum") == 0.8
        page.generate(seed=81)
        assert "Sonar momentum current: 0.8" in page.infotext
        assert [s["name"] for s in webui.get("samplers") if "Sonar" in s["name"]] == list(SONAR)
        axes = [axis for axis in webui.axes() if "Sonar" in axis]
        assert len(axes) == len(set(axes))
    finally:
        webui.post("options", kept).raise_for_status()
        page.reload_ui(lambda: webui.is_dropdown == was_dropdown)


def test_what_does_not_apply_is_hidden(page):
    page.open_panel()
    for name in ("momentum_sign", "ref_source", "upscale", "grid"):
        page.expect_shown(name, False)
    page.open_tab("momentum")
    for name in ("preset", "momentum", "momentum_hist", "momentum_sign"):
        page.expect_shown(name)
    page.number(page.id("momentum"), 1)
    for name in ("momentum_hist", "momentum_sign", "momentum_stop"):
        page.expect_shown(name, False)
    page.number(page.id("momentum"), 0.9)
    page.expect_shown("momentum_sign")
    page.expect_shown("lead_guard", False)
    page.select(page.id("preset"), "Lead")
    page.expect_shown("lead_guard")
    for name in ("momentum_sign", "momentum_hist_init"):
        page.expect_shown(name, False)
    page.shot("lead")
    page.choose("momentum_mode", "classic")
    page.expect_shown("momentum_sign")
    page.open_tab("reference")
    page.expect_shown("ref_factor", False)
    page.choose("ref_source", "Image")
    for name in ("ref_image", "ref_method", "ref_factor", "ref_stop"):
        page.expect_shown(name)
    page.shot("reference")
    page.choose("ref_source", "Off")
    page.expect_shown("ref_image", False)
    page.open_tab("passes")
    for name in ("upscaler", "hires"):
        page.expect_shown(name, False)
    page.tick("upscale")
    for name in ("upscaler", "upscale_ratio", "upscale_width"):
        page.expect_shown(name)
    expect(page.says("upscaling")).to_contain_text("Does nothing")
    page.number(page.id("upscale_ratio"), 2)
    expect(page.says("upscaling")).not_to_be_visible()
    page.switch_hires_on()
    page.expect_shown("hires")
    page.shot("upscaling")


def test_each_control_teaches(page):
    """Its help is beside it or its tooltip."""
    silent = []
    for name in ("preset", "sampler",
                 "momentum", "momentum_hist", "momentum_sign", "momentum_hist_init", "momentum_start",
                 "momentum_stop", "momentum_mode", "lead_guard", "ref_source", "ref_method", "ref_factor", "ref_start",
                 "ref_stop", "ref_fade", "ref_match", "ref_detail", "hires", "upscale",
                 "upscaler", "upscale_ratio", "upscale_width", "upscale_height"):  # fmt: skip
        block = page.at(page.id(name))
        titles = block.evaluate(
            "node => [node, ...node.querySelectorAll('[title]')].map(it => it.title || '').join('')"
        )
        if len(block.text_content()) + len(titles) < 40:
            silent.append(name)
    assert silent == []


def test_a_reference_is_uploaded(page, webui, tmp_path):
    page.at("#txt2img_prompt textarea").fill("a cat")
    page.select("#txt2img_sampling", "Euler a")
    page.open_panel()
    page.generate(seed=31)
    plain = page.images()[0]
    page.open_tab("reference")
    page.choose("ref_source", "Image")
    picture("RGBA").save(tmp_path / "reference.png")
    page.at(f"{page.id('ref_image')} input[type=file]").set_input_files(tmp_path / "reference.png")
    page.expect_picture("ref_image")
    page.number(page.id("ref_factor"), 0.2)
    page.generate(seed=32)
    page.shot("reference")
    assert "Sonar reference: Image, Sonar reference hash: " in page.infotext
    assert "Sonar reference factor: 0.2" in page.infotext
    assert difference(page.images()[0], webui.run(seed=32, cfg_scale=7, sonar={}, **FAST).image) > 0
    assert difference(plain, webui.run(seed=31, cfg_scale=7, sonar={}, **FAST).image) == 0


def choose_guided(page):
    """A plain job with the preset, at the tab where its image is given."""
    page.at("#txt2img_prompt textarea").fill("a cat")
    page.select("#txt2img_sampling", "Euler a")
    page.open_panel()
    page.select(page.id("preset"), "Guided by an image")
    page.open_tab("reference")


def test_guided_by_an_image(page, webui, tmp_path):
    choose_guided(page)
    for name in ("ref_image", "ref_detail", "ref_fade", "ref_match", "ref_mask"):
        page.expect_shown(name)
    picture().save(tmp_path / "reference.png")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    mask.save(tmp_path / "mask.png")
    for name, file in (("ref_image", "reference.png"), ("ref_mask", "mask.png")):
        page.at(f"{page.id(name)} input[type=file]").set_input_files(tmp_path / file)
        page.expect_picture(name)
    page.generate(seed=34)
    page.shot("guided")
    for word in ("method: denoised", "factor: 0.3", "detail: 0.25", "mask hash: "):
        assert f"Sonar reference {word}" in page.infotext
    asked = {**GUIDED, "ref_image": encode(picture()), "ref_mask": encode(mask)}
    request = webui.run(seed=34, cfg_scale=7, sonar=asked, **FAST)
    assert difference(page.images()[0], request.image) == 0
    page.choose("ref_method", "linear")
    page.expect_shown("ref_mask", False)


def test_a_drawing_on_the_reference_is_its_mask(page, webui, tmp_path):
    choose_guided(page)
    picture().save(tmp_path / "reference.png")
    page.at(f"{page.id('ref_image')} input[type=file]").set_input_files(tmp_path / "reference.png")
    canvas = page.at(f"{page.id('ref_image')} canvas[key=interface]")
    expect(canvas).to_be_visible()
    page.generate(seed=35)
    assert "Sonar reference mask hash" not in page.infotext
    box = canvas.bounding_box()
    page.tab.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"])
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.7 * box["height"], steps=8)
    page.tab.mouse.up()
    page.generate(seed=36)
    page.shot("drawn")
    assert "Sonar reference mask hash" in page.infotext
    everywhere = webui.run(seed=36, cfg_scale=7, sonar={**GUIDED, "ref_image": encode(picture())}, **FAST)
    assert difference(page.images()[0], everywhere.image) > 0


def test_a_reference_that_is_missing_is_told(page):
    page.open_panel()
    page.open_tab("reference")
    page.choose("ref_source", "Image")
    page.at("#txt2img_generate").click()
    expect(page.at("#html_log_txt2img .error, .toast-wrap")).to_contain_text("mage", timeout=30_000)
    page.shot("told")


def test_a_grid(page):
    page.open_panel()
    page.open_tab("grid")
    page.tick("grid")
    page.expect_shown("grid_momentum")
    page.expect_shown("momentum", False)
    page.write("grid_momentum", "0.75:0.95:2")
    page.write("grid_momentum_hist", "0.5, 0.7, 0.9")
    expect(page.says("cells")).to_contain_text("2 x 3 = 6 images")
    expect(page.says("summary")).to_contain_text("grid of 6")
    page.shot("grid-panel")
    page.generate(seed=41)
    images = page.images()
    page.shot("grid")
    sizes = [image.size for image in images]
    assert sizes.count((64, 64)) == 6
    sheet = next(image for image in images if image.size != (64, 64))
    assert sheet.width > 3 * 64
    assert sheet.height > 2 * 64
    sheet.save(page.folder / "sheet.png")


def test_a_grid_that_makes_no_sense_is_told(page):
    page.open_panel()
    page.open_tab("grid")
    page.tick("grid")
    page.expect_shown("grid_momentum")
    page.write("grid_momentum", "a:b")
    expect(page.says("cells")).to_contain_text("Momentum current search list = 'a:b'")
    page.at("#txt2img_generate").click()
    expect(page.at("#html_log_txt2img .error")).to_contain_text("a:b", timeout=30_000)
    page.shot("told")


def test_a_grid_is_interrupted(page):
    page.open_panel()
    page.open_tab("grid")
    page.tick("grid")
    page.expect_shown("grid_momentum")
    page.write("grid_momentum", "0.75:0.95:4")
    page.write("grid_momentum_hist", "0.5:0.9:4")
    page.number("#txt2img_steps", 10)
    page.generate(seed=51, wait=False)
    # In the midst of the third cell: the host counts a cell a moment before its image is there.
    page.webui.wait(lambda now: now["state"]["job_no"] >= 2 and now["state"]["sampling_step"] >= 1)
    page.at("#txt2img_interrupt").click()
    page.wait_for(51)
    page.shot("interrupted")
    finished = [image.size for image in page.images()].count((64, 64))
    assert 2 <= finished < 16
    assert page.tab.locator("#html_log_txt2img .error").count() == 0


def test_another_sampler_is_told(page):
    page.open_panel()
    page.select("#txt2img_sampling", OTHER)
    expect(page.says("note")).to_contain_text(f"Sonar has no {OTHER}: Sonar Euler a will run instead")
    expect(page.says("summary")).to_contain_text(f"Sonar Euler a instead of {OTHER}")
    page.shot("another-sampler")
    page.generate(seed=61)
    expect(page.at("#html_log_txt2img")).to_contain_text(f"Sonar has no {OTHER}")
    assert "Sampler: Sonar Euler a" in page.infotext


def test_upscaling(page):
    page.open_panel()
    page.open_tab("passes")
    page.tick("upscale")
    page.expect_shown("upscaler")
    assert "Lanczos" in page.choices(page.id("upscaler"))
    page.number(page.id("upscale_ratio"), 2)
    page.generate(seed=71)
    page.shot("upscaled")
    assert page.images()[0].size == (128, 128)
