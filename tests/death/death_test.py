"""usage: death_test.py PROGRAMS SANITIZED

Runs each program of this folder as a child process and checks what it says and how it ends.
SANITIZED is "yes" where a sanitizer takes the signals, or counts the memory, itself.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

SEGV = -signal.SIGSEGV
ABORT = -signal.SIGABRT

# name, how it ends, patterns that its output matches, whether it makes sense under a sanitizer
CASES = [
    ("overflow_by_recursion", SEGV,
     [r"stack overflow in green thread \d+ 'deep'", r"stack of 256 KiB is full"], False),
    ("overflow_by_one_big_frame", SEGV,
     [r"stack overflow in green thread \d+ 'big'", r"spawned at "], False),
    ("overflow_with_mprotect", SEGV,
     [r"stack overflow in green thread \d+ 'deep'", r"stack of 64 KiB is full"], False),
    ("overflow_on_another_thread", SEGV, [r"stack overflow in green thread \d+ 'deep'"], False),
    ("overflow_within_malloc", SEGV, [r"stack overflow in green thread \d+ 'deep'"], False),
    ("deadlock_of_main", 0,
     [r"deadlock: ", r"the main green thread.*waiting on an event", r"usable: 7"], True),
    ("deadlock_by_self_join", 0,
     [r"green thread \d+ 'selfish', waiting on the end of a green thread, spawned at",
      r"usable: 7"], True),
    ("deadlock_of_a_task", 0, [r"task \d+.*waiting on a Future", r"usable: 7"], True),
    ("deadlock_of_two_locks_crosswise", 0,
     [r"green thread \d+ 'one', waiting on a semaphore.*spawned at",
      r"green thread \d+ 'other', waiting on a semaphore", r"usable: 7"], True),
    ("deadlock_on_an_empty_queue", 0,
     [r"the main green thread.*waiting on an item", r"usable: 7"], True),
    ("no_deadlock_while_others_may_post", 0, [r"^5$"], True),
    ("no_deadlock_while_the_pool_works", 0, [r"^done$"], True),
    ("blocking_in_a_libuv_callback", 0, [r"sleep: .*libuv callback", r"awaitlet: refused"], True),
    ("exception_out_of_a_libuv_callback", ABORT, [r"terminate called"], True),
    ("hundred_thousand_parked", 0, [r"bytes each: \d+", r"all ended"], False),
    ("too_many_for_mprotect", 0,
     [r"errno 12: .*vm\.max_map_count", r"more than 10000: 1", r"usable: 7"], False),
    ("post_that_lacks_a_stack", 0, [r"before: ''", r"after: '12'"], False),
    ("more_than_max_map_count_with_madvise", 0,
     [r"madvise, parked: 7\d{4}|no such guard: .*MADV_GUARD_INSTALL",
      r"usable: 7|no such guard"], False),
    ("thread_end_unwinds_a_thousand", 0,
     [r"alive: 1001$", r"^left: 0$", r"^descriptors left: 0$"], True),
    ("thread_end_unwinds_a_hundred_thousand", 0,
     [r"alive: 100001$", r"^left: 0$", r"^descriptors left: 0$"], False),
    ("thread_end_gives_up", 0,
     [r"would not end with their OS thread:\n\s*green thread \d+ 'immortal', waiting on sleep",
      r"the thread has ended"], False),
    ("blocking_after_the_hub_of_a_thread", 0, [r"the hub of this thread has ended"], True),
    ("waits_while_main_exits", 0, [r"atexit: 7\ndestructor of a static: 7"], True),
    ("waits_while_a_green_thread_exits", 3, [r"atexit: 7\ndestructor of a static: 7"], True),
    ("waits_for_the_first_time_while_the_process_exits", 0,
     [r"atexit: 7\ndestructor of a static: 7"], True),
    ("main_returns_while_others_wait", 0, [], True),
    ("exit_in_a_green_thread", 3, [], True),
    ("exit_in_a_green_thread_of_another_thread", 3, [], True),
    ("interrupted", -signal.SIGINT, [r"^caught$"], True),
    ("exit_while_a_name_is_looked_up", 0, [r"^exits$"], True),
    ("exception_out_of_noexcept", ABORT, [r"terminate called"], True),
    ("kill_in_noexcept", ABORT, [r"terminate called"], True),
    ("kill_in_a_destructor", ABORT, [r"terminate called"], True),
    ("kill_in_a_shield_in_noexcept", 0, [r"^killed after it$"], True),
    ("kill_in_a_shield_in_a_destructor", 0, [r"^killed after it$"], True),
    ("kill_in_a_shield_at_the_end", 0, [r"^not killed$"], True),
    ("wait_in_the_initialiser_of_a_static", ABORT, [r"terminate called.*recursive_init_error"],
     True),
    ("thread_not_joined", ABORT, [r"without join\(\) or detach\(\)"], True),
    ("exception_out_of_a_thread", ABORT, [r"terminate called.*std::runtime_error", r"left a thread"],
     True),
    ("overflow_with_detection", SEGV, [r"stack overflow in green thread \d+ 'deep'"], False),
    ("uncaught_is_reported", 0,
     [r"green thread \d+ 'thrower'.*ended with std::runtime_error: seen on stderr"], True),
    ("transitions_at_exit", 0,
     [r'"function": ".*transitions_at_exit.*"direction": "sync->async", "calls": 1, "suspended": 1'],
     True),
    ("transitions_as_a_graph", 0,
     [r'\Adigraph transitions {\n(  \w+=\w+;\n|  node \[shape=box\];\n)+'
      r'(  "[^"]+" -> "coroutines" \[label="line \d+: 1 calls[^"]*"\];\n)}\n\Z'], True),
    ("transitions_of_a_child", 0,
     [r"^the child wrote no report$", r'"function": ".*transitions_of_a_child"'], True),
]
BYTES_EACH_MAX = 5 * 1024  # resident and page tables, a parked green thread, with madvise guards


REPORTS = {"transitions_at_exit": "report.json", "transitions_as_a_graph": "report.dot",
           "transitions_of_a_child": "report.json"}


def run_with_report(command, report, **how):
    """Runs it; what it then wrote to the file UVLET_TRANSITIONS follows its output."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / report
        run = subprocess.run(command, env={**os.environ, "UVLET_TRANSITIONS": str(path)}, **how)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    if path.suffix == ".json":
        json.loads(text)
    run.stdout += text
    return run


def problems(programs, name, ending, patterns):
    how = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
               text=True, timeout=120, check=False)
    if name in REPORTS:
        run = run_with_report([programs, name], REPORTS[name], **how)
    else:
        run = subprocess.run([programs, name], **how)
    found = []
    if run.returncode != ending:
        found.append(f"ended with {run.returncode}, not {ending}")
    found += [f"no match for {pattern!r}" for pattern in patterns
              if not re.search(pattern, run.stdout, re.MULTILINE)]
    each = re.search(r"bytes each: (\d+)", run.stdout)
    if each and "guard: madvise" in run.stdout and int(each.group(1)) > BYTES_EACH_MAX:
        found.append(f"{each.group(1)} bytes each, the limit is {BYTES_EACH_MAX}")
    return [*found, "its output:", run.stdout] if found else []


def main():
    programs, sanitized = sys.argv[1], sys.argv[2] == "yes"
    passed = failed = skipped = 0
    for name, ending, patterns, under_sanitizer in CASES:
        if sanitized and not under_sanitizer:
            skipped += 1
            print(f"{name}: skipped: the sanitizer takes the signal, or its memory is counted too")
            continue
        found = problems(programs, name, ending, patterns)
        failed += bool(found)
        passed += not found
        print(f"{name}: {'FAILED' if found else 'passed'}", *found, sep="\n  " if found else "")
    # The summary line that the other suites end with, so that their cases are counted alike.
    print(f"[doctest] test cases: {passed + failed} | {passed} passed | {failed} failed | "
          f"{skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
