# shellcheck shell=bash
#
# How the commands in tools/ run and count tests. Sourced after tools/lib.sh.

# count LOG: reads meson's testlog.json, or that of a setup. Prints "PASSED FAILED" on the first line,
# then one line for each test that failed.
count() {
  python3 - "$1" <<'PYTHON'
import json
import re
import sys

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SUMMARY = re.compile(r"\[doctest\] test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")

passed = failed = 0
failures = []


def count_test(test):
    """The passed and failed cases of one test."""
    result = test["result"]
    if result == "SKIP":
        return 0, 0
    good = result in ("OK", "EXPECTEDFAIL")
    summaries = SUMMARY.findall(COLOUR.sub("", test.get("stdout") or ""))
    if result == "EXPECTEDFAIL" or not summaries:
        return int(good), int(not good)
    cases_passed = sum(int(summary[0]) for summary in summaries)
    cases_failed = sum(int(summary[1]) for summary in summaries)
    if not good and cases_failed == 0:
        # It failed outside of its cases: a leak found at exit, a crash after the summary.
        cases_failed = 1
    return cases_passed, cases_failed


try:
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        for line in log:
            if not line.strip():
                continue
            test = json.loads(line)
            test_passed, test_failed = count_test(test)
            passed += test_passed
            failed += test_failed
            if test_failed:
                failures.append(f"{test['name']}: {test['result']}, {test_failed} failed")
except FileNotFoundError:
    pass  # meson writes no log when there is no test

print(passed, failed)
for failure in failures:
    print(failure)
PYTHON
}

# run_tests NAME ARGUMENT...: builds build/NAME and runs its tests, with the arguments for `meson
# test`. Leaves the result in `passed` and `failed`.
run_tests() {
  local directory=build/$1 status=0 counted
  passed=0 failed=1
  build "$1" || return
  shift

  progress "$directory: test"
  # The logs of an earlier run must not pass for this one's, should meson end early.
  rm -f -- "$directory"/meson-logs/testlog*
  run_logged "$directory/test.log" \
    meson test -C "$directory" --print-errorlogs --no-rebuild "$@" || status=$?

  if ! counted=$(count "$directory"/meson-logs/testlog*.json); then
    printf '%s: cannot count the tests\n' "$directory" >&2
    return 1
  fi
  read -r passed failed <<<"$counted"
  if ((failed > 0)); then
    printf '%s: failed tests:\n' "$directory" >&2
    tail -n +2 <<<"$counted" | sed 's/^/  /' >&2
  elif ((passed == 0)); then
    printf '%s: no test ran\n' "$directory" >&2
    failed=1
  elif ((status != 0)); then
    # The tests say that all is well and meson does not.
    failed=1
  fi
}

table=$(printf '%-16s %8s %8s %8s' directory passed failed seconds)
total_passed=0
total_failed=0

# test_directory NAME ARGUMENT...: run_tests, and adds the result to the totals.
test_directory() {
  local start=$SECONDS
  run_tests "$@"
  table+=$(printf '\n%-16s %8d %8d %8d' "build/$1" "$passed" "$failed" $((SECONDS - start)))
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
}

# The table and the last line; false if anything failed.
report_counts() {
  printf '%s\n\n' "$table"
  echo "$total_passed passed, $total_failed failed"
  ((total_failed == 0))
}
