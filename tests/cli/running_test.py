#!/usr/bin/env python3
"""`culvert run` and `culvert show` on a host of their own: what they print, leave behind and survive."""

import json
import os
import pathlib
import signal
import socket
import stat
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))

from lab import wait_until  # noqa: E402
from scenario import Scenario, main  # noqa: E402

CULVERT = os.environ["CULVERT"]
PRIVATE_KEY = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
PUBLIC_KEY = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
PRESHARED_KEY = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
SOCKETS = pathlib.Path("/run/wireguard")


class Running(Scenario):
    def setUp(self):
        super().setUp()
        self.host = self.lab.host("host-a")
        self.clean = self.host.state()

    def file(self, name="site-a", lines=""):
        path = self.lab.folder / f"{name}.conf"
        path.write_text(f"[Interface]\nPrivateKey = {PRIVATE_KEY}\nAddress = 10.9.0.1/24\n{lines}\n"
                        f"[Peer]\nName = far\nPublicKey = {PUBLIC_KEY}\nPresharedKey = {PRESHARED_KEY}\n"
                        f"AllowedIPs = 10.8.0.0/16, fd08::/64\nEndpoint = 192.0.2.1:7\nPersistentKeepalive = 25\n")
        return path

    def start(self, name="site-a", lines=""):
        process = self.host.start(CULVERT, "run", self.file(name, lines))
        wait_until(lambda: "is up" in process.output, 20, f"{name} to be up")
        return process

    def culvert(self, *words):
        return self.host.run(CULVERT, *words, check=False, timeout=60)

    def assert_clean(self):
        self.assertEqual(self.clean, self.host.state())
        self.assertEqual([], list(SOCKETS.glob("*.sock")))


class Run(Running):
    def test_ends_well_on_every_signal_and_leaves_nothing(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process = self.start()
            self.assertTrue(self.host.has_link("site-a"))
            self.assertEqual(0, process.end(number))
            self.assert_clean()

    def test_leaves_nothing_when_it_is_killed_but_a_socket_file_that_the_next_one_takes_over(self):
        self.start().end(signal.SIGKILL)
        wait_until(lambda: not self.host.has_link("site-a"), 5, "the kernel to remove the device")
        self.assertEqual(self.clean, self.host.state())
        self.assertEqual(0, self.start().end())
        self.assert_clean()

    def test_leaves_nothing_when_it_is_ended_at_any_moment_of_its_start(self):
        statuses = set()
        for step in range(14):
            process = self.host.start(CULVERT, "run", self.file())
            time.sleep(step * 0.02)
            statuses.add(process.end(signal.SIGTERM))
            self.assert_clean()
        # Before it takes signals there is nothing to undo, and it is ended by the signal itself.
        self.assertLessEqual(statuses, {0, 1, -signal.SIGTERM})

    def test_leaves_nothing_when_something_is_taken(self):
        first = self.start(lines="ListenPort = 40400")
        before = self.host.state()
        second = self.host.run(CULVERT, "run", self.file("site-b", lines="ListenPort = 40400"), check=False)
        self.assertEqual(1, second.returncode)
        self.assertIn("40400", second.stderr)
        same = self.host.run(CULVERT, "run", self.file("site-a"), check=False)
        self.assertEqual(1, same.returncode)
        self.assertIn("site-a", same.stderr)
        self.assertEqual(before, self.host.state())
        self.assertEqual(["site-a.sock"], [path.name for path in SOCKETS.glob("*.sock")])
        self.assertEqual(0, first.end())
        self.assert_clean()

    def test_keeps_keys_out_of_core_files_and_of_what_others_can_see(self):
        process = self.start()
        limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")
        self.assertRegex(limits, r"Max core file size +0 +0 ")
        seen = b"".join(pathlib.Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        self.assertNotIn(PRIVATE_KEY[:10].encode(), seen)
        self.assertNotIn(PRIVATE_KEY[:10], process.output)
        self.assertEqual(0o600, stat.S_IMODE((SOCKETS / "site-a.sock").stat().st_mode))

    def test_puts_neither_device_nor_socket_in_the_place_of_missing_standard_streams(self):
        path = self.file()
        process = self.host.start("sh", "-c", f'exec "{CULVERT}" run "{path}" <&- >&- 2>&-')
        wait_until((SOCKETS / "site-a.sock").exists, 20, "the control socket")
        for number in range(3):
            self.assertEqual("/dev/null", os.readlink(f"/proc/{process.pid}/fd/{number}"))
        self.assertEqual(0, process.end())
        self.assert_clean()

    def test_does_not_stop_when_nobody_reads_its_log(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        path = self.file()
        process = self.host.start("sh", "-c", f'exec "{CULVERT}" run "{path}" 2>&{writer}', pass_fds=[writer],
                                  env={**os.environ, "LOG_LEVEL": "trace"})
        wait_until((SOCKETS / "site-a.sock").exists, 20, "the control socket")
        self.assertEqual(0, self.culvert("show", "site-a").returncode)
        os.close(reader)
        self.assertEqual(0, process.end())
        os.close(writer)

    def test_uses_the_state_directory_it_is_given(self):
        folder = self.lab.folder / "state"
        process = self.host.start(CULVERT, "run", self.file(), env={**os.environ, "STATE_DIRECTORY": str(folder)})
        wait_until(lambda: list(folder.glob("*.tai64n")), 20, "the first handshake to be remembered")
        self.assertEqual(0, process.end())


class Show(Running):
    def test_says_when_nothing_is_running(self):
        done = self.culvert("show")
        self.assertEqual((0, "no tunnel is running\n"), (done.returncode, done.stdout))
        self.assertEqual([], json.loads(self.culvert("show", "--json").stdout))

    def test_fails_for_a_tunnel_that_is_not_there(self):
        self.start()
        for name in ("site-b", "a" * 200, "../site-a"):
            done = self.culvert("show", name)
            self.assertEqual((1, ""), (done.returncode, done.stdout))
            self.assertTrue(done.stderr.startswith("culvert: "))

    def test_tells_people_and_programs_the_same_and_no_secret(self):
        self.start(lines="ListenPort = 40401\nFwMark = 0x2a")
        text = self.culvert("show", "site-a").stdout
        for part in ("tunnel: site-a", "listening port: 40401", "peer: far", PUBLIC_KEY, "192.0.2.1:7", "10.8.0.0/16, fd08::/64",
                     "preshared key: (hidden)", "latest handshake: never", "every 25 s"):
            self.assertIn(part, text)
        as_json = self.culvert("show", "--json").stdout
        [tunnel] = json.loads(as_json)
        self.assertEqual(("site-a", 40401, 42), (tunnel["name"], tunnel["listen_port"], tunnel["fwmark"]))
        [peer] = tunnel["peers"]
        self.assertEqual((PUBLIC_KEY, "far", True, "192.0.2.1:7", ["10.8.0.0/16", "fd08::/64"], 0, 25),
                         (peer["public_key"], peer["name"], peer["has_preshared_key"], peer["endpoint"], peer["allowed_ips"],
                          peer["latest_handshake"], peer["persistent_keepalive"]))
        own = self.host.run(CULVERT, "pubkey", stdin=PRIVATE_KEY).strip()
        self.assertEqual(own, tunnel["public_key"])
        self.assertIn(own, text)
        for secret in (PRIVATE_KEY, PRESHARED_KEY):
            self.assertNotIn(secret[:10], text + as_json)

    def test_shows_all_tunnels_or_one(self):
        self.start("site-b", lines="Table = off")
        self.start("site-a", lines="Table = off")
        self.assertEqual(["site-a", "site-b"], [tunnel["name"] for tunnel in json.loads(self.culvert("show", "--json").stdout)])
        self.assertEqual(["site-b"], [tunnel["name"] for tunnel in json.loads(self.culvert("show", "site-b", "--json").stdout)])

    def test_passes_over_what_is_no_tunnel(self):
        self.start()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(SOCKETS / "dead.sock"))
        (SOCKETS / "file.sock").write_text("")
        (SOCKETS / "not\xffa name.sock").write_text("")
        (SOCKETS / "README").write_text("")
        done = self.culvert("show", "--json")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(["site-a"], [tunnel["name"] for tunnel in json.loads(done.stdout)])
        for path in SOCKETS.iterdir():
            if path.name != "site-a.sock":
                path.unlink()

    def test_shows_the_others_when_one_does_not_answer(self):
        self.start("site-b", lines="Table = off")
        stuck = self.start("site-a", lines="Table = off")
        os.kill(stuck.pid, signal.SIGSTOP)
        done = self.culvert("show", "--json")
        os.kill(stuck.pid, signal.SIGCONT)
        self.assertEqual(1, done.returncode)
        self.assertEqual(["site-b"], [tunnel["name"] for tunnel in json.loads(done.stdout)])
        self.assertIn("site-a", done.stderr)

    def test_that_cannot_be_written_is_a_failure(self):
        self.start()
        done = self.host.run("sh", "-c", f'"{CULVERT}" show > /dev/full', check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn("No space left", done.stderr)


if __name__ == "__main__":
    main()
