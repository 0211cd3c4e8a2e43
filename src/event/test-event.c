/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event.h"

#include "records.h"
#include "tap.h"

static struct rec r;

static void exec_texts(void)
{
    struct hf_event e;
    struct hf_err err = HF_ERR_INIT;
    struct hf_span s = rec_exec(&r, rec_hdr(7, 1, 70, 9, 100, "cat"), (struct hf_wire_exec){.exec_flags = HF_X_UPPER}, "/bin/cat",
            HF_S("cat\0/etc/shadow"), "/root", HF_S("A=1\0B=2"));
    EQ_U(s.n % 8, 0);
    EQ_I(hf_event_decode(s, &e, &err), 0);
    EQ_U(e.type, HF_EV_EXEC);
    OK(e.h == &e.u.hdr);
    EQ_S(e.path, "/bin/cat");
    EQ_S(e.path2, "/bin/cat");
    EQ_S(e.cwd, "/root");
    EQ_U(e.text.n, 0);
    EQ_U(e.args.n, 15);
    EQ_U(e.env.n, 7);
    EQ_U(e.u.exec.exec_flags, HF_X_UPPER);
    EQ_U(e.h->pid, 7);
}

static void refused(void)
{
    struct hf_event e;
    struct hf_err err = HF_ERR_INIT;
    struct hf_span s = rec_file(&r, rec_hdr(7, 1, 70, 9, 100, "cat"), (struct hf_wire_file){.op = HF_FILE_RENAME}, "/a", "/b");
    EQ_I(hf_event_decode(s, &e, &err), 0);
    EQ_S(e.path, "/a");
    EQ_S(e.path2, "/b");
    for (size_t cut = 0; cut < s.n; cut++) /* never beyond what is there */
        if (hf_event_decode(hf_span_sub(s, 0, cut), &e, &err) != HF_E_TRUNCATED) {
            OK(!"a cut record is refused");
            break;
        }
    OK(true);
    struct hf_wire_file *f = (struct hf_wire_file *)(void *)r.p;
    f->path_len = 60000; /* beyond the record */
    EQ_I(hf_event_decode(s, &e, &err), HF_E_FORMAT);
    f->path_len = 2;
    f->h.version = 9;
    EQ_I(hf_event_decode(s, &e, &err), HF_E_UNSUPPORTED);
    f->h.version = HF_WIRE_VERSION;
    static const uint16_t none[] = {0, 19, 63, 72, 65535};
    for (size_t i = 0; i < HF_ARRAY_LEN(none); i++) {
        f->h.type = none[i];
        EQ_I(hf_event_decode(s, &e, &err), HF_E_FORMAT);
    }
    f->h.type = HF_EV_EXEC; /* a longer fixed part than the record */
    EQ_I(hf_event_decode(s, &e, &err), HF_E_TRUNCATED);
}

static void every_type(void)
{
    /* A record of its header alone is enough for one type only; every type with the largest fixed part decodes. */
    struct hf_event e;
    struct hf_err err = HF_ERR_INIT;
    unsigned known = 0, bare = 0;
    for (unsigned type = 0; type < 128; type++) {
        struct hf_wire_exec zero = {.h = rec_hdr(1, 0, 1, 1, 1, "x")};
        rec_begin(&r, &zero, sizeof zero, type);
        known += hf_event_decode(rec_end(&r), &e, &err) == 0;
        rec_begin(&r, &zero, sizeof zero.h, type);
        bare += hf_event_decode(rec_end(&r), &e, &err) == 0;
    }
    EQ_U(known, 26);
    EQ_U(bare, 1); /* CONTAINER_END */
}

static void frames(void)
{
    size_t len = 0;
    struct hf_err err = HF_ERR_INIT;
    struct hf_span s = rec_net(&r, rec_hdr(7, 1, 70, 9, 100, "curl"), HF_NET_CONNECT, IPPROTO_TCP, "0.0.0.0", 0, "10.0.0.1", 80);
    EQ_I(hf_event_frame(hf_span_sub(s, 0, 3), &len, &err), 0);
    EQ_I(hf_event_frame(hf_span_sub(s, 0, s.n - 1), &len, &err), 0);
    EQ_I(hf_event_frame(s, &len, &err), 1);
    EQ_U(len, s.n);
    static const uint32_t bad[] = {0, 8, 119, 121, HF_WIRE_MAX + 8, UINT32_MAX};
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        memcpy(r.p, &bad[i], 4);
        EQ_I(hf_event_frame(s, &len, &err), HF_E_FORMAT);
    }
}

static void names_end(void)
{
    struct hf_event e;
    struct hf_wire_rename n = {.h = rec_hdr(7, 1, 70, 9, 100, "x")};
    memset(n.name, 'a', sizeof n.name);
    memset(n.h.comm, 'b', sizeof n.h.comm);
    rec_begin(&r, &n, sizeof n, HF_EV_RENAME);
    EQ_I(hf_event_decode(rec_end(&r), &e, NULL), 0);
    EQ_U(strlen(e.u.rename.name), 15);
    EQ_U(strlen(e.u.hdr.comm), 15);
}

static void pairs(void)
{
    struct hf_span rest = HF_S("id\0abc\0name\0web\0"), name, value;
    OK(hf_event_pair(&rest, &name, &value));
    EQ_S(name, "id");
    EQ_S(value, "abc");
    OK(hf_event_pair(&rest, &name, &value));
    EQ_S(value, "web");
    OK(!hf_event_pair(&rest, &name, &value));
    rest = HF_S("alone\0");
    OK(!hf_event_pair(&rest, &name, &value));
    rest = HF_S("empty\0\0x\0y\0");
    OK(hf_event_pair(&rest, &name, &value));
    EQ_U(value.n, 0);
    OK(hf_event_pair(&rest, &name, &value));
    EQ_S(value, "y");
    rest = hf_span(NULL, 0);
    OK(!hf_event_pair(&rest, &name, &value));
}

static void texts(void)
{
    hf_autobuf b = HF_BUF_INIT(256);
    uint8_t a[16];
    rec_addr(a, "10.1.2.3");
    OK(hf_event_addr_is_v4(a));
    hf_event_addr(a, &b);
    EQ_S(hf_buf_span(&b), "10.1.2.3");
    hf_buf_clear(&b);
    rec_addr(a, "2001:db8::1");
    OK(!hf_event_addr_is_v4(a));
    hf_event_addr(a, &b);
    EQ_S(hf_buf_span(&b), "2001:db8::1");
    OK(!strcmp(hf_event_type_name(HF_EV_FILE), "file") && !strcmp(hf_event_type_name(HF_EV_CRED), "credentials"));
    for (unsigned i = 0; i < 300; i++)
        if (!hf_event_type_name(i)[0] || !hf_event_file_op_name(i)[0] || !hf_event_net_op_name(i)[0])
            OK(!"every number has a name");
    OK(!strcmp(hf_event_type_name(999), "unknown") && !strcmp(hf_event_file_op_name(999), "unknown"));
}

int main(void)
{
    exec_texts();
    refused();
    every_type();
    frames();
    names_end();
    pairs();
    texts();
    return tap_done();
}
