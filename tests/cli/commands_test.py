#!/usr/bin/env python3
"""What the program's commands print and how they end, as far as that needs no privilege. CULVERT names the program."""

import base64
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

CULVERT = os.environ["CULVERT"]
DONE, FAILED, WRONG_USAGE = 0, 1, 2

GOOD = """[Interface]
PrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Address = 10.9.0.1/24, fd09::1/64
[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
AllowedIPs = 10.9.0.2/32
"""


def culvert(*words, stdin="", **options):
    return subprocess.run([CULVERT, *words], input=stdin, capture_output=True, text=True, timeout=60, check=False, **options)


class CommandLine(unittest.TestCase):
    def test_asks_for_a_command(self):
        done = culvert()
        self.assertEqual(WRONG_USAGE, done.returncode)
        self.assertIn("--help", done.stderr)
        self.assertEqual("", done.stdout)

    def test_refuses_what_it_does_not_know_with_a_status_of_its_own(self):
        for words in (["run"], ["check"], ["--unknown"], ["genkey", "more"], ["show", "a", "b"], ["genkey", "--json"], ["run", "a", "b"], ["bridge"], ["exec"], ["exec", "no-command.conf"],
                      ["netns", "add"], ["netns", "pin", "1"], ["netns", "id"], ["netns", "list", "-n", ""], ["netns", "unknown"],
                      ["link", "up"], ["link", "bridge"], ["link", "bridge", "port"], ["link", "veth", "--mtu", "x"], ["link", "unknown"],
                      ["bridge", "attach", "--nic", "eth0"], ["bridge", "detach"], ["bridge", "attach", "--nic", "a", "--bridge", "b", "--confirm", "x"]):
            with self.subTest(words=words):
                done = culvert(*words)
                self.assertEqual(WRONG_USAGE, done.returncode, done.stderr)
                self.assertNotEqual("", done.stderr)

    def test_helps(self):
        for words in (["--help"], ["run", "--help"], ["exec", "--help"], ["check", "-h"], ["show", "--help"], ["bridge", "--help"],
                      ["bridge", "attach", "--help"], ["bridge", "confirm", "--help"], ["bridge", "detach", "--help"],
                      ["bridge", "restore", "--help"], ["bridge", "status", "--help"], ["genkey", "--help"], ["netns", "--help"],
                      ["netns", "exec", "--help"], ["netns", "pin", "--help"], ["link", "--help"], ["link", "veth", "--help"],
                      ["link", "bridge", "port", "add", "--help"]):
            with self.subTest(words=words):
                done = culvert(*words)
                self.assertEqual(DONE, done.returncode)
                self.assertIn("culvert", done.stdout)

    def test_tells_its_version(self):
        done = culvert("--version")
        self.assertEqual(DONE, done.returncode)
        self.assertRegex(done.stdout, r"^culvert [0-9]+\.[0-9]+\.[0-9]+\n$")

    def test_refuses_an_unknown_log_level_without_letting_it_forge_lines(self):
        done = culvert("genkey", env={**os.environ, "LOG_LEVEL": "loud\nculvert: all is well"})
        self.assertEqual(FAILED, done.returncode)
        self.assertEqual(1, done.stderr.count("\n"))
        self.assertIn("loud", done.stderr)


class Keys(unittest.TestCase):
    def test_are_44_characters_of_base64_and_never_the_same(self):
        for command in ("genkey", "genpsk"):
            keys = [culvert(command) for _ in range(3)]
            self.assertEqual([DONE] * 3, [done.returncode for done in keys])
            self.assertEqual(3, len({done.stdout for done in keys}))
            for done in keys:
                self.assertEqual(45, len(done.stdout))
                self.assertEqual(32, len(base64.b64decode(done.stdout, validate=False)))
                self.assertEqual("", done.stderr)

    def test_of_genkey_are_clamped_as_curve25519_wants_it(self):
        for _ in range(20):
            key = base64.b64decode(culvert("genkey").stdout)
            self.assertEqual((0, 64), (key[0] & 7, key[31] & 0xC0))

    @unittest.skipUnless(shutil.which("wg"), "wg is not installed")
    def test_agree_with_those_of_wg(self):
        for generate in ([CULVERT, "genkey"], ["wg", "genkey"]):
            private = subprocess.run(generate, capture_output=True, text=True, check=True).stdout
            of_wg = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, text=True, check=True).stdout
            self.assertEqual(of_wg, culvert("pubkey", stdin=private).stdout)

    def test_are_taken_without_line_feed_or_with_the_one_of_another_system(self):
        private = culvert("genkey").stdout.strip()
        public = culvert("pubkey", stdin=private + "\n").stdout
        for ending in ("", "\r\n", " \n", "\n\n"):
            self.assertEqual(public, culvert("pubkey", stdin=private + ending).stdout)

    def test_that_are_none_are_refused_and_not_repeated(self):
        private = culvert("genkey").stdout.strip()
        for text in ("", "\n", private[:-1], private[:-2] + "==", private + "A", private + "\n" + private, "x" * 100000, private[:20] + "!" + private[21:]):
            done = culvert("pubkey", stdin=text)
            self.assertEqual(FAILED, done.returncode)
            self.assertEqual("", done.stdout)
            self.assertNotIn(private[:8], done.stderr)
            self.assertTrue(done.stderr.startswith("culvert: "))

    def test_going_to_a_file_that_others_can_read_are_warned_of(self):
        with tempfile.TemporaryDirectory() as folder:
            for mode, is_warned in ((0o644, True), (0o600, False), (0o640, False)):
                path = pathlib.Path(folder, oct(mode))
                path.touch()
                path.chmod(mode)
                for command, is_secret in (("genkey", True), ("genpsk", True), ("pubkey", False)):
                    with open(path, "w", encoding="ascii") as file:
                        done = subprocess.run([CULVERT, command], input=culvert("genkey").stdout, stdout=file,
                                              stderr=subprocess.PIPE, text=True, check=True)
                    self.assertEqual(is_warned and is_secret, "warning" in done.stderr, (oct(mode), command))

    def test_that_cannot_be_written_are_a_failure(self):
        for words in (["genkey"], ["genpsk"], ["pubkey"]):
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([CULVERT, *words], input=culvert("genkey").stdout, stdout=full, stderr=subprocess.PIPE,
                                      text=True, check=False)
            self.assertEqual(FAILED, done.returncode, words)
            self.assertIn("No space left", done.stderr)

    def test_have_nowhere_to_go_when_standard_output_is_closed(self):
        done = subprocess.run(["sh", "-c", 'exec "$0" genkey >&-', CULVERT], capture_output=True, text=True, check=False)
        self.assertEqual(FAILED, done.returncode)


class Check(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)

    def file(self, text, name="site-a.conf"):
        path = pathlib.Path(self._folder.name, name)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_says_what_a_good_file_is(self):
        path = self.file(GOOD)
        done = culvert("check", path)
        self.assertEqual((DONE, ""), (done.returncode, done.stderr))
        self.assertEqual(f"{path}: OK, device site-a, 2 address(es), 1 peer(s)\n", done.stdout)

    def test_says_where_a_bad_file_is_wrong(self):
        path = self.file(GOOD.replace("10.9.0.2/32", "10.9.0.2/33"))
        done = culvert("check", path)
        self.assertEqual((FAILED, ""), (done.returncode, done.stdout))
        self.assertIn(f"culvert: {path}:6:14: ", done.stderr)

    def test_repeats_no_key_of_a_bad_file(self):
        key = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk"
        for text in (GOOD.replace("fBmk=", "fBmk"), GOOD.replace("PrivateKey", "PrivateKeys"), GOOD.replace("[Peer]", "[Peer")):
            done = culvert("check", self.file(text))
            self.assertEqual(FAILED, done.returncode)
            self.assertNotIn(key[:10], done.stdout + done.stderr)

    def test_refuses_a_file_that_is_not_there_or_whose_name_is_none(self):
        for path in ("/nonexistent/site-a.conf", self.file(GOOD, "a name that is too long.conf"), self._folder.name):
            done = culvert("check", path)
            self.assertEqual(FAILED, done.returncode)
            self.assertTrue(done.stderr.startswith("culvert: "), done.stderr)
            self.assertEqual(1, done.stderr.count("\n"))

    def test_reads_a_pipe(self):
        reader, writer = os.pipe()
        os.write(writer, GOOD.encode())
        os.close(writer)
        link = pathlib.Path(self._folder.name, "site-a.conf")
        link.symlink_to(f"/proc/self/fd/{reader}")
        done = culvert("check", str(link), pass_fds=[reader])
        os.close(reader)
        self.assertEqual(DONE, done.returncode, done.stderr)

    def test_that_cannot_say_so_is_a_failure(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([CULVERT, "check", self.file(GOOD)], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(FAILED, done.returncode)
        self.assertIn("No space left", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
