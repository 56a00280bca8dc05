# shellcheck shell=bash
#
# What the commands in tools/ share. Sourcing it moves to the root of the checkout, so that the
# commands work from any directory; paths below are relative to that root.

CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 1

PACKAGES=(
  libuv1-dev libboost-context1.81-dev doctest-dev libssl-dev node-llhttp nlohmann-json3-dev
  liburiparser-dev libpsl-dev zlib1g-dev libbrotli-dev libwslay-dev python3-websockets node-ws
  meson ninja-build pkg-config g++ clang libclang-rt-14-dev clang-format ccache
  socat netcat-openbsd curl openssl wrk python3 python3-aiohttp
)

quiet=false

# progress TEXT: one line per step, headed by the seconds since the command started.
progress() {
  [[ $quiet == true ]] || printf '[%4ds] %s\n' "$SECONDS" "$*"
}

# run_logged LOG COMMAND...: says nothing unless the command fails, then shows the end of its log.
run_logged() {
  local log=$1 status=0
  shift
  mkdir -p -- "$(dirname -- "$log")"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    {
      printf -- '--- failed with status %d: %s\n' "$status" "$*"
      tail -n 100 -- "$log"
      printf -- '--- the whole log: %s\n' "$log"
    } >&2
  fi
  return "$status"
}

# --- packages -------------------------------------------------------------------------------------

is_installed() {
  dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# packages_to_remove COMMAND...: what an apt-get install would remove, by its own simulation.
packages_to_remove() {
  "$@" --simulate 2>/dev/null </dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p'
}

# install_packages [PACKAGE...]: installs what is missing of these, of PACKAGES if none is named. Where
# nothing is missing apt is not touched, so that neither root nor a network is needed.
install_packages() {
  local package missing=() as_root=() conflicting=() apt install

  (($# > 0)) || set -- "${PACKAGES[@]}"
  if ! command -v dpkg-query >/dev/null; then
    progress "not a Debian system: taking it that these are there: $*"
    return 0
  fi
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  ((${#missing[@]} > 0)) || return 0

  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      printf 'missing packages: %s\n' "${missing[*]}" >&2
      printf 'Installing them needs root, and there is no sudo. As root:\n' >&2
      printf '  apt-get update && apt-get install -y --no-install-recommends %s\n' \
        "${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi

  # The lock timeout and the retries are for fresh machines, which are still busy upgrading.
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")

  progress "missing packages: ${missing[*]}"
  progress 'apt-get update'
  run_logged build/apt-update.log "${apt[@]}" update || return

  # Boost 1.81's headers cannot be installed beside 1.74's, Debian 12's default.
  mapfile -t conflicting < <(packages_to_remove "${install[@]}")
  if ((${#conflicting[@]} > 0)); then
    printf 'apt will remove what conflicts with them (Boost 1.74 with 1.81): %s\n' \
      "${conflicting[*]}" >&2
  fi
  progress 'apt-get install'
  run_logged build/apt-install.log "${install[@]}"
}

# The browser that one test opens a page in, which says so where there is none: it is ten times as
# large as all else.
install_browser() {
  install_packages chromium || progress 'no chromium: its test does not open the page'
}

# --- building -------------------------------------------------------------------------------------

# build plain|asan|tsan|clang: configures build/NAME if that is not yet done, then builds all of it.
#
# These directories belong to tools/: one that was configured in another way, or for a
# checkout at another path, is made afresh, because its results would go under a wrong name.
build() {
  local directory=build/$1 compilers options wanted
  options=(-Dbuildtype=debugoptimized -Doptimization=2 -Db_ndebug=false)
  compilers=(CC='ccache gcc' CXX='ccache g++')
  case $1 in
    plain) ;;
    asan)
      # A sanitizer's runtime is linked into programs; shared libraries leave it undefined. With
      # more optimization than this g++ takes twice as long for sanitized code.
      options=(-Dbuildtype=debugoptimized -Doptimization=g -Dbench=false
        '-Db_sanitize=address,undefined' -Db_lundef=false)
      ;;
    tsan)
      options=(-Dbuildtype=debugoptimized -Doptimization=1
        -Db_sanitize=thread -Db_lundef=false -Dbench=false)
      ;;
    clang)
      options+=(-Dbench=false)
      compilers=(CC='ccache clang' CXX='ccache clang++')
      ;;
    fuzz)
      options=(-Dbuildtype=debugoptimized -Doptimization=1 -Dfuzz=true -Dbench=false
        '-Db_sanitize=address,undefined' -Db_lundef=false)
      compilers=(CC='ccache clang' CXX='ccache clang++')
      ;;
    valgrind) options+=(-Dvalgrind=true -Dbench=false) ;;
    coverage)
      options=(-Dbuildtype=debugoptimized -Doptimization=0 -Db_coverage=true -Dbench=false) ;;
    *)
      printf 'build: no such directory: %s\n' "$1" >&2
      return 2
      ;;
  esac

  # Lines for reports and backtraces, no variables: a fourth of the time to compile, half of it in
  # sanitized code.
  options+=(-Dcpp_args=-g1)

  wanted="$PWD ${compilers[*]} ${options[*]}"
  if [[ ! -f $directory/build.ninja ||
    $(cat -- "$directory/configured-with" 2>/dev/null) != "$wanted" ]]; then
    progress "$directory: configure"
    rm -rf -- "$directory"
    run_logged "$directory/setup.log" \
      env "${compilers[@]}" meson setup "$directory" "${options[@]}" || return
    printf '%s\n' "$wanted" >"$directory/configured-with"
  fi
  progress "$directory: build"
  run_logged "$directory/build.log" ninja -C "$directory"
}
