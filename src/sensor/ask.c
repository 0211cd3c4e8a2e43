// SPDX-License-Identifier: Apache-2.0
#include "sensor/ask.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(sizeof(struct hf_ask) == 56 + HF_ASK_LIMITS * 16, "no padding");
_Static_assert((HF_ASK_KEPT & HF_ASK_SHEDDABLE) == 0, "what is kept cannot be shed");

int hf_ask_read(struct hf_span bytes, struct hf_ask *ret, struct hf_err *err)
{
    struct hf_ask a;
    if (bytes.n != sizeof a)
        return hf_fail(err, HF_E_FORMAT, "a message of %zu bytes instead of %zu", bytes.n, sizeof a);
    memcpy(&a, bytes.p, sizeof a);
    if (a.magic != HF_ASK_MAGIC || a.size != sizeof a)
        return hf_fail(err, HF_E_FORMAT, "not a message of this kind");
    if (a.version != HF_ASK_VERSION)
        return hf_fail(err, HF_E_FORMAT, "version %u of the messages is not known", a.version);
    if ((a.flags & ~HF_ASK_FLAGS) || a.reserved)
        return hf_fail(err, HF_E_FORMAT, "flags 0x%x, 0x%x are not known", a.flags, a.reserved);
    uint64_t classes = (a.demand | a.demand_cheap) & ~HF_DEMAND_ALL;
    if (classes)
        return hf_fail(err, HF_E_FORMAT, "classes of hooks 0x%llx are not known", (unsigned long long)classes);
    uint64_t more = (a.shed_container | a.shed_host) & ~HF_ASK_SHEDDABLE;
    if (more)
        return hf_fail(err, HF_E_FORMAT, "event types 0x%llx cannot be left out", (unsigned long long)more);
    for (size_t i = 0; i < HF_ASK_LIMITS; i++)
        if (a.limits[i].cgroup_id ? a.limits[i].per_s < HF_ASK_LIMIT_MIN : a.limits[i].per_s != 0)
            return hf_fail(err, HF_E_FORMAT, "a container cannot be limited to %llu events a second", (unsigned long long)a.limits[i].per_s);
    *ret = a;
    return 0;
}

int hf_ask_send(int fd, const struct hf_ask *a, struct hf_err *err)
{
    struct hf_ask m = *a;
    m.magic = HF_ASK_MAGIC;
    m.version = HF_ASK_VERSION;
    m.size = sizeof m;
    m.reserved = 0;
    if (send(fd, &m, sizeof m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof m)
        return 0;
    return hf_fail(err, errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno, "the sensor cannot be asked: %s", strerror(errno));
}

bool hf_ask_gate_pass(struct hf_ask_gate *g, uint64_t now_ns)
{
    if (!g->at_ns) {
        g->at_ns = now_ns;
        g->tokens = HF_ASK_BURST;
    }
    uint64_t more = now_ns > g->at_ns ? (now_ns - g->at_ns) / HF_ASK_EVERY_NS : 0;
    if (more) {
        g->tokens = more > HF_ASK_BURST || g->tokens + more > HF_ASK_BURST ? HF_ASK_BURST : g->tokens + more;
        g->at_ns += more * HF_ASK_EVERY_NS;
    }
    if (!g->tokens)
        return false;
    g->tokens--;
    return true;
}
