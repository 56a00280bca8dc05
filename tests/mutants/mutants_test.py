"""usage: mutants_test.py SOURCE WORK

Takes one safeguard at a time out of a copy of SOURCE in WORK, and sees whether a test notices.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# name, file, what is replaced, by what, the tests one of which has to fail
MUTANTS = [
    ("exception state is not restored at a switch", "include/uvlet/switch.hpp",
     "  thread.exceptions->caught = caught;\n", "",
     ["test_uvlet_exception_state"]),
    ("errno is not restored at a switch", "include/uvlet/switch.hpp",
     "  *thread.error = from.saved_errno;\n", "",
     ["test_uvlet_exception_state"]),
    ("a killed acquirer keeps its permit", "include/uvlet/permits.hpp",
     "    permits_->put();\n", "", ["sim_explore_locks"]),
    ("a cancelled Timeout leaves its timer", "src/uvlet/timeout.cpp",
     "  cancel_timer();\n  if (interrupt_.queued())", "  if (interrupt_.queued())",
     ["sim_explore_greenthread"]),
    ("a killed sleeper leaves its timer", "include/uvlet/sleep.hpp",
     "    cancel_timer();\n", "", ["sim_kill_storm"]),
    ("a killed waiter stays in the list of an Event", "green/event.hpp",
     "    cancel_timer();\n    this->unlink();\n", "    cancel_timer();\n",
     ["sim_explore_event"]),
    ("an interrupted wait keeps its notification", "green/condition_variable.cpp",
     "  if (pass_on) condition_->notify_one();\n", "", ["sim_explore_mutex"]),
    ("a cancelled wait for a Condition keeps its notification", "src/aio/condition.cpp",
     "condition_.wake_first();", "(void)0;", ["sim_explore_aio"]),
    ("a killed waiter keeps a shared_mutex", "green/mutex.cpp",
     "    core_->release(exclusive_);\n", "", ["sim_explore_mutex"]),
    ("a killed acquirer leaves room for its permit", "green/semaphore.cpp",
     "  to_->take_back();\n", "", ["sim_explore_mutex"]),
    ("who leaves an aio::Barrier still counts", "src/aio/barrier.cpp",
     "  unlink();\n  --barrier_.waiting_count_;\n", "  unlink();\n", ["sim_explore_aio"]),
    ("an interrupt that is due leaves what is awaited behind", "include/uvlet/waiter.hpp",
     "Derived::forwards_cancel)) {", "false)) {", ["sim_kill_storm", "test_green_interrupt"]),
    ("a Shield does not hold back a kill", "src/uvlet/root.cpp",
     "  if (shields > 0 || thrown) return", "  if (thrown) return", ["test_uvlet_shield"]),
    ("a closed descriptor wakes nobody", "src/uvlet/descriptor.cpp",
     "      request->complete();\n", "", ["sim_socket_storm"]),
]


def run(command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)


def notices(build, test, environment):
    try:
        return run([build / "tests" / test], env=environment, timeout=120).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def survives(copy, build, mutant, environment):
    """Why this mutant was not caught; nothing if it was."""
    _, file, before, after, tests = mutant
    path = copy / file
    text = path.read_text()
    if text.count(before) == 0:
        return f"{file} has no such line any more"
    path.write_text(text.replace(before, after))
    try:
        built = run(["ninja", "-C", build, *[f"tests/{test}" for test in tests]])
        if built.returncode != 0:
            return "does not build: " + built.stdout[-2000:]
        if not any(notices(build, test, environment) for test in tests):
            return "not noticed by " + ", ".join(tests)
    finally:
        path.write_text(text)
    return None


def main():
    source, copy = Path(sys.argv[1]), Path(sys.argv[2]) / "source"
    build = Path(sys.argv[2]) / "build"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("build*", ".git"))
    if not (build / "build.ninja").exists():
        setup = run(["meson", "setup", build, copy, "-Doptimization=1", "-Dbench=false"],
                    env={**os.environ, "CXX": "ccache g++"})
        if setup.returncode != 0:
            print(setup.stdout)
            return 1
    environment = {**os.environ, "UVLET_SEEDS": str(copy / "tests/sim/seeds.txt")}
    passed = failed = 0
    for mutant in MUTANTS:
        why = survives(copy, build, mutant, environment)
        failed += why is not None
        passed += why is None
        print(f"{mutant[0]}: {'caught' if why is None else 'SURVIVED: ' + why}", flush=True)
    print(f"[doctest] test cases: {passed + failed} | {passed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


sys.exit(main())
