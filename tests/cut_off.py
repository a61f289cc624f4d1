"""Run in a network namespace of its own (tests/test_page_cut_off.py): the page from a video to an answer and a report.

Prints one line of JSON.
"""

import fcntl
import json
import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from browser import PLAZA, answered, ask, drop, painted, serving, video, visiting

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        asked = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(plug, SIOCGIFFLAGS, asked)[:18])[1]
        fcntl.ioctl(plug, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def outside() -> str:
    """What a connection to the outside comes to."""
    try:
        socket.create_connection(("198.51.100.1", 443), 3).close()  # RFC 5737: nobody's
    except OSError as error:
        return type(error).__name__ + f" {error.errno}"
    return "connected"


def main() -> None:
    raise_loopback()
    said: dict[str, object] = {"interfaces": [name for _, name in socket.if_nameindex()], "outside": outside()}
    with serving() as address, visiting(address) as page:
        drop(page, PLAZA)
        answered(page)
        ask(page, "How does it move?")
        answered(page, 2)
        page.click("a[href$='#e=1']")
        page.wait_for_timeout(1000)
        report = "async () => (await (await fetch(document.querySelector('.tv-export').href)).text()).slice(0, 15)"
        said |= {
            "answer": page.inner_text("#tv-dialogue"),
            "second": video(page, "currentTime"),
            "painted": painted(page),
        }
        said |= {"report": page.evaluate(report), "asked_outside": page.outside, "errors": page.errors}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
