// @NAME@ answers the request code 9500: a greeting in a header field, and the number of topics in the body.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/request_processor.h"

static const char MANIFEST[] =
    "name = '@NAME@'\n"
    "version = '0.1.0'\n"
    "kind = 'processor'\n"
    "description = 'Greets, and says how many topics there are'\n"
    "# What it wants to do besides reading: routes.write, kv.write, settings.write, upstream. The operator decides.\n"
    "grants = []\n"
    "\n"
    "[[codes]]\n"
    "code = 9500\n"
    "name = '@UPPER@'\n"
    "# Everybody may ask. 'admin': only those whom the operator lists.\n"
    "access = 'client'\n"
    "# In the write lane. 'worker': on the connection's thread, for short answers that write nothing.\n"
    "run = 'lane'\n"
    "# The reply depends on nothing but the request and what was read through the server, so it may be remembered.\n"
    "pure = true\n";

// A text that is there for ever, for as long as a function is called with it.
static request_processor_string_t text(const char *letters)
{
    return (request_processor_string_t){(uint8_t *)letters, strlen(letters)};
}

static void fail(int32_t code, const char *remark)
{
    request_processor_string_t text_of_remark = text(remark);
    fingerpost_nameserver_reply_fail(code, &text_of_remark);
}

static uint64_t count_topics(void)
{
    fingerpost_nameserver_routes_own_topic_cursor_t cursor = fingerpost_nameserver_routes_topics(NULL);
    fingerpost_nameserver_routes_borrow_topic_cursor_t walk = fingerpost_nameserver_routes_borrow_topic_cursor(cursor);
    fingerpost_nameserver_routes_list_topic_summary_t page;
    uint64_t count = 0;
    do {
        fingerpost_nameserver_routes_method_topic_cursor_next(walk, 4096, &page);
        count += page.len;
        fingerpost_nameserver_routes_list_topic_summary_free(&page);
    } while (page.len != 0);
    // Handles must not outlive the call.
    fingerpost_nameserver_routes_topic_cursor_drop_own(cursor);
    return count;
}

static void set_greeting(const request_processor_string_t *name)
{
    static const char HELLO[] = "hello, ";
    size_t hello = sizeof HELLO - 1;
    uint8_t *letters = malloc(hello + name->len);
    if (letters == NULL) abort();
    memcpy(letters, HELLO, hello);
    memcpy(letters + hello, name->ptr, name->len);

    request_processor_string_t field = text("greeting");
    request_processor_string_t greeting = {letters, hello + name->len};
    fingerpost_nameserver_reply_set_field(&field, &greeting);
    free(letters);
}

// By hand, because printf is ten times as large as the rest of this component.
static void set_body_to_decimal(uint64_t number)
{
    uint8_t digits[20];
    uint8_t *first = digits + sizeof digits;
    do {
        *--first = '0' + number % 10;
        number /= 10;
    } while (number != 0);
    request_processor_list_u8_t body = {first, digits + sizeof digits - first};
    fingerpost_nameserver_reply_set_body(&body);
}

// What the world exports: the interface `processor` with its two functions.

void exports_fingerpost_nameserver_processor_describe(request_processor_string_t *manifest)
{
    // Whoever called frees it.
    request_processor_string_dup(manifest, MANIFEST);
}

void exports_fingerpost_nameserver_processor_handle(int32_t code)
{
    (void)code;
    request_processor_string_t field = text("name");
    request_processor_string_t name;
    if (!fingerpost_nameserver_request_field(&field, &name)) {
        fail(1, "the field name is missing or malformed");
        return;
    }
    set_greeting(&name);
    set_body_to_decimal(count_topics());
    fingerpost_nameserver_reply_set_code(0);
    request_processor_string_free(&name);
}
