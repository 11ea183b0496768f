"""What the README and the guides tell a reader to type works."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from sonar_sampler.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^sonar (.+)$", README, re.M)


def test_the_python_example_runs():
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["latents"].shape == (2, 4, 64, 64)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command)
    needs_reference = "--reference" in arguments
    if arguments[0] in ("again", "show") or needs_reference:
        made = next(shlex.split(line) for line in COMMANDS if "lake aurora" in line)
        done = CliRunner().invoke(main, made)
        assert done.exit_code == 0
        if needs_reference:
            Path(done.stdout.strip()).rename(arguments[arguments.index("--reference") + 1])
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    if arguments[0] == "show":
        assert re.search(r"^Seed +3$", done.stdout, re.M)
    else:
        assert Path(done.stdout.strip()).is_file()


def test_the_shell_completion_is_the_one_of_the_command():
    for shell in ("bash", "zsh", "fish"):
        assert f"_SONAR_COMPLETE={shell}_source sonar" in README
        done = CliRunner().invoke(main, env={"_SONAR_COMPLETE": f"{shell}_source"}, prog_name="sonar")
        assert "_SONAR_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_every_link_inside_the_project_leads_somewhere(document):
    path = ROOT / document
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target
