/* A native policy in C: a client that names a cluster, in the field `cluster`, is shown the brokers of that cluster, if
 * any of them serves the topic.
 *
 *     cc -shared -fPIC -O2 -I plugins/native-abi -o plugins/by-cluster.so examples/native-c/by_cluster.c
 *
 * and in the server's configuration
 *
 *     [plugins.files."by-cluster.so"]
 *     native = true
 *
 *     [policies]
 *     chain = ["acting-master", "zone", "by-cluster"]
 */
#include "fingerpost_plugin.h"

/* The server looks whether the field is there before it calls. It compares the cluster, too: mark 0 is set for a group
 * whose cluster is the one in the field. */
static const char manifest[] =
    "name = \"by-cluster\"\n"
    "version = \"0.1.0\"\n"
    "kind = \"policy\"\n"
    "description = \"Shows the brokers of the cluster that the client names\"\n"
    "[policy]\n"
    "when-field = { name = \"cluster\" }\n"
    "pure = true\n"
    "marks = [{ of = \"cluster\", equals-field = \"cluster\" }]\n";

#define GROUPS_MAX 1024

static int32_t enter(const fingerpost_host *host, fingerpost_call *call, int32_t code) {
    fingerpost_groups groups;
    uint32_t indices[GROUPS_MAX];
    fingerpost_indices kept = {indices, 0};

    (void)code;
    if (host->view_groups(call, &groups) != FINGERPOST_OK || groups.count > GROUPS_MAX) {
        host->fail(call, fingerpost_text("more broker groups than it was made for"));
        return 1;
    }
    for (size_t at = 0; at < groups.count; at++) {
        if (groups.items[at].marks & 1) {
            indices[kept.count++] = (uint32_t)at;
        }
    }
    if (kept.count > 0 && kept.count < groups.count) {
        host->view_keep(call, kept);
    }
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
