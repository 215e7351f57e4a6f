// @NAME@ answers the request code 9500: a greeting in a header field, and the number of topics in the body.

import { field } from "fingerpost:nameserver/request";
import { fail, setBody, setCode, setField } from "fingerpost:nameserver/reply";
import { topics } from "fingerpost:nameserver/routes";

const MANIFEST = `
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
`;

// What the world exports: the interface `processor` with its two functions.
export const processor = {
  describe: () => MANIFEST,

  handle(_code) {
    const name = field("name");
    if (name === null) {
      fail(1, "the field name is missing or malformed");
      return;
    }
    setField("greeting", `hello, ${name}`);
    setBody(ascii(countTopics()));
    setCode(0);
  },
};

function countTopics() {
  // Handles must not outlive the call; `using` gives this one back.
  using cursor = topics(null);
  let count = 0;
  for (;;) {
    const page = cursor.next(4096);
    if (page.length === 0) return count;
    count += page.length;
  }
}

// There is no TextEncoder: QuickJS is the language alone, without what browsers and Node add.
function ascii(value) {
  return Uint8Array.from(String(value), (letter) => letter.charCodeAt(0));
}
