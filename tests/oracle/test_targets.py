"""TARGET strings: reading them in the parent, importing them in the child."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import loracle
from loracle.adapters import ADAPTERS, Adapter
from loracle.contracts import CONTRACTS
from loracle.errors import UsageError
from loracle.harness.loading import load_target
from loracle.harness.targets import parse_target


@pytest.fixture(autouse=True)
def _imports_undone() -> Iterator[None]:
    """Loading belongs into a child process; here its traces are removed."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_the_three_forms(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def kernel(): ...\n")
    by_file = parse_target(f"{tmp_path}/mine.py:kernel")
    assert (by_file.path, by_file.attribute) == (str(tmp_path / "mine.py"), "kernel")
    by_module = parse_target("loracle.kernels.exact:aloragc")
    assert (by_module.module, by_module.attribute) == ("loracle.kernels.exact", "aloragc")
    by_adapter = parse_target("autograd", CONTRACTS["aloragc"])
    assert by_adapter.attribute == "aloragc"
    assert "torch" in by_adapter.packages


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is no adapter"),
        ("autogrd", "did you mean autograd"),
        ("no/such/file.py:kernel", "no file no/such/file.py"),
        ("a b:c", "cannot read the target 'a b:c': a TARGET is"),
        ("module:", "cannot read the target"),
        (":name", "cannot read the target"),
        ("module:no-name", "cannot read the target"),
        ("autograd", "serves lora-linear, lora-attention, aloragc, lora-mha: name one"),
    ],
)
def test_what_cannot_be_read(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_target(text)


def test_a_file_in_the_working_directory_is_no_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text("def one(): ...\n")
    with pytest.raises(UsageError, match=r"^which function of bad\.py\? Write bad\.py:NAME; "):
        loracle.validate("bad.py")
    with pytest.raises(UsageError, match="is no adapter"):
        loracle.validate("bad")


def test_near_files_and_functions_are_named(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text("def one(): ...\ndef _two(): ...\n")
    with pytest.raises(UsageError, match=r"did you mean kernels\.py"):
        parse_target(f"{tmp_path}/kernel.py:one")
    with pytest.raises(UsageError, match=r"Write .*kernels.py:NAME; it defines one$"):
        parse_target(f"{tmp_path}/kernels.py")
    for count, listed in ((0, "NAME"), (5, "f0, f1, f2, f3, f4"), (7, "f0, f1, f2, f3, f4, ...")):
        # Not run: that would raise.
        text = "1 / 0\n" + "".join(f"def f{n}(): ...\n" for n in range(count))
        (tmp_path / "many.py").write_text(text)
        with pytest.raises(UsageError) as caught:
            loracle.validate(str(tmp_path / "many.py"))
        assert str(caught.value).endswith(listed)
    with pytest.raises(UsageError, match="is not a file"):
        parse_target(f"{tmp_path}/:one")


def test_dots_alone_are_answered_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not with an adapter whose name is near."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name in ("mine.py", "mine/deep.py"):
        (tmp_path / name).write_text("def lora(): ...\n")
    for text, meant in {
        "mine.lora": "mine.py:lora",
        "mine.Layer.lora": "mine.py:Layer.lora",
        "mine.py.lora": "mine.py:lora",
        "mine.deep.lora": "mine/deep.py:lora",
        "elsewhere.loralib": "elsewhere:loralib",
    }.items():
        with pytest.raises(UsageError) as caught:
            parse_target(text)
        says = f"the target {text!r} has no ':' before its name; did you mean {meant}?"
        assert str(caught.value) == says
    with pytest.raises(UsageError, match=r"before its name; a TARGET is package\.module:name"):
        parse_target("a-b.lora")


def test_a_name_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    """Of the class that was looked in, and its own before what a module imports."""
    text = "from os.path import *\nclass Layer:\n    def lora(self): ...\n    width = 3\n"
    (tmp_path / "mine.py").write_text(text + "def good(): ...\n")
    for name, says in {
        "Layer.lore": "no 'lore' in Layer; did you mean lora?",
        "Layer.xyz": "no 'xyz' in Layer; it has lora",
        "Layr.lora": "no 'Layr' there; did you mean Layer?",
        "xyz": "no 'xyz' there; it has Layer, good, ",
    }.items():
        with pytest.raises(UsageError) as caught:
            load_target(parse_target(f"{tmp_path}/mine.py:{name}"))
        assert says in str(caught.value)
        assert "width" not in str(caught.value)


def test_an_adapter_for_another_contract_names_those_that_fit() -> None:
    with pytest.raises(UsageError, match=r"adapters for aloragc: autograd$"):
        parse_target("torch-sdpa", CONTRACTS["aloragc"])


def test_an_adapter_without_its_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ghost = Adapter("ghost", ("no-such-package",), {"aloragc": "a:b"}, "pip install ghost", "")
    monkeypatch.setattr("loracle.adapters.registry.ADAPTERS", {**ADAPTERS, "ghost": ghost})
    with pytest.raises(UsageError, match=r"needs no-such-package, .*: pip install ghost$"):
        parse_target("ghost")


def test_a_file_is_imported_with_its_siblings(tmp_path: Path) -> None:
    (tmp_path / "sibling_of_mine.py").write_text("VALUE = 7\n")
    (tmp_path / "mine.py").write_text(
        "from sibling_of_mine import VALUE\n"
        "class Kernels:\n"
        "    @staticmethod\n"
        "    def seven(): return VALUE\n"
    )
    assert load_target(parse_target(f"{tmp_path}/mine.py:Kernels.seven"))() == 7


def test_a_file_of_a_package_may_import_relatively(tmp_path: Path) -> None:
    package = tmp_path / "package_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "values.py").write_text("VALUE = 8\n")
    (package / "mine.py").write_text("from .values import VALUE\ndef eight(): return VALUE\n")
    assert load_target(parse_target(f"{package}/mine.py:eight"))() == 8


@pytest.mark.parametrize(
    ("source", "name", "complaint"),
    [
        ("import no_such_module_at_all", "kernel", "ModuleNotFoundError: No module named"),
        ("raise RuntimeError('two\\nlines')", "kernel", "RuntimeError: two lines"),
        ("import sys; sys.exit(4)", "kernel", "SystemExit: 4"),
        ("def kernel(:", "kernel", "SyntaxError: "),
        ("def kernel(): ...", "kernl", "no 'kernl' there; did you mean kernel"),
        ("kernel = 3", "kernel", "is of type int, not a callable"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(
    tmp_path: Path, source: str, name: str, complaint: str
) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(UsageError, match=complaint) as caught:
        load_target(parse_target(f"{tmp_path}/mine.py:{name}"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        ("\nraise RuntimeError('no')", "RuntimeError: no at mine.py:2"),
        ("def f():\n    return {}['a']\nf()", "KeyError: 'a' at mine.py:2"),
        ("import json\njson.loads('{')", " at mine.py:2"),
        ("import no_such_module_at_all", " at mine.py:1"),
        ("x = 1\nx = = 2", "SyntaxError: invalid syntax at mine.py:2"),
        ("import broken_sibling", "SyntaxError: invalid syntax at broken_sibling.py:3"),
        ("\nexec('x = = 2')", "SyntaxError: invalid syntax at mine.py:2"),
    ],
)
def test_what_cannot_be_loaded_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_sibling.py").write_text("\n\nx = = 2\n")
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(UsageError) as caught:
        load_target(parse_target("mine.py:kernel"))
    told = str(caught.value)
    # Where the text was run by exec, its message goes on naming it.
    assert told.replace(" (<string>, line 1)", "").endswith(ending)
    assert "\n" not in told


@pytest.mark.parametrize(
    ("declared", "beginning", "ending"),
    [
        ("unsupported=['tinny']", "mine.py:3: declare: ", "mean tiny?"),
        ("output=['y']", "mine.py:3: declare has no argument ", "mean outputs?"),
        ("plan='mergd'", "mine.py:3: declare: unknown plan 'mergd'; ", "mean merged?"),
    ],
)
def test_a_wrong_declaration_is_told_after_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str, beginning: str, ending: str
) -> None:
    """And without the name of our exception, as what it is: nothing crashed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(f"import loracle\n\nloracle.declare({declared})")
    with pytest.raises(UsageError) as caught:
        load_target(parse_target("mine.py:kernel"))
    told = str(caught.value)
    assert told.startswith(f"cannot load 'mine.py:kernel': {beginning}")
    assert told.endswith(ending)


def test_a_module_that_is_not_there_has_no_place() -> None:
    with pytest.raises(UsageError, match=r"No module named 'no_such_module_at_all'$"):
        load_target(parse_target("no_such_module_at_all:kernel"))
