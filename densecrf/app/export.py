"""The sliders' setting as a program; as TOML, `Parameters` writes itself."""

from __future__ import annotations

from densecrf import Parameters
from densecrf.app.session import Subject


def program(subject: Subject, parameters: Parameters) -> str:
    """Python that refines the same picture with the same numbers, and runs as it stands beside its files."""
    standard, first, own = _imports(subject.program)
    near = f"sxy={parameters.sigma_gamma:g}, weight={parameters.w2:g}"
    alike = f"sxy={parameters.sigma_alpha:g}, srgb={parameters.sigma_beta:g}, weight={parameters.w1:g}"
    kind = f'normalization="{parameters.normalization}"'
    return f"""{standard}{first}
{own}
terms = [
    densecrf.Gaussian({near}, {kind}),
    densecrf.Bilateral({alike}, {kind}),
]
refined = densecrf.refine(image, probs, terms=terms, iterations={parameters.iterations})
labels = refined.argmax(axis=0)
print(f"{{(labels != probs.argmax(axis=0)).mean():.1%}} of the labels changed")
"""


def _imports(own: str) -> tuple[str, str, str]:
    """NumPy and Pillow where they are used; densecrf; the lines that load the picture."""
    standard = "import numpy as np\n" if "np." in own else ""
    if "Image." in own:
        standard += f"from PIL import Image{', ImageOps' if 'ImageOps.' in own else ''}\n"
    standard += "\n" if standard else ""
    if "densecrf.data" in own:
        first, _, own = own.partition("\n\n")
        return standard, f"import densecrf\n{first}\n", own
    return standard, "import densecrf\n", own
