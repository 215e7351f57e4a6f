// The smallest useful processor, in JavaScript: a request code of one's own, 9012, answered with a greeting in a header
// field and the number of topics in the body. `examples/hello-processor` is the same in Rust.

import { field } from "fingerpost:nameserver/request";
import { fail, setBody, setCode, setField } from "fingerpost:nameserver/reply";
import { topics } from "fingerpost:nameserver/routes";

const MANIFEST = `
name = "hello-js"
version = "0.1.0"
kind = "processor"
description = "Says hello, and how many topics there are, in JavaScript"
grants = []

[[codes]]
code = 9012
name = "HELLO_JS"
access = "client"
run = "lane"
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
