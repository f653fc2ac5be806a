"""A name server for labs, with answers that change and lifetimes to choose; it may also be silent. Authoritative for all it is asked."""

import pathlib
import socket
import struct
import subprocess
import threading

A, AAAA, IN = 1, 28, 1


class NameServer:
    """Answers at port 53 of a host's `address`, by itself 127.0.0.1, which the whole lab's resolv.conf names. `records` maps names to lists of addresses.

    A context manager. Without a record the answer is that there is no such name; while `is_silent` there is none at all.
    """

    def __init__(self, host, records=None, lifetime=10, address="127.0.0.1"):
        self.records, self.lifetime, self.is_silent = dict(records or {}), lifetime, False
        self.questions = 0
        self._socket = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._socket.settimeout(0.1)
        self._is_ending = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_ending = True
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while not self._is_ending:
            try:
                query, asker = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            self.questions += 1
            if not self.is_silent:
                self._socket.sendto(self._answer(query), asker)

    def _answer(self, query):
        """RFC 1035, section 4: header, the one question, and an answer record for each address of the family asked for."""
        end, labels = 12, []
        while length := query[end]:
            labels.append(query[end + 1:end + 1 + length].decode("ascii"))
            end += 1 + length
        kind, = struct.unpack(">H", query[end + 1:end + 3])
        addresses = self.records.get(".".join(labels).lower())
        family, separator = (socket.AF_INET6, ":") if kind == AAAA else (socket.AF_INET, ".")
        matching = [address for address in addresses or () if separator in address] if kind in (A, AAAA) else []
        answers = [struct.pack(">HHHIH", 0xC00C, kind, IN, self.lifetime, len(packed)) + packed
                   for packed in (socket.inet_pton(family, address) for address in matching)]
        flags = 0x8580 | (0 if addresses is not None else 3)
        header = query[:2] + struct.pack(">HHHHH", flags, 1, len(answers), 0, 0)
        return header + query[12:end + 5] + b"".join(answers)


def use_name_server(lab, address="127.0.0.1", options="timeout:1 attempts:2"):
    """Names are looked up at that address only, by the whole lab from now on."""
    for path, text in (("/etc/resolv.conf", f"nameserver {address}\noptions {options}\n"),
                       ("/etc/hosts", "127.0.0.1 localhost\n"), ("/etc/nsswitch.conf", "hosts: files dns\n")):
        if not pathlib.Path(path).exists():
            continue
        own = lab.folder / pathlib.Path(path).name
        own.write_text(text, encoding="ascii")
        subprocess.run(["mount", "--bind", own, path], check=True)
        lab.closing.callback(subprocess.run, ["umount", path], check=True)
