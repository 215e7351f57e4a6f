// A processor in JavaScript that never ends when it is asked to, for the test of the deadline of an interpreter.

import { field } from "fingerpost:nameserver/request";
import { setCode } from "fingerpost:nameserver/reply";

const MANIFEST = `
name = "endless-js"
version = "0.1.0"
kind = "processor"
description = "Never ends"
grants = []

[[codes]]
code = 9019
name = "ENDLESS_JS"
access = "client"
run = "lane"
`;

export const processor = {
  describe: () => MANIFEST,

  handle(_code) {
    if (field("how") === "for ever") for (;;);
    setCode(0);
  },
};
