"""The smallest useful processor, in Python: a request code of one's own, 9013, answered with a greeting in a header
field and the number of topics in the body. `examples/hello-processor` is the same in Rust."""

from wit_world import exports
from wit_world.imports import reply, request, routes

MANIFEST = """
name = "hello-python"
version = "0.1.0"
kind = "processor"
description = "Says hello, and how many topics there are, in Python"
grants = []

[[codes]]
code = 9013
name = "HELLO_PYTHON"
access = "client"
run = "lane"
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
