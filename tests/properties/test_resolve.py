"""Every way in which a target's name can be wrong is one line that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from isomodel.targets.resolve import BUILTIN, check_armed, defects_of, resolve
from isomodel.values.errors import BadInput

TARGET = """
from isomodel import operation

class Chat:
    defects = {"leak": "shows it to all", "loss": "drops it"}

    def arm(self, name):
        pass

    @operation
    async def send(self, user: str, text: str) -> str: return text

class Plain: pass
send = Chat.send
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.startswith("resolved")]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "resolved_app.py").write_text(TARGET)
    (tmp_path / "resolved_package").mkdir()
    (tmp_path / "resolved_package" / "__init__.py").touch()
    (tmp_path / "resolved_package" / "chat.py").write_text(TARGET)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "resolved_deep.py").write_text(TARGET)
    return tmp_path


@pytest.mark.parametrize("name", ["resolved_app:Chat", "resolved_package.chat:Chat", *BUILTIN])
def test_targets_are_found_from_the_current_folder(name: str) -> None:
    assert resolve(name).name == name


def test_targets_are_found_on_the_path() -> None:
    assert resolve("resolved_deep:Chat", ["src"]).operations.keys() == {"send"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resolved_app", "not a target; write module:Class"),
        ("resolved_package/chat.py:Chat", "for this file resolved_package.chat:Chat"),
        ("resolved_ap:Chat", "no module resolved_ap; did you mean resolved_app?"),
        ("resolved_deep:Chat", "no module resolved_deep; it is in src: `cd src` or"),
        ("resolved_package.chta:Chat", "did you mean resolved_package.chat?"),
        ("nothing_like_it:Chat", "run from the folder that holds it"),
        ("resolved_app:Chta", "no class Chta in resolved_app; it declares operations in Chat"),
        ("resolved_app:send", "send is a function, not a class"),
        ("resolved_app:Plain", "declares no operation"),
        ("json:Nothing", "no class there declares operations"),
    ],
)
def test_a_wrong_name(name: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        resolve(name)
    assert str(caught.value).startswith(f"{name}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1\nraise ValueError('no\\nconfig')", "ValueError: no (resolved_bad.py:2)"),
        ("import nothing_like_it", "No module named 'nothing_like_it' (resolved_bad.py:1)"),
        ("def f(:", "SyntaxError: invalid syntax (resolved_bad.py:1)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (resolved_bad.py:2)"),
    ],
)
def test_a_module_that_cannot_be_imported(folder: Path, code: str, says: str) -> None:
    (folder / "resolved_bad.py").write_text(code)
    with pytest.raises(BadInput) as caught:
        resolve("resolved_bad:Chat")
    assert f"importing resolved_bad failed: {says}" in str(caught.value) or (
        "ModuleNotFoundError: " + says in str(caught.value)
    )


def test_only_known_defects_can_be_armed() -> None:
    spec = resolve("resolved_app:Chat")
    assert defects_of(spec) == {"leak": "shows it to all", "loss": "drops it"}
    check_armed(spec, ("leak", "loss"))
    with pytest.raises(BadInput, match=r"no defect 'lek'; did you mean leak\?; it has leak, loss"):
        check_armed(spec, ("lek",))
