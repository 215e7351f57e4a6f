/* A native plugin for the tests, which is wrong in the way that the compiler is told. */
#include "fingerpost_plugin.h"

#include <stdio.h>

#ifndef SYMBOL
#define SYMBOL fingerpost_plugin_v1
#endif
#ifndef VERSION
#define VERSION FINGERPOST_ABI_VERSION
#endif
#ifndef SIZE
#define SIZE sizeof(fingerpost_plugin)
#endif
#ifndef PLUGIN
#define PLUGIN &plugin
#endif
#ifndef ENTER
#define ENTER enter
#endif
#ifndef MANIFEST
#define MANIFEST "name = \"faulty\"\nversion = \"1\"\nkind = \"processor\"\n[[codes]]\ncode = 9104\nname = \"FAULTY\"\n"
#endif

#ifdef MARK
/* Runs when the library is loaded. */
__attribute__((constructor)) static void loaded(void) {
    FILE *mark = fopen(MARK, "w");
    if (mark) {
        fclose(mark);
    }
}
#endif

#ifdef UNDEFINED
extern int32_t no_such_function_anywhere(void);
#else
#define no_such_function_anywhere() 0
#endif

static int is(fingerpost_bytes text, const char *other) {
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

static int32_t enter(const fingerpost_host *host, fingerpost_call *call, int32_t code) {
    const uint8_t bad[] = {0xff};
    fingerpost_bytes how, text = {bad, 1}, nothing = {0, 0}, sized = {0, 9};
    fingerpost_status status;
    uint32_t route;

    (void)code;
    if (host->abi_version < 1 || host->struct_size < sizeof(fingerpost_host)) {
        return no_such_function_anywhere() + 2;
    }
    if (host->request_field(call, fingerpost_text("how"), &how) != FINGERPOST_OK) {
        host->reply_set_code(call, 0);
        return 0;
    }
    if (is(how, "return")) {
        return 7;
    }
    if (is(how, "fail")) {
        host->fail(call, fingerpost_text("because of\nthis"));
        return 1;
    }
#ifdef GATE
    if (is(how, "wait")) {
        /* Until somebody has opened this pipe for writing, and closed it. */
        FILE *gate = fopen(GATE, "r");
        if (gate) {
            (void)fgetc(gate);
            fclose(gate);
        }
    }
#endif
    host->reply_set_code(call, 0);
    status = FINGERPOST_OK;
    if (is(how, "no-utf8")) {
        status = host->reply_set_field(call, fingerpost_text("name"), text);
    } else if (is(how, "null-place")) {
        status = host->request_body(call, 0);
    } else if (is(how, "null-text")) {
        status = host->reply_set_field(call, fingerpost_text("name"), sized);
    } else if (is(how, "handle")) {
        status = host->reply_set_route(call, 5, FINGERPOST_JSON_STANDARD, nothing);
    } else if (is(how, "style")) {
        host->routes_find(call, fingerpost_text("T"), &route);
        status = host->reply_set_route(call, route, 9, nothing);
    } else if (is(how, "level")) {
        status = host->log_write(call, 4, how);
    } else if (is(how, "role")) {
        status = host->view_topic(call, &text);
    }
    /* What went wrong is in the log; and none of it is undone by returning 0. */
    if (status == FINGERPOST_MISUSE && host->last_error(call).size == 0) {
        return 3;
    }
    return 0;
}

const fingerpost_plugin *SYMBOL(void) {
    static const char manifest[] = MANIFEST;
    static const fingerpost_plugin plugin = {VERSION, SIZE, {(const uint8_t *)manifest, sizeof manifest - 1}, ENTER};
    (void)enter;
    (void)plugin;
    return PLUGIN;
}
