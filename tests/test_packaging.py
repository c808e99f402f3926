"""The release: the wheel has everything that a server needs and nothing else, and builds are reproducible."""

import os
import shutil
import subprocess
import sys
from configparser import ConfigParser
from email import message_from_string
from importlib.metadata import entry_points
from pathlib import Path
from zipfile import ZipFile

import pytest
from process_kit import PATIENCE

ROOT = Path(__file__).parent.parent

# The files of a checkout that the build reads.
SOURCES = ["LICENSE", "README.md", "plugins", "pyproject.toml", "trichat"]


def build(checkout: Path, folder: Path, *targets: str) -> Path:
    """Build like `make dist`, or only some of its targets, into `folder`. Returns `folder`."""
    pytest.importorskip("hatchling", reason="hatchling builds trichat; the group `test` has it")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder), *targets]
    # If it were set, it would hide that a build uses the time of a file or of the clock.
    surroundings = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    subprocess.run(command, cwd=checkout, env=surroundings, timeout=PATIENCE * 3, check=True, capture_output=True)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wheel_in(folder: Path) -> ZipFile:
    (path,) = folder.glob("*.whl")
    return ZipFile(path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    return wheel_in(build(ROOT, tmp_path_factory.mktemp("dist"), "--target", "wheel"))


def test_the_wheel_has_the_server_with_its_tables_the_plugins_and_their_types(wheel: ZipFile) -> None:
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(base))
        for base, package in ((ROOT, "trichat"), (ROOT / "plugins", "trichat_plugins"))
        for path in (base / package).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed" or path.parent.name == "unicode"
    }
    assert packed == sources


def dist_info(wheel: ZipFile, file: str) -> str:
    (name,) = (name for name in wheel.namelist() if name.endswith(f".dist-info/{file}"))
    return wheel.read(name).decode()


def test_the_wheel_announces_the_command_and_every_built_in_plugin(wheel: ZipFile) -> None:
    announced = ConfigParser()
    announced.read_string(dist_info(wheel, "entry_points.txt"))
    assert dict(announced["console_scripts"]) == {"trichat": "trichat._cli.parser:main"}
    assert dict(announced["trichat"]) == {point.name: point.value for point in entry_points(group="trichat")}
    found = (ROOT / "plugins/trichat_plugins").glob("[!_]*")
    plugins = {path.stem for path in found if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(announced["trichat"]) == plugins


def test_the_wheel_offers_no_extra_for_those_who_work_on_trichat(wheel: ZipFile) -> None:
    assert message_from_string(dist_info(wheel, "METADATA")).get_all("Provides-Extra") == ["testing"]


@pytest.mark.parametrize("licence", ["LICENSE", "trichat/_base/unicode/LICENSE"])
def test_the_wheel_has_the_licence(wheel: ZipFile, licence: str) -> None:
    assert dist_info(wheel, f"licenses/{licence}") == (ROOT / licence).read_text(encoding="utf-8")


def test_whoever_builds_it_wherever_and_whenever_gets_the_same_bytes(tmp_path: Path) -> None:
    built = []
    for place, time, umask in (("here", 1_000_000_000, 0o022), ("a/long/way/off", 1_700_000_000, 0o077)):
        checkout = tmp_path / place
        shutil.copytree(ROOT, checkout, ignore=lambda folder, names: _not_built(Path(folder), names))
        for path in checkout.rglob("*"):
            os.utime(path, (time, time))
            path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        built.append(contents(build(checkout, tmp_path / "dist" / place)))
    assert sorted(name.rpartition(".")[2] for name in built[0]) == ["gz", "whl"]
    assert built[0] == built[1]


def _not_built(folder: Path, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__" or (folder == ROOT and name not in SOURCES)}


def test_the_sdist_builds_the_same_wheel(wheel: ZipFile, tmp_path: Path) -> None:
    (packed,) = build(ROOT, tmp_path / "sdist", "--target", "sdist").glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", packed], cwd=tmp_path, check=True)
    unpacked = tmp_path / packed.name.removesuffix(".tar.gz")
    again = wheel_in(build(unpacked, tmp_path / "wheel", "--target", "wheel"))
    assert wheel.filename is not None
    assert again.filename is not None
    assert Path(again.filename).read_bytes() == Path(wheel.filename).read_bytes()
