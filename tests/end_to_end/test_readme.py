"""The README's example, run as it stands, and its output beside it."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_the_readme_shows(environment, tmp_path, nothing_left):
    """Word for word; only the job's states may be seen at other moments."""
    train, example = blocks("python")[:2]
    (tmp_path / "train.py").write_text(train)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert without_states(done.stdout) == without_states(blocks("text")[0])
    nothing_left()


def without_states(output: str) -> list[str]:
    """Drop the lines that depend on when a state was looked at."""
    return [line for line in output.splitlines() if not re.match(r"(Job|Cluster) state: ", line)]


def test_the_commands_exist():
    """Those that the README tells a user to type."""
    makefile = README.with_name("Makefile").read_text()
    targets = re.findall(r"make (\w+)", README.read_text())

    assert targets
    assert [target for target in targets if f"\n{target}:" not in makefile] == []
