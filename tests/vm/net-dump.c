// SPDX-License-Identifier: Apache-2.0
/* net-dump - loads the kernel half and writes what its network programs tell, one JSON object a line.  For tests: commands come
 * on stdin (see `commands`), each is answered by a line {"done": command}; all events up to then were written before. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "sensor/kernel.h"
#include "sensor/net/rates.h"

static uint64_t shown_types = 1ull << HF_EV_NET | 1ull << HF_EV_PAYLOAD | 1ull << HF_EV_SOCKET | 1ull << HF_EV_FILE;
static uint64_t n_net, n_all;

static uint64_t boot_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static const char *addr(const uint8_t a[16], char out[64])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (!memcmp(a, mapped, 12))
        inet_ntop(AF_INET, a + 12, out, 64);
    else
        inet_ntop(AF_INET6, a, out, 64);
    return out;
}

static void head(const struct hf_wire_hdr *h, const char *type)
{
    char comm[17] = {0};
    for (size_t i = 0; i < 16 && h->comm[i]; i++)
        comm[i] = h->comm[i] >= ' ' && h->comm[i] < 127 && h->comm[i] != '"' && h->comm[i] != '\\' ? h->comm[i] : '?';
    printf("{\"type\":\"%s\",\"time\":%" PRIu64 ",\"pid\":%u,\"tid\":%u,\"ppid\":%u,\"uid\":%u,\"cgroup\":%" PRIu64 ",\"net_ns\":%u,\"comm\":\"%s\",\"owner\":%s,"
           "\"critical\":%s,\"untrusted\":%s,\"truncated\":%s",
            type, (uint64_t)h->time_ns, h->pid, h->tid, h->ppid, h->uid, (uint64_t)h->cgroup_id, h->net_ns, comm, h->flags & HF_F_OWNER ? "true" : "false",
            h->flags & HF_F_CRITICAL ? "true" : "false", h->flags & HF_F_UNTRUSTED ? "true" : "false", h->flags & HF_F_TRUNCATED ? "true" : "false");
}

static void ends(const uint8_t *local, uint16_t lport, const uint8_t *peer, uint16_t pport, uint16_t family, uint16_t protocol, uint64_t cookie)
{
    char l[64], p[64];
    printf(",\"local\":\"%s\",\"lport\":%u,\"peer\":\"%s\",\"pport\":%u,\"family\":%u,\"protocol\":%u,\"cookie\":%" PRIu64, addr(local, l), lport, addr(peer, p), pport,
            family, protocol, cookie);
}

static struct hf_rates *rates;

static void show_rate(void *ctx, const struct hf_wire_rate *r)
{
    (void)ctx;
    printf("{\"type\":\"rate\",\"cgroup\":%" PRIu64 ",\"net_ns\":%u,\"interval\":%" PRIu64 ",\"tcp_syn_out\":%" PRIu64 ",\"tcp_syn_in\":%" PRIu64
           ",\"tcp_accepted\":%" PRIu64 ",\"udp_out\":%" PRIu64 ",\"udp_in\":%" PRIu64 ",\"icmp_out\":%" PRIu64 ",\"packets_out\":%" PRIu64 ",\"packets_in\":%" PRIu64
           ",\"bytes_out\":%" PRIu64 ",\"bytes_in\":%" PRIu64 ",\"early\":%s}\n",
            (uint64_t)r->h.cgroup_id, r->h.net_ns, (uint64_t)r->interval_ns, (uint64_t)r->tcp_syn_out, (uint64_t)r->tcp_syn_in, (uint64_t)r->tcp_accepted,
            (uint64_t)r->udp_out, (uint64_t)r->udp_in, (uint64_t)r->icmp_out, (uint64_t)r->packets_out, (uint64_t)r->packets_in, (uint64_t)r->bytes_out,
            (uint64_t)r->bytes_in, r->h.flags & HF_F_EARLY ? "true" : "false");
}

static void show(struct hf_span rec)
{
    static const char *const ops[] = {"?", "connect", "established", "accept", "listen", "bind", "send", "close", "failed"};
    union {
        struct hf_wire_hdr h;
        struct hf_wire_net net;
        struct hf_wire_payload pay;
        struct hf_wire_socket sock;
        struct hf_wire_file file;
    } u;
    memcpy(&u, rec.p, rec.n < sizeof u ? rec.n : sizeof u);
    n_all++;
    n_net += u.h.type == HF_EV_NET;
    if (u.h.type == HF_EV_RATE) {
        struct hf_wire_rate r;
        struct hf_err err = HF_ERR_INIT;
        if (shown_types && hf_rates_early(rates, u.h.cgroup_id, boot_ns(), &r, &err) > 0)
            show_rate(NULL, &r);
        return;
    }
    if (!(shown_types & 1ull << u.h.type))
        return;
    switch (u.h.type) {
    case HF_EV_NET:
        head(&u.h, "net");
        ends(u.net.local, u.net.local_port, u.net.peer, u.net.peer_port, u.net.family, u.net.protocol, u.net.cookie);
        printf(",\"op\":\"%s\",\"out\":%" PRIu64 ",\"in\":%" PRIu64 ",\"duration\":%" PRIu64 ",\"backlog\":%u", u.net.op < 9 ? ops[u.net.op] : "?",
                (uint64_t)u.net.bytes_out, (uint64_t)u.net.bytes_in, (uint64_t)u.net.duration_ns, u.net.backlog);
        break;
    case HF_EV_PAYLOAD:
        head(&u.h, "payload");
        ends(u.pay.local, u.pay.local_port, u.pay.peer, u.pay.peer_port, u.pay.family, u.pay.protocol, u.pay.cookie);
        printf(",\"accepted\":%s,\"direction\":\"%s\",\"data\":\"", u.pay.payload_flags & HF_PAYLOAD_ACCEPTED ? "true" : "false", u.pay.direction == HF_PAYLOAD_OUT ? "out" : "in");
        for (size_t i = 0; i < u.pay.data_len; i++)
            printf("%02x", (unsigned char)rec.p[sizeof u.pay + i]);
        printf("\"");
        break;
    case HF_EV_SOCKET:
        head(&u.h, "socket");
        printf(",\"family\":%u,\"kind\":%u,\"protocol\":%u", u.sock.family, u.sock.type, u.sock.protocol);
        break;
    case HF_EV_FILE:
        if (u.file.op != HF_FILE_CONNECT)
            return;
        head(&u.h, "unix");
        printf(",\"source\":%u,\"inode\":%" PRIu64 ",\"path\":\"%.*s\"", u.file.source, (uint64_t)u.file.inode, (int)u.file.path_len, (const char *)rec.p + sizeof u.file);
        break;
    default:
        head(&u.h, "other");
        printf(",\"event\":%u", u.h.type);
    }
    printf("}\n");
}

static void drain(struct hf_kernel *k)
{
    struct hf_ring *rings[] = {hf_kernel_critical(k), hf_kernel_bulk(k)};
    for (;;) {
        struct hf_span rec[2];
        bool have[2] = {hf_ring_peek(rings[0], &rec[0]), hf_ring_peek(rings[1], &rec[1])};
        if (!have[0] && !have[1])
            return;
        int i = have[0] ? 0 : 1;
        show(rec[i]);
        hf_ring_next(rings[i], rec[i]);
    }
}

static void show_features(struct hf_kernel *k)
{
    size_t n;
    const struct hf_feature *f = hf_kernel_features(k, &n);
    for (size_t i = 0; i < n; i++)
        printf("{\"type\":\"feature\",\"name\":\"%s\",\"hook\":\"%s\",\"refused\":\"%s\",\"why\":\"%s\"}\n", f[i].name, f[i].hook ? f[i].hook : "",
                f[i].refused ? f[i].refused : "", f[i].why);
    printf("{\"type\":\"memory\",\"bytes\":%" PRIu64 "}\n", hf_kernel_memory(k));
}

static void show_costs(struct hf_kernel *k)
{
    struct hf_hook_cost c[160];
    size_t n = hf_kernel_costs(k, c, 160);
    for (size_t i = 0; i < n; i++)
        if (c[i].runs)
            printf("{\"type\":\"cost\",\"program\":\"%s\",\"runs\":%" PRIu64 ",\"ns\":%" PRIu64 ",\"insns\":%" PRIu64 "}\n", c[i].program, c[i].runs, c[i].ns, c[i].insns);
}

/* Of a group's folder: its id is the inode number (low 64 bits of the file handle; kernfs on 64 bit). */
static uint64_t group_id(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* container DIR | seed | rates | features | stats | costs | counts | quiet | sync | quit */
static bool command(struct hf_kernel *k, char *line)
{
    struct hf_err err = HF_ERR_INIT;
    int rc = 0;
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "container ", 10)) {
        uint64_t id = group_id(line + 10);
        rc = id ? hf_kernel_policy_set(k, id, id, &err) : -ENOENT;
    } else if (!strcmp(line, "seed")) {
        rc = hf_kernel_seed_sockets(k, &err);
    } else if (!strcmp(line, "rates")) {
        rc = hf_kernel_count_streams(k, &err);
        rc = rc < 0 ? rc : hf_rates_read(rates, boot_ns(), show_rate, NULL, &err);
    } else if (!strcmp(line, "features")) {
        show_features(k);
    } else if (!strcmp(line, "stats")) {
        rc = hf_kernel_stats_on(k, true);
    } else if (!strcmp(line, "costs")) {
        show_costs(k);
        hf_kernel_stats_on(k, false);
    } else if (!strcmp(line, "counts")) {
        struct hf_counters c;
        hf_kernel_counters(k, HF_EV_NET, &c);
        printf("{\"type\":\"counts\",\"seen\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"deduped\":%" PRIu64 ",\"read\":%" PRIu64 "}\n", (uint64_t)c.seen,
                (uint64_t)c.sent, (uint64_t)(c.lost_ring + c.lost_budget), (uint64_t)c.deduped, n_net);
    } else if (!strcmp(line, "quiet")) {
        shown_types = 0;
    } else if (!strcmp(line, "quit")) {
        return false;
    }
    drain(k);
    if (rc < 0)
        printf("{\"error\":%d,\"message\":\"%s\"}\n", rc, err.msg);
    printf("{\"done\":\"%s\"}\n", line);
    fflush(stdout);
    return true;
}

/* Hierarchy of the containers' groups: the unified one, or that of the pids controller where version 1 is in use. */
static int find_groups(struct hf_kernel_opts *o)
{
    struct statfs fs;
    o->v1_subsys = -1;
    if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
        o->v2_root_fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return 0;
    }
    o->v2_root_fd = open("/sys/fs/cgroup/unified", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    o->v1_subsys = hf_kernel_subsys("pids");
    FILE *f = fopen("/proc/cgroups", "re");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, "pids\t", 5))
            o->hierarchy = (uint32_t)(line[5] - '0');
        if (!strncmp(line, "pids\t", 5) && line[6] != '\t')
            o->hierarchy = o->hierarchy * 10 + (uint32_t)(line[6] - '0');
    }
    if (f)
        fclose(f);
    return o->v1_subsys < 0 ? o->v1_subsys : 0;
}

int main(int argc, char **argv)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_kernel_opts o = {.self_pid = (uint32_t)getpid(), .v2_root_fd = -1};
    hf_cleanup(hf_kernel_closep) struct hf_kernel *k = NULL;
    hf_kernel_default_settings(&o.settings);
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--host-payload"))
            o.settings.host_types |= 1ull << HF_EV_PAYLOAD;
        else if (!strcmp(argv[i], "--host-off"))
            o.settings.host_types = 0;
        else if (!strncmp(argv[i], "--dedupe-ms=", 12))
            o.settings.dedupe_ns = strtoull(argv[i] + 12, NULL, 10) * 1000000u;
    int rc = find_groups(&o);
    if (rc == 0)
        rc = hf_kernel_open(&k, &o, &err);
    if (rc == 0)
        rc = hf_rates_new(&rates, hf_kernel_map_fd(k, "hf_rates"), &err);
    if (rc < 0) {
        fprintf(stderr, "net-dump: %d %s\n", rc, err.msg);
        return 3;
    }
    printf("{\"done\":\"start\"}\n");
    fflush(stdout);
    char line[4096];
    struct pollfd p = {.fd = 0, .events = POLLIN};
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        if (poll(&p, 1, 5) > 0 && (!fgets(line, sizeof line, stdin) || !command(k, line)))
            return 0;
        drain(k);
    }
}
