"""usage: tidy_test.py ROOT COMPILER...

The rules of the house that a program can check, over the files of the checkout ROOT. COMPILER is the
command and the arguments that compile one of its files.
"""

import concurrent.futures
import fnmatch
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1]).resolve()
COMPILER = sys.argv[2:]

FOLDERS = ["include", "src", "green", "tests", "bench", "examples", "docs", "tools", ".ci"]
TEXT = {".cpp", ".hpp", ".py", ".sh", ".md", ".build", ".txt", ".in", ""}
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
JOBS = 2
LINES_MAX = 1000
COLUMNS_MAX = 100
LARGEST_SHOWN = 12
CLANG_FORMAT_VERSION = "14"  # others break lines elsewhere
BLOCKING = "Blocks the green thread. Cancel point."

# The operating system's headers, which any file may include.
SYSTEM = ["arpa/*", "net/*", "netinet/*", "linux/*", "sys/*", "cxxabi.h", "dirent.h", "dlfcn.h",
          "elf.h", "fcntl.h", "ifaddrs.h", "link.h", "malloc.h", "netdb.h", "poll.h", "pthread.h",
          "sched.h", "semaphore.h", "signal.h", "spawn.h", "syslog.h", "ucontext.h", "unistd.h",
          "unwind.h", "valgrind/*"]
# Where headers of third parties may be included, and why. Tests, examples and benchmarks are free.
THIRD_PARTY = [
    ("include/uvlet/switch.hpp", "sanitizer/*", "the switch is inlined, and tells the sanitizers"),
    ("include/aio/uv_request.hpp", "uv.h", "its user passes a request of libuv's"),
    ("src/uvlet/descriptor.cpp", "uv.h", "asks for its kinds of readiness"),
    ("src/uvlet/watch.cpp", "uv.h", "owns the polls"),
    ("src/uvlet/hub.cpp", "uv.h", "takes the parent's signals from the child of a fork"),
    ("src/uvlet/hub.cpp", "sanitizer/lsan_interface.h", "keeps what is parked from being a leak"),
    ("src/uvlet/libuv_world.hpp", "uv.h", "owns the loop"),
    ("src/aio/signal_receiver.cpp", "uv.h", "owns the handles that catch signals"),
    ("src/tls/*", "openssl/*", "the module that is made of OpenSSL"),
    ("src/aio/http/*", "llhttp/*", "parses messages, and knows the statuses"),
    ("src/aio/http/url.cpp", "uriparser/*", "takes URLs apart, and resolves references"),
    ("src/aio/http/cookies.cpp", "libpsl.h", "knows where anybody may have a name"),
    ("src/aio/http/content_decoder.cpp", "zlib.h", "undoes gzip and deflate"),
    ("src/aio/http/content_decoder.cpp", "brotli/*", "undoes br"),
    ("src/aio/http/websocket_codec.cpp", "wslay/*", "reads and writes frames"),
    ("src/aio/http/websocket_deflate.cpp", "zlib.h", "packs messages"),
    ("src/aio/http/websocket_handshake.cpp", "openssl/*", "SHA-1 and base64"),
    ("include/aio/http/json.hpp", "nlohmann/*", "users have JSON as this library's values"),
    ("src/aio/to_thread.cpp", "uv.h", "gives work to the thread pool"),
]
STRAY = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\b[Ii]ssue #|\b(this|last|previous|next) session\b|"
                   r"\bas (requested|discussed)\b|/home/|/root/|/work/|/Users/")


def name(path):
    return path.relative_to(ROOT).as_posix()


def text_of(path):
    return path.read_text(encoding="utf-8")


def numbered(path):
    return enumerate(text_of(path).splitlines(), 1)


def files_of_the_project():
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(path for path in found
                  if path.suffix in TEXT and not {"__pycache__", "corpus"} & set(path.parts) and
                  path.name != ".git" and path.resolve() != pathlib.Path(__file__).resolve())


FILES = files_of_the_project()
CPP = [path for path in FILES if path.suffix in (".cpp", ".hpp")]
LIBRARY = [path for path in CPP if name(path).startswith(("include/", "src/", "green/"))]
HEADERS = [path for path in LIBRARY if path.suffix == ".hpp" and not name(path).startswith("src/")]


# --- headers and dependencies ---------------------------------------------------------------------


def spelled(header):
    """As users include it."""
    return name(header).removeprefix("include/")


def compiles_alone(header):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "alone.cpp"
        source.write_text(f"#include <{spelled(header)}>\n", encoding="utf-8")
        run = subprocess.run([*COMPILER, *WARNINGS, "-fsyntax-only", source], check=False,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    return [run.stdout or f"ended with {run.returncode}"] if run.returncode else []


def includes(path):
    """The number of the line, and what it includes: relative ones as the project's files are named."""
    for number, line in numbered(path):
        match = re.match(r"\s*#\s*include\s*([<\"])([^>\"]+)", line)
        if not match:
            continue
        target = match.group(2)
        if match.group(1) == '"':
            target = name((path.parent / target).resolve())
        yield number, re.sub(r"^(include|src)/", "", target)


# Libraries of their own, by the folders and the files that are part of them.
MODULES = {"http": "http", "web": "http", "http.hpp": "http", "http.cpp": "http", "web.hpp": "http",
           "websocket.hpp": "http",
           "websocket.cpp": "http",
           "ssl.cpp": "tls"}


def place(path):
    """The layer, and the module within it: "aio", "http" for include/aio/web/x.hpp."""
    parts = re.sub(r"^(include|src)/", "", path).split("/")
    if parts[0] == "tls":  # below the faces of both
        return "aio", "tls"
    if len(parts) == 1:
        return parts[0], ""
    return parts[0], MODULES.get(parts[1], parts[1] if len(parts) > 2 else "")


def dependencies_point_left():
    left = {"uvlet": ["uvlet"], "aio": ["uvlet", "aio"], "green": ["uvlet", "aio", "green"]}
    for path in LIBRARY:
        layer, module = place(name(path))
        for number, target in includes(path):
            other_layer, other_module = place(target)
            if other_layer not in left:
                continue
            if other_layer not in left[layer]:
                yield f"{name(path)}:{number}: {layer} includes {target}"
            elif other_module not in ("", module):
                yield f"{name(path)}:{number}: {module or layer} includes {target}, sideways"


def third_parties_stay_in_named_places():
    for path in LIBRARY:
        for number, target in includes(path):
            standard = "." not in target and "/" not in target
            if standard or target.split("/")[0] in ("uvlet", "aio", "green", "tls"):
                continue
            allowed = SYSTEM + [header for where, header, _ in THIRD_PARTY
                                if fnmatch.fnmatch(name(path), where)]
            if not any(fnmatch.fnmatch(target, pattern) for pattern in allowed):
                yield f"{name(path)}:{number}: {target} is not allowed here"


# --- text -----------------------------------------------------------------------------------------


def blocking_functions_say_so_in_one_phrase():
    for path in HEADERS:
        for number, line in numbered(path):
            rest = line.replace(BLOCKING, "")
            if re.search(r"Blocks\b.*\bgreen thread|Cancel point|a cancel point", rest):
                yield f"{name(path)}:{number}: not {BLOCKING!r}: {line.strip()}"


def quoted(path, region):
    """A file, or what is between `// [region]` and `// [/region]` in it, without its indentation."""
    if not (ROOT / path).is_file():
        return None
    lines = text_of(ROOT / path).splitlines()
    if not region:
        return lines
    marks = [number for number, line in enumerate(lines)
             if line.strip() in (f"// [{region}]", f"// [/{region}]")]
    if len(marks) != 2:
        return None
    inside = lines[marks[0] + 1:marks[1]]
    margin = min((len(line) - len(line.lstrip()) for line in inside if line.strip()), default=0)
    return [line[margin:] for line in inside]


def documents_quote_what_is_compiled():
    for path in FILES:
        if path.suffix != ".md":
            continue
        blocks = re.findall(r"<!-- (examples/\S+)(?: (\S+))? -->\n+```cpp\n(.*?)^```$", text_of(path),
                            re.MULTILINE | re.DOTALL)
        for source, region, block in blocks:
            here = f"{name(path)}: the block of {source} {region}".rstrip()
            expected = quoted(source, region)
            if expected is None:
                yield f"{here}: there is no such file or region"
            elif block.splitlines() != expected:
                yield f"{here} is not what is compiled"
        marked = len(re.findall(r"^<!-- examples/", text_of(path), re.MULTILINE))
        if marked != len(blocks):
            yield f"{name(path)}: {marked} marks of examples, {len(blocks)} blocks of C++ below one"
    if "<!-- examples/readme.cpp -->" not in text_of(ROOT / "README.md"):
        yield "README.md does not quote examples/readme.cpp"


def no_stray_words():
    for path in FILES:
        for number, line in numbered(path):
            if STRAY.search(line):
                yield f"{name(path)}:{number}: {line.strip()}"


def no_tabs_and_no_trailing_blanks():
    for path in FILES:
        for number, line in numbered(path):
            if "\t" in line or line != line.rstrip():
                yield f"{name(path)}:{number}: a tab, or blanks at the end"


def no_long_lines():
    for path in CPP:
        for number, line in numbered(path):
            if len(line) > COLUMNS_MAX:
                yield f"{name(path)}:{number}: {len(line)} columns"


def clang_format_has_nothing_to_do():
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *CPP], cwd=ROOT, check=False,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    if run.returncode:
        yield from sorted({line.split(": error")[0] for line in run.stderr.splitlines()
                           if ": error" in line}) or [run.stderr]


def formats_as_we_do():
    if not shutil.which("clang-format"):
        return False
    version = subprocess.run(["clang-format", "--version"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    return f"version {CLANG_FORMAT_VERSION}." in version


# --- sizes ----------------------------------------------------------------------------------------


def functions(path):
    """Yields lines, first line and head of each function: of what clang-format has laid out."""
    open_blocks = []
    for number, line in numbered(path):
        code = line.split("//")[0].rstrip()
        indent = len(line) - len(line.lstrip())
        if re.match(r"\s*}", line) and open_blocks and open_blocks[-1][0] == indent:
            _, first, head = open_blocks.pop()
            if head:
                yield number - first + 1, first, head
        if code.endswith("{") and not code.lstrip().startswith("}"):
            head = code.strip()
            # Bodies within a function belong to it.
            within = any(block[2] for block in open_blocks)
            is_function = ")" in head and not re.match(
                r"(if|for|while|switch|namespace|struct|class|union|enum)\b|.*= *\{$", head)
            open_blocks.append((indent, number, head if is_function and not within else None))


def report_sizes():
    sizes = sorted(((len(text_of(path).splitlines()), name(path)) for path in CPP), reverse=True)
    print("The largest files:")
    for lines, path in sizes[:LARGEST_SHOWN]:
        print(f"  {lines:5} {path}")
    print("The largest functions:")
    found = sorted(((lines, f"{name(path)}:{first}", head) for path in CPP
                    for lines, first, head in functions(path)), reverse=True)
    for lines, where, head in found[:LARGEST_SHOWN]:
        print(f"  {lines:5} {where}: {head[:60]}")
    return sizes


def files_are_not_too_large():
    for lines, path in report_sizes():
        if lines > LINES_MAX:
            yield f"{path}: {lines} lines, the limit is {LINES_MAX}"


# --- the run --------------------------------------------------------------------------------------

RULES = [dependencies_point_left, third_parties_stay_in_named_places, files_are_not_too_large,
         documents_quote_what_is_compiled, blocking_functions_say_so_in_one_phrase, no_stray_words,
         no_tabs_and_no_trailing_blanks, no_long_lines, clang_format_has_nothing_to_do]


def main():
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        compiled = pool.map(compiles_alone, HEADERS)
        results = []
        for rule in RULES:
            if rule is clang_format_has_nothing_to_do and not formats_as_we_do():
                skipped += 1
                print(f"clang format: skipped: there is no clang-format {CLANG_FORMAT_VERSION}")
                continue
            results.append((rule.__name__.replace("_", " "), list(rule())))
        results += [(f"{spelled(header)} compiles alone", found)
                    for header, found in zip(HEADERS, compiled)]
    for rule, found in results:
        failed += bool(found)
        passed += not found
        print(f"{rule}: {'FAILED' if found else 'passed'}", *found, sep="\n  " if found else "")
    # The summary line that the other suites end with, so that their cases are counted alike.
    print(f"[doctest] test cases: {passed + failed} | {passed} passed | {failed} failed | "
          f"{skipped} skipped")
    return 1 if failed or not HEADERS else 0


sys.exit(main())
