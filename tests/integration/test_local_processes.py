"""Children of a run never outlive it, however it ends, and two runs never share a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from local.processes import REPOSITORY, Children, Program
from recommender.errors import MissingRequirement

# A child with a child of its own; both ignore the polite signal, as a hung one does.
STUBBORN = "trap '' TERM; sh -c \"trap '' TERM; sleep 300 & wait\" & wait; sleep 300"

OWNER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from local.processes import Children, Program

    children = Children(Path(sys.argv[1]))
    started = [
        children.start(Program(name="polite", command=["sleep", "300"])),
        children.start(Program(name="stubborn", command=["sh", "-c", sys.argv[2]])),
    ]
    print(*(child.pid for child in started), flush=True)
    time.sleep(300)
    """
)


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def start_owner(state: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state), STUBBORN],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        start_new_session=True,
    )
    assert owner.stdout is not None
    assert len(owner.stdout.readline().split()) == 2
    children = descendants(owner.pid)
    assert len(children) >= 3  # the two and the guard
    return owner, children


def test_kill_9_of_the_owner_leaves_nothing(tmp_path: Path) -> None:
    owner, children = start_owner(tmp_path)
    # The whole process group, as a terminal or a supervisor may do; the guard is not in it.
    os.killpg(owner.pid, signal.SIGKILL)
    owner.wait(10)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def test_what_even_the_guard_could_not_end_is_ended_by_the_next_run(tmp_path: Path) -> None:
    owner, children = start_owner(tmp_path)
    guards = [child for child in children if "local.guard" in child.cmdline()]
    assert len(guards) == 1
    guards[0].kill()
    owner.kill()
    owner.wait(10)
    assert any(child.is_running() for child in children if child not in guards)
    Children(tmp_path).close()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    first = Children(tmp_path)
    try:
        with pytest.raises(MissingRequirement, match=rf"process {os.getpid()}"):
            Children(tmp_path)
    finally:
        first.close()
    Children(tmp_path).close()


def test_stop_ends_the_whole_session(tmp_path: Path) -> None:
    children = Children(tmp_path)
    program = Program(name="stubborn", command=["sh", "-c", STUBBORN], stop_within=0.5)
    child = children.start(program)
    child.await_ready(lambda: len(descendants(child.pid)) == 2, within=10)
    started = [psutil.Process(child.pid), *descendants(child.pid)]
    children.stop(child)
    assert [process for process in started if process.is_running()] == []
    children.close()


def test_many_are_ended_side_by_side(tmp_path: Path) -> None:
    children = Children(tmp_path)
    some = [children.start(Program(name=f"c{n}", command=["sleep", "300"])) for n in range(12)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(children.stop, some))
    assert json.loads((tmp_path / "children.json").read_text()) == []
    children.close()


def test_a_program_that_ends_at_once_is_told_with_its_words(tmp_path: Path) -> None:
    children = Children(tmp_path)
    child = children.start(Program(name="short", command=["sh", "-c", "echo no disk; exit 3"]))
    with pytest.raises(MissingRequirement, match=r"(?s)short ended at once \(status 3\).*no disk"):
        child.await_ready(lambda: False, within=10)
    children.close()


def test_a_program_that_never_answers_is_given_up(tmp_path: Path) -> None:
    children = Children(tmp_path)
    child = children.start(Program(name="mute", command=["sleep", "300"]))
    with pytest.raises(MissingRequirement, match=r"did not answer within 0\.2 s"):
        child.await_ready(lambda: False, within=0.2)
    children.close()
    assert child.status == -signal.SIGTERM


def test_a_program_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    children = Children(tmp_path)
    with pytest.raises(MissingRequirement, match="absent cannot be started"):
        children.start(Program(name="absent", command=["/nowhere/absent"]))
    children.close()


def test_one_that_gives_way_has_a_lower_priority(tmp_path: Path) -> None:
    children = Children(tmp_path)
    try:
        child = children.start(Program(name="modest", command=["sleep", "300"], niceness=7))
        group = Path(f"/proc/{child.pid}/autogroup")
        assert psutil.Process(child.pid).nice() == 7
        # Where Linux has no such groups, and elsewhere, there is nothing to lower.
        assert not group.exists() or group.read_text().split()[-1] == "7"
    finally:
        children.close()
