"""Whose configuration is trusted: its owners' alone, all the way to the root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from monitor.runner.trust import find_distrust

if TYPE_CHECKING:
    from pathlib import Path

US = {0, os.geteuid()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    path = folder / "monitor.yml"
    path.write_text("")
    path.chmod(0o644)

    return path


def test_a_file_that_only_its_owner_may_write_is_trusted(file: Path) -> None:
    assert find_distrust(file, US) is None


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_not(file: Path, mode: int) -> None:
    file.chmod(mode)

    assert find_distrust(file, US) == f"{file} may be written by others than its owner (chmod go-w)"


def test_a_folder_in_which_others_may_put_another_file_is_not(file: Path) -> None:
    file.parent.chmod(0o775)

    assert f"{file.parent} may be written" in str(find_distrust(file, US))


def test_a_folder_where_nobody_can_replace_it_is(file: Path) -> None:
    file.parent.chmod(0o1777)

    assert find_distrust(file, US) is None


def test_a_file_of_somebody_else_is_not(file: Path) -> None:
    assert "belongs to user" in str(find_distrust(file, {4_000_000}))


def test_a_link_is_as_good_as_what_it_leads_over(file: Path) -> None:
    link = file.with_name("link.yml")
    link.symlink_to("../etc/monitor.yml")
    good = find_distrust(link, US)
    loose = file.parent.parent / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    (loose / "step.yml").symlink_to(file)
    over = file.with_name("over.yml")
    over.symlink_to(loose / "step.yml")

    assert good is None
    assert f"{loose} may be written" in str(find_distrust(over, US))


def test_a_way_up_out_of_a_linked_folder_is_the_kernels(file: Path) -> None:
    loose = file.parent.parent / "loose"
    (loose / "below").mkdir(parents=True)
    loose.chmod(0o777)
    (loose / "monitor.yml").write_text("")
    (file.parent / "link").symlink_to(loose / "below")

    assert f"{loose} may be written" in str(
        find_distrust(file.parent / "link" / ".." / "monitor.yml", US)
    )


def test_links_in_a_circle_end(file: Path) -> None:
    circle = file.with_name("circle")
    circle.symlink_to(circle)

    assert "too many symbolic links" in str(find_distrust(circle, US))


def test_what_is_not_there_is_not_trusted(tmp_path: Path) -> None:
    assert "no such file" in str(find_distrust(tmp_path / "none", US))
