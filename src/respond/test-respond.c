// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "respond/active.h"
#include "respond/cut.h"
#include "respond/executor.h"
#include "respond/groups.h"
#include "respond/isolate.h"
#include "respond/journal.h"
#include "respond/netns.h"
#include "respond/snapshot-internal.h"
#include "tap.h"

static char dir[64];

static void test_journal(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_journal *j = NULL;
    struct hf_journal_check c = {.lines = 0};
    struct hf_journal_entry e = {.action = "freeze", .phase = "begin", .container_id = "abc", .container_name = "web", .why = "a \"quoted\"\nreason"};
    uint64_t seq = 0;
    char path[128];
    for (unsigned i = 0; i < 3; i++) {
        EQ_I(hf_journal_open(&j, dir, &err), 0);
        EQ_I(hf_journal_add(j, &e, &seq, &err), 0);
        EQ_U(seq, i + 1);
        EQ_U(hf_journal_begun_since(j, 0), i + 1);
        EQ_I(hf_journal_sync(j, &err), 0);
        hf_journal_close(j);
    }
    EQ_I(hf_journal_verify(dir, &c, &err), 0);
    EQ_U(c.lines, 3);
    hf_autobuf text = HF_BUF_INIT(65536);
    snprintf(path, sizeof path, "%s/log.ndjson", dir);
    EQ_I(hf_read_file(path, &text, &err), 0);
    size_t at = hf_span_search(hf_buf_span(&text), HF_S("web"));
    text.p[at] = 'W';
    EQ_I(hf_journal_check_text(hf_buf_span(&text), &c, &err), HF_E_DIGEST);
    EQ_U(c.bad_line, 1);
    text.p[at] = 'w';
    EQ_I(hf_journal_check_text(hf_span_sub(hf_buf_span(&text), 0, text.n - 1), &c, &err), HF_E_TRUNCATED);
    EQ_I(hf_journal_check_text(HF_S("{}\n"), &c, &err), HF_E_FORMAT);
}

static void test_active(void)
{
    struct hf_active a = {.action = "freeze", .id = "../../x", .name = "n", .rung = "r", .cgroup_id = 7, .seq = 3, .was = true}, b;
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_active_write(dir, &a, &err), 0);
    EQ_I(hf_active_read(dir, "freeze", "../../x", &b, &err), 0);
    EQ_S(hf_span_z(b.id), "../../x");
    OK(b.was && b.cgroup_id == 7 && b.seq == 3);
    hf_active_remove(dir, &a);
    EQ_I(hf_active_read(dir, "freeze", "../../x", &b, &err), HF_E_NOT_FOUND);
}

static void test_addresses(void)
{
    static const char *const good[] = {"10.0.0.1", "10.0.0.0/8", "10.0.0.1:443", "::1", "[fd00::1]:53", "fd00::/8"};
    static const char *const bad[] = {"", "x", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.0/33", "10.0.0.0/", "[fd00::1", "[fd00::1]53", "1.2.3"};
    struct hf_gate_allow a;
    struct hf_err err = HF_ERR_INIT;
    for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
        hf_autobuf text = HF_BUF_INIT(128);
        EQ_I(hf_gate_parse_allow(good[i], &a, &err), 0);
        hf_gate_allow_text(&a, &text);
        EQ_S(hf_buf_span(&text), good[i]);
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
        EQ_I(hf_gate_parse_allow(bad[i], &a, &err), HF_E_USAGE);
    const unsigned char in[16] = {[10] = 0xff, [11] = 0xff, 10, 9, 8, 7}, out[16] = {[10] = 0xff, [11] = 0xff, 11, 9, 8, 7};
    EQ_I(hf_gate_parse_allow("10.0.0.0/8", &a, &err), 0);
    OK(hf_gate_allows(&a, 1, in, 5) && !hf_gate_allows(&a, 1, out, 5));
    EQ_I(hf_gate_parse_allow("10.9.8.7:5", &a, &err), 0);
    OK(hf_gate_allows(&a, 1, in, 5) && !hf_gate_allows(&a, 1, in, 6));
}

static void test_texts(void)
{
    uint64_t packets = 0, bytes = 0;
    char upper[4096];
    hf_isolate_parse_counts(HF_S("table inet holdfast {\n\tcounter out {\n\t\tpackets 5 bytes 300\n\t}\n\tcounter in {\n\t\tpackets 2 bytes 10\n\t}\n}\n"), &packets, &bytes);
    EQ_U(packets, 7);
    EQ_U(bytes, 310);
    OK(hf_snapshot_upper(HF_S("1 2 0:5 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/a\\040b/diff,workdir=/w\n3 1 0:6 / /proc rw - proc proc rw\n"), upper));
    EQ_S(hf_span_z(upper), "/a b/diff");
    OK(!hf_snapshot_upper(HF_S("1 2 0:5 / / rw - ext4 /dev/x rw\n"), upper));
}

static void test_xdp_sockets(void)
{
    EQ_U(hf_netns_xdp_of(HF_S("protocol  size sockets  memory press\nPACKET 1600 4 -1 NI\nXDP       1088      3      -1   NI       0   no   kernel\nUNIX 1152 87\n")), 3);
    EQ_U(hf_netns_xdp_of(HF_S("protocol  size sockets\nXDP 1088")), 0);
    EQ_U(hf_netns_xdp_of(HF_S("XDP x y\nXDPX 1 2\n")), 0);
    EQ_U(hf_netns_xdp_of(HF_S("XDP 1 -1\n")), 0);
    EQ_U(hf_netns_xdp_of(hf_span(NULL, 0)), 0);
}

static void put(const char *file, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *f = fopen(path, "w");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

/* A group whose freezer never says that it is done. */
static void test_half_frozen(void)
{
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf text = HF_BUF_INIT(64);
    char path[128];
    put("cgroup.freeze", "0");
    put("cgroup.events", "populated 1\nfrozen 0\n");
    EQ_I(hf_group_freeze(dir, HF_FREEZER_V2, 20, &err), -ETIMEDOUT);
    snprintf(path, sizeof path, "%s/cgroup.freeze", dir);
    EQ_I(hf_read_file(path, &text, &err), 0);
    EQ_S(hf_buf_span(&text), "0");
    put("cgroup.events", "populated 1\nfrozen 1\n");
    EQ_I(hf_group_freeze(dir, HF_FREEZER_V2, 20, &err), 0);
    EQ_I(hf_group_is_frozen(dir, HF_FREEZER_V2, &err), 1);
}

static void test_messages(void)
{
    struct hf_executor_ask a = {.magic = HF_EXECUTOR_MAGIC, .version = HF_EXECUTOR_VERSION, .size = sizeof a, .cgroup_id = 5, .n = 1, .id = "abc", .rule = "r"}, b;
    struct hf_err err = HF_ERR_INIT;
    struct hf_span s = hf_span((const char *)&a, sizeof a);
    EQ_I(hf_executor_read(s, &b, &err), 0);
    EQ_I(hf_executor_read(hf_span_sub(s, 0, sizeof a - 1), &b, &err), HF_E_FORMAT);
    a.acts[0] = HF_RESPONSES;
    EQ_I(hf_executor_read(s, &b, &err), HF_E_FORMAT);
    a.acts[0] = 0;
    a.n = HF_RESPONSES + 1;
    EQ_I(hf_executor_read(s, &b, &err), HF_E_FORMAT);
    a.n = 1;
    memset(a.rule, 'x', sizeof a.rule);
    EQ_I(hf_executor_read(s, &b, &err), HF_E_FORMAT);
    for (unsigned i = 0; i < HF_RESPONSES; i++) {
        enum hf_act act;
        OK(hf_act_parse(hf_span_z(hf_response_name(i)), &act));
    }
}

int main(void)
{
    snprintf(dir, sizeof dir, "/tmp/hf-test-respond-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    test_journal();
    test_active();
    test_addresses();
    test_texts();
    test_xdp_sockets();
    test_half_frozen();
    test_messages();
    return tap_done();
}
