"""What every lab test file starts from: a test case with a lab of its own, and `main()` for the bottom of the file."""

import collections
import os
import pathlib
import re
import sys
import unittest

import lab
import sites

SKIPPED = 77  # ctest's SKIP_RETURN_CODE for these tests


class Scenario(unittest.TestCase):
    """A test with an empty lab in self.lab; says what the processes said if it fails."""

    def run(self, result=None):
        self._result = result
        return super().run(result)

    def setUp(self):
        self._failures_before = self._failures()
        self.lab = lab.Lab()
        self.addCleanup(self.lab.__exit__)
        self.addCleanup(self._close)

    def _failures(self):
        return len(self._result.failures) + len(self._result.errors)

    def _close(self):
        # Every scenario ends with the programs under test ending well, which is also when a sanitizer looks for leaks.
        statuses = [process.end() for process in self.lab.processes if process.is_running and sites.culvert_binary() in process.argv]
        complaints = [process for process in self.lab.processes if re.search(r"Sanitizer|runtime error:", process.output)]
        is_well = not any(statuses) and not complaints
        if not is_well or self._failures() > self._failures_before:
            print(self.lab.logs(), file=sys.stderr)
        self.assertTrue(is_well, f"the programs ended with {statuses}, sanitizers had {len(complaints)} complaints")

    def two_hosts(self, *addresses):
        """Two hosts joined by an uplink with the given pairs of addresses."""
        left, right = self.lab.host("host-a"), self.lab.host("host-b")
        self.lab.link(left, right, *(addresses or (("10.0.0.1/24", "10.0.0.2/24"), ("fd00::1/64", "fd00::2/64"))))
        return left, right


def redundant_under_sanitizers(scenarios):
    """Leaves out scenarios that differ from others of their file only in that wireguard-go is at one end."""
    return unittest.skipIf(os.environ.get("CULVERT_SANITIZED"),
                           "sanitizers see the same code of culvert at work when culvert is at both ends")(scenarios)


def main():
    """Runs the file's tests inside a lab. Exit status 77: they cannot or need not run here, and a line says why."""
    binary = pathlib.Path(sites.culvert_binary())
    if not sites.TESTS_THE_TESTS and not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is not built")
    check_registration()
    try:
        lab.enter()
    except lab.Unavailable as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    result = unittest.main(verbosity=2, exit=False).result
    left_out = collections.Counter((type(test).__name__, reason) for test, reason in result.skipped)
    for (scenarios, reason), count in left_out.items():
        print(f"skipped: {pathlib.Path(sys.argv[0]).stem}: {count} of {scenarios}: {reason}", flush=True)
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.skipped and len(result.skipped) == result.testsRun else 0)


def check_registration():
    """Where CMakeLists.txt registers a file's classes one by one, none may be missing."""
    registered = os.environ.get("LAB_CLASSES")
    here = [value.__name__ for value in vars(sys.modules["__main__"]).values()
            if isinstance(value, type) and issubclass(value, Scenario) and unittest.defaultTestLoader.getTestCaseNames(value)]
    if registered and sorted(registered.split()) != sorted(here):
        sys.exit(f"registered are {registered}, but there are {' '.join(here)}")
