"""What gets installed, what it drags in, and what the core may know."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import densecrf

ROOT = Path(__file__).resolve().parents[1]

# Programs of an environment must find its packages, not the checkout's.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
ENVIRONMENT["CUDAARCHS"] = "90"  # kernels for one kind of device are enough here, and sooner compiled

REFINE = """
import importlib.metadata, importlib.util, json
import numpy as np
import densecrf, densecrf.data
image = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
logits = densecrf.data.logits("astronaut")[:, 4:12, 4:13]
print(json.dumps({
    "file": densecrf.__file__,
    "version": densecrf.__version__,
    "installed": importlib.metadata.version("densecrf"),
    "torch": importlib.util.find_spec("torch") is not None,
    "refined": densecrf.refine(image, logits, from_logits=True).tolist(),
}))
"""


def run(command: Sequence[str | Path], **options: object) -> str:
    """Run a program to its end and give what it printed; a failure shows all of it."""
    done = subprocess.run(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


# ---- from the sources to an empty environment -----------------------------------------------------------------


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with pip alone in it; gives its programs' folder."""
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", folder])
    programs = folder / "bin"
    reach = [programs / "pip", "download", "--no-deps", "--retries", "1", "--timeout", "15", "--dest", folder, "ninja"]
    reached = subprocess.run(reach, env=ENVIRONMENT, capture_output=True, text=True)
    if reached.returncode != 0:
        pytest.skip(f"the package index cannot be reached: {reached.stderr.strip()[-300:]}")
    return programs


@pytest.fixture(scope="module")
def distributions(empty_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build an sdist of the checkout, and a wheel of that sdist."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("distributions")
    # From a copy, since the build leaves files behind. Compiled modules come along: they are in every checkout
    # that is tested, and must not slip in.
    leave = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "demo", "site", "*.egg-info")
    shutil.copytree(ROOT, folder / "source", ignore=leave)
    run([sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "source"], cwd=folder)
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(empty_environment: Path, distributions: tuple[Path, Path]) -> Path:
    """Install the wheel into the empty environment; gives its programs' folder."""
    run([empty_environment / "pip", "install", "--quiet", distributions[1]], cwd=distributions[1].parent)
    return empty_environment


@pytest.mark.slow
def test_the_sdist_holds_what_a_build_and_a_test_run_need(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.*")}
    assert sources
    assert sources <= files
    assert {"CMakeLists.txt", "setup.py", "pyproject.toml", "LICENSE", "README.md"} <= files
    assert {"tests/conftest.py", "tests/test_packaging.py", "densecrf/_core.pyi", "densecrf/py.typed"} <= files
    assert not [name for name in files if name.endswith((".so", ".pyc"))]


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(distributions: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[1]) as archive:
        files = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in files if name.endswith(".dist-info/METADATA"))
    folders = {name.partition("/")[0] for name in files}
    assert folders == {"densecrf", "deeplab", f"densecrf-{densecrf.__version__}.dist-info"}
    modules = {str(path.relative_to(ROOT)) for name in ("densecrf", "deeplab") for path in (ROOT / name).rglob("*.py")}
    modules |= {str(path.relative_to(ROOT)) for path in (ROOT / "deeplab" / "configs").glob("*.toml")}
    assert modules | {"densecrf/py.typed", "densecrf/_core.pyi", "densecrf/data/deeplab_logits.npz"} <= files
    assert len([name for name in files if re.fullmatch(r"densecrf/_core\..*\.so", name)]) == 1
    assert [name for name in files if name.endswith("/LICENSE")]
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert [line.split()[1].partition(">")[0] for line in required] == ["numpy"]


@pytest.mark.slow
def test_the_wheel_refines_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    answer = json.loads(run([installed / "python", "-c", REFINE], cwd=tmp_path))
    assert Path(answer["file"]).is_relative_to(installed.parent)
    assert answer["version"] == answer["installed"] == densecrf.__version__
    assert not answer["torch"]
    here: dict[str, object] = {}
    exec(REFINE.partition("print")[0], here)
    refined = densecrf.refine(here["image"], here["logits"], from_logits=True)
    np.testing.assert_allclose(answer["refined"], refined, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_installed_command_says_what_it_needs_and_helps_once_it_has_it(
    installed: Path, distributions: tuple[Path, Path], tmp_path: Path
) -> None:
    def refused(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [installed / "densecrf", *arguments], env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True
        )
        return done.returncode, done.stderr

    status, said = refused("--help")
    assert status == 2
    assert 'pip install "densecrf[cli]"' in said
    run([installed / "pip", "install", "--quiet", f"{distributions[1]}[cli]"], cwd=distributions[1].parent)
    assert "demo" in run([installed / "densecrf", "--help"], cwd=tmp_path)
    status, said = refused("demo")
    assert status == 1
    assert 'pip install "densecrf[demo]"' in said


@pytest.mark.slow
def test_a_typed_program_runs_with_the_wheel_and_passes_mypy_strict(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    shutil.copy(ROOT / "tests" / "installed_program.py", tmp_path)
    assert run([installed / "python", "installed_program.py"], cwd=tmp_path).startswith(densecrf.__version__)
    check = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "installed_program.py"]
    run([*check, "--python-executable", installed / "python"], cwd=tmp_path)
    (tmp_path / "wrong.py").write_text("import densecrf\ndensecrf.Gaussian(sxy='wide', weight=3)\n")
    wrong = [*check[:-1], "--python-executable", installed / "python", "wrong.py"]
    found = subprocess.run(wrong, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True)
    assert "[arg-type]" in found.stdout  # so the wheel's types are seen, and not taken for Any


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_an_empty_environment(
    empty_environment: Path, distributions: tuple[Path, Path], tmp_path: Path
) -> None:
    run([sys.executable, "-m", "venv", tmp_path / "environment"])
    programs = tmp_path / "environment" / "bin"
    run([programs / "pip", "install", "--quiet", f"densecrf[demo] @ {distributions[1].as_uri()}"], cwd=tmp_path)
    printed = run([programs / "densecrf", "demo", "--out", "drawn"], cwd=tmp_path)
    assert "astronaut" in printed
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["astronaut.png", "motorcycle.png"]


# ---- what depends on what ------------------------------------------------------------------------------------


def printed_by(program: str) -> str:
    """Run a program in a fresh interpreter that finds this densecrf; gives what it printed."""
    environment = {**ENVIRONMENT, "PYTHONPATH": str(Path(densecrf.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_no_module_of_densecrf_imports_what_only_extras_bring_or_deeplab() -> None:
    program = """
import importlib, json, pkgutil, sys
import densecrf
names = [module.name for module in pkgutil.walk_packages(densecrf.__path__, "densecrf.")]
names.remove("densecrf._overlay")  # draws, with Pillow; the demo imports it when it comes to that
names.remove("densecrf.torch")  # is for those who have it
# Imported when typer, or what the page is made with, is known to be there.
names = [name for name in names if not name.startswith(("densecrf.cli.", "densecrf.app."))]
for name in names:
    importlib.import_module(name)
print(json.dumps([names, [name for name in sys.modules if "." not in name]]))
"""
    names, imported = json.loads(printed_by(program))
    assert {"densecrf._core", "densecrf._demo", "densecrf._arrays", "densecrf.data", "densecrf.reference"} <= set(names)
    assert {"densecrf.cli", "densecrf.app", "densecrf._files.pictures", "densecrf.batch"} <= set(names)
    extras = {"torch", "skimage", "PIL", "scipy", "matplotlib", "cupy", "typer", "rich", "ray", "tomli", "gradio"}
    assert not (extras | {"deeplab"}) & set(imported)


def test_densecrf_is_imported_in_a_third_of_a_second() -> None:
    program = "import time; start = time.perf_counter(); import densecrf; print(time.perf_counter() - start)"
    assert min(float(printed_by(program)) for _ in range(5)) < 0.3


def test_the_core_knows_no_python_outside_its_bindings() -> None:
    files = [path for path in (ROOT / "csrc").rglob("*.*") if "bindings" not in path.parts]
    assert len(files) > 10
    included = {name for path in files for name in re.findall(r'#\s*include\s*[<"]([^>"]+)', path.read_text())}
    assert {"vector", "../simplex.h"} <= included
    foreign = re.compile(r"python|pybind11|numpy|torch|aten|c10|bindings/", re.IGNORECASE)
    assert not [name for name in included if foreign.match(name) or "bindings/" in name]
