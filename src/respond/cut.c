// SPDX-License-Identifier: Apache-2.0
#include "respond/cut.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/attr.h"
#include "base/mem.h"

#define SOCKETS_MAX 65536u
#define LISTEN_STATE 10

struct sock_at {
    struct inet_diag_sockid id;
    uint8_t family;
};

int hf_gate_allows(const struct hf_gate_allow *allow, unsigned n, const unsigned char addr[16], unsigned port)
{
    for (unsigned i = 0; i < n; i++) {
        bool same = !allow[i].port || allow[i].port == port;
        for (unsigned k = 0; k < 16 && same; k++) {
            unsigned bits = allow[i].prefix > k * 8 ? allow[i].prefix - k * 8 : 0;
            same = !((addr[k] ^ allow[i].addr[k]) & (bits >= 8 ? 0xff : (0xff00u >> bits) & 0xff));
        }
        if (same)
            return 1;
    }
    return 0;
}

/* Whether this end of it stays: loopback, or allowed. */
static bool stays(const struct sock_at *s, const struct hf_gate_allow *allow, unsigned n)
{
    uint8_t addr[16] = {0};
    if (s->family == AF_INET) {
        addr[10] = addr[11] = 0xff;
        memcpy(addr + 12, s->id.idiag_dst, 4);
    } else {
        memcpy(addr, s->id.idiag_dst, 16);
    }
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, loopback[16] = {[15] = 1};
    bool lo = !memcmp(addr, mapped, 12) ? addr[12] == 127 : !memcmp(addr, loopback, 16);
    return lo || !s->id.idiag_dport || hf_gate_allows(allow, n, addr, ntohs(s->id.idiag_dport));
}

static int ask(int fd, const void *msg, size_t n, struct hf_err *err)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(fd, msg, n, 0, (const struct sockaddr *)&kernel, sizeof kernel) != (ssize_t)n)
        return hf_fail(err, -errno, "sock_diag: %s", strerror(errno));
    return 0;
}

struct request {
    struct nlmsghdr h;
    struct inet_diag_req_v2 r;
};

/* Sockets of a family and protocol that go somewhere. */
static int list(int fd, uint8_t family, uint8_t protocol, struct sock_at **v, size_t *n, size_t *cap, struct hf_err *err)
{
    static char bytes[65536] __attribute__((aligned(8)));
    struct request q = {.h = {.nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 1},
            .r = {.sdiag_family = family, .sdiag_protocol = protocol, .idiag_states = ~(1u << LISTEN_STATE)}};
    int rc = ask(fd, &q, sizeof q, err);
    while (rc == 0) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got < 0)
            return hf_fail(err, -errno, "sock_diag: %s", strerror(errno));
        unsigned len = (unsigned)got;
        for (const struct nlmsghdr *h = (const void *)bytes; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
            if (h->nlmsg_type == NLMSG_DONE)
                return 0;
            if (h->nlmsg_type == NLMSG_ERROR) /* no diagnosis of this protocol in the kernel: nothing to cut by it */
                return 0;
            const struct inet_diag_msg *m = NLMSG_DATA(h);
            struct sock_at *s = h->nlmsg_len < NLMSG_LENGTH(sizeof *m) ? NULL : hf_grow((void **)v, n, cap, sizeof *s, SOCKETS_MAX);
            if (s)
                *s = (struct sock_at){m->id, m->idiag_family};
        }
    }
    return rc;
}

/* 1 cut, 0 gone by itself, < 0. */
static int destroy(int fd, const struct sock_at *s, uint8_t protocol, struct hf_err *err)
{
    char bytes[4096] __attribute__((aligned(8)));
    struct request q = {.h = {.nlmsg_len = sizeof q, .nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = 2},
            .r = {.sdiag_family = s->family, .sdiag_protocol = protocol, .idiag_states = ~0u, .id = s->id}};
    int rc = ask(fd, &q, sizeof q, err);
    if (rc < 0)
        return rc;
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    const struct nlmsghdr *h = (const void *)bytes;
    if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR)
        return hf_fail(err, -EPROTO, "sock_diag does not answer");
    const struct nlmsgerr *e = NLMSG_DATA(h);
    if (e->error == -EOPNOTSUPP)
        return hf_fail(err, HF_E_UNSUPPORTED, "this kernel cannot end connections of others");
    return e->error == 0 ? 1 : 0;
}

int hf_cut_connections(const struct hf_gate_allow *allow, unsigned n_allow, unsigned *ret_cut, struct hf_err *err)
{
    static const uint8_t families[] = {AF_INET, AF_INET6}, protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
    hf_autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    struct timeval wait = {2, 0};
    unsigned cut = 0;
    int rc = 0;
    if (fd < 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "no sock_diag in this kernel: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    for (unsigned i = 0; i < 4 && rc == 0; i++) {
        hf_autofree struct sock_at *v = NULL;
        size_t n = 0, cap = 0;
        rc = list(fd, families[i / 2], protocols[i % 2], &v, &n, &cap, err);
        for (size_t k = 0; k < n && rc == 0; k++) {
            int one = stays(&v[k], allow, n_allow) ? 0 : destroy(fd, &v[k], protocols[i % 2], err);
            cut += one > 0;
            rc = one < 0 ? one : 0;
        }
    }
    *ret_cut = cut;
    return rc;
}
