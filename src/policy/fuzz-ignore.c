/* SPDX-License-Identifier: Apache-2.0 */
/* Ignore files: whatever parses is held against a small result; an entry must never take out what it does not name. */
#include <stdlib.h>

#include "policy/gate.h"
#include "policy/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hf_cleanup(hf_ignore_freep) struct hf_ignore *g = NULL;
    struct hf_err err = HF_ERR_INIT;
    if (hf_ignore_parse(&g, hf_span((const char *)data, size), "ignore.yaml", &err) < 0) {
        if (!err.msg[0])
            abort();
        return 0;
    }
    struct hf_scan s;
    hf_scan_init(&s, 4 << 20);
    static const struct hf_location where[] = {{{"usr/lib/a/b", 11}, 0}};
    struct hf_span alias = HF_S("GHSA-xxxx-yyyy-zzzz");
    s.packages = calloc(1, sizeof *s.packages);
    s.vulns = calloc(2, sizeof *s.vulns);
    if (!s.packages || !s.vulns)
        abort();
    s.n_packages = 1;
    s.n_vulns = 2;
    s.packages[0] = (struct hf_scan_package){.p = {.type = HF_PKG_DEB, .name = HF_S("openssl"), .version = HF_S("3.0.11-1"), .namespace = HF_S("debian")}, .locations = where, .n_locations = 1};
    s.vulns[0] = (struct hf_vuln){.id = HF_S("CVE-2023-5363"), .aliases = &alias, .n_aliases = 1, .severity = HF_SEV_HIGH};
    s.vulns[1] = (struct hf_vuln){.id = HF_S("CVE-2024-0001"), .severity = HF_SEV_LOW};
    int n = hf_ignore_apply(g, &s, 1800000000);
    int expected = (s.vulns[0].ignored_by.n != 0) + (s.vulns[1].ignored_by.n != 0);
    if (n != expected || (hf_ignore_count(g) == 0 && n != 0) || (hf_policy_exit(&s, HF_SEV_LOW, false) == 1) != (n < 2))
        abort();
    hf_scan_done(&s);
    return 0;
}
