/* SPDX-License-Identifier: Apache-2.0 */
/* What respond reads: lines of its log, files of active actions, messages to the executor, counters of nft, mountinfo, /proc/net/protocols.  What is taken must hold what is promised. */
#include <stdlib.h>
#include <string.h>

#include "respond/active.h"
#include "respond/executor.h"
#include "respond/isolate.h"
#include "respond/journal.h"
#include "respond/netns.h"
#include "respond/snapshot-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span s = hf_span((const char *)data, size);
    struct hf_err err = HF_ERR_INIT;
    struct hf_journal_check c;
    struct hf_active a;
    struct hf_executor_ask ask;
    char boot[40], upper[4096];
    uint64_t packets = 0, bytes = 0;
    memset(&c, 0, sizeof c);
    int rc = hf_journal_check_text(s, &c, &err);
    if ((rc == 0 && c.bad_line) || (rc < 0 && (!c.bad_line || !err.msg[0])) || c.lines > size)
        abort();
    if (hf_active_parse(s, &a, boot, &err) == 0 && (!memchr(a.id, 0, sizeof a.id) || !memchr(boot, 0, sizeof boot)))
        abort();
    if (hf_executor_read(s, &ask, &err) == 0 && (!ask.n || ask.n > HF_RESPONSES || !memchr(ask.rule, 0, sizeof ask.rule)))
        abort();
    hf_isolate_parse_counts(s, &packets, &bytes);
    if (hf_netns_xdp_of(s) > UINT32_MAX)
        abort();
    if (hf_snapshot_upper(s, upper) && (upper[0] != '/' || !memchr(upper, 0, sizeof upper)))
        abort();
    return 0;
}
