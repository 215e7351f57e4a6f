"""@NAME@ answers the request code 9500: a greeting in a header field, and the number of topics in the body."""

from wit_world import exports
from wit_world.imports import reply, request, routes

MANIFEST = """
name = "@NAME@"
version = "0.1.0"
kind = "processor"
description = "Greets, and says how many topics there are"
# What it wants to do besides reading: routes.write, kv.write, settings.write, upstream. The operator decides.
grants = []

[[codes]]
code = 9500
name = "@UPPER@"
# Everybody may ask. "admin": only those whom the operator lists.
access = "client"
# In the write lane. "worker": on the connection's thread, for short answers that write nothing.
run = "lane"
# The reply depends on nothing but the request and what was read through the server, so it may be remembered.
pure = true
"""


class Processor(exports.Processor):
    """What the world exports: the interface `processor` with its two functions."""

    def describe(self) -> str:
        return MANIFEST

    def handle(self, code: int) -> None:
        name = request.field("name")
        if name is None:
            reply.fail(1, "the field name is missing or malformed")
            return
        reply.set_field("greeting", f"hello, {name}")
        reply.set_body(str(count_topics()).encode())
        reply.set_code(0)


def count_topics() -> int:
    count = 0
    # Handles must not outlive the call; `with` gives this one back.
    with routes.topics(None) as cursor:
        while page := cursor.next(4096):
            count += len(page)
    return count
