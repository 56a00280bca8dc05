#!/usr/bin/env bash
# usage: install_test.sh BUILD_DIRECTORY PREFIX CXX...
#
# A plain program compiles with what pkg-config says, against the installed shared library and
# statically, and runs; each installed header compiles alone.
set -euo pipefail
build=$1
prefix=$2
shift 2
cxx=("$@")
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT

meson install -C "$build" --no-rebuild --destdir "$place" >"$place/install.log" </dev/null
root=$place$prefix
libraries=$(dirname -- "$(find "$root" -name libuvlet.so | head -n 1)")
export PKG_CONFIG_PATH=$libraries/pkgconfig
flags() { pkg-config --define-variable=prefix="$root" "$@" uvlet; }

# shellcheck disable=SC2046  # flags are words
"${cxx[@]}" -std=c++20 "$here/main.cpp" -o "$place/shared" $(flags --cflags --libs)
LD_LIBRARY_PATH=$libraries "$place/shared"
ldd "$place/shared" | grep libuvlet >/dev/null  # not -q: ldd would fail of a broken pipe
echo 'shared: works'

# shellcheck disable=SC2046
"${cxx[@]}" -std=c++20 -static "$here/main.cpp" -o "$place/static" $(flags --static --cflags --libs)
"$place/static"
if ldd "$place/static" >/dev/null 2>&1; then
  echo 'the static program is not static' >&2
  exit 1
fi
echo 'static: works'

while IFS= read -r header; do
  # shellcheck disable=SC2046
  printf '#include <%s>\n' "$header" |
    "${cxx[@]}" -std=c++20 -Wall -Wextra -Wshadow -Werror -fsyntax-only -x c++ \
      $(flags --cflags) -
done < <(cd "$root/include/uvlet-0" && find . -name '*.hpp' -printf '%P\n' | sort)
echo 'each header compiles alone'
