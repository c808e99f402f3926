"""Change the code a little, and see whether a test notices.

`make mutants ARGS="trichat/_chat/turns.py --most 20"` makes one small change (a mutant) after another to the named
files, in a temporary copy of the checkout, and runs the tests that concern the file. It lists the mutants that lived:
those that no test has noticed. One that users would notice needs a test; others are equivalent or about speed.

This is our own because `mutmut` 3.8 changes no constant of a module and no function with a decorator, and fails under
the pytest of the suite, while `cosmic-ray` 8.7 deletes no statement and works on the checkout itself.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

from mutations import Mutant, mutants_of

ROOT = Path(__file__).parent.parent
DEFAULT = ["trichat/_chat", "trichat/_plugins"]

# Besides the tests in the folder that mirrors the file's. test_everywhere.py finds more, but takes more than a minute.
ALSO = ["tests/test_server.py", "tests/test_promises.py", "tests/transcripts"]
PYTEST = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]

# A mutant hangs if its tests take this many times as long as those of the unchanged code, and some seconds. That is
# noticed, too. Those of the unchanged code must not take longer than the last of these numbers.
PATIENCE, AND_SECONDS, LONGEST = 3, 10, 600
# A mutant that loops must not take all of the machine's memory.
MEMORY = 4 << 30


def relevant_tests(path: str, root: Path) -> list[str]:
    """Return the tests that concern a file, those of its own first: they fail soonest."""
    _, *folders, name = Path(path).parts
    folder = "/".join(["tests", *(each.removeprefix("_") for each in folders)])
    concerned = [f"{folder}/test_{name}", *([folder] if folders else []), *ALSO]
    return [each for each in concerned if (root / each).exists()]


class Copy:
    """A copy of a checkout, in which tests run while one file is changed."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = folder / "checkout"
        self._scratch = folder / "scratch"
        shutil.copytree(root, self._root, ignore=shutil.ignore_patterns(".*", "__pycache__", "site", "dist", "build"))
        path = os.pathsep.join([str(self._root), str(self._root / "plugins")])
        self._environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder)}

    def seconds(self, tests: Sequence[str]) -> float | None:
        """Run these tests, and return how long they took, or `None` if they fail."""
        before = time.monotonic()
        return time.monotonic() - before if self._pass(tests, LONGEST) else None

    def notices(self, mutant: Mutant, tests: Sequence[str], timeout: float) -> bool:
        """Return whether the tests fail with a mutant, or do not end in time."""
        path = self._root / mutant.path
        text = path.read_bytes()
        try:
            self._write(path, mutant.text)
            return not self._pass(tests, timeout)
        finally:
            self._write(path, text)

    def _write(self, path: Path, text: bytes) -> None:
        path.write_bytes(text)
        # Python would use the compiled file of another mutant that was written in the same second.
        Path(cache_from_source(str(path))).unlink(missing_ok=True)

    def _pass(self, tests: Sequence[str], timeout: float) -> bool:
        command = [sys.executable, *PYTEST, f"--basetemp={self._scratch}", *tests]
        running = subprocess.Popen(
            command,
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        )
        try:
            return running.wait(timeout) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            # With everything that the tests have started.
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def chosen(paths: Sequence[str], root: Path, most: int | None, seed: int) -> list[Mutant]:
    """Return the mutants of all files, or `most` of them: with the same seed, the same ones."""
    found = [root / path for path in paths]
    files = [file for path in found for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    mutants = [each for file in files for each in mutants_of(str(file.relative_to(root)), file.read_bytes())]
    if most is None or most >= len(mutants):
        return mutants
    return [mutants[place] for place in sorted(random.Random(seed).sample(range(len(mutants)), most))]


def run(mutants: Sequence[Mutant], root: Path) -> int:
    """Test these mutants, print those that live, and return the exit status."""
    limits: dict[str, float] = {}
    lived = tested = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(root, Path(folder))
        try:
            for mutant in mutants:
                tests = relevant_tests(mutant.path, root)
                if mutant.path not in limits:
                    seconds = copy.seconds(tests)
                    if seconds is None:
                        print(f"the tests of {mutant.path} fail as it is: {' '.join(tests)}", file=sys.stderr)
                        return 1
                    limits[mutant.path] = PATIENCE * seconds + AND_SECONDS
                is_noticed = copy.notices(mutant, tests, limits[mutant.path])
                tested += 1
                if not is_noticed:
                    lived += 1
                    print(mutant, flush=True)
        except KeyboardInterrupt:
            return 130
        finally:
            print(f"{tested} of {len(mutants)} mutants tested, {lived} lived")
    return 0


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Test mutants, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="*", default=DEFAULT, help="files or folders, from the root of the checkout")
    parser.add_argument("--most", type=int, metavar="N", help="test N mutants, chosen by the seed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for path in options.paths:
        if not (root / path).exists():
            parser.error(f"there is no {path}")
    return run(chosen(options.paths, root, options.most, options.seed), root)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
