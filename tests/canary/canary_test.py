"""usage: canary_test.py asan|tsan|valgrind PROGRAMS

Runs programs of programs.cpp under the tool of the build, as child processes: one with a planted
bug must be reported, one without must end well with nothing said. So neither a tool that has gone
blind nor one that cries wolf goes unnoticed.
"""

import os
import re
import subprocess
import sys

REPORTED = 99  # the exit code that each tool is told to end with
SAID = re.compile(r"WARNING: |ERROR: |FATAL: |runtime error|switching stacks|Invalid |"
                  r"uninitialised|CHECK failed|[1-9]\d* errors from")

COMMAND = {
    "asan": [],
    "tsan": [],
    "valgrind": ["valgrind", "--leak-check=no", f"--error-exitcode={REPORTED}"],
}
ENVIRONMENT = {
    "asan": {
        "ASAN_OPTIONS": f"detect_leaks=1:detect_stack_use_after_return=1:exitcode={REPORTED}",
        "LSAN_OPTIONS": f"exitcode={REPORTED}",
        "UBSAN_OPTIONS": f"halt_on_error=1:exitcode={REPORTED}",
    },
    "tsan": {"TSAN_OPTIONS": f"halt_on_error=1:exitcode={REPORTED}"},
    "valgrind": {},
}

ONCE, OFTEN = 1, 10
RACE = r"ThreadSanitizer: data race .*\n.*\n +#0 .*plant_race"
# For each tool: program, what its report matches (None: nothing is wrong with it), runs.
CASES = {
    "asan": [
        ("stack_buffer_overflow", r"AddressSanitizer: stack-buffer-overflow", ONCE),
        ("heap_use_after_free", r"AddressSanitizer: heap-use-after-free", ONCE),
        ("use_after_return", r"AddressSanitizer: stack-use-after-return", ONCE),
        ("leak", r"LeakSanitizer: detected memory leaks", ONCE),
        ("signed_overflow", r"runtime error: signed integer overflow", ONCE),
        ("parked_with_memory", None, ONCE),
        ("big_frames_after_exceptions", None, ONCE),
        ("reused_stacks", None, ONCE),
        ("many_parked_deep", None, ONCE),
    ],
    "tsan": [
        ("race_between_hubs", RACE, OFTEN),
        ("race_with_one_that_ended", RACE, OFTEN),
        ("locked_between_hubs", None, ONCE),
        ("atomic_between_hubs", None, ONCE),
        ("posted_between_hubs", None, ONCE),
        ("big_frames_after_exceptions", None, ONCE),
        ("reused_stacks", None, ONCE),
        ("many_parked_deep", None, ONCE),
        ("many_ended", None, ONCE),
        ("many_never_run", None, ONCE),
    ],
    "valgrind": [
        ("heap_use_after_free", r"Invalid read of size 4", ONCE),
        ("uninitialised_value", r"depends on uninitialised value", ONCE),
        ("parked_with_memory", None, ONCE),
        ("big_frames_after_exceptions", None, ONCE),
        ("reused_stacks", None, ONCE),
    ],
}


def problem(output, code, report):
    """What is wrong with one run; None if nothing is."""
    if report is None:
        if code != 0 or "done" not in output:
            return f"nothing is wrong with it, but it ended with {code}"
        if SAID.search(output):
            return "nothing is wrong with it, but something was said"
        return None
    if code != REPORTED:
        return f"its bug was not reported: it ended with {code}, not {REPORTED}"
    return None if re.search(report, output) else f"no match for {report!r}"


def run_once(tool, programs, name):
    """Its output and how it ends; a program that hangs ends with None."""
    try:
        run = subprocess.run([*COMMAND[tool], programs, name], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100,
                             check=False, env={**os.environ, **ENVIRONMENT[tool]})
        return run.stdout.decode(errors="replace"), run.returncode
    except subprocess.TimeoutExpired as hung:
        return (hung.stdout or b"").decode(errors="replace"), None


def failures(tool, programs, name, report, runs):
    found = []
    for _ in range(runs):
        output, code = run_once(tool, programs, name)
        wrong = problem(output, code, report)
        if wrong:
            found.append(f"{wrong}; its output:\n{output}")
    # What depends on how threads meet may be missed now and then.
    return found if len(found) > runs // 10 else []


def main():
    tool, programs = sys.argv[1], sys.argv[2]
    passed = failed = 0
    for name, report, runs in CASES[tool]:
        found = failures(tool, programs, name, report, runs)
        failed += bool(found)
        passed += not found
        wanted = "silent" if report is None else "reported"
        print(f"{name}, {wanted}: {'FAILED' if found else 'passed'}", *found, sep="\n  ")
    # The summary line that the other suites end with, so that their cases are counted alike.
    print(f"[doctest] test cases: {passed + failed} | {passed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


sys.exit(main())
