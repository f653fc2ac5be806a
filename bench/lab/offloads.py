"""Segmentation offloads of a host's device, by the ioctls behind `ethtool -k` and `ethtool -K`: read and switched off."""

import ctypes
import fcntl
import re
import struct

SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GSSET_INFO, ETHTOOL_GFEATURES, ETHTOOL_SFEATURES = 0x1B, 0x37, 0x3A, 0x3B
ETH_SS_FEATURES, ETH_GSTRING_LEN = 4, 32

# What a device says it can cut by itself. The stack's own cutting just before the device (tx-generic-segmentation) stays: a card
# that cannot cut has it, too, and what reaches the link is one frame per packet.
SEGMENTATION = re.compile(r"tx-(?!generic).*segmentation")


def _ask(socket, device, request):
    """Puts one request to the device and returns the bytes as the kernel left them."""
    buffer = ctypes.create_string_buffer(bytes(request), len(request))
    fcntl.ioctl(socket, SIOCETHTOOL, struct.pack("16sP", device.encode(), ctypes.addressof(buffer)))
    return buffer.raw


def _feature_names(socket, device):
    answer = _ask(socket, device, struct.pack("=IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0))
    count = struct.unpack_from("=I", answer, 16)[0]
    answer = _ask(socket, device, struct.pack("=III", ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count) + bytes(count * ETH_GSTRING_LEN))
    strings = (answer[12 + i * ETH_GSTRING_LEN:12 + (i + 1) * ETH_GSTRING_LEN] for i in range(count))
    return [string.split(b"\0")[0].decode() for string in strings]


def active(host, device):
    """Names of the segmentation offloads that are on."""
    with host.socket() as socket:
        names = _feature_names(socket, device)
        words = (len(names) + 31) // 32
        answer = _ask(socket, device, struct.pack("=II", ETHTOOL_GFEATURES, words) + bytes(16 * words))
    on = [struct.unpack_from("=I", answer, 8 + 16 * word + 8)[0] for word in range(words)]
    return [name for i, name in enumerate(names) if SEGMENTATION.fullmatch(name) and on[i // 32] >> i % 32 & 1]


def switch_off(host, device):
    """Switches all segmentation offloads off; OSError where the device does not allow it."""
    with host.socket() as socket:
        names = _feature_names(socket, device)
        masks = [0] * ((len(names) + 31) // 32)
        for i, name in enumerate(names):
            if SEGMENTATION.fullmatch(name):
                masks[i // 32] |= 1 << i % 32
        _ask(socket, device, struct.pack("=II", ETHTOOL_SFEATURES, len(masks)) + b"".join(struct.pack("=II", m, 0) for m in masks))
    if left := active(host, device):
        raise OSError(f"{device} keeps {', '.join(left)}")
