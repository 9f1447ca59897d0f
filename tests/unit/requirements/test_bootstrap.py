"""What is seen of the installation of the dependencies."""

from __future__ import annotations

import io

from requirements import bootstrap

UV = """Resolved 3 packages in 1ms
Downloading numpy (16.1MiB)
 Downloaded numpy
   Building pyspark==4.2.0
      Built pyspark==4.2.0
Prepared 3 packages in 30.08s
Installed 3 packages in 3ms
 + numpy==2.0
 - old==1.0
 ~ again==1.0
"""
TROUBLE = """error: Failed to fetch: `https://pypi.example/simple/numpy/`
  Caused by: dns error
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_has_no_line_for_each_package() -> None:
    log = io.StringIO()
    bootstrap.pass_on(io.StringIO(UV), log)
    assert [line.split()[0] for line in log.getvalue().splitlines()] == [
        "Resolved",
        "Building",
        "Built",
        "Prepared",
        "Installed",
    ]


def test_on_a_terminal_progress_takes_one_line_that_is_gone_at_the_end() -> None:
    screen = Terminal()
    bootstrap.pass_on(io.StringIO(UV), screen)
    assert "Downloading numpy (16.1MiB)" in screen.getvalue()
    assert "\n" not in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[2K")


def test_trouble_is_whole_on_both() -> None:
    for screen in (io.StringIO(), Terminal()):
        bootstrap.pass_on(io.StringIO(UV + TROUBLE), screen)
        assert screen.getvalue().endswith("".join(f"  {line}\n" for line in TROUBLE.splitlines()))
