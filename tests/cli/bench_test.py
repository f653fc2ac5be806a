#!/usr/bin/env python3
"""What culvert bench does with results that are there. CULVERT names the program."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import canned_result

CULVERT = os.environ["CULVERT"]
DONE, FAILED, WRONG_USAGE, WORSE = 0, 1, 2, 3


def culvert(*words):
    return subprocess.run([CULVERT, "bench", *words], capture_output=True, text=True, timeout=60, check=False)


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, result):
        path = self.folder / name
        path.write_text(json.dumps(result), encoding="utf-8")
        return str(path)


class Compare(Files):
    def test_finds_a_result_no_worse_than_itself(self):
        path = self.file("a.json", canned_result.result())
        done = culvert("compare", path, path)
        self.assertEqual((DONE, ""), (done.returncode, done.stderr))
        self.assertIn("(100 %) agree within their spreads", done.stdout)
        self.assertNotIn("\nworse\n", done.stdout)

    def test_ends_with_a_status_of_its_own_when_something_is_worse(self):
        before, after = (self.file(f"{factor}.json", canned_result.result(factor)) for factor in (1, 0.5))
        done = culvert("compare", before, after)
        self.assertEqual((WORSE, ""), (done.returncode, done.stderr))
        self.assertIn("\nworse\ntap, ", done.stdout)
        self.assertEqual(DONE, culvert("compare", after, before).returncode)
        self.assertEqual(DONE, culvert("compare", before, after, "--threshold", "60").returncode)

    def test_is_json_too(self):
        before, after = (self.file(f"{factor}.json", canned_result.result(factor)) for factor in (1, 0.5))
        done = culvert("compare", "--json", before, after)
        self.assertEqual(WORSE, done.returncode)
        self.assertGreater(json.loads(done.stdout)["worse"], 0)

    def test_refuses_what_is_no_result(self):
        good = self.file("a.json", canned_result.result())
        for bad, why in ((self.file("b.json", {"schema": "other"}), "other|schema"), (str(self.folder / "none.json"), "No such file"),
                         (str(self.folder), "directory")):
            for files in ((good, bad), (bad, good)):
                done = culvert("compare", *files)
                self.assertEqual((FAILED, ""), (done.returncode, done.stdout))
                self.assertRegex(done.stderr, why)
                self.assertIn(bad, done.stderr)

class Show(Files):
    def test_answers_in_three_lines_and_tells_the_rest_below(self):
        done = culvert("show", self.file("a.json", canned_result.result(0.5)))
        self.assertEqual((DONE, ""), (done.returncode, done.stderr))
        verdict, tun, tap, *rest = done.stdout.splitlines()
        self.assertRegex(verdict, r"^tun or tap\? tun: throughput, packet rate")
        self.assertRegex(tun, r"^tun +[0-9.]+ \([0-9.]+–[0-9.]+\) Gbit/s ")
        self.assertRegex(tap, r"^tap +[0-9.]+ \([0-9.]+–[0-9.]+\) Gbit/s ")
        self.assertEqual([], [line for line in done.stdout.splitlines() if len(line) > 80])
        self.assertNotIn("\x1b", done.stdout)
        for word in ("Throughput of TCP by packet size", "by offloads", "Round-trip times", "per GiB", "kernel: Linux 6.1", "not measured, two processors"):
            self.assertIn(word, "\n".join(rest))

    def test_refuses_what_is_no_result(self):
        path = self.file("a.json", [])
        done = culvert("show", path)
        self.assertEqual((FAILED, ""), (done.returncode, done.stdout))
        self.assertIn(path, done.stderr)


    def test_writes_a_page_or_nothing(self):
        source = self.file("a.json", canned_result.result())
        page = self.folder / "a.html"
        done = culvert("show", source, "--report", page)
        self.assertEqual((DONE, "", ""), (done.returncode, done.stdout, done.stderr))
        self.assertTrue(page.read_text(encoding="utf-8").endswith("</html>\n"))
        for path, why in (("/dev/full", "No space left"), (self.folder / "none" / "a.html", "No such file"), (self.folder, "Is a directory")):
            done = culvert("show", source, "--report", path)
            self.assertEqual((FAILED, ""), (done.returncode, done.stdout))
            self.assertIn(f"writing the report to {path}: {why}", done.stderr)
        self.assertEqual({"a.json", "a.html"}, set(os.listdir(self.folder)))


class CommandLine(unittest.TestCase):
    def test_is_checked(self):
        for words in (["show"], ["compare"], ["compare", "a.json"], ["compare", "a", "b", "--threshold", "-1"], ["unknown", "--x"]):
            self.assertEqual(WRONG_USAGE, culvert(*words).returncode, words)
        for words in (["--help"], ["compare", "--help"], ["show", "--help"]):
            done = culvert(*words)
            self.assertEqual(DONE, done.returncode)
            self.assertIn("culvert bench", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
