#!/usr/bin/env python3
"""The report of culvert bench as a browser shows it: pictures within their boxes, on wide and narrow windows, light and dark.

CULVERT names the program; SCREENSHOTS a folder for pictures of it, if somebody wants to look.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import canned_result
from chromium import Chromium

CULVERT = os.environ["CULVERT"]
WIDTHS = (1280, 400)
SCHEMES = ("light", "dark")

# What is wrong with the page, as far as it knows itself.
PROBLEMS = r"""
(() => {
  const problems = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) problems.push("wider than the window");
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (box.width && (box.right > width + 0.5 || box.left < -0.5) && !element.parentElement.closest(".table")) {
      problems.push(`${element.tagName} ${element.id} reaches from ${box.left} to ${box.right}`);
    }
  }
  for (const image of document.images) if (!image.complete || !image.naturalWidth) problems.push("missing picture");
  for (const canvas of document.querySelectorAll("canvas")) {
    const box = canvas.getBoundingClientRect();
    const frame = canvas.parentElement.getBoundingClientRect();
    if (box.left < frame.left - 0.5 || box.right > frame.right + 0.5 || box.top < frame.top - 0.5 || box.bottom > frame.bottom + 0.5) {
      problems.push(canvas.id + " is outside of its box");
    }
    const pixels = canvas.width && canvas.height ? canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data : [];
    if (!pixels.some((value) => value)) problems.push(canvas.id + " is empty");
    const chart = typeof Chart === "undefined" ? undefined : Chart.getChart(canvas);
    if (!chart) {
      problems.push(canvas.id + " has no chart");
      continue;
    }
    const area = chart.chartArea;
    if (area.left < 0 || area.right > chart.width || area.top < 0 || area.bottom > chart.height) problems.push(canvas.id + ": axes outside");
    if (area.right - area.left < chart.width / 2 || area.bottom - area.top < chart.height / 3) problems.push(canvas.id + ": hardly any room");
    for (const dataset of chart.data.datasets) {
      if (!dataset.hidden) for (const point of dataset.points || []) {
        if (point && (point.most > chart.scales.y.max || point.least < chart.scales.y.min)) problems.push(`${canvas.id}: ${point.median} outside`);
      }
    }
  }
  const numbers = (text) => text.match(/[\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = light(numbers(getComputedStyle(document.body).backgroundColor));
  for (const element of document.body.querySelectorAll("h1, h2, p, th, td, span, summary")) {
    const own = light(numbers(getComputedStyle(element).color));
    const contrast = (Math.max(own, ground) + 0.05) / (Math.min(own, ground) + 0.05);
    const wanted = parseInt(getComputedStyle(element).fontWeight) >= 700 ? 3 : 4.5;
    if (contrast < wanted) problems.push(`contrast of ${element.tagName} ${element.className} is ${contrast}`);
  }
  return [...new Set(problems)];
})()
"""


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Chromium())

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.page = self.folder / "report.html"

    def write(self, result):
        source = self.folder / "result.json"
        source.write_text(json.dumps(result), encoding="utf-8")
        done = subprocess.run([CULVERT, "bench", "show", source, "--report", self.page], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))
        self.assertEqual({"result.json", "report.html"}, set(os.listdir(self.folder)))

    def problems(self, width=1280, scheme="light"):
        self.browser.open(self.page.as_uri(), width, scheme)
        return self.browser.evaluate(PROBLEMS) + self.browser.complaints()

    def count(self, selector):
        return self.browser.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length")

    def test_shows_all_pictures_within_their_boxes(self):
        self.write(canned_result.result())
        grounds = set()
        for width in WIDTHS:
            for scheme in SCHEMES:
                with self.subTest(width=width, scheme=scheme):
                    self.assertEqual([], self.problems(width, scheme))
                    self.assertGreaterEqual(self.count("canvas"), 15)
                    self.assertEqual(self.count("canvas"), self.count("figure table"))
                    grounds.add(self.browser.evaluate("getComputedStyle(document.body).backgroundColor"))
                    if "SCREENSHOTS" in os.environ:
                        folder = pathlib.Path(os.environ["SCREENSHOTS"])
                        self.browser.screenshot(folder / f"{width}-{scheme}-top.png", "header")
                        self.browser.screenshot(folder / f"{width}-{scheme}-end.png", "footer")
                        for number in range(self.count("section")):
                            self.browser.evaluate(f"document.querySelectorAll('section')[{number}].id = 'section-{number}'")
                            self.browser.screenshot(folder / f"{width}-{scheme}-{number}.png", f"#section-{number}")
        self.assertEqual(2, len(grounds), "light and dark look alike")

    def test_has_tun_and_tap_side_by_side_in_each_picture_with_their_spreads(self):
        self.write(canned_result.result())
        self.assertEqual([], self.problems())
        for view in self.browser.evaluate("views"):
            self.assertEqual(["tun", "tap", "tap+bridge"], view["columns"][:3], view["id"])
            for point in sum(view["points"], []):
                self.assertTrue(point is None or point["least"] <= point["median"] <= point["most"], view["id"])
        headings = self.browser.evaluate("[...document.querySelectorAll('h2')].map((one) => one.textContent)")
        self.assertEqual(["Throughput", "Packet rate", "Latency", "Processor time", "Where the time goes", "The ladder of offloads",
                          "How it was measured", "The machine"], headings)
        colors = self.browser.evaluate("charts.filter((one) => one.config.type != 'bar' || !one.options.scales.y.stacked).map("
                                       "(one) => one.data.datasets.map((data) => data.label + ' ' + data.borderColor).slice(0, 3).join())")
        self.assertEqual(1, len(set(colors)), "a mode has one colour everywhere")

    def test_follows_the_window_and_the_scheme(self):
        self.write(canned_result.result())
        self.browser.open(self.page.as_uri(), 1280, "light")
        self.browser.call("Emulation.setDeviceMetricsOverride", width=400, height=900, deviceScaleFactor=2, mobile=False)
        self.browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        self.browser.evaluate("new Promise((done) => setTimeout(done, 500))")
        self.assertEqual([], self.browser.evaluate(PROBLEMS) + self.browser.complaints())
        self.assertTrue(self.browser.evaluate("charts[0].options.plugins.legend.labels.color == color('text')"))

    def test_leaves_out_pictures_of_what_was_not_measured(self):
        result = canned_result.result()
        result["cells"] = [cell for cell in result["cells"] if cell["measure"] == "tcp-up" and cell["mode"] != "tap+bridge" and cell["offloads"] == "on"]
        for cell in result["cells"]:
            cell["figures"] = {"throughput": cell["figures"]["throughput"]}
        self.write(result)
        for width in WIDTHS:
            self.assertEqual([], self.problems(width))
        self.assertEqual(5, self.count(".missing"))
        result["cells"] = []
        self.write(result)
        self.assertEqual([], self.problems())
        self.assertEqual((0, 6), (self.count("canvas"), self.count(".missing")))

    def test_begins_with_the_only_tunnel_where_it_leads_to_a_peer(self):
        result = canned_result.result()
        result["kind"] = "peer"
        result["cells"] = [cell for cell in result["cells"] if cell["mode"] == "tun" and cell["cipher"] == "chacha20-poly1305" and cell["offloads"] == "on"]
        self.write(result)
        for width in WIDTHS:
            for scheme in SCHEMES:
                self.assertEqual([], self.problems(width, scheme))
                if "SCREENSHOTS" in os.environ:
                    self.browser.screenshot(pathlib.Path(os.environ["SCREENSHOTS"]) / f"peer-{width}-{scheme}-top.png", "header")
        self.assertEqual("One tunnel", self.browser.evaluate("document.querySelector('h1').textContent"))
        rows = self.browser.evaluate("[...document.querySelectorAll('header tr > th')].map((one) => one.textContent)")
        self.assertEqual(["throughput, up", "throughput, down", "packet rate, no loss", "packet rate, 0.5 % loss", "latency, idle", "latency, full load"], rows)
        self.assertFalse(self.browser.evaluate("document.body.textContent.includes('tun or tap')"))
        self.assertGreater(self.count("canvas"), 5)

    def test_shows_names_as_they_are_and_runs_nothing_of_them(self):
        evil = "</script><img src=x onerror='window.evil = 1'><script>window.evil = 1</script><!-- {{chart}} \"'&"
        result = canned_result.result()
        for cell in result["cells"]:
            if cell["cipher"] == "aes-256-gcm":
                cell["cipher"] = evil
            cell["drops"] = {evil: 1}
        result["notes"] = [evil]
        for field in ("kernel", "cpu", "virtualization", "culvert"):
            result["machine"][field] = evil
        result["machine"]["versions"] = [{"name": evil, "value": evil}]
        result["kind"] = evil
        self.write(result)
        for width in WIDTHS:
            self.assertEqual([], self.problems(width))
        self.assertEqual("undefined", self.browser.evaluate("typeof window.evil"))
        self.assertTrue(self.browser.evaluate(f"document.body.textContent.includes({json.dumps(evil)})"))
        self.assertEqual(0, self.count("img"))

    def test_keeps_the_licence_of_what_draws_it(self):
        self.write(canned_result.result())
        page = self.page.read_text(encoding="utf-8")
        self.assertIn("Chart.js Contributors", page)
        self.assertIn("Permission is hereby granted, free of charge", page)


class Looking(unittest.TestCase):
    """The checks above find what they are for."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.page = pathlib.Path(folder.name, "page.html")

    def test_finds_what_is_wrong(self):
        start = "<!doctype html><body style='margin:0;background:#fff;color:#000'>"
        with Chromium() as browser:
            for body, complaint in (("<p>fine</p>", None),
                                    ("<div style='width:500px'>wide</div>", "DIV"),
                                    ("<div style='width:10px'><canvas id=c width=50></canvas></div>", "c is outside of its box"),
                                    ("<canvas id=c></canvas>", "c is empty"),
                                    ("<canvas id=c></canvas>", "c has no chart"),
                                    ("<img src='data:image/png,no'>", "missing picture"),
                                    ("<p style='color:#999'>pale</p>", "contrast of P"),
                                    ("<script>nothing.at.all()</script>", "ReferenceError"),
                                    ("<script>console.error('ouch')</script>", "console: error"),
                                    ("<img src='none.png'>", "asked for")):
                with self.subTest(body=body):
                    self.page.write_text(start + body, encoding="utf-8")
                    browser.open(self.page.as_uri(), 400, "light")
                    found = browser.evaluate(PROBLEMS) + browser.complaints()
                    if complaint is None:
                        self.assertEqual([], found)
                    else:
                        self.assertIn(complaint, "\n".join(found))


if __name__ == "__main__":
    unittest.main(verbosity=2)
