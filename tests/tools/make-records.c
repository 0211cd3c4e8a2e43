/* SPDX-License-Identifier: Apache-2.0 */
/* Writes streams of records into a folder: seeds of fuzz-event, and small recordings for tests.
 * ninja -C build tests/make-records && build/tests/make-records tests/corpus/fuzz-event */
#include <stdio.h>

#include "records.h"

static struct rec r;
static FILE *f;

static void put(struct hf_span s)
{
    if (fwrite(s.p, 1, s.n, f) != s.n)
        exit(3);
}

static void begin(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    if (!f)
        exit(3);
}

static void container(uint64_t cgroup, struct hf_span pairs)
{
    struct hf_wire_hdr h = {.cgroup_id = cgroup, .time_ns = 1, .flags = HF_F_NO_PROC};
    put(rec_pairs(&r, h, HF_EV_CONTAINER, pairs));
}

static void story(void)
{
    struct hf_wire_hdr web = rec_hdr(100, 1, 1000, 500, 2000, "nginx"), sh = rec_hdr(101, 100, 3000, 500, 4000, "sh");
    container(500, HF_S("id\0" "8f2e1c\0" "name\0web\0image\0nginx:1.25\0runtime\0docker\0label.team\0shop\0privileged\0" "0\0command\0nginx\0"));
    put(rec_exec(&r, web, (struct hf_wire_exec){.argc = 2}, "/usr/sbin/nginx", HF_S("nginx\0-g\0daemon off;"), "/", HF_S("PATH=/bin\0")));
    struct hf_wire_fork fk = {.h = web, .child_start_ns = 3000, .child_cgroup_id = 500, .child_pid = 101, .child_ns_pid = 7, .child_ppid = 100, .child_pid_ns = 11};
    rec_begin(&r, &fk, sizeof fk, HF_EV_FORK);
    put(rec_end(&r));
    struct hf_wire_exec x = {.exec_flags = HF_X_UPPER | HF_X_OVERLAY, .stdio = {{.kind = HF_STDIO_SOCKET, .peer_port = 4444}}};
    rec_addr(x.stdio[0].peer, "203.0.113.9");
    put(rec_exec(&r, sh, x, "/bin/sh", HF_S("sh\0-c\0curl -H 'Authorization: x' http://u:p@h"), "/tmp", HF_S("TOKEN=abc\0")));
    put(rec_file(&r, sh, (struct hf_wire_file){.op = HF_FILE_OPEN, .open_flags = 1}, "/etc/shadow", ""));
    put(rec_file(&r, sh, (struct hf_wire_file){.op = HF_FILE_RENAME}, "/etc/a", "/etc/b"));
    put(rec_net(&r, web, HF_NET_LISTEN, IPPROTO_TCP, "0.0.0.0", 80, "0.0.0.0", 0));
    put(rec_net(&r, sh, HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.2", 40000, "203.0.113.9", 4444));
    put(rec_net(&r, sh, HF_NET_CONNECT, IPPROTO_TCP, "::1", 40000, "::1", 80));
    put(rec_net(&r, sh, HF_NET_CLOSE, IPPROTO_TCP, "10.0.0.2", 40000, "203.0.113.9", 4444));
    put(rec_payload(&r, sh, HF_PAYLOAD_IN, IPPROTO_UDP, "10.0.0.2", 40000, "10.0.0.53", 53,
            HF_S("\x12\x34\x81\x80\0\1\0\1\0\0\0\0\7example\3com\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71\x09")));
    put(rec_payload(&r, sh, HF_PAYLOAD_OUT, IPPROTO_TCP, "10.0.0.2", 40000, "203.0.113.9", 80, HF_S("GET /x HTTP/1.1\r\nHost: h\r\nUser-Agent: a\r\n\r\n")));
    struct hf_wire_exit e = {.h = sh, .status = 9};
    rec_begin(&r, &e, sizeof e, HF_EV_EXIT);
    put(rec_end(&r));
}

/* Memory made executable in each way, and requests to devices. */
static void memory(void)
{
    struct hf_wire_hdr sh = rec_hdr(101, 100, 3000, 500, 4000, "sh");
    const struct hf_wire_mem each[] = {{.op = HF_MEM_MMAP, .prot = 7, .mem_flags = HF_MEM_ANON | HF_MEM_WX, .length = 4096, .source = HF_SOURCE_TRACEPOINT},
            {.op = HF_MEM_MPROTECT, .prot = 5, .prot_before = 3, .mem_flags = HF_MEM_ANON | HF_MEM_WRITTEN | HF_MEM_STACK | HF_MEM_HEAP, .addr = 1u << 20, .length = 8192, .source = HF_SOURCE_LSM},
            {.op = HF_MEM_MPROTECT, .prot = 7, .mem_flags = HF_MEM_BLIND, .source = HF_SOURCE_SYSCALL},
            {.op = HF_MEM_MMAP, .prot = 5, .inode = 7, .dev = 1, .exec_flags = HF_X_MEMFD | HF_X_DELETED | HF_X_TMPFS, .source = HF_SOURCE_FENTRY},
            {.op = HF_MEM_SHMAT, .prot = 7, .mem_flags = HF_MEM_ANON | HF_MEM_WX, .source = HF_SOURCE_KPROBE}, {.op = 99, .prot = ~0u, .mem_flags = ~0u, .exec_flags = ~0u, .source = 99}};
    for (size_t i = 0; i < HF_ARRAY_LEN(each); i++) {
        struct hf_wire_mem m = each[i];
        struct hf_span path = m.inode ? HF_S("/memfd:x") : HF_S("");
        m.h = sh;
        m.path_len = (uint16_t)path.n;
        rec_begin(&r, &m, sizeof m, HF_EV_MEM);
        rec_text(&r, path);
        put(rec_end(&r));
    }
    const uint32_t requests[] = {0x5412, 0x80604518, 0x40044590, 0xffffffff, 0};
    for (size_t i = 0; i < HF_ARRAY_LEN(requests); i++)
        put(rec_file(&r, sh, (struct hf_wire_file){.op = HF_FILE_IOCTL, .request = requests[i], .watch = HF_WATCH_DEVICE, .source = HF_SOURCE_SYSCALL}, "/dev/pts/0", ""));
}

/* One record of every type, with room for the largest fixed part. */
static void types(void)
{
    for (unsigned type = 1; type < 72; type++) {
        struct hf_wire_exec zero = {.h = rec_hdr(100, 1, 1000, 500, 2000 + type, "prog")};
        if (type > 18 && type < 64)
            continue;
        rec_begin(&r, &zero, sizeof zero, type);
        rec_text(&r, HF_S("text"));
        put(rec_end(&r));
    }
}

/* Programs held against the seal of their image, and who wrote them. */
static void verdicts(void)
{
    struct hf_wire_hdr sh = rec_hdr(101, 100, 3000, 500, 4000, "sh"), dpkg = rec_hdr(102, 101, 3500, 500, 4100, "dpkg");
    container(500, HF_S("id\0" "8f2e1c\0" "name\0web\0image\0nginx:1.25\0"));
    put(rec_exec(&r, sh, (struct hf_wire_exec){.argc = 1}, "/bin/sh", HF_S("sh\0-c\0x"), "/", HF_S("")));
    put(rec_exec(&r, dpkg, (struct hf_wire_exec){.argc = 1}, "/usr/bin/dpkg", HF_S("dpkg\0-i\0a.deb"), "/", HF_S("")));
    put(rec_file(&r, sh, (struct hf_wire_file){.op = HF_FILE_WRITE}, "/bin/ls", ""));
    put(rec_file(&r, dpkg, (struct hf_wire_file){.op = HF_FILE_CREATE}, "/bin/tool.dpkg-new", ""));
    put(rec_file(&r, dpkg, (struct hf_wire_file){.op = HF_FILE_RENAME}, "/bin/tool.dpkg-new", "/bin/tool"));
    for (unsigned i = 0; i < 10; i++) {
        struct hf_wire_verdict v = {.h = i % 2 ? sh : dpkg, .inode = 7 + i, .size = 100, .dev = 1, .verdict = i, .use = i % 5, .action = i % 5, .rung = i % 7};
        struct hf_span texts[5] = {hf_span_z(i % 3 ? "/bin/ls" : "/bin/tool"), hf_span_z(i % 4 ? "" : "/bin/cat"), hf_span_z(i % 2 ? "coreutils 9.1-1" : ""), hf_span_z(i > 6 ? "web" : ""), hf_span_z(i > 6 ? "sealed-only" : "")};
        v.h.time_ns += 100;
        memset(v.got, i < 3 ? 0 : 0xab, sizeof v.got);
        memset(v.want, i < 6 ? 0 : 0xcd, sizeof v.want);
        v.path_len = (__u16)texts[0].n;
        v.sealed_path_len = (__u16)texts[1].n;
        v.package_len = (__u16)texts[2].n;
        v.policy_len = (__u16)texts[3].n;
        v.clause_len = (__u16)texts[4].n;
        rec_begin(&r, &v, sizeof v, HF_EV_VERDICT);
        for (unsigned j = 0; j < 5; j++)
            rec_text(&r, texts[j]);
        put(rec_end(&r));
    }
}

static void payloads(void)
{
    struct hf_wire_hdr h = rec_hdr(100, 1, 1000, 500, 2000, "prog");
    static const char *const texts[] = {"SSH-2.0-x\r\n", "NICK a\r\nUSER b\r\n", "{\"method\":\"login\"}", "\5\1", "POST / HTTP/1.1\nhost:a\n\n", "\x16\3\1\1\2\1\0\1\1"};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        put(rec_payload(&r, h, HF_PAYLOAD_OUT, IPPROTO_TCP, "10.0.0.2", 1, "10.0.0.3", 53, hf_span_z(texts[i])));
}

int main(int argc, char **argv)
{
    static void (*const all[])(void) = {story, types, payloads, memory, verdicts};
    static const char *const names[] = {"story", "types", "payloads", "memory", "verdicts"};
    if (argc != 2)
        return 2;
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++) {
        begin(argv[1], names[i]);
        all[i]();
        if (fclose(f) != 0)
            return 3;
    }
    return 0;
}
