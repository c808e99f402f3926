"""What is installed: the wheel has everything that a server needs, and nothing else."""

import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import entry_points
from pathlib import Path
from zipfile import ZipFile

import pytest
from process_kit import PATIENCE

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "-w",
        ".",
        str(ROOT),
    ]
    subprocess.run(command, cwd=folder, timeout=PATIENCE * 3, check=True, capture_output=True)
    return ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_has_the_server_the_plugins_and_their_types(wheel: ZipFile) -> None:
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(base))
        for base, package in ((ROOT, "trichat"), (ROOT / "plugins", "trichat_plugins"))
        for path in (base / package).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert packed == sources


def test_the_wheel_announces_the_command_and_every_built_in_plugin(wheel: ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    announced = ConfigParser()
    announced.read_string(wheel.read(name).decode())
    assert dict(announced["console_scripts"]) == {"trichat": "trichat._cli.parser:main"}
    assert dict(announced["trichat"]) == {point.name: point.value for point in entry_points(group="trichat")}
    plugins = {path.stem for path in (ROOT / "plugins/trichat_plugins").glob("[!_]*.py")}
    assert set(announced["trichat"]) == plugins


def test_the_wheel_has_the_licence(wheel: ZipFile) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
