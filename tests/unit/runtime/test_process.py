from __future__ import annotations

import pytest
from pydantic import ValidationError

from steersman.runtime.process import main
from steersman.runtime.settings import ProcessSettings


def never(_: ProcessSettings) -> None:
    raise AssertionError("the service must not start")


def test_bad_settings_end_the_process_with_their_names_and_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEERSMAN_GRPC__ADDRESS", "sk-secret")
    monkeypatch.setenv("STEERSMAN_LOG__LEVEL", "LOUD")
    with pytest.raises(SystemExit) as caught:
        main("router", ProcessSettings, never)  # type: ignore[arg-type]  # it is not called
    text = str(caught.value)
    assert "STEERSMAN_GRPC__ADDRESS" in text
    assert "STEERSMAN_LOG__LEVEL" in text
    assert "sk-secret" not in text
    assert not isinstance(caught.value.__context__, ValidationError) or "sk-secret" not in text
