"""A PNG from anybody runs nothing, stalls nothing and takes no memory."""

import base64
import hashlib
import io
import struct
import time
import tracemalloc
import zlib

import pytest
from PIL import Image, PngImagePlugin

from command import QUICK, call, made, opened, refused, with_texts

BASE = {
    "Steps": "2",
    "Sampler": "Sonar Euler",
    "Schedule type": "karras",
    "CFG scale": "4.0",
    "Seed": "1",
    "Model": "Sonar embedded model",
}


def infotext(prompt="sea", **changes):
    values = BASE | {name.replace("_", " "): value for name, value in changes.items()}
    return prompt + "\n" + ", ".join(f"{name}: {value}" for name, value in values.items())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bare_png(width, height, *chunks, pixels=b""):
    """A PNG whose head promises a size."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def evil(tmp_path):
    """A Python file that leaves a trace where it runs, and a picture that names it with its true hash."""
    trace, file = tmp_path / "trace", tmp_path / "evil.py"
    file.write_text(f"open({str(trace)!r}, 'w').close()\nfrom sonar_sampler import sample as f\n")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    def picture(digest=digest, **changes):
        text = infotext(Sampler=f'"{file}:f"', Sonar_sampler_hash=digest, **changes)
        return str(with_texts(tmp_path / "picture.png", parameters=text))

    return file, trace, picture, digest


def test_a_picture_does_not_run_the_file_that_it_names(tmp_path, evil):
    _, trace, picture, digest = evil
    for given in (digest, digest[:16], "00"):
        assert "--allow-sampler-file" in refused("again", picture(given), out=tmp_path)
        assert call("show", picture(given)).exit_code == 0
    assert not trace.exists()


def test_another_file_than_the_pictures_does_not_run(tmp_path, evil):
    file, trace, picture, _ = evil
    path = picture()
    file.write_text(file.read_text() + "# changed\n")
    assert "is not the file that the picture was made with" in refused(
        "again", path, "--allow-sampler-file", str(file), out=tmp_path
    )
    assert "is not the file" in refused("again", picture("00"), "--allow-sampler-file", str(file), out=tmp_path)
    assert not trace.exists()


def test_a_file_does_not_run_for_a_picture_that_is_refused_anyway(tmp_path, evil):
    file, trace, picture, _ = evil
    refused("again", picture(Steps="0"), "--allow-sampler-file", str(file), out=tmp_path)
    refused("again", picture(Sonar_reference="embedded"), "--allow-sampler-file", str(file), out=tmp_path)
    assert not trace.exists()


def test_the_file_that_the_user_allows_runs(tmp_path, evil):
    file, trace, picture, _ = evil
    (path,) = made("again", picture(), "--allow-sampler-file", str(file), out=tmp_path)
    assert trace.exists()
    assert f"{file}:f" in opened(path).text["parameters"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Steps": "0"}, "steps = 0: must be a whole number from 1 to 1000"),
        ({"Steps": "1000000000"}, "steps = 1000000000: must be"),
        ({"Steps": "9" * 5000}, "Steps = '999"),
        ({"CFG_scale": "nan"}, "cfg_scale = nan: must be a number from 0"),
        ({"CFG_scale": "1e9"}, "cfg_scale = 1000000000.0: must be a number"),
        ({"Schedule_type": "sudden"}, "schedule = 'sudden': must be one of karras"),
        ({"Seed": "-1"}, "seed = -1: must be"),
        ({"Seed": str(2**64)}, "seed = 18446744073709551616: must be"),
        ({"Seed": "1" * 4000}, "seed = 111"),
        ({"Sampler": "Sonar Nothing"}, "Sampler = 'Sonar Nothing': must be one of Sonar Euler a"),
        ({"Sampler": "evil.py:f"}, "must be one of Sonar Euler a"),
        ({"Sonar_momentum_current": '"0.5,0.6,0.7"'}, "momentum = 3 entries"),
        ({"Sonar_momentum_current": '"' + "0.5," * 20000 + '0.5"'}, "momentum = 20001 entries"),
        ({"Sonar_momentum_current": "inf"}, "momentum = "),
        ({"Sonar_reference_stop": "9" * 5000}, "ref_stop = "),
        ({"Sonar_reference_stop": "9" * 4000}, "ref_stop = "),
        (
            {"Sonar_reference_start": "0.9", "Sonar_reference_stop": "0.1"},
            "ref_start = 0.9: must not be after ref_stop",
        ),
        ({"Sonar_flow_matching": "True"}, "this version of Sonar has no such parameter"),
        ({"Sonar_magic": "1"}, "Sonar magic = '1': this version of Sonar has no such parameter"),
        ({"Sonar_sheet": "film"}, "Sonar sheet = 'film'"),
        ({"Sonar_sheet": "grid"}, "Sonar momentum current search list is missing"),
        ({"Sonar_reference": "embedded"}, "there is none in the file"),
        ({"Version": "[/]\x1b]0;owned\x07", "Steps": "0"}, "steps = 0"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_value_that_is_not_allowed_is_told_in_one_line(tmp_path, changes, told):
    line = refused("again", str(with_texts(tmp_path / "a.png", parameters=infotext(**changes))), out=tmp_path)
    assert told in line


@pytest.mark.parametrize(
    "lists",
    [("0:1:1000", "0:1:1000"), ("0:1:5e-324", "1"), ("0:1:1000," * 20000 + "1", "1"), ("0:1:" + "9" * 5000, "1")],
)
def test_a_grid_that_is_too_large_is_refused_before_its_first_picture(tmp_path, lists):
    names = ("Sonar_momentum_current_search_list", "Sonar_momentum_history_search_list")
    changes = {name: f'"{text}"' for name, text in zip(names, lists, strict=True)}
    path = with_texts(tmp_path / "a.png", parameters=infotext(Sonar_sheet="grid", **changes))
    started = time.monotonic()
    refused("again", str(path), out=tmp_path)
    assert time.monotonic() - started < 10
    assert not list(tmp_path.glob("grid*"))


@pytest.mark.parametrize(
    "line",
    [
        "a" * 200_000,
        "a b-" * 50_000,
        'x:"' * 80_000,
        'x: "\\",' * 30_000,
        "x: " + '"\\' * 100_000,
        "," * 250_000,
        ":" * 250_000,
        " " * 250_000 + "x",
        "Steps:" + " " * 200_000 + ",",
    ],
    ids=lambda line: line[:8],
)
@pytest.mark.parametrize("command", ["again", "show"])
def test_no_text_takes_long_to_read(tmp_path, command, line):
    path = with_texts(tmp_path / "a.png", parameters=f"sea\n{line}, Steps: 2")
    started = time.monotonic()
    call(command, str(path), out=tmp_path if command == "again" else None)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("prompt", [":" + "1" * 3990, "(a " * 1300, "(" * 1300 + "a " * 650 + ")" * 1300, "<" * 4000])
def test_no_prompt_takes_long_to_read(tmp_path, prompt):
    path = with_texts(tmp_path / "a.png", parameters=infotext(prompt=prompt))
    call("again", str(path), out=tmp_path)
    started = time.monotonic()
    made("again", str(path), out=tmp_path)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "texts",
    [
        {"parameters": "sea\nSteps: 2, x: " + "a" * 900_000},
        {"parameters": infotext(), "sonar_prompts": '["' + "a" * 900_000 + '", ""]'},
        {"parameters": infotext(), "sonar_prompts": "[" * 200_000},
        {"parameters": infotext(), "sonar_prompts": '{"prompt": "sea"}'},
        {"parameters": infotext(), "sonar_prompts": '["sea", 3]'},
        {"parameters": infotext(), "sonar_prompts": '["sea", "\\ud800"]'},
        {"parameters": infotext(), "sonar_prompts": '["' + "a" * 20_000 + '", ""]'},
        {"parameters": infotext(prompt="a" * 20_000)},
    ],
    ids=lambda texts: str(texts)[-30:],
)
def test_texts_that_are_too_long_or_damaged_are_refused(tmp_path, texts):
    refused("again", str(with_texts(tmp_path / "a.png", **texts)), out=tmp_path)


def test_a_compressed_text_does_not_take_memory(tmp_path):
    bomb = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(bytes(200_000_000)))
    path = tmp_path / "bomb.png"
    path.write_bytes(bare_png(8, 8, bomb))
    tracemalloc.start()
    for command in ("again", "show"):
        assert "not a picture that can be read" in refused(
            command, str(path), out=tmp_path if command == "again" else None
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


@pytest.mark.parametrize("size", [(13_000, 13_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_size_is_refused_before_a_pixel_is_decoded(tmp_path, size):
    path = tmp_path / "large.png"
    text = chunk(b"tEXt", b"parameters\0" + infotext().encode())
    path.write_bytes(bare_png(*size, text, pixels=zlib.compress(bytes(1000))))
    for arguments in (["again", str(path)], ["txt2img", *QUICK, "--reference", str(path)]):
        assert "64 million" in refused(*arguments, out=tmp_path)


def embedded(image, mode="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, mode, **options)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        (embedded(Image.new("1", (13_000, 13_000))), "13000 x 13000 1; must be 256 x 256 RGB"),
        (embedded(Image.new("L", (256, 256))), "must be 256 x 256 RGB"),
        (embedded(Image.new("RGB", (256, 256), "red")), "a picture of one colour"),
        (embedded(Image.effect_noise((256, 256), 50).convert("RGB"), "BMP"), "cannot be read"),
        (embedded(Image.effect_noise((256, 256), 50).convert("RGB"))[:9000], "cannot be read"),
        ("no base64!", "cannot be read"),
        ("A" * 500_000, "too large"),
    ],
    ids=lambda value: value[:20],
)
def test_an_embedded_reference_is_one_that_sonar_embeds(tmp_path, reference, told):
    path = with_texts(tmp_path / "a.png", parameters=infotext(Sonar_reference="embedded"), sonar_reference=reference)
    assert told in refused("again", str(path), out=tmp_path)


def test_what_a_picture_holds_does_not_reach_the_terminal(tmp_path):
    escape = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202e"
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", infotext(prompt=f"sea {escape}\nlake", Version=f"[/b]{escape}", **{f"x{escape}y": "1"}))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    for arguments in (["show", str(tmp_path / "a.png")], ["again", str(tmp_path / "a.png"), "--out", str(tmp_path)]):
        done = call(*arguments)
        assert done.exit_code == 0
        assert all(letter.isprintable() or letter == "\n" for letter in done.stdout + done.stderr)


@pytest.mark.parametrize("command", ["again", "show"])
def test_only_files_that_are_pngs_are_read(tmp_path, command):
    out = tmp_path if command == "again" else None
    Image.new("RGB", (8, 8)).save(tmp_path / "a.gif")
    assert "must be PNG" in refused(command, str(tmp_path / "a.gif"), out=out)
    assert "is not a file" in refused(command, str(tmp_path), out=out)
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n")
    line = refused("txt2img", *QUICK, "--reference", str(tmp_path / "a.eps"), out=tmp_path)
    assert "must be PNG, JPEG, WEBP, GIF, BMP" in line
