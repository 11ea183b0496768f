"""What a person at a terminal sees: bars, help, names, and one line where something goes wrong."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from command import COMMAND, QUICK, call, made, opened, refused
from sonar_sampler import registry

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
resource = pytest.importorskip("resource")


def on_a_terminal(*arguments, piped=False):
    """What the terminal was sent, and stdout where it is piped."""
    master, slave = pty.openpty()
    output = subprocess.PIPE if piped else slave
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    run = subprocess.Popen([*COMMAND, *arguments], stdin=slave, stdout=output, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(master)
    result, _ = run.communicate(timeout=60)
    assert run.returncode == 0
    return shown.decode(), (result or b"").decode()


def lines_left(shown):
    """What stands on the screen at the end: a small terminal of its own."""
    lines, row, column = [""], 0, 0
    for code, letter in re.findall(r"\x1b\[([?0-9;]*[A-Za-z])|(.|\n)", shown, re.S):
        if code.endswith("A"):
            row -= int(code[:-1] or 1)
        elif code == "2K":
            lines[row] = ""
        elif letter == "\r":
            column = 0
        elif letter == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif letter:
            lines[row] = lines[row][:column].ljust(column) + letter + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines if line.strip()]


def test_a_terminal_is_left_with_the_paths_alone(tmp_path):
    shown, _ = on_a_terminal("txt2img", *QUICK, "--count", "2", "--out", str(tmp_path))
    assert "steps" in shown
    assert lines_left(shown) == [str(tmp_path / f"mountains-sunset-{seed}.png") for seed in (7, 8)]


def test_paths_can_be_piped_while_the_terminal_shows_the_bar(tmp_path):
    shown, result = on_a_terminal("txt2img", *QUICK, "--out", str(tmp_path), piped=True)
    assert "steps" in shown
    assert lines_left(shown) == []
    assert result == f"{tmp_path / 'mountains-sunset-7.png'}\n"


def test_quiet_tells_the_paths_alone(tmp_path):
    shown, _ = on_a_terminal("txt2img", "sea zebra", *QUICK[1:], "--quiet", "--out", str(tmp_path))
    assert shown == f"{tmp_path / 'sea-zebra-7.png'}\r\n"


@pytest.mark.parametrize("command", [[], ["txt2img"], ["grid"], ["steps"], ["again"], ["show"]])
def test_help_is_clean_and_fits_a_terminal(command):
    text = call(*command, "--help").stdout
    assert "\\b" not in text
    assert "\b" not in text
    assert all(len(line) <= 80 for line in text.split("\n"))
    assert "..." not in text.split("Commands:")[-1].replace("[ARGS]...", "") or command


def test_help_tells_the_exit_status():
    text = call("--help").stdout
    assert all(re.search(rf"^ +{status} +\w", text, re.M) for status in (0, 1, 2, 130))


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("море, Закат", "море-закат-1.png"),
        ("山と海", "山と海-1.png"),
        ("Café Ü", "café-ü-1.png"),
        ("cafe\u0301", "café-1.png"),
        ("हिन्दी", "हिन्दी-1.png"),
        ("../../a/b\\c:d*?", "a-b-c-d-1.png"),
        ("a\u202eb\u200bc\td\n", "a-b-c-d-1.png"),
        ("!!!", "1.png"),
        ("山" * 300, "山" * 60 + "-1.png"),
    ],
)
def test_names_keep_the_letters_of_the_prompt(tmp_path, prompt, name):
    (path,) = made("txt2img", prompt, "--seed", "1", "--steps", "1", out=tmp_path)
    assert path.name == name
    assert path.parent == tmp_path
    assert path.is_file()


@pytest.mark.parametrize("command", ["txt2img", "grid", "steps"])
def test_bytes_that_are_no_text_are_refused(tmp_path, command):
    assert "not UTF-8" in refused(command, "sea \udcff", out=tmp_path)
    assert "not UTF-8" in refused(command, "sea", "-n", "\udcff", out=tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--cfg-scale", "nan"], "cfg_scale = nan: must be a number from 0.0 to 100.0"),
        (
            ["--ref-start", "0.9", "--ref-stop", "0.1"],
            "ref_start = 0.9: must not be after ref_stop (0.1)",
        ),
        (["--ref-start", "16"], "ref_start = 16: is step 16, after ref_stop = 0.75, step 15 of 20"),
        (["--ref-stop", "9" * 5000], "ref_stop = "),
        (["--momentum", "0." + "1" * 5000 + "x"], "must be a number"),
        (["-n", "a" * 20_000], "negative_prompt = 'aaaaaaaaaaaaaaaaaaaa'...: has 20000 characters"),
    ],
)
def test_a_bad_value_is_told_in_one_line(tmp_path, options, told):
    assert told in refused("txt2img", "sea", *options, out=tmp_path)


@pytest.mark.parametrize(
    "text", ["0:1:5e-324", "0:1:" + "9" * 5000, "0:1:10000", "0:1:1000,0:1:1000", "0:1:1e-9", "0:1:" + "0" * 5000 + "x"]
)
def test_a_search_list_of_too_many_values_is_refused(tmp_path, text):
    assert "momentum = " in refused("grid", "sea", "--momentum", text, out=tmp_path)


def test_a_sheet_that_is_too_large_is_refused_before_the_first_picture(tmp_path):
    line = refused("grid", "sea", "--momentum", "0:1:100", "--momentum-hist", "0:1:100", out=tmp_path)
    assert "a sheet of 100 x 100 pictures has" in line


def test_a_long_prompt_does_not_make_a_wide_sheet(tmp_path):
    grid = ["--seed", "1", "--steps", "1", "--momentum", "0.5", "--momentum-hist", "0.5"]
    (sheet,) = made("grid", "sea\n" * 900, *grid, out=tmp_path)
    assert opened(sheet).size[0] == 1200


@pytest.mark.parametrize("command", [["txt2img"], ["grid"], ["steps"]])
def test_the_folder_is_tried_before_the_sampling(tmp_path, command, monkeypatch):
    from sonar_sampler.cli.job import Job

    def never(*_, **__):
        raise AssertionError("sampled")

    monkeypatch.setattr(Job, "start", never)
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("a" * 300)):
        line = refused(*command, "sea", out=out, status=1)
        assert f"{str(out)!r} cannot be written: " in line


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="an administrator may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o555)
    assert "Permission denied" in refused("txt2img", *QUICK, out=tmp_path, status=1)


def test_a_full_disk_is_one_line_and_leaves_no_half_picture(tmp_path):
    """A limit on the size of files stands for a full disk: writing fails in the middle."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, 80_000))

    run = [*COMMAND, "txt2img", *QUICK, "--out", str(tmp_path)]
    done = subprocess.run(run, preexec_fn=limited, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"Error: {str(tmp_path / 'mountains-sunset-7.png')!r} cannot be written: File too large\n"
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["txt2img", "--count", "1000"],
        ["steps", "--steps", "1000"],
        ["grid", "--momentum", "0:1:20", "--momentum-hist", "0:1:20"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_interrupt_has_the_status_of_shells(tmp_path, interruptible, arguments):
    command, *options = arguments
    program = [sys.executable, "-c", SAYS_WHEN_IT_SAMPLES, command, "sea", "--seed", "1", *options]
    with subprocess.Popen(
        [*program, "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stdout.readline() == "sampling\n"
            time.sleep(0.2)
            run.send_signal(signal.SIGINT)
            _, told = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert not list(tmp_path.rglob(".sonar*"))


SAYS_WHEN_IT_SAMPLES = """
from sonar_sampler.cli import main
from sonar_sampler.cli.job import Job
start = Job.start
def told(job):
    Job.start = start
    print("sampling", flush=True)
    return start(job)
Job.start = told
main(prog_name="sonar")
"""


@pytest.mark.parametrize(("typed", "offered"), [("sonar gr", "grid"), ("sonar txt2img --sampler eu", "euler_a")])
def test_the_shell_completes(typed, offered):
    environment = os.environ | {
        "_SONAR_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    program = "from sonar_sampler.cli import main; main(prog_name='sonar')"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert f"plain,{offered}" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('oh')", "raised ValueError('oh') in "),
        ("return None", "answered NoneType; must be an array of shape (1, 6, 64, 64)"),
        ("return x[:, :3]", "answered shape (1, 3, 64, 64)"),
        ("return x * float('nan')", "answered numbers that are not finite"),
    ],
)
def test_a_sampler_of_ones_own_that_fails_is_told(tmp_path, body, told):
    own = tmp_path / "own.py"
    own.write_text(f"def f(denoise, x, sigmas, config, **options):\n    {body}\n")
    line = refused("txt2img", *QUICK, "--sampler", f"{own}:f", out=tmp_path, status=1)
    assert told in line


def test_every_solver_of_the_registry_has_a_contact_sheet(tmp_path):
    for sampler in registry.SAMPLERS:
        made("steps", *QUICK, "--sampler", sampler, out=tmp_path)
