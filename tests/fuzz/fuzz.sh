#!/usr/bin/env bash
#
# usage: fuzz.sh TARGET CORPUS
#
# Searches for UVLET_NIGHTLY_MINUTES, from the kept corpus. What it adds stays beside the target, for
# the next search; so does the input of a finding, whose path libFuzzer prints.

set -euo pipefail

target=$1 corpus=$2
grown=$target.corpus
mkdir -p -- "$grown"
exec "$target" -max_total_time=$((60 * ${UVLET_NIGHTLY_MINUTES:-1})) -print_final_stats=1 \
  -timeout=20 -rss_limit_mb=2048 -max_len=4096 -artifact_prefix="$target-" -verbosity=0 \
  "$grown" "$corpus"
