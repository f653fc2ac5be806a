#!/usr/bin/env python3
"""Fails on any #include against the arrows of the architecture, and on system words in the pure half."""

import pathlib
import re
import sys

# folder → folders it may include: the target graph of CMakeLists.txt, closed over its arrows.
ARROWS = {
    "base": {"base"},
    "crypto": {"crypto", "base"},
    "protocol": {"protocol", "crypto", "base"},
    "forwarding": {"forwarding", "base"},
    "engine": {"engine", "protocol", "forwarding", "crypto", "base"},
    "io": {"io", "base"},
    "netns": {"netns", "io", "base"},
    "unshare": {"unshare", "io", "base"},
    "sandbox": {"sandbox", "unshare", "netns", "io", "base"},
    "bridge": {"bridge", "netns", "io", "base"},
    "config": {"config", "engine", "protocol", "forwarding", "crypto", "base"},
    "runtime": {"runtime", "engine", "protocol", "forwarding", "crypto", "base", "io", "netns", "config"},
    "quick": {"quick", "bridge", "runtime", "engine", "protocol", "forwarding", "crypto", "base", "io", "netns", "config"},
    "exec": {"exec", "unshare", "quick", "bridge", "runtime", "engine", "protocol", "forwarding", "crypto", "base", "io", "netns", "config"},
    "topology": {"topology", "quick", "bridge", "runtime", "engine", "protocol", "forwarding", "crypto", "base", "io", "netns", "config"},
    "bench": {"bench", "unshare", "quick", "bridge", "runtime", "engine", "protocol", "forwarding", "crypto", "base", "io", "netns", "config"},
    "app": {"app", "bench", "exec", "topology", "quick", "bridge", "sandbox", "unshare", "runtime", "engine", "protocol", "forwarding", "crypto", "base", "io", "netns", "config"},
}
PURE = {"base", "crypto", "protocol", "forwarding", "engine"}

# (what, pattern of the included header, folders in which it may stand)
HEADERS = [
    ("libsodium", r"sodium(\.h|/.*)", {"crypto"}),
    ("OpenSSL or BoringSSL", r"openssl/.*", {"crypto"}),
    ("libgcrypt", r"(gcrypt|gpg-error)\.h", {"crypto"}),
    ("spdlog", r"(spdlog|fmt)/.*", {"runtime", "quick", "exec", "bench", "app"}),
    ("Asio", r"boost/asio(\.hpp|/.*)", {"runtime", "quick", "exec", "bench", "app"}),
    ("the command line parser", r"CLI/.*", {"app"}),
    ("capabilities or filters of system calls", r"(cap-ng|seccomp)\.h", {"sandbox"}),
    ("the packet filter", r"nftables/.*", {"io"}),
    ("netlink", r"(netlink/.*|linux/(rt)?netlink\.h|linux/if_(addr|link|tun)\.h)", {"io", "netns"}),
    ("a system call", r"(sys|linux|net|netinet|arpa)/.*|(unistd|fcntl|sched|poll|signal|pthread|dirent|ifaddrs|netdb)\.h",
     {"io", "netns", "unshare", "sandbox", "bridge", "config", "runtime", "quick", "exec", "topology", "bench", "app"}),
    ("a thread", r"thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token",
     {"io", "netns", "unshare", "sandbox", "bridge", "config", "runtime", "quick", "exec", "topology", "bench", "app"}),
    ("a stream or file", r"iostream|fstream|filesystem|cstdio|stdio\.h|syslog\.h", {"io", "netns", "unshare", "sandbox", "bridge", "config", "runtime", "quick", "exec", "topology", "bench", "app"}),
    ("a clock or random device", r"ctime|time\.h|random", {"io", "netns", "unshare", "sandbox", "bridge", "config", "runtime", "quick", "exec", "topology", "bench", "app"}),
]
# (what, pattern in the code, folders in which it may not stand)
WORDS = [
    ("a clock", r"(?<!\w)(?:\w+_clock|clock)::now\s*\(|\b(?:clock_gettime|gettimeofday)\s*\(", PURE),
    ("global randomness", r"\bstd::random_device\b|(?<![\w.>:])s?rand\s*\(|\bgetrandom\s*\(", PURE),
    ("the environment", r"\b(?:std::)?getenv\s*\(", PURE),
]
# What may stand nevertheless, because nothing of it is on a packet's path: (file, header or word's name).
EXCEPTIONS = {
    ("src/crypto/keys.cpp", "mutex"),  # the pool of locked pages that secrets live in is one per process
    ("src/crypto/keys.cpp", "sys/mman.h"),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


TOKEN = re.compile(
    r'''^[ \t]*\#[ \t]*include[^\n]* | //[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])' ''',
    re.DOTALL | re.MULTILINE | re.VERBOSE)


def without_comments(text):
    """The text with comments, strings and characters blanked, line breaks and includes kept."""
    def kept(match):
        token = match.group(0)
        return token if token.lstrip().startswith("#") else re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(kept, text)


def folder_of(path):
    """The architecture's folder of a path relative to the repository, or None."""
    parts = path.parts
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if parts[:2] == ("include", "culvert") and len(parts) > 3:
        return parts[2]
    return None


def violations(path, text):
    """Yields 'FILE:LINE: what is wrong' for one source file; `path` is relative to the repository."""
    folder = folder_of(path)
    if folder not in ARROWS:
        yield f"{path}:1: {folder or path.parent} is no folder of the architecture"
        return
    code = without_comments(text)
    for match in INCLUDE.finditer(code):
        header, line = match.group(1), code.count("\n", 0, match.start(1)) + 1
        if (path.as_posix(), header) in EXCEPTIONS:
            continue
        if (own := re.fullmatch(r"culvert/(\w+)/.*", header)) or (own := re.match(r"(\w+)/", header)) and own.group(1) in ARROWS:
            if own.group(1) not in ARROWS[folder]:
                yield f"{path}:{line}: {folder} may not include {own.group(1)} ({header})"
            continue
        for what, pattern, allowed in HEADERS:
            if folder not in allowed and re.fullmatch(pattern, header):
                yield f"{path}:{line}: {folder} may not use {what} ({header})"
                break
    for what, pattern, banned in WORDS:
        if folder not in banned:
            continue
        for match in re.finditer(pattern, code):
            line = code.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {folder} may not use {what} ({match.group(0).strip()})"


def check(root):
    """All violations below a repository's src and include, in order of file name."""
    found = []
    sources = sorted(path for top in ("src", "include") for path in (root / top).rglob("*") if path.suffix in (".cpp", ".hpp", ".h"))
    for path in sources:
        found += violations(path.relative_to(root), path.read_text(encoding="utf-8"))
    return found, len(sources)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    found, count = check(root)
    for violation in found:
        print(violation)
    print(f"{count} files, {len(found)} includes or words against the arrows")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
