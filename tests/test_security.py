"""Files are data, and nobody is called: what no program of ours does, read in their sources."""

import re

import pytest
from documents import ROOT
from forbidden_calls import offences

# Where one of these is the point, and why that is all right.
ALLOWED = {
    "densecrf/app/server.py": {"socket", "socket.create_server", "socket.AF_INET", "socket.AF_INET6", "socket.socket",
                               "webbrowser", "webbrowser.open"},  # the page's own server, on loopback
    "densecrf/batch/records.py": {"socket", "socket.gethostname"},  # asks this machine for its name
    "benchmarks/memory.py": {"pickle", "pickle.loads", "pickle.dumps"},  # a file it has just written itself
    "tests/soak/valgrind.py": {"xml.etree.ElementTree", "xml.etree.ElementTree.parse"},  # what Valgrind has just said
}  # fmt: skip
# Benchmarks and the site's tools start Python and look at pictures of who runs them; the library starts nothing.
TOOLS_MAY = r"subprocess(\.\w+)?|PIL\.Image\.open"

LIBRARY = sorted(path for folder in ("densecrf", "deeplab") for path in (ROOT / folder).rglob("*.py"))
TOOLS = sorted(path for folder in ("benchmarks", "docs/tools") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def found(paths, allowed=r"(?!)"):
    """What there is in files, but for what is allowed there or everywhere."""
    every = []
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        here = offences(path.read_text(encoding="utf-8"), name)
        words = [(text, text.rpartition(": ")[2]) for text in here]
        every += [text for text, what in words if what not in ALLOWED.get(name, ()) and not re.fullmatch(allowed, what)]
    return every


def test_the_library_makes_no_program_of_data_and_calls_nobody():
    assert len(LIBRARY) > 100
    assert found(LIBRARY) == []


def test_benchmarks_and_tools_start_programs_without_a_shell_and_do_nothing_else_of_it():
    assert len(TOOLS) > 20
    assert found(TOOLS, TOOLS_MAY) == []


def test_tests_use_no_shell_no_yaml_no_other_machine_and_unpack_no_archive():
    bad = r"shell|share|yaml.*|xml.*|requests.*|urllib\.request.*|os\.system|extractall|extract|tempfile\.mktemp"
    assert [text for text in found(TESTS) if re.fullmatch(bad, text.rpartition(": ")[2])] == []


def test_what_is_allowed_somewhere_is_still_there():
    for name, words in ALLOWED.items():
        here = {text.rpartition(": ")[2] for text in offences((ROOT / name).read_text(encoding="utf-8"))}
        assert words <= here, name


OFFENDERS = {
    "import pickle": "pickle",
    "from pickle import loads": "pickle.loads",
    "import yaml as y": "yaml",
    "import xml.etree.ElementTree as tree": "xml.etree.ElementTree",
    "def f():\n    from urllib.request import urlopen": "urllib.request.urlopen",
    "import urllib\nurllib.request.urlopen('x')": "urllib.request.urlopen",
    "import torch\ntorch.load(path)": "torch.load",
    "import torch\ntorch.load(path, weights_only=False)": "torch.load",
    "import torch\ntorch.load(path, weights_only=careful)": "torch.load",
    "from torch import load as read\nread(path)": "torch.load",
    "import torch\nlist(map(torch.load, paths))": "torch.load",
    "import torch\ntorch.hub.load('x', 'y')": "torch.hub.load",
    "import numpy as np\nnp.load(path, allow_pickle=True)": "numpy.load",
    "import numpy as np\nnp.load(path, None, True)": "numpy.load",
    "import numpy as np\nnp.load(path, **more)": "numpy.load",
    "from numpy.lib import format as npy\nnpy.read_array(file, allow_pickle=True)": "numpy.lib.format.read_array",
    "from PIL import Image\nImage.open(path)": "PIL.Image.open",
    "eval(text)": "eval",
    "run = exec": "exec",
    "import os\nos.system('ls')": "os.system",
    "import subprocess\nsubprocess.run('ls', shell=True)": "shell",
    "import tempfile\ntempfile.mktemp()": "tempfile.mktemp",
    "archive.extractall(folder)": "extractall",
    "page.launch(share=True)": "share",
}


@pytest.mark.parametrize("source", OFFENDERS)
def test_an_offence_is_found(source):
    assert OFFENDERS[source] in [text.rpartition(": ")[2] for text in offences(source)]


HARMLESS = (
    "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
    "import numpy as np\nnp.load(path)\nnp.load(path, allow_pickle=False)",
    "from PIL import Image\nImage.open(path, formats=FORMATS)",
    "network.eval()\nre.compile('x')\nimport ast\nast.literal_eval('1')",
    "import urllib.parse\nurllib.parse.quote('x')",
    "subprocess_of = 1\npage.launch(share=False)",
)


@pytest.mark.parametrize("source", HARMLESS)
def test_what_only_looks_like_one_is_none(source):
    assert offences(source) == []
