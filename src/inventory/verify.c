/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a running container held against its seal: what of the answer of `seal verify --json` is an alert.
 *
 * Containers write: logs, caches, pid files, what an application keeps.  What counts is what a seal vouches for and a container has no business with: a sealed file or link
 * that was changed or removed, and a program that the image has not. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "inventory/inventory-internal.h"

enum { TOLD = 50, NAMED = 4, DOCUMENT_MEMORY = 512 << 20, PATH_TOLD = 300 };
#define RULE "Files of a container differ from its seal"

struct drift {
    const struct hf_inv_container *c;
    struct hf_hash *hash;
    struct hf_jw w;
    struct hf_buf list, names; /* differences as JSON; the first few as text */
    uint64_t n;
    bool critical, high;
};

/* st_mode as the document has it, octal; 0: there is none. */
static unsigned mode_of(hf_jnode side)
{
    uint64_t m = 0;
    return side && hf_parse_u64(hf_jgetstr(side, "mode"), 8, 0, UINT32_MAX, &m) == 0 ? (unsigned)m : 0;
}

static bool has(hf_jnode difference, const char *what)
{
    HF_JFOREACH(w, hf_jget(difference, "what"))
        if (hf_span_eqz(hf_jstr(w), what))
            return true;
    return false;
}

enum { TYPE = 0170000, FILE_ = 0100000, LINK = 0120000, RUNS = 0111, GAINS = 06000 };

/* Whether it counts, and how much: 0 not, 4 medium, 5 high, 6 critical (as severities of the store). */
static int weight(hf_jnode d)
{
    hf_jnode sealed = hf_jget(d, "sealed"), found = hf_jget(d, "found");
    unsigned was = mode_of(sealed), is = mode_of(found);
    bool runs = (is & TYPE) == FILE_ && (is & RUNS), gains = (is & TYPE) == FILE_ && (is & RUNS) && ((is & GAINS) & ~(was & GAINS));
    if (gains || (found && hf_jgetstr(found, "capability").n && !hf_span_eq(hf_jgetstr(found, "capability"), hf_jgetstr(sealed, "capability"))))
        return 6;
    if (!sealed)
        return runs ? 5 : 0;
    if ((was & TYPE) != FILE_ && (was & TYPE) != LINK)
        return has(d, "type") ? 5 : 0;
    if (!found)
        return was & RUNS ? 5 : 4;
    return (was & RUNS) && has(d, "content") ? 6 : (was & RUNS) || (was & TYPE) == LINK ? 5 : 4;
}

static void hash_text(struct hf_hash *h, struct hf_span s)
{
    hf_hash_add(h, s.p ? s.p : "", s.n);
    hf_hash_add(h, "", 1);
}

/* Digest, mode and owner as they are now tell one change from the next. */
static void hash_one(struct drift *f, hf_jnode d)
{
    hf_jnode found = hf_jget(d, "found");
    const struct hf_span texts[] = {hf_jgetstr(d, "path"), hf_jgetstr(d, "change"), hf_jgetstr(found, "sha256"), hf_jgetstr(found, "mode"), hf_jgetstr(found, "link"),
            hf_jgetstr(found, "capability")};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        hash_text(f->hash, texts[i]);
    HF_JFOREACH(w, hf_jget(d, "what"))
        hash_text(f->hash, hf_jstr(w));
    for (const char *const *id = (const char *const[]){"uid", "gid", NULL}; *id; id++) {
        double n = 0;
        (void)hf_jnum(hf_jget(found, *id), &n);
        hf_hash_add(f->hash, &n, sizeof n);
    }
}

static void put_one(struct drift *f, hf_jnode d)
{
    static const char *const members[] = {"sha256", "mode", "package"};
    struct hf_span path = hf_span_sub(hf_jgetstr(d, "path"), 0, 4096);
    if (f->list.n)
        hf_buf_addc(&f->list, ',');
    hf_jw_init(&f->w, &f->list, false);
    hf_jw_object(&f->w);
    hf_jw_kstr(&f->w, "path", path);
    hf_jw_kstr(&f->w, "change", hf_jgetstr(d, "change"));
    hf_jw_key(&f->w, "what");
    hf_jw_array(&f->w);
    HF_JFOREACH(w, hf_jget(d, "what"))
        hf_jw_str(&f->w, hf_jstr(w));
    hf_jw_array_end(&f->w);
    for (const char *const *side = (const char *const[]){"sealed", "found", NULL}; *side; side++) {
        hf_jnode s = hf_jget(d, *side);
        if (!s)
            continue;
        hf_jw_key(&f->w, *side);
        hf_jw_object(&f->w);
        for (size_t i = 0; i < HF_ARRAY_LEN(members); i++)
            hf_jw_kstr_opt(&f->w, members[i], hf_jgetstr(s, members[i]));
        hf_jw_object_end(&f->w);
    }
    hf_jw_object_end(&f->w);
}

static void name_one(struct drift *f, hf_jnode d)
{
    struct hf_span change = hf_jgetstr(d, "change");
    const char *sep = "";
    hf_buf_addz(&f->names, f->n ? ", " : "");
    hf_buf_add_escaped(&f->names, hf_span_sub(hf_jgetstr(d, "path"), 0, PATH_TOLD), 0);
    hf_buf_addz(&f->names, " (");
    if (!hf_span_eqz(change, "modified"))
        hf_buf_adds(&f->names, hf_span_sub(change, 0, 16));
    else
        HF_JFOREACH(w, hf_jget(d, "what")) {
            hf_buf_addf(&f->names, "%s%.*s", sep, HF_SPAN_ARG(hf_span_sub(hf_jstr(w), 0, 16)));
            sep = ", ";
        }
    hf_buf_addc(&f->names, ')');
}

static void one(struct drift *f, hf_jnode d)
{
    int heavy = weight(d);
    if (!heavy)
        return;
    hash_one(f, d);
    f->critical |= heavy == 6;
    f->high |= heavy == 5;
    if (f->n < TOLD)
        put_one(f, d);
    if (f->n < NAMED)
        name_one(f, d);
    f->n++;
}

/* What the store knows of the container beside its columns. */
static void put_container(struct hf_jw *w, const struct hf_inv_container *c)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    hf_jnode root = hf_json_parse(c->doc, &doc, &ignored) == 0 ? hf_json_root(doc) : NULL;
    hf_jw_key(w, "container");
    hf_jw_object(w);
    hf_jw_kstr(w, "id", c->id);
    hf_jw_kstr_opt(w, "name", c->name);
    hf_jw_kstr_opt(w, "image", c->image);
    hf_jw_kstr_opt(w, "image_digest", c->digest);
    hf_jw_kstr_opt(w, "runtime", hf_jgetstr(root, "runtime"));
    for (const char *const *m = (const char *const[]){"labels", "pod", NULL}; *m; m++)
        if (hf_jis_object(hf_jget(root, *m))) {
            hf_jw_key(w, *m);
            hf_inv_write(w, hf_jget(root, *m));
        }
    hf_jw_object_end(w);
}

/* An id as alerts of watch have them, that follows from what is told: the same story twice is one. */
static void id_of(const char hash[65], struct hf_span container, char ret[27])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    struct hf_digest d;
    hf_autobuf text = HF_BUF_INIT(1024);
    hf_buf_addf(&text, "%s %.*s", hash, HF_SPAN_ARG(hf_span_sub(container, 0, 128)));
    hf_digest_of(HF_SHA256, hf_buf_span(&text), &d);
    for (size_t i = 0; i < 26; i++)
        ret[i] = digits[d.b[i] & 31];
    ret[0] = '0'; /* below 2^128, as the time in front of the others is */
    ret[26] = 0;
}

static void put_alert(struct drift *f, int64_t now, const char hash[65], struct hf_buf *out)
{
    struct hf_jw w;
    char id[27], when[64];
    struct tm tm;
    time_t s = (time_t)(now / 1000000000);
    hf_autobuf summary = HF_BUF_INIT(8192);
    id_of(hash, f->c->id, id);
    gmtime_r(&s, &tm);
    size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when + n, sizeof when - n, ".%09lldZ", (long long)(now % 1000000000));
    hf_buf_addf(&summary, "%llu file%s of the container %s not as the image has %s: %.*s%s", (unsigned long long)f->n, f->n == 1 ? "" : "s", f->n == 1 ? "is" : "are", f->n == 1 ? "it" : "them",
            HF_SPAN_ARG(hf_buf_span(&f->names)), f->n > NAMED ? ", ..." : "");
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.event/1");
    hf_jw_kstrz(&w, "time", when);
    hf_jw_kstrz(&w, "type", "alert");
    hf_jw_kstrz(&w, "id", id);
    hf_jw_kstrz(&w, "rule", RULE);
    hf_jw_kstrz(&w, "severity", f->critical ? "critical" : f->high ? "high" : "medium");
    hf_jw_kstrs(&w, "tactics", (const struct hf_span[]){HF_S("persistence")}, 1);
    hf_jw_kstrs(&w, "techniques", (const struct hf_span[]){HF_S("T1554")}, 1);
    hf_jw_kstr(&w, "summary", hf_buf_span(&summary));
    hf_jw_kstrz(&w, "what", "The scheduled look at all files found sealed ones changed or removed, or programs that the image does not have; whether they ran is not said by it.");
    hf_jw_kstrz(&w, "do", "See all of it with \"holdfast seal verify container:ID\"; who wrote it may stand in earlier alerts. Start the container anew from its image.");
    hf_jw_kstrz(&w, "benign", "A package manager or an updater that runs in the container; files that an application rewrites (daemon.verify_ignore).");
    hf_jw_ku64(&w, "count", 1);
    hf_jw_key(&w, "action");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "wanted", "observe");
    hf_jw_kstrz(&w, "taken", "none");
    hf_jw_object_end(&w);
    hf_jw_kstrz(&w, "event_type", "verify");
    put_container(&w, f->c);
    hf_jw_key(&w, "verify");
    hf_jw_object(&w);
    hf_jw_ku64(&w, "count", f->n);
    hf_jw_key(&w, "differences");
    hf_buf_addc(out, '[');
    hf_buf_adds(out, hf_buf_span(&f->list));
    hf_buf_addc(out, ']');
    hf_buf_addz(out, "}}");
}

int hf_inv_verified(struct hf_span verify_json, const struct hf_inv_container *c, int64_t now, struct hf_buf *ret_alert, char ret_hash[65], struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_cleanup(hf_hash_freep) struct hf_hash *hash = hf_hash_new(HF_SHA256);
    struct drift f = {.c = c, .hash = hash, .list = HF_BUF_INIT(2 << 20), .names = HF_BUF_INIT(8192)};
    uint8_t sum[64];
    int rc = hash ? hf_json_parse_within(verify_json, DOCUMENT_MEMORY, &doc, err) : hf_fail(err, -ENOMEM, "out of memory");
    hf_jnode list = hf_jget(hf_json_root(doc), "differences");
    if (rc >= 0 && (!hf_span_eqz(hf_jgetstr(hf_json_root(doc), "schema"), "holdfast.seal-diff/1") || !hf_jis_array(list)))
        rc = hf_fail(err, HF_E_FORMAT, "this is no document of schema holdfast.seal-diff/1");
    HF_JFOREACH(d, rc < 0 ? NULL : list)
        one(&f, d);
    if (rc >= 0) {
        hf_hash_end(hash, sum);
        hf_hex(sum, 32, ret_hash);
        if (f.n)
            put_alert(&f, now, ret_hash, ret_alert);
        rc = hf_buf_ok(&f.list) && hf_buf_ok(ret_alert) ? f.n > 0 : hf_fail(err, HF_E_LIMIT, "the differences do not fit into an alert");
    }
    hf_buf_done(&f.list);
    hf_buf_done(&f.names);
    return rc;
}
