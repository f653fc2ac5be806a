#!/usr/bin/env python3
"""The layer check catches what it is there to catch, and nothing else."""

import pathlib
import unittest

import check_layers


def verdict(path, text):
    return list(check_layers.violations(pathlib.PurePosixPath(path), text))


class Arrows(unittest.TestCase):
    FORBIDDEN = [
        ("src/base/endpoint.cpp", '#include "culvert/crypto/keys.hpp"'),
        ("src/protocol/handshake.cpp", '#include "culvert/forwarding/ip_header.hpp"'),
        ("include/culvert/forwarding/prefix_table.hpp", '#include "culvert/engine/peer.hpp"'),
        ("src/engine/engine.cpp", '#include "culvert/io/udp_socket.hpp"'),
        ("src/io/tun_device.cpp", '#include "culvert/crypto/keys.hpp"'),
        ("src/netns/network_namespace.cpp", '#include "culvert/engine/engine.hpp"'),
        ("src/config/config_file.cpp", '#include "culvert/io/netlink.hpp"'),
        ("src/runtime/tunnel.cpp", '#include "app/command_line.hpp"'),
        ("src/runtime/tunnel.cpp", '#include "culvert/app/command_line.hpp"'),
        ("src/engine/engine.cpp", "  #  include <sys/socket.h>"),
        ("src/protocol/timers.cpp", "#include <unistd.h>"),
        ("src/protocol/timers.cpp", "#include <thread>"),
        ("src/crypto/aead.cpp", "#include <mutex>"),
        ("src/forwarding/prefix_table.cpp", "#include <boost/asio.hpp>"),
        ("src/io/udp_socket.cpp", "#include <boost/asio/io_context.hpp>"),
        ("src/engine/engine.cpp", "#include <spdlog/spdlog.h>"),
        ("src/config/config_file.cpp", "#include <spdlog/spdlog.h>"),
        ("src/protocol/cookie.cpp", "#include <sodium.h>"),
        ("src/runtime/tunnel.cpp", "#include <sodium/utils.h>"),
        ("src/io/clock.cpp", "#include <gcrypt.h>"),
        ("src/runtime/tunnel.cpp", "#include <netlink/route/link.h>"),
        ("src/app/main.cpp", "#include <linux/rtnetlink.h>"),
        ("src/engine/engine.cpp", "auto now = std::chrono::steady_clock::now();"),
        ("src/protocol/timers.cpp", "auto jitter = rand() % 10;"),
        ("src/crypto/system_random.cpp", "std::random_device device;"),
        ("src/runtime/tunnel.cpp", '#include "culvert/quick/undo.hpp"'),
        ("src/runtime/tunnel.cpp", "#include <nftables/libnftables.h>"),
        ("src/surprise/new.cpp", "int x;"),
    ]
    ALLOWED = [
        ("src/engine/engine.cpp", '#include "culvert/protocol/session.hpp"\n#include <span>'),
        ("src/crypto/aead.cpp", "#include <sodium.h>"),
        ("src/crypto/keys.cpp", "#include <mutex>"),
        ("src/io/netlink.cpp", "#include <netlink/route/link.h>\n#include <sys/socket.h>"),
        ("src/runtime/tunnel.cpp", "#include <boost/asio.hpp>\n#include <spdlog/spdlog.h>\n#include <thread>"),
        ("src/app/main.cpp", '#include "culvert/runtime/tunnel.hpp"\n#include "command_line.hpp"\n#include <CLI/CLI.hpp>'),
        ("src/engine/engine.cpp", "// #include <sys/socket.h>\n/* steady_clock::now() */"),
        ("src/engine/engine.cpp", 'const char* text = "rand() of clock::now()";'),
        ("src/engine/engine.cpp", "operand(3); random.strand(4);"),
    ]

    def test_every_forbidden_line_is_caught(self):
        for path, text in self.FORBIDDEN:
            with self.subTest(path=path, text=text):
                self.assertEqual(1, len(verdict(path, text)), verdict(path, text))

    def test_allowed_lines_pass(self):
        for path, text in self.ALLOWED:
            with self.subTest(path=path, text=text):
                self.assertEqual([], verdict(path, text))

    def test_a_violation_names_file_and_line(self):
        self.assertEqual(
            ["src/engine/peer.cpp:3: engine may not use a system call (unistd.h)"],
            verdict("src/engine/peer.cpp", "// one\n\n#include <unistd.h>\n"))

    def test_only_pure_folders_are_closed_under_themselves(self):
        for folder in check_layers.PURE:
            self.assertLessEqual(check_layers.ARROWS[folder], check_layers.PURE)


if __name__ == "__main__":
    unittest.main()
