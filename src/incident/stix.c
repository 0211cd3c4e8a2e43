// SPDX-License-Identifier: Apache-2.0
/* STIX 2.1 (OASIS Standard, 10 June 2021): an incident, its ATT&CK techniques as attack-patterns, what was observed (processes, files, addresses), and the
 * relationships between them. */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/hash.h"
#include "incident/incident-internal.h"

/* Identifiers follow from what they name (as version 5 of RFC 9562, with SHA-256 cut short): the same document gives the same bundle. */
static void id_of(const char *type, const char *scope, const char *what, char out[96])
{
    hf_autobuf b = HF_BUF_INIT(65536);
    struct hf_digest d;
    hf_buf_addf(&b, "holdfast%c%s%c%s%c%s", 0, type, 0, scope, 0, what);
    hf_digest_of(HF_SHA256, hf_buf_span(&b), &d);
    d.b[6] = (uint8_t)((d.b[6] & 0x0f) | 0x50);
    d.b[8] = (uint8_t)((d.b[8] & 0x3f) | 0x80);
    char hex[33];
    hf_hex(d.b, 16, hex);
    snprintf(out, 96, "%s--%.8s-%.4s-%.4s-%.4s-%.12s", type, hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

struct bundle {
    struct hf_jw w;
    const struct hf_inc *i;
    const char *incident, *when;
    char refs[HF_INC_NODES_MAX + 80][96];
    size_t n_refs;
};

/* Milliseconds, as STIX's created and modified have them. */
static void stamp(struct hf_jw *w, const char *name, const char *time)
{
    uint64_t ns = 0;
    char text[40];
    (void)hf_inc_time(hf_span_z(time), &ns);
    hf_inc_time_text(ns, text);
    snprintf(text + 23, sizeof text - 23, "Z");
    hf_jw_kstrz(w, name, text);
}

static void begin(struct bundle *b, const char *type, const char *id, bool domain)
{
    hf_jw_object(&b->w);
    hf_jw_kstrz(&b->w, "type", type);
    hf_jw_kstrz(&b->w, "spec_version", "2.1");
    hf_jw_kstrz(&b->w, "id", id);
    if (!domain)
        return;
    stamp(&b->w, "created", hf_inc_z(b->i->root, "opened"));
    stamp(&b->w, "modified", hf_inc_z(b->i->root, "updated"));
}

static void remember(struct bundle *b, const char *id)
{
    if (b->n_refs < HF_ARRAY_LEN(b->refs))
        snprintf(b->refs[b->n_refs++], sizeof b->refs[0], "%s", id);
}

static void relation(struct bundle *b, const char *from, const char *kind, const char *to)
{
    char id[96], what[256];
    snprintf(what, sizeof what, "%s %s %s", from, kind, to);
    id_of("relationship", b->incident, what, id);
    begin(b, "relationship", id, true);
    hf_jw_kstrz(&b->w, "relationship_type", kind);
    hf_jw_kstrz(&b->w, "source_ref", from);
    hf_jw_kstrz(&b->w, "target_ref", to);
    hf_jw_object_end(&b->w);
}

static void techniques(struct bundle *b, const char *incident_id)
{
    const cJSON *chain = hf_inc_array(b->i, "chain");
    const cJSON *all = hf_inc_array(b->i, "techniques");
    for (const cJSON *t = all ? all->child : NULL; t; t = t->next) {
        char id[96];
        if (!cJSON_IsString(t) || t->valuestring[0] != 'T' || strspn(t->valuestring + 1, "0123456789.") != strlen(t->valuestring + 1))
            continue;
        id_of("attack-pattern", "", t->valuestring, id);
        begin(b, "attack-pattern", id, true);
        hf_jw_kstrz(&b->w, "name", t->valuestring);
        hf_jw_key(&b->w, "kill_chain_phases");
        hf_jw_array(&b->w);
        for (const cJSON *c = chain ? chain->child : NULL; c; c = c->next) {
            const cJSON *in = cJSON_GetObjectItemCaseSensitive(c, "techniques");
            bool here = false;
            for (const cJSON *k = in ? in->child : NULL; k; k = k->next)
                here = here || (cJSON_IsString(k) && !strcmp(k->valuestring, t->valuestring));
            char phase[64];
            snprintf(phase, sizeof phase, "%s", hf_inc_z(c, "tactic"));
            for (char *p = phase; *p; p++)
                *p = *p == '_' ? '-' : *p;
            if (!here)
                continue;
            hf_jw_object(&b->w);
            hf_jw_kstrz(&b->w, "kill_chain_name", "mitre-attack");
            hf_jw_kstrz(&b->w, "phase_name", phase);
            hf_jw_object_end(&b->w);
        }
        hf_jw_array_end(&b->w);
        hf_jw_key(&b->w, "external_references");
        hf_jw_array(&b->w);
        hf_jw_object(&b->w);
        hf_jw_kstrz(&b->w, "source_name", "mitre-attack");
        hf_jw_kstrz(&b->w, "external_id", t->valuestring);
        hf_jw_object_end(&b->w);
        hf_jw_array_end(&b->w);
        hf_jw_object_end(&b->w);
        remember(b, id);
        relation(b, incident_id, "related-to", id);
    }
}

/* Observables of the graph: processes, files (by name, with their digest), addresses. */
static void observables(struct bundle *b)
{
    const cJSON *nodes = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(b->i->root, "graph"), "nodes");
    for (const cJSON *n = nodes ? nodes->child : NULL; n && b->n_refs + 4 < HF_ARRAY_LEN(b->refs); n = n->next) {
        const char *kind = hf_inc_z(n, "kind"), *label = hf_inc_z(n, "label"), *sha = hf_inc_z(n, "sha256");
        char id[96];
        uint8_t addr[16];
        if (!*label)
            continue;
        if (!strcmp(kind, "process") && hf_inc_num(n, "pid")) {
            id_of("process", b->incident, hf_inc_z(n, "ref"), id);
            begin(b, "process", id, false);
            hf_jw_ku64(&b->w, "pid", hf_inc_num(n, "pid"));
            hf_jw_kstrz(&b->w, "command_line", *hf_inc_z(n, "command") ? hf_inc_z(n, "command") : label);
        } else if (!strcmp(kind, "file")) {
            id_of("file", b->incident, hf_inc_z(n, "ref"), id);
            begin(b, "file", id, false);
            struct hf_span base = hf_span_basename(hf_span_z(label));
            hf_jw_kstr(&b->w, "name", base.n ? base : hf_span_z(label));
            if (strlen(sha) == 64) {
                hf_jw_key(&b->w, "hashes");
                hf_jw_object(&b->w);
                hf_jw_kstrz(&b->w, "SHA-256", sha);
                hf_jw_object_end(&b->w);
            }
        } else if (!strcmp(kind, "address") && inet_pton(AF_INET, label, addr) == 1) {
            id_of("ipv4-addr", "", label, id);
            begin(b, "ipv4-addr", id, false);
            hf_jw_kstrz(&b->w, "value", label);
        } else if (!strcmp(kind, "address") && inet_pton(AF_INET6, label, addr) == 1) {
            id_of("ipv6-addr", "", label, id);
            begin(b, "ipv6-addr", id, false);
            hf_jw_kstrz(&b->w, "value", label);
        } else if (!strcmp(kind, "vulnerability")) {
            id_of("vulnerability", "", label, id);
            begin(b, "vulnerability", id, true);
            hf_jw_kstrz(&b->w, "name", label);
        } else {
            continue;
        }
        hf_jw_object_end(&b->w);
        remember(b, id);
    }
}

void hf_inc_stix(const struct hf_inc *i, struct hf_buf *out)
{
    struct bundle *b = calloc(1, sizeof *b);
    char id[96], observed[96];
    if (!b) {
        out->failed = true;
        return;
    }
    b->i = i;
    b->incident = hf_inc_z(i->root, "id");
    hf_jw_init(&b->w, out, true);
    hf_jw_object(&b->w);
    hf_jw_kstrz(&b->w, "type", "bundle");
    char revision[32];
    snprintf(revision, sizeof revision, "%llu", (unsigned long long)hf_inc_num(i->root, "revision"));
    id_of("bundle", b->incident, revision, id);
    hf_jw_kstrz(&b->w, "id", id);
    hf_jw_key(&b->w, "objects");
    hf_jw_array(&b->w);
    id_of("incident", "", b->incident, id);
    begin(b, "incident", id, true);
    hf_jw_kstrz(&b->w, "name", *hf_inc_z(i->root, "title") ? hf_inc_z(i->root, "title") : b->incident);
    hf_jw_kstrz(&b->w, "description", hf_inc_z(i->root, "summary"));
    hf_jw_key(&b->w, "labels");
    hf_jw_array(&b->w);
    hf_jw_strz(&b->w, hf_inc_z(i->root, "severity"));
    hf_jw_strz(&b->w, hf_inc_z(i->root, "state"));
    hf_jw_array_end(&b->w);
    hf_jw_key(&b->w, "external_references");
    hf_jw_array(&b->w);
    hf_jw_object(&b->w);
    hf_jw_kstrz(&b->w, "source_name", "holdfast");
    hf_jw_kstrz(&b->w, "external_id", b->incident);
    hf_jw_object_end(&b->w);
    hf_jw_array_end(&b->w);
    hf_jw_object_end(&b->w);
    techniques(b, id);
    size_t from = b->n_refs;
    observables(b);
    if (b->n_refs > from) {
        id_of("observed-data", "", b->incident, observed);
        begin(b, "observed-data", observed, true);
        stamp(&b->w, "first_observed", hf_inc_z(i->root, "first_alert"));
        stamp(&b->w, "last_observed", hf_inc_z(i->root, "last_alert"));
        hf_jw_ku64(&b->w, "number_observed", HF_MAX(HF_MIN(hf_inc_num(i->root, "alerts"), (uint64_t)999999999), (uint64_t)1));
        hf_jw_key(&b->w, "object_refs");
        hf_jw_array(&b->w);
        for (size_t k = from; k < b->n_refs; k++)
            hf_jw_strz(&b->w, b->refs[k]);
        hf_jw_array_end(&b->w);
        hf_jw_object_end(&b->w);
        relation(b, id, "related-to", observed);
    }
    hf_jw_array_end(&b->w);
    hf_jw_object_end(&b->w);
    hf_buf_addc(out, '\n');
    free(b);
}
