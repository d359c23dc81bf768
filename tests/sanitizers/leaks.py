"""One round of every call in tests/every_call.py under LeakSanitizer: no memory of our modules is lost.

Run by `make sanitize` through `tests/sanitizers/run address`. Python and NumPy lose some when they end, so
what is reported counts only where one of our modules is among the callers.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PROGRAM = """
import every_call
for name, call in every_call.CALLS.items():
    if name not in ("refine, torch", "out of memory"):  # PyTorch takes long; address space is not to be limited here
        for i in range(every_call.PERIOD):
            call(i)
print("done")
"""
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:stack_trace_format='#%n %f %S (%m)'",
    "LSAN_OPTIONS": "exitcode=0:max_leaks=0",
    "PYTHONMALLOC": "malloc",  # Python's own allocator hides what points where
    "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(TESTS)]),
}
OURS = re.compile(r"/densecrf/_(core|cuda_twin)\.[^/]*\.so")


def main():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **OPTIONS}, capture_output=True, text=True
    )
    if done.returncode or done.stdout != "done\n":
        sys.exit(f"the program failed with {done.returncode}\n{done.stderr}")
    if "LeakSanitizer has encountered a fatal error" in done.stderr:
        print("LeakSanitizer cannot run here: it may not trace its own process (ptrace)")
        return
    reports = re.findall(r"^(?:Direct|Indirect) leak of .*?\n\n", done.stderr, re.MULTILINE | re.DOTALL)
    lost = [report for report in reports if OURS.search(report)]
    if lost:
        sys.exit("".join(lost))
    print(f"nothing of ours is lost ({len(reports)} places of others)")


if __name__ == "__main__":
    main()
