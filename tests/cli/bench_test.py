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

    def test_fails_when_tap_is_gone_or_its_rates_are(self):
        before = self.file("a.json", canned_result.result())
        for name, is_gone in (("mode", lambda cell: cell["mode"] == "tap"),
                              ("rate", lambda cell: (cell["mode"], cell["measure"], cell["packet_size"]) == ("tap", "ndr", 64))):
            result = canned_result.result()
            result["cells"] = [cell for cell in result["cells"] if not is_gone(cell)]
            done = culvert("compare", before, self.file(f"{name}.json", result))
            self.assertEqual((WORSE, ""), (done.returncode, done.stderr))
            self.assertIn("\nlost: in the first only\n  tap, ", done.stdout)

    def test_does_not_fail_for_chance_noise_or_the_machine(self):
        def of_cell(key, change):
            result = canned_result.result()
            for cell in result["cells"]:
                if (cell["mode"], cell["measure"], cell["packet_size"], cell["streams"]) == key and cell["cipher"] in ("", "chacha20-poly1305"):
                    change(cell)
            return result

        def slower(factor, rounds=5):
            def change(cell):
                figure = next(iter(cell["figures"].values()))
                figure["rounds"] = [value * factor for value in figure["rounds"]][:rounds]
            return change

        before = self.file("a.json", canned_result.result())
        for name, key, change, status in (("one in hundreds", ("tap", "tcp-up", 8920, 1), slower(0.9), DONE),
                                          ("much slower", ("tap", "tcp-up", 8920, 1), slower(0.5), WORSE),
                                          ("few rounds", ("tap", "tcp-up", 8920, 1), slower(0.5, 4), DONE),
                                          ("uplink", ("uplink", "tcp-up", 8920, 1), slower(0.5), DONE),
                                          ("limited", ("tap", "tcp-up", 8920, 1),
                                           lambda cell: (slower(0.5)(cell), cell.update(limited_by_generator=True)), DONE)):
            with self.subTest(name):
                done = culvert("compare", before, self.file("b.json", of_cell(key, change)))
                self.assertEqual((status, ""), (done.returncode, done.stderr), done.stdout)

    def test_is_json_too(self):
        before, after = (self.file(f"{factor}.json", canned_result.result(factor)) for factor in (1, 0.5))
        done = culvert("compare", "--json", before, after)
        self.assertEqual(WORSE, done.returncode)
        compared = json.loads(done.stdout)
        self.assertGreater(compared["counted"]["worse"], compared["counted"]["chance"])
        self.assertTrue(compared["is_worse"])

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
