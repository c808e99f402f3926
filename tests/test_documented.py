"""Compares the documentation with the code: everything that it must mention is there."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

import msgspec
import pytest
from page_kit import Block, blocks_of, on_one_line

import trichat
import trichat.testing
from trichat import Config, ServerOptions, hookspecs, load_plugins
from trichat._plugins.dispatch import Plugins
from trichat._plugins.loader import choose_plugins
from trichat.testing import running

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
HOOKS_PAGE = ROOT / "docs" / "hooks.md"
CONFIGURATION_PAGE = ROOT / "docs" / "configuration.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRAPPED = [*sorted(ROOT.glob("*.md")), *PAGES[1:], ROOT / "benchmarks" / "README.md"]

HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "trichat_spec")]
LABELS = ["Fires", "Task", "Answer", "Failure", "Cancellation"]

# Modules that need no test module of their own, and why.
UNTESTED = {
    "trichat/hookspecs.py": "this module checks it, and other tests call each hook",
    "trichat/__main__.py": "tests/cli/test_parser.py runs it",
    "trichat/_base/errors.py": "it only defines errors",
    "trichat/_chat/context.py": "it only holds what sessions share",
    "trichat/_chat/core.py": "tests/test_server.py tests what a server does, through its facade",
    "trichat/_chat/local_broadcaster.py": "tests/chat/test_broadcaster.py tests what all broadcasters do, by it",
    "trichat/_chat/turns.py": "tests/chat/test_broadcaster.py has people who speak alone and at the same time",
    "trichat/_chat/teardown.py": "tests/chat/test_session.py and tests/test_promises.py end sessions in every way",
    "trichat/_cli/actions.py": "tests/cli and tests/ops/test_process.py run each",
    "trichat/_fronts/front.py": "it only holds types; tests/fronts/line has tests of an implementation",
    "trichat/_fronts/line/front.py": "it only holds the parts together; its dialogue and wire have tests",
    "trichat/_fronts/requests.py": "it only holds types; tests/fronts/line/test_dialogue.py has each",
    "trichat/_version.py": "it is one string",
    "trichat/testing/_conformance/checks.py": "tests/testing/conformance/test_runner.py has one bad plugin for each",
}


class Snippet(NamedTuple):
    """A block of Python in a page."""

    page: Path
    block: Block

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.block.line}"

    @property
    def is_plugin(self) -> bool:
        return "@hookimpl" in self.block.text


def snippets(page: Path) -> Iterator[Snippet]:
    """Yield the blocks of Python in a page."""
    return (Snippet(page, block) for block in blocks_of(text_of(page)) if block.language == "python")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8") if page.exists() else ""


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> Iterator[tuple[Path, str]]:
    """Yield the links of all pages to pages and files."""
    for page in [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md"))]:
        prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
        for link in sorted(set(re.findall(r"\]\(([^)\s]+)\)", prose))):
            if "://" not in link:
                yield page, link


SNIPPETS = [snippet for page in PAGES for snippet in snippets(page)]
PLUGINS = [snippet for snippet in SNIPPETS if snippet.page == HOOKS_PAGE and snippet.is_plugin]


# 1. The hooks


def signature(hook: str) -> str:
    """Return the signature from the source, on one line and without the quotes of forward references."""
    (definition,) = ast.parse(inspect.getsource(getattr(hookspecs, hook))).body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    assert definition.returns is not None
    kind = "async def" if isinstance(definition, ast.AsyncFunctionDef) else "def"
    return f"{kind} {hook}({ast.unparse(definition.args)}) -> {ast.unparse(definition.returns)}".replace("'", "")


def docstring(hook: str) -> dict[str, str]:
    """Return the paragraphs of the docstring by label. Text before the first label has the label ``""``."""
    parts = re.split(rf"\n\n({'|'.join(LABELS)}):", inspect.getdoc(getattr(hookspecs, hook)) or "")
    return {label: on_one_line(text) for label, text in zip(["", *parts[1::2]], parts[::2], strict=True)}


def section(title: str) -> str:
    """Return the text under a heading of the hooks' page, on one line."""
    parts = re.split(r"^#+ (.*)\n", text_of(HOOKS_PAGE), flags=re.MULTILINE)
    return on_one_line(dict(zip(parts[1::2], parts[2::2], strict=True)).get(title, ""))


@pytest.mark.parametrize("hook", HOOKS)
def test_the_docstring_of_a_hook_says_when_where_what_and_what_if(hook: str) -> None:
    said = docstring(hook)
    assert list(said) == ["", *LABELS]
    assert all(said.values())


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hooks_page_has_the_exact_signature_of_each_hook(hook: str) -> None:
    assert f"```python {signature(hook)}: ... ```" in section(hook)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hooks_page_says_of_each_hook_what_its_docstring_says(hook: str) -> None:
    documented = section(hook)
    for label, text in docstring(hook).items():
        assert (f"- **{label}:** {text}" if label else text) in documented


def test_the_hooks_page_has_no_hook_that_is_gone() -> None:
    documented = re.findall(r"^(?:async )?def (\w+)\(.*\) -> .*: \.\.\.$", text_of(HOOKS_PAGE), re.MULTILINE)
    assert sorted(documented) == sorted(HOOKS)


def test_the_table_at_the_top_of_the_hooks_page_leads_to_every_hook() -> None:
    table = text_of(HOOKS_PAGE).partition("\n## ")[0]
    assert re.findall(r"\| \[`(\w+)`\]\(#\1\) \|$", table, re.MULTILINE) == HOOKS


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_has_a_test(hook: str) -> None:
    used = re.compile(rf"\bdef {hook}\(|\bhookspecs\.{hook}\b|\b{hook}=")
    tests = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
    assert any(used.search(path.read_text(encoding="utf-8")) for path in tests)


# 2. The snippets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_snippet_of_python_is_overlooked(page: Path) -> None:
    assert len(list(snippets(page))) == text_of(page).count("```python")


@pytest.mark.parametrize("snippet", SNIPPETS, ids=str)
def test_each_snippet_of_python_compiles(snippet: Snippet) -> None:
    compile(snippet.block.text, str(snippet), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def built(snippet: Snippet, folder: Path) -> dict[str, object]:
    """Make the plugin in the snippet, as if from a file."""
    name = f"snippet_in_line_{snippet.block.line}"
    path = folder / f"{name}.py"
    path.write_text(snippet.block.text, encoding="utf-8")
    return {name: load_plugins(Config(), extra=[str(path)])[name]}


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_has_an_example_that_is_a_plugin_with_this_hook(hook: str, tmp_path: Path) -> None:
    plugins = Plugins(hook_timeout=5)
    for snippet in PLUGINS:
        if snippet.block.heading == hook:
            for name, plugin in built(snippet, tmp_path).items():
                plugins.register(name, plugin)
    assert plugins.active.implements(getattr(hookspecs, hook))


@pytest.mark.parametrize("snippet", PLUGINS, ids=str)
async def test_each_plugin_on_the_hooks_page_runs_without_a_fault(
    snippet: Snippet, tmp_path: Path, virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(built(snippet, tmp_path)) as chat:
        alice = await chat.join("alice", address="192.168.4.7")
        await alice.say("HELLO :)", "/help", "whoami", "bye")
        heard = await alice.rest()
    assert any(line.startswith("alice: ") for line in heard)
    assert heard[-1] == "* goodbye, alice"
    assert caplog.messages == []


@pytest.mark.parametrize(("page", "link"), [*links()], ids=str)
def test_each_link_leads_somewhere(page: Path, link: str) -> None:
    file, _, anchor = link.partition("#")
    target = page.parent / file if file else page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize("page", WRAPPED, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_have_at_most_120_columns(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$|^\|[^\n]*$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120] == []


DESIGN = text_of(ROOT / "docs" / "design.md")


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(_\w+/[\w/]+\.py)`", DESIGN))))
def test_each_file_that_the_design_names_is_there(file: str) -> None:
    assert (ROOT / "trichat" / file).exists()


@pytest.mark.parametrize(("owner", "member"), sorted(set(re.findall(r"`([A-Z]\w+)\.(\w+)`", DESIGN))))
def test_each_member_that_the_design_names_is_there(owner: str, member: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "trichat").rglob("*.py")]
    classes = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    bodies = [ast.unparse(node) for node in classes if node.name == owner]
    assert any(re.search(rf"\b(?:def {member}\(|{member}\b.* = )", body) for body in bodies)


# 3. The names


def public_names() -> Iterator[tuple[str, object]]:
    """Yield the public names of `trichat` that can have a docstring, with methods and properties of classes."""
    for name, value in vars(trichat).items():
        if name.startswith("_") or not (inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)):
            continue
        yield name, value
        if inspect.isclass(value) and value.__module__.startswith("trichat"):
            for member, definition in vars(value).items():
                if not member.startswith("_") and isinstance(definition, property | classmethod | FunctionType):
                    yield f"{name}.{member}", definition


def test_each_public_name_has_a_docstring() -> None:
    def is_written(name: str, value: object) -> bool:
        docstring = getattr(value, "__doc__", None) or ""
        generated = f"{name}("  # the docstring that dataclasses and named tuples generate
        return bool(docstring.strip()) and not docstring.startswith(generated)

    assert [name for name, value in public_names() if not is_written(name, value)] == []


# The objects that a plugin gets, and their names on the hooks' page.
GIVEN = {trichat.Client: "client", trichat.Server: "server", trichat.Storage: "storage", trichat.Message: "message"}


def members_given() -> Iterator[str]:
    for owner, name in GIVEN.items():
        of_instance = re.findall(r"^        self\.([a-z]\w*)\b[^=\n]* = ", inspect.getsource(owner), re.MULTILINE)
        for member in dict.fromkeys([*vars(owner), *getattr(owner, "__struct_fields__", ()), *of_instance]):
            if not member.startswith("_"):
                yield f"{name}.{member}"


@pytest.mark.parametrize("member", [*members_given()])
def test_each_member_of_what_a_plugin_is_given_is_in_a_table_of_the_hooks_page(member: str) -> None:
    rows = [line for line in text_of(HOOKS_PAGE).splitlines() if line.startswith("| `")]
    assert any(re.search(rf"`(?:await )?{member}\b", row) for row in rows)


def test_the_public_names_are_these() -> None:
    tree = ast.parse(text_of(ROOT / "trichat" / "__init__.py"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert sorted(f"{alias.asname}" for node in imports for alias in node.names) == sorted(
        [
            *("Address", "Client", "Command", "Config", "ConfigError", "ConnectionLost", "ControlRequest", "Handled"),
            *("Kind", "LOBBY", "Listener", "Message", "NameDict", "Person"),
            *(
                "Meta",
                "Network",
                "Networks",
                "Options",
                "PluginError",
                "Refuse",
                "Room",
                "Server",
                "ServerOptions",
                "StartError",
            ),
            *("Storage", "StorageError", "TcpListener", "Transport", "TrichatError", "UnixListener", "Versioned"),
            "WorkerThreads",
            *("__version__", "command", "everyone"),
            *("format_log_lines", "hookimpl", "load_config", "load_plugins", "operators", "parse_log_line"),
            "suggestion",
        ]
    )


@pytest.mark.parametrize(("page", "module"), [("trichat", trichat), ("testing", trichat.testing)])
def test_the_api_reference_has_each_public_name(page: str, module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {f"{module.__name__}.{alias.asname}" for node in imports for alias in node.names if alias.asname}
    text = text_of(ROOT / "docs" / "api" / f"{page}.md")
    described = set(re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE))
    assert described <= names
    assert [name for name in sorted(names - described) if f"`{name}` is " not in text] == []


# 4. The configuration


def keys() -> dict[str, list[str]]:
    """Return the keys of each table."""
    found = {"server": [field.name for field in msgspec.structs.fields(ServerOptions)]}
    for choice in choose_plugins(Config(), (), []):
        fields = () if choice.options is None else msgspec.structs.fields(choice.options)
        found[f"plugins.{choice.name}"] = [field.name for field in fields]
    return found


def text_by_table() -> dict[str, str]:
    """Return the text about each table on the configuration's page: what follows a line that begins with its name."""
    parts = re.split(r"^[#\s|*`]*\[(server|plugins\.\w+)\]", text_of(CONFIGURATION_PAGE), flags=re.MULTILINE)
    tables: dict[str, str] = {}
    for table, text in zip(parts[1::2], parts[2::2], strict=True):
        tables[table] = tables.get(table, "") + text
    return tables


def mentions(text: str, key: str) -> bool:
    return re.search(rf"`{key}`|^(?:# *)?{key} = ", text, re.MULTILINE) is not None


def test_each_key_of_the_configuration_is_documented_under_its_table() -> None:
    page = text_by_table()
    missing = [
        f"{table}.{key}" for table, names in keys().items() for key in names if not mentions(page.get(table, ""), key)
    ]
    assert missing == []


def test_each_table_of_the_configuration_is_documented_and_how_a_plugin_is_turned_off() -> None:
    assert text_by_table().keys() >= keys().keys()
    assert mentions(text_of(CONFIGURATION_PAGE), "enabled")


# 5. The tests


def modules() -> list[str]:
    """Return every module except the `__init__.py` of packages, which have no code of their own."""
    found = [*(ROOT / "trichat").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py")


def home_of_tests(module: str) -> Path:
    """`trichat/_chat/hub.py` is tested by `tests/chat/test_hub.py`."""
    *folders, name = module.removeprefix("plugins/").removeprefix("trichat/").split("/")
    return TESTS.joinpath(*(folder.strip("_") for folder in folders), f"test_{name.strip('_')}")


def test_each_module_has_a_test_module_of_its_name() -> None:
    wanted = [home_of_tests(module) for module in modules() if module not in UNTESTED]
    assert [str(path.relative_to(ROOT)) for path in wanted if not path.exists()] == []


def test_the_modules_that_need_no_test_module_are_still_there() -> None:
    assert UNTESTED.keys() - set(modules()) == set()
