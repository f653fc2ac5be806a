"""Wrong clocks for one process, by clock_shim.c."""

import os
import pathlib
import struct
import subprocess


class Clocks:
    """The clocks of a process under clock_shim.c: how many seconds they are ahead of the machine's."""

    def __init__(self, folder):
        self.library, self.offsets = folder / "clock_shim.so", folder / "clocks"
        source = pathlib.Path(__file__).with_name("clock_shim.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.library, source, "-ldl", "-pthread"], check=True)
        self.realtime = self.boottime = 0
        self.move()

    def move(self, realtime=None, boottime=None):
        self.realtime = self.realtime if realtime is None else realtime
        self.boottime = self.boottime if boottime is None else boottime
        descriptor = os.open(self.offsets, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(descriptor, struct.pack("=qq", int(self.realtime * 1e9), int(self.boottime * 1e9)), 0)
        os.close(descriptor)

    @property
    def environment(self):
        return {**os.environ, "LD_PRELOAD": str(self.library), "CLOCK_SHIM": str(self.offsets)}
