"""What the kernel is asked so that an end resets nobody: keep newcomers out of a queue, and say what came unread."""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import socket
import struct
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_SO_ATTACH_FILTER = 26
_TCP_FLAGS, _SYN = 13, 0x02
"""Where the flags are in a TCP header, and that of who connects (RFC 9293, section 3.1)."""
_LOAD_BYTE, _JUMP_IF_SET, _RETURN = 0x30, 0x45, 0x06
_WHOLE, _NOTHING = 0xFFFFFFFF, 0
_PROGRAM = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (_LOAD_BYTE, 0, 0, _TCP_FLAGS),
        (_JUMP_IF_SET, 0, 1, _SYN),
        (_RETURN, 0, 0, _NOTHING),
        (_RETURN, 0, 0, _WHOLE),
    )
)


def let_nobody_in(bound: socket.socket) -> bool:
    """Have the kernel drop what opens a connection to a listening socket; whether it does.

    Closing such a socket resets whoever has connected and is not accepted yet, and between the last look at the queue
    and the end somebody may. With this nobody does: who tries is tried again by its own kernel, a second later, and
    then meets another process on the port or is refused. Source: socket(7), SO_ATTACH_FILTER; kernel documentation,
    networking/filter.
    """
    if sys.platform != "linux":
        return False
    program = ctypes.create_string_buffer(_PROGRAM, len(_PROGRAM))
    described = struct.pack("@HP", len(_PROGRAM) // 8, ctypes.addressof(program))
    try:
        bound.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
    except OSError:  # a sandbox may not allow it
        return False
    return True


def unread_bytes(transport: asyncio.Transport) -> int:
    """What has come and was not read: closing now would reset who sent it, who may have asked for something."""
    pending = array.array("i", [0])
    with contextlib.suppress(OSError, AttributeError):
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, pending)
    return pending[0]
