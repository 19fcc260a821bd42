"""The command line as a whole: which command is meant, and how it ends when it is interrupted."""

from __future__ import annotations

import pytest

from monitor.cli import main


@pytest.mark.parametrize("args", [["schema"], ["--cycles", "1"], ["status"]])
def test_an_interruption_ends_with_130_even_before_a_command_began(
    args: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("monitor.cli.import_module", interrupted)

    with pytest.raises(SystemExit) as ended:
        main(args)

    assert ended.value.code == 130
