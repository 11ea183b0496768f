"""What the extension must do over HTTP.

A real model's images may differ in the last bit between a batch and one image; hence `SAME`. Two runs of one size are
compared bit for bit: how far apart they are depends on the model's contrast, that they differ does not.
"""

import json
import re
import threading

import pytest
from PIL import Image

from webui.jobs import GUIDE, GUIDED, LABELS, OTHER, SONAR, STRONG, decode, difference, encode, picture, pixels

SAME = 3
"""Colour steps: what counts as the same image where a batch of another size made it."""


def values(result, key):
    """A setting's text in each infotext."""
    found = [text.split(f"{key}: ")[1].split(",")[0] if f"{key}: " in text else None for text in result.infotexts]
    return found[0] if len(found) == 1 else found


def says(text, key, value):
    """Whether an infotext has a setting; 75% may be written as 0.75."""
    forms = [value, str(float(value[:-1]) / 100)] if value.endswith("%") else [value]
    return any(f"{key}: {form}," in text + "," for form in forms)


# Samplers


def test_each_sampler_is_listed_once(webui):
    listed = webui.get("samplers")
    assert [s["name"] for s in listed if s["name"].startswith("Sonar")] == list(SONAR)
    assert all(isinstance(v, str) for s in listed for v in s["options"].values())


@pytest.mark.parametrize("name", SONAR)
def test_a_sampler_works_without_the_script(webui, name):
    plain = webui.run(sampler_name="Euler a" if name in ("Sonar Euler a", "Sonar Lead") else "Euler")
    result = webui.run(sampler_name=name)
    assert values(result, "Sampler") == name
    assert values(result, "Sonar momentum current") == ("0.5" if name.startswith("Sonar Lead") else "0.95")
    assert difference(result.image, plain.image) > 0


@pytest.mark.parametrize("name", ["Euler a", "Euler"])
@pytest.mark.parametrize(
    "fields", [{}, {"eta": 0.5}, {"scheduler": "Karras", "batch_size": 2}], ids=["plain", "eta", "karras-batch"]
)
def test_momentum_1_is_the_plain_sampler(webui, name, fields):
    plain = webui.run(sampler_name=name, **fields)
    off = webui.run(sonar={"momentum": 1}, sampler_name=name, **fields)
    assert [difference(*pair) for pair in zip(plain.images, off.images, strict=True)] == [0] * len(plain.images)
    assert all("Sonar momentum current: 1" in text for text in off.infotexts)


def test_the_script_wins_over_the_page_where_it_names_a_sampler(webui):
    result = webui.run(sonar={"sampler": "Naive"}, sampler_name=OTHER)
    assert values(result, "Sampler") == "Sonar Naive"
    assert difference(result.image, webui.run(sampler_name="Sonar Naive").image) == 0


def test_a_sampler_that_has_no_momentum_becomes_euler_a(webui):
    result = webui.run(sonar={}, sampler_name=OTHER)
    assert values(result, "Sampler") == "Sonar Euler a"
    assert values(result, "Sonar instead of") == OTHER
    assert result.info["extra_generation_params"]["Sonar instead of"] == OTHER
    assert "Sonar instead of" not in webui.run(sonar={}).infotexts[0]


def test_a_preset_by_name(webui):
    named = webui.run(**webui.by_name({"preset": "Sharper"}))
    by_hand = webui.run(sonar={"momentum": 0.95, "momentum_hist": 0.9, "momentum_sign": "neg"})
    assert named.infotexts == by_hand.infotexts
    assert difference(named.image, by_hand.image) == 0
    more = webui.run(**webui.by_name({"preset": "Sharper", "momentum": 0.9}))
    assert (values(more, "Sonar momentum current"), values(more, "Sonar momentum sign")) == ("0.9", "neg")
    assert "preset" in webui.refused(**webui.by_name({"preset": "Sharpest"}))


@pytest.mark.parametrize("sampler", ["Euler a", "Euler", "Naive"])
@pytest.mark.parametrize("sign", ["pos", "neg", "rand"])
def test_an_image_does_not_depend_on_its_batch(webui, sampler, sign):
    options = {"sampler": sampler, "momentum_sign": sign, "momentum_hist_init": "rand_new", "momentum": 0.9}
    batch = webui.run(sonar=options, seed=7, batch_size=2, n_iter=1)
    alone = webui.run(sonar=options, seed=8)
    pictures = batch.images[batch.info["index_of_first_image"] :]
    assert difference(pictures[1], alone.image) <= SAME
    assert difference(pictures[0], pictures[1]) > 0


def test_batches_one_after_the_other(webui):
    options = {"sonar": {**STRONG, "momentum_sign": "rand"}, "seed": 7}
    together = webui.run(batch_size=2, n_iter=2, **options)
    first = together.info["index_of_first_image"]
    assert len(together.images) == 4 + first
    alone = webui.run(**{**options, "seed": 10})
    assert difference(together.images[first + 3], alone.image) <= SAME
    assert together.infotexts[first + 3].replace("Seed: 10", "") == alone.infotexts[0].replace("Seed: 10", "")


@pytest.mark.parametrize("sign", ["pos", "rand"])
def test_a_job_can_be_made_again(webui, sign):
    options = {**STRONG, "momentum_sign": sign, "momentum_hist_init": "rand_new"}
    first = webui.run(sonar=options)
    webui.run(seed=99, steps=3)
    assert difference(webui.run(sonar=options).image, first.image) == 0


def test_each_option_of_momentum_matters(webui):
    base = webui.run(sonar=STRONG)
    changes = [
        {"momentum": 0.7},
        {"momentum_hist": 0.1},
        {"momentum_sign": "neg"},
        {"momentum_hist_init": "rand_init"},
        {"momentum_start": "60%"},
        {"momentum_stop": "2"},
    ]
    for change in changes:
        assert difference(webui.run(sonar={**STRONG, **change}).image, base.image) > 0, change


def test_momentum_may_last_for_some_steps(webui):
    never = webui.run(sonar={**STRONG, "momentum_start": "50"})
    assert difference(never.image, webui.run().image) == 0
    by_step = webui.run(sonar={**STRONG, "momentum_stop": "2"})
    by_part = webui.run(sonar={**STRONG, "momentum_stop": "40%"})
    assert difference(by_step.image, by_part.image) == 0


# Hires fix

HIRES = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.6, "hr_second_pass_steps": 4}


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_hires(webui, upscaler):
    plain = webui.run(**HIRES, hr_upscaler=upscaler)
    result = webui.run(sonar=STRONG, **HIRES, hr_upscaler=upscaler)
    assert result.image.size == (128, 128)
    assert difference(result.image, plain.image) > 0


def test_hires_pass_without_sonar(webui):
    both = webui.run(sonar=STRONG, **HIRES, hr_upscaler="Latent")
    first_only = webui.run(sonar={**STRONG, "hires": False}, **HIRES, hr_upscaler="Latent")
    assert difference(both.image, first_only.image) > 0
    assert values(first_only, "Sonar hires pass") == "off"


def test_a_hires_sampler_that_was_chosen_is_left_alone(webui):
    result = webui.run(sonar=STRONG, **HIRES, hr_upscaler="Latent", hr_sampler_name="Euler")
    assert "Hires sampler: Euler," in result.infotexts[0]
    plain = webui.run(sonar=STRONG, **HIRES, hr_upscaler="Latent", hr_sampler_name="Sonar Euler")
    assert difference(result.image, plain.image) > 0


# Reference


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("size", [(96, 64), (33, 200)])
def test_a_reference_of_any_kind(webui, mode, size):
    options = {**STRONG, "ref_source": "Image", "ref_factor": 0.1}
    plain = webui.run(sonar=STRONG, batch_size=2)
    result = webui.run(sonar={**options, "ref_image": encode(picture(mode, size))}, batch_size=2)
    assert difference(result.images[-2], plain.images[-2]) > 0
    assert "Sonar reference hash" in result.infotexts[0]


def test_a_reference_as_a_data_url(webui):
    options = {"ref_source": "Image", "ref_factor": 0.1}
    plain = webui.run(sonar={**options, "ref_image": encode(picture())})
    url = webui.run(sonar={**options, "ref_image": "data:image/png;base64," + encode(picture())})
    assert difference(plain.image, url.image) == 0


@pytest.mark.parametrize("sampler", ["Euler a", "Euler", "Naive"])
@pytest.mark.parametrize("method", ["linear", "euler", "denoised"])
def test_a_reference_pulls_in_every_sampler(webui, sampler, method):
    options = {"sampler": sampler, "ref_method": method, "ref_factor": 0.2}
    plain = webui.run(sonar=options)
    pulled = webui.run(sonar={**options, "ref_source": "Image", "ref_image": encode(picture())})
    assert difference(plain.image, pulled.image) > 0


def test_a_reference_does_not_depend_on_what_ran_before(webui):
    options = {"ref_source": "Image", "ref_factor": 0.2, "ref_image": encode(picture())}
    first = webui.run(sonar=options)
    webui.run(seed=5)
    webui.run(sonar={**options, "ref_image": encode(picture("L"))}, width=128)
    again = webui.run(sonar=options)
    assert difference(first.image, again.image) == 0
    batch = webui.run(sonar=options, batch_size=2)
    assert difference(batch.images[-2], first.image) <= SAME


def half(left):
    """A mask of the left or the right half."""
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64) if left else (32, 0, 64, 64))
    return encode(mask)


def test_a_mask_says_where_the_reference_counts(webui):
    guided = {**GUIDED, "ref_image": encode(picture()), "ref_factor": 0.6, "ref_detail": 1}
    plain = pixels(webui.run(sonar={"momentum": 1}, width=128).image)
    nearer = []
    for left in (True, False):
        result = webui.run(sonar={**guided, "ref_mask": half(left)}, width=128)
        assert "Sonar reference mask hash: " in result.infotexts[0]
        change = abs(pixels(result.image) - plain).mean((0, 2))
        nearer.append(change[:64].mean() / change[64:].mean())
    assert nearer[0] > 1.2 * nearer[1]


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
@pytest.mark.parametrize("method", ["linear", "denoised"])
def test_a_reference_with_hires_fix(webui, upscaler, method):
    fields = {**HIRES, "hr_upscaler": upscaler, "hr_scale": 1.5}
    plain = webui.run(sonar=STRONG, **fields)
    options = {**STRONG, "ref_source": "Image", "ref_factor": 0.2, "ref_image": encode(picture())}
    mask = {"ref_mask": half(left=True)} if method == "denoised" else {}
    result = webui.run(sonar={**options, "ref_method": method, **mask}, **fields)
    assert result.image.size == (96, 96)
    assert difference(result.image, plain.image) > 0


def test_the_image_of_img2img_as_the_reference(webui):
    fields = {"kind": "img2img", "init_images": [encode(picture())], "denoising_strength": 0.9}
    plain = webui.run(sonar=STRONG, **fields)
    pulled, not_pulled = (
        webui.run(sonar={**STRONG, "ref_source": "img2img image", "ref_factor": factor}, **fields)
        for factor in (0.2, 0.0)
    )
    assert difference(plain.image, not_pulled.image) == 0
    assert difference(plain.image, pulled.image) > 0
    assert values(pulled, "Sonar reference") == "img2img image"


def test_txt2img_has_no_image_of_img2img(webui):
    text = webui.refused(sonar={**STRONG, "ref_source": "img2img image"})
    assert "ref_source" in text
    assert "img2img image" in text


# img2img


def test_img2img(webui):
    fields = {"kind": "img2img", "init_images": [encode(picture())], "denoising_strength": 0.7, "steps": 8}
    plain = webui.run(**fields)
    assert difference(webui.run(sonar=STRONG, **fields).image, plain.image) > 0
    assert difference(webui.run(sonar={"momentum": 1}, **fields).image, plain.image) <= SAME


@pytest.mark.parametrize("soft", [False, True], ids=["inpaint", "soft"])
def test_inpainting_keeps_what_is_not_masked(webui, soft):
    size = (256, 64)
    mask = Image.new("L", size)
    mask.paste(255, (176, 0, *size))
    image = picture(size=size)
    fields = {"kind": "img2img", "init_images": [encode(image)], "mask": encode(mask), "mask_blur": 0, "steps": 8}
    fields |= {"width": size[0]}
    fields |= {"denoising_strength": 0.9, "inpaint_full_res": False, "inpainting_fill": 1}
    if soft:
        known = webui.script("soft inpainting", "img2img")["args"]
        fields["alwayson_scripts"] = {"soft inpainting": {"args": [True, *[arg["value"] for arg in known[1:]]]}}
    plain = webui.run(**fields)
    result = webui.run(sonar=STRONG, **fields)
    kept = (slice(None), slice(0, 96))
    damage = {name: abs(pixels(made.image)[kept] - pixels(image)[kept]).mean() for name, made in
              (("plain", plain), ("sonar", result))}  # fmt: skip
    assert damage["sonar"] <= damage["plain"] + 4, damage
    assert difference(plain.image, result.image) > 0


# Infotext


def test_the_text_says_all_that_was_chosen(webui):
    options = {"sampler": "Euler", "momentum": 0.85, "momentum_hist": 0.3, "momentum_sign": "neg"}
    options |= {"momentum_hist_init": "rand_init", "momentum_start": "1", "momentum_stop": "75%"}
    options |= {"ref_source": "Image", "ref_image": encode(picture()), "ref_method": "euler", "ref_factor": 0.05}
    options |= {"ref_start": "10%", "ref_stop": "4"}
    text = webui.run(sonar=options, sampler_name=OTHER).infotexts[0]
    expected = {
        "Sampler": "Sonar Euler",
        "Sonar momentum current": "0.85",
        "Sonar momentum history": "0.3",
        "Sonar momentum sign": "neg",
        "Sonar momentum history init": "rand_init",
        "Sonar momentum start": "1",
        "Sonar momentum stop": "75%",
        "Sonar reference": "Image",
        "Sonar reference method": "euler",
        "Sonar reference factor": "0.05",
        "Sonar reference start": "10%",
        "Sonar reference stop": "4",
    }
    assert [key for key, value in expected.items() if not says(text, key, value)] == [], text


def test_a_plain_job_says_nothing_of_sonar(webui):
    webui.run(sonar=STRONG)
    assert "Sonar" not in webui.run().infotexts[0]


def test_the_infotext_of_a_request_restores_everything(webui):
    if webui.is_dropdown:
        pytest.skip("a request that selects a script gives its arguments; the host keeps none of the infotext's")
    options = {"sampler": "Euler", "momentum": 0.85, "momentum_hist": 0.3, "momentum_sign": "neg"}
    options |= {"momentum_hist_init": "rand_init", "momentum_stop": "3"}
    first = webui.run(sonar=options, seed=3)
    body = {key: value for key, value in webui.request().items() if key not in ("sampler_name", "seed", "steps")}
    response = webui.post("txt2img", {**body, "infotext": first.infotexts[0]})
    assert response.status_code == 200, response.text[:300]
    assert difference(decode(response.json()["images"][0]), first.image) == 0


# Grid search and X/Y/Z


def test_grid_search(webui):
    options = {**STRONG, "grid": True, "grid_momentum": "0.75:0.95:2", "grid_momentum_hist": "0.5, 0.7, 0.9"}
    result = webui.run(sonar=options)
    first = result.info["index_of_first_image"]
    assert (first, len(result.images), len(result.infotexts)) == (1, 7, 7)
    cells = [(text.split("momentum current: ")[1][:4].strip(","), text.split("momentum history: ")[1][:3]) for text in
             result.infotexts[1:]]  # fmt: skip
    assert sorted(cells) == [(m, h) for m in ("0.75", "0.95") for h in ("0.5", "0.7", "0.9")]
    for cell, image in zip(cells, result.images[1:], strict=True):
        alone = webui.run(sonar={"momentum": float(cell[0]), "momentum_hist": float(cell[1])})
        assert difference(image, alone.image) == 0, cell
        assert image.info["parameters"] == alone.infotexts[0]
    width, height = result.images[0].size
    assert (width, height) > (2 * 64, 2 * 64)


def test_an_interrupted_grid_keeps_what_is_finished(webui):
    options = {"grid": True, "grid_momentum": "0.7:0.9:4", "grid_momentum_hist": "0.2:0.8:4"}
    answer = []
    job = threading.Thread(target=lambda: answer.append(webui.run(sonar=options, steps=10)))
    job.start()
    progress = webui.wait(lambda progress: progress["state"]["job_no"] >= 2)
    assert progress["state"]["job_count"] == 16
    assert 0 < progress["progress"] < 0.9
    webui.post("interrupt")
    job.join(60)
    result = answer[0]
    finished = len(result.images) - 1
    assert 2 <= finished < 16
    assert len(result.infotexts) == len(result.images)
    assert result.images[0].width > 64
    assert all(image.size == (64, 64) for image in result.images[1:])
    webui.run()  # and the next job runs


def test_every_option_has_an_axis(webui):
    axes = [axis for axis in webui.axes() if "Sonar" in axis]
    assert len(axes) == len(set(axes))
    for word in ("current", "history", "sign", "init", "start", "stop", "Reference method", "Reference factor"):
        assert any(word in axis for axis in axes), (word, axes)


@pytest.mark.parametrize(
    ("axis", "texts"),
    [
        ("Momentum current", ["0.75", "0.9"]),
        ("Momentum history", ["0.1", "0.9"]),
        ("Momentum sign", ["pos", "neg"]),
        ("Momentum history init", ["zero", "rand_init"]),
        ("Momentum stop", ["1", "80%"]),
    ],
)
def test_an_axis_of_the_xyz_plot(webui, axis, texts):
    result = webui.xyz({f"[Sonar] {axis}": ", ".join(texts)}, sampler_name="Sonar Euler a")
    cells = result.images[-2:]
    name = next(key for key, label in LABELS.items() if label == axis)
    for cell, text in zip(cells, texts, strict=True):
        value = float(text) if name in ("momentum", "momentum_hist") else text
        alone = webui.run(sonar={name: value})
        assert difference(cell, alone.image) == 0, text
    assert difference(*cells) > 0
    for text, info in zip(texts, result.infotexts[-2:], strict=True):
        assert says(info, f"Sonar {axis[0].lower()}{axis[1:]}", text), info


def test_two_axes_at_once(webui):
    result = webui.xyz(
        {"[Sonar] Momentum current": "0.75,0.9", "[Sonar] Base sampler": "Euler,Naive"}, sampler_name="Sonar Euler a"
    )
    cells = result.images[-4:]
    expected = [{"momentum": m, "sampler": s} for s in ("Euler", "Naive") for m in (0.75, 0.9)]
    for cell, options in zip(cells, expected, strict=True):
        assert difference(cell, webui.run(sonar=options).image) <= 1, options


def test_upscaling_as_an_axis(webui):
    result = webui.xyz({"[Sonar] Upscale ratio": "1,2"}, sampler_name="Sonar Euler a")
    assert [image.size for image in result.images[-2:]] == [(64, 64), (128, 128)]


def test_cells_do_not_find_each_others_texts(webui):
    """The host copies the job shallowly: the cells share one dictionary of parameters."""
    texts = webui.xyz({"Sampler": f"Sonar Naive,Euler a,{OTHER}"}, sampler_name="Sonar Euler").infotexts[-3:]
    assert "Sonar momentum current" in texts[0]
    assert not any("Sonar" in text for text in texts[1:])


def test_the_axis_of_samplers(webui):
    result = webui.xyz({"Sampler": "Sonar Euler,Sonar Naive,Euler"}, sampler_name="Euler a")
    for cell, name in zip(result.images[-3:], ("Sonar Euler", "Sonar Naive", "Euler"), strict=True):
        assert difference(cell, webui.run(sampler_name=name).image) == 0


# Upscaling


def test_the_panel_offers_the_hosts_upscalers(webui):
    """Which the host finds after it has loaded the scripts."""
    names = [upscaler["name"] for upscaler in webui.get("upscalers")]
    for kind in ("txt2img", "img2img"):
        (choices,) = (arg["choices"] for arg in webui.script("sonar", kind)["args"] if arg["label"] == "Upscaler")
        assert choices == names


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
def test_upscaling(webui, options, size):
    result = webui.run(sonar={"upscale": True, "upscaler": "Lanczos", **options}, height=96)
    assert result.image.size == size
    assert webui.run(sonar=STRONG, height=96).image.size == (64, 96)


def test_upscaled_batch(webui):
    result = webui.run(sonar={"upscale": True, "upscale_ratio": 2.0}, batch_size=2)
    assert [image.size for image in result.images[-2:]] == [(128, 128)] * 2
    assert "Sonar upscaler: Lanczos" in result.infotexts[-1]


def test_a_job_that_failed_leaves_nothing_behind(webui):
    sonar = {"upscale": True, "upscale_ratio": 2.0, **STRONG}
    response = webui.post("img2img", webui.request("img2img", sonar, init_images=["no image"]))
    assert response.status_code >= 400
    plain = webui.run()
    assert plain.image.size == (64, 64)
    assert "Sonar" not in plain.infotexts[0]


# A request's arguments


def test_options_by_name(webui):
    options = {"momentum": 0.8, "momentum_sign": "neg", "sampler": "Euler"}
    named = webui.run(**webui.by_name(options))
    assert named.infotexts == webui.run(sonar=options).infotexts
    assert "did you mean momentum" in webui.refused(**webui.by_name({"momentun": 0.8}))


def test_arguments_that_are_left_out_are_the_settings(webui):
    if not webui.is_dropdown:
        pytest.skip("there the host fills them in")
    first = webui.run(script_name="sonar", script_args=["Euler", 0.8])
    assert first.infotexts == webui.run(sonar={"sampler": "Euler", "momentum": 0.8}).infotexts
    assert webui.run(script_name="sonar", script_args=[]).infotexts == webui.run(sonar={}).infotexts


# Bad values


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"momentum": 2}, ("momentum", "2")),
        ({"momentum": "much"}, ("momentum", "much")),
        ({"momentum_hist": -0.5}, ("momentum_hist", "-0.5")),
        ({"momentum_sign": "up"}, ("momentum_sign", "up")),
        ({"momentum_hist_init": "zeros"}, ("momentum_hist_init", "zeros")),
        ({"sampler": "DDIM"}, ("sampler", "DDIM")),
        ({"momentum_start": "soon"}, ("momentum_start", "soon")),
        ({"ref_source": "Image", "ref_image": "xyz!"}, ("ref_image",)),
        (
            {"ref_source": "Image", "ref_image": encode(picture()), "ref_method": "denoised", "ref_detail": 0},
            ("ref_detail",),
        ),
        (
            {"ref_source": "Image", "ref_image": encode(picture()), "ref_method": "denoised", "ref_start": "3"},
            ("ref_start = 3", "fraction"),
        ),
        ({"ref_method": "denoised", "ref_image": encode(picture()), "ref_mask": "xyz!"}, ("ref_mask",)),
        ({"ref_source": "Image", "ref_image": encode(picture(), "EPS")}, ("ref_image", "PNG")),
        ({"ref_source": "Image", "ref_image": None}, ("image",)),
        ({"ref_factor": "NaN"}, ("ref_factor",)),
        ({"upscale": True, "upscaler": "Magic"}, ("upscaler", "Magic")),
        ({"upscale": True, "upscale_ratio": 1000.0}, ("upscale_ratio",)),
    ],
    ids=lambda value: "-".join(map(str, value.values()))[:20] if isinstance(value, dict) else None,
)
def test_a_bad_value_is_refused_with_the_reason(webui, options, words):
    text = webui.refused(sonar=options)
    assert all(word in text for word in words), text
    assert "Sonar" not in webui.run().infotexts[0]


def bomb(side=13300):
    """A small file with very many pixels."""
    return encode(Image.new("1", (side, side)))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"ref_source": "Image", "ref_image": bomb()}, "megapixels"),
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
    ids=["bomb", "huge", "large", "list", "step", "huge-step", "choice", "text", "grid", "count", "tiny-step", "cells",
         "name"],
)  # fmt: skip
def test_what_is_far_too_large_is_refused_shortly(webui, options, word):
    response = webui.post("txt2img", webui.request(**webui.by_name(options)))
    assert response.status_code == 422, response.text[:300]
    assert word in response.text
    assert len(response.json()["detail"]) < 700


def test_a_sheet_that_is_too_large_is_refused_before_the_first_image(webui):
    lists = {"grid": True, "grid_momentum": "0:1:30", "grid_momentum_hist": "0:1:30"}
    text = webui.refused(sonar=lists, width=512, height=512)
    assert "30 x 30 = 900 images, a sheet of 236 megapixels: at most 200" in text
    upscaled = {**lists, "grid_momentum": "0.5", "upscale": True, "upscale_ratio": 8.0}
    assert "megapixels" in webui.refused(sonar=upscaled, width=512, height=512)


@pytest.mark.parametrize("text", ["much", "0.5:0.9:0", "1:2:3:4", "3"])
def test_a_bad_search_list_is_refused_with_the_reason(webui, text):
    answer = webui.refused(sonar={"grid": True, "grid_momentum": text})
    assert "momentum" in answer
    assert text in answer


# Settings


def test_the_settings_page_gives_the_defaults(webui):
    options = webui.get("options")
    assert options["sonar_momentum"] == 0.95
    try:
        webui.post("options", {"sonar_momentum": 0.8, "sonar_momentum_hist": 0.6}).raise_for_status()
        by_setting = webui.run(sampler_name="Sonar Euler a")
        assert values(by_setting, "Sonar momentum current") == "0.8"
    finally:
        webui.post("options", {"sonar_momentum": 0.95, "sonar_momentum_hist": 0.75}).raise_for_status()
    assert difference(by_setting.image, webui.run(sonar=STRONG).image) == 0


@pytest.mark.parametrize(
    ("name", "bad"), [("momentum", 7), ("momentum_stop", "never"), ("momentum_sign", "up"), ("ref_factor", None)]
)
def test_a_bad_value_is_not_stored(webui, name, bad):
    before = webui.get("options")[f"sonar_{name}"]
    webui.post("options", {f"sonar_{name}": bad})
    assert webui.get("options")[f"sonar_{name}"] == before


# The host's own features with a Sonar sampler


def test_prompts_and_guidance_reach_the_model(webui):
    images = [webui.run(sonar=STRONG, prompt=prompt, cfg_scale=scale).image for prompt, scale in
              (("a cat", 5), ("a house", 5), ("a cat", 9))]  # fmt: skip
    assert difference(images[0], images[1]) > 0
    assert difference(images[0], images[2]) > 0


def test_preview_and_interrupt(webui):
    answer = []
    job = threading.Thread(target=lambda: answer.append(webui.run(sonar=STRONG, steps=60, n_iter=2)))
    job.start()
    progress = webui.wait(lambda progress: progress["state"]["sampling_step"] >= 3)
    assert progress["state"]["sampling_steps"] == 60
    webui.post("interrupt")
    job.join(60)
    assert len(answer[0].images) == 1
    assert difference(answer[0].image, webui.run(sonar=STRONG, steps=60).image) > 0


# The guide


@pytest.mark.parametrize(
    "example", re.findall(r"```json\n(.*?)```", GUIDE, re.S), ids=["dropdown", "grid", "accordion"]
)
def test_the_guides_requests_do_what_it_says(webui, example):
    body = json.loads(example)
    if ("script_name" in body) != webui.is_dropdown:
        pytest.skip("an example for the other form of the script")
    result = webui.run(**{**body, "steps": 4})
    args = body["script_args"][0] if webui.is_dropdown else body["alwayson_scripts"]["sonar"]["args"][0]
    if args.get("grid"):
        assert len(result.images) == 1 + 3 * 2
        assert values(result, "Sonar momentum current")[1:] == ["0.8", "0.8", "0.875", "0.875", "0.95", "0.95"]
        assert values(result, "Sampler")[1:] == ["Sonar Euler"] * 6
    else:
        assert values(result, "Sonar momentum current") == "0.9"
        assert values(result, "Sampler") == "Sonar " + body["sampler_name"]
