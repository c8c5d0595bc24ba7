"""A real mail server for tests: what it gets it writes to files. Some addresses it refuses, for good or for now."""

import json
import os
import sys
import time

from aiosmtpd.controller import Controller

FOLDER = sys.argv[1]
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
count = 0


class Box:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if "nobody" in address:
            return "550 5.1.1 no such mailbox"
        if "later" in address and not os.path.exists(os.path.join(FOLDER, "open")):
            return "451 4.3.0 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global count
        count += 1
        path = os.path.join(FOLDER, f"{count:04}.json")
        letter = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode("utf-8"),
        }
        with open(path + ".part", "w") as file:
            json.dump(letter, file)
        os.rename(path + ".part", path)
        return "250 kept"


controller = Controller(Box(), hostname="127.0.0.1", port=PORT)
if PORT == 0:
    # The controller wants to know its port before; the system knows a free one.
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        controller.port = free.getsockname()[1]
controller.start()
print(controller.port, flush=True)
while True:
    time.sleep(60)
