"""Building with and without CUDA, and what a build with CUDA says on a machine that has no GPU."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import densecrf
from densecrf import _build

ROOT = Path(__file__).resolve().parents[1]


# ---- choosing ---------------------------------------------------------------------------------------------------


def configured(folder, *options, **environment):
    """What CMake says of a configuration; nothing is compiled."""
    programs = Path(sys.executable).parent
    cmake, ninja = (
        shutil.which(name, path=f"{programs}{os.pathsep}{os.environ['PATH']}") for name in ("cmake", "ninja")
    )
    pybind11 = pytest.importorskip("pybind11")
    if not cmake or not ninja:
        pytest.skip("no CMake, or no Ninja")
    command = [cmake, "-S", ROOT, "-B", folder, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    command += [f"-DPython_EXECUTABLE={sys.executable}", f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", *options]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    built = "/_cuda.dir/" in (folder / "build.ninja").read_text() if done.returncode == 0 else None
    return built, " ".join((done.stdout + done.stderr).split())


WITHOUT_COMPILER = {"CUDACXX": "/nowhere/nvcc"}


def test_without_a_cuda_compiler_auto_builds_the_rest(tmp_path):
    assert configured(tmp_path, "-DDENSECRF_CUDA=AUTO", **WITHOUT_COMPILER)[0] is False


def test_without_a_cuda_compiler_on_fails_and_says_what_is_missing(tmp_path):
    built, said = configured(tmp_path, "-DDENSECRF_CUDA=ON", **WITHOUT_COMPILER)
    assert built is None
    assert "DENSECRF_CUDA is ON, and there is no CUDA compiler; put nvcc on the PATH or set CUDACXX" in said


def test_off_builds_no_cuda_even_with_a_compiler(tmp_path):
    assert configured(tmp_path, "-DDENSECRF_CUDA=OFF")[0] is False


def test_the_environment_may_choose_too(tmp_path):
    assert configured(tmp_path, DENSECRF_CUDA="OFF")[0] is False
    built, said = configured(tmp_path / "other", DENSECRF_CUDA="perhaps")
    assert built is None
    assert "DENSECRF_CUDA must be AUTO, ON or OFF, not 'perhaps'" in said


# ---- without a GPU ------------------------------------------------------------------------------------------------


@pytest.fixture
def core():
    module = _build.cuda_module()
    if module is None:
        pytest.skip("built without CUDA")
    if module.devices()[0] > 0:
        pytest.skip("there is a GPU")
    return module


class NoMemory:
    """Nobody gets as far as asking for memory."""

    def allocate(self, size):
        raise AssertionError(size)

    def release(self, address):
        raise AssertionError(address)


def test_the_module_needs_neither_a_driver_nor_a_runtime_to_load(core):
    needed = subprocess.run(["ldd", core.__file__], capture_output=True, text=True, check=True).stdout
    assert "libcuda" not in needed
    assert "not found" not in needed


def test_it_says_why_there_is_no_device(core):
    count, reason = core.devices()
    assert count == 0
    assert reason
    assert densecrf.build_info()["cuda"] == f"no device: {reason}"


def test_work_for_a_device_that_is_not_there_is_a_cuda_error(core):
    context = core.Context(0, 0, NoMemory())
    with pytest.raises(densecrf.CudaError, match=r"CUDA could not find the current device: .* \(cudaError\w+\)"):
        core.Survey(context, 0, 1, 2, 3)
    with pytest.raises(densecrf.CudaError):
        core.Model(context, (4, 5), 1, [], [])


def test_importing_densecrf_does_not_load_the_cuda_module():
    program = "import sys, densecrf; print('densecrf._cuda' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == "False"


def test_a_tensor_on_a_gpu_without_a_cuda_build_says_how_to_get_one(monkeypatch, twin):
    monkeypatch.setattr(_build, "cuda_module", lambda: None)
    with pytest.raises(TypeError, match="no CUDA back end; move them to the CPU, or build with DENSECRF_CUDA=ON"):
        densecrf.refine(twin.put(np.zeros((4, 5, 3), np.uint8)), twin.put(np.full((2, 4, 5), 0.5, np.float32)))
