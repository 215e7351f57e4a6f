/* A native processor in C: a request code of one's own, 9102, answered with a greeting in a header field.
 *
 *     cc -shared -fPIC -O2 -I plugins/native-abi -o plugins/greet.so examples/native-c/greet.c
 *
 * and in the server's configuration
 *
 *     [plugins.files."greet.so"]
 *     native = true
 */
#include "fingerpost_plugin.h"

#include <stdio.h>

/* The tests build it with another one, to see that new bytes answer. */
#ifndef GREETING
#define GREETING "hello"
#endif

static const char manifest[] =
    "name = \"greet\"\n"
    "version = \"0.1.0\"\n"
    "kind = \"processor\"\n"
    "description = \"Greets whoever asks for the private code 9102\"\n"
    "[[codes]]\n"
    "code = 9102\n"
    "name = \"GREET_IN_C\"\n";

static int32_t enter(const fingerpost_host *host, fingerpost_call *call, int32_t code) {
    fingerpost_bytes name;
    char greeting[256];

    (void)code; /* There is only one. */
    if (host->request_field(call, fingerpost_text("name"), &name) != FINGERPOST_OK) {
        host->reply_fail(call, 1, fingerpost_text("the request has no field name"));
        return 0; /* The call went well: its answer is an error. */
    }
    if (name.size > 200) {
        host->reply_fail(call, 1, fingerpost_text("the name is longer than 200 bytes"));
        return 0;
    }
    /* Texts have a size, and no zero at the end. */
    snprintf(greeting, sizeof greeting, "%s, %.*s", GREETING, (int)name.size, (const char *)name.data);
    host->reply_set_field(call, fingerpost_text("greeting"), fingerpost_text(greeting));
    host->reply_set_code(call, 0);
    return 0;
}

const fingerpost_plugin *fingerpost_plugin_v1(void) {
    static const fingerpost_plugin plugin = {
        FINGERPOST_ABI_VERSION,
        sizeof(fingerpost_plugin),
        {(const uint8_t *)manifest, sizeof manifest - 1},
        enter,
    };
    return &plugin;
}
