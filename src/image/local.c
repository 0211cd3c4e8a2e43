/* SPDX-License-Identifier: Apache-2.0 */
#include "image/local.h"

enum { ASKED_MAX = 1024, ID_LEAST = 6, LISTED = 8, MEMORY_MAX = 4 << 20 };
enum { BY_ID = 1, BY_DIGEST, BY_PARTS, BY_SHORT_NAME, BY_NAME };

static bool is_hex(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!memchr("0123456789abcdef", s.p[i], 16))
            return false;
    return s.n >= ID_LEAST && s.n <= 64;
}

/* The tag's colon stands behind the last slash: one before it is a port's. */
static bool has_tag(struct hf_span name)
{
    return hf_span_find(hf_span_basename(name), ':') != SIZE_MAX;
}

int hf_local_init(struct hf_local *l, struct hf_span asked, struct hf_err *err)
{
    *l = (struct hf_local){.asked = asked, .list = HF_BUF_INIT(8192)};
    hf_arena_init(&l->arena, MEMORY_MAX);
    if (!asked.n || asked.n > ASKED_MAX)
        return hf_fail(err, HF_E_USAGE, "the name of an image has 1 to %d bytes", ASKED_MAX);
    for (size_t i = 0; i < asked.n; i++)
        if ((unsigned char)asked.p[i] <= ' ' || asked.p[i] == 0x7f)
            return hf_fail(err, HF_E_USAGE, "the name of an image has no blanks and control characters");
    size_t at = hf_span_rfind(asked, '@');
    struct hf_span digest = hf_span_from(asked, at == SIZE_MAX ? 0 : at + 1), name = hf_span_sub(asked, 0, at == SIZE_MAX ? asked.n : at);
    bool prefixed = hf_span_starts(digest, HF_S("sha256:"));
    struct hf_span hex = hf_span_from(digest, prefixed ? 7 : 0);
    if (is_hex(hex) && (at == SIZE_MAX || (prefixed && hex.n == 64)))
        l->hex = hex;
    else if (at != SIZE_MAX)
        return hf_fail(err, HF_E_USAGE, "\"%.*s\" is not sha256: and 64 hexadecimal digits", (int)HF_MIN(digest.n, (size_t)100), digest.p);
    hf_autobuf full = HF_BUF_INIT(ASKED_MAX + 16);
    hf_buf_adds(&full, at == SIZE_MAX ? name : asked);
    if (at == SIZE_MAX && !has_tag(name))
        hf_buf_addz(&full, ":latest");
    return hf_arena_dup(&l->arena, hf_buf_span(&full), &l->full) < 0 ? hf_fail(err, HF_E_LIMIT, "out of memory") : 0;
}

void hf_local_done(struct hf_local *l)
{
    hf_buf_done(&l->list);
    hf_arena_done(&l->arena);
}

/* name is `head` and then tail. */
static bool is_joined(struct hf_span name, const char *head, struct hf_span tail)
{
    size_t n = strlen(head);
    return name.n == n + tail.n && hf_span_starts(name, hf_span_z(head)) && hf_span_ends(name, tail);
}

unsigned hf_local_name(const struct hf_local *l, struct hf_span name)
{
    struct hf_span full = l->full;
    if (hf_span_eq(name, l->asked) || hf_span_eq(name, full))
        return BY_NAME;
    if (is_joined(name, "docker.io/library/", full) || is_joined(name, "docker.io/", full) || is_joined(name, "localhost/", full))
        return BY_SHORT_NAME;
    return name.n > full.n && hf_span_ends(name, full) && name.p[name.n - full.n - 1] == '/' ? BY_PARTS : 0;
}

unsigned hf_local_digest(const struct hf_local *l, struct hf_span digest)
{
    struct hf_span hex = hf_span_starts(digest, HF_S("sha256:")) ? hf_span_from(digest, 7) : digest;
    if (!l->hex.n || hex.n != 64 || !hf_span_starts(hex, l->hex))
        return 0;
    return l->hex.n == 64 ? BY_DIGEST : BY_ID;
}

static void list(struct hf_local *l, struct hf_span digest, struct hf_span name)
{
    if (l->others < LISTED)
        hf_buf_addf(&l->list, "%s%.*s (%.*s)", l->list.n ? ", " : "", (int)HF_MIN(name.n, (size_t)200), name.p ? name.p : "", (int)HF_MIN(digest.n, (size_t)71), digest.p ? digest.p : "");
}

int hf_local_found(struct hf_local *l, unsigned fit, struct hf_span digest, struct hf_span name, struct hf_span place, struct hf_err *err)
{
    if (!fit || fit < l->fit || (fit == l->fit && hf_span_eq(digest, l->digest)))
        return 0;
    if (fit == l->fit) {
        list(l, digest, name);
        l->others++;
        return 0;
    }
    l->fit = fit;
    l->others = 0;
    hf_buf_clear(&l->list);
    list(l, digest, name);
    int rc = hf_arena_dup(&l->arena, digest, &l->digest);
    rc = rc < 0 ? rc : hf_arena_dup(&l->arena, name, &l->name);
    rc = rc < 0 ? rc : hf_arena_dup(&l->arena, place, &l->place);
    return rc < 0 ? hf_fail(err, HF_E_LIMIT, "out of memory") : 0;
}

int hf_local_end(struct hf_local *l, const char *store, struct hf_err *err)
{
    if (!l->others)
        return l->fit != 0;
    return hf_fail(err, HF_E_USAGE, "\"%.*s\" means %zu images of %s: %.380s; name one by more of its name, or by its digest", (int)HF_MIN(l->asked.n, (size_t)200), l->asked.p,
            l->others + 1, store, hf_buf_z(&l->list));
}
