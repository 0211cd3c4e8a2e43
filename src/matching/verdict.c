/* SPDX-License-Identifier: Apache-2.0 */
/* One installed version against one row of the database. */
#include "matching/match-internal.h"
#include "packages/gosymbols.h"

bool hf_match_linked(const struct hf_advdb *db, const struct hf_adv_row *row, const struct hf_match_key *k)
{
    struct hf_span symbol;
    if (!k->linked || !row->n_symbols)
        return true;
    for (size_t i = 0; i < row->n_symbols; i++)
        if (!hf_adv_row_symbol(db, row, i, &symbol) || hf_go_symbol_linked(k->linked->symbols, symbol))
            return true;
    return false;
}

static struct hf_span without_epoch(struct hf_span v)
{
    size_t at = hf_span_find(v, ':');
    if (at == SIZE_MAX)
        return v;
    for (size_t i = 0; i < at; i++)
        if (v.p[i] < '0' || v.p[i] > '9')
            return v;
    return hf_span_from(v, at + 1);
}

int hf_match_cmp(enum hf_scheme s, struct hf_span a, struct hf_span b, bool ignore_epoch)
{
    if (s == HF_SCHEME_NONE)
        return HF_CMP_INVALID;
    /* PEP 440, "Local version identifiers": the local part of a counts only against a bound that has one. */
    if (s == HF_SCHEME_PEP440 && hf_span_find(b, '+') == SIZE_MAX)
        a = hf_span_sub(a, 0, hf_span_find(a, '+'));
    return ignore_epoch ? hf_version_cmp(s, without_epoch(a), without_epoch(b)) : hf_version_cmp(s, a, b);
}

static bool is_zero(struct hf_span v)
{
    return v.n == 1 && v.p[0] == '0';
}

/* The text in front of ".module": builds of one source for several minor releases agree there. */
static struct hf_span before_module(struct hf_span v)
{
    size_t at = hf_span_search(v, HF_S(".module"));
    return at == SIZE_MAX ? hf_span(NULL, 0) : without_epoch(hf_span_sub(v, 0, at));
}

int hf_match_in_range(enum hf_scheme s, const struct hf_adv_range *r, struct hf_span v, bool ignore_epoch)
{
    int c;
    if (r->introduced.n && !is_zero(r->introduced)) {
        c = hf_match_cmp(s, v, r->introduced, ignore_epoch);
        if (c == HF_CMP_INVALID)
            return HF_CMP_INVALID;
        if (c < 0)
            return 0;
    }
    if (r->fixed.n) {
        if (is_zero(r->fixed))
            return 0;
        c = hf_match_cmp(s, v, r->fixed, ignore_epoch);
        return c == HF_CMP_INVALID ? c : c < 0;
    }
    if (r->last_affected.n) {
        c = hf_match_cmp(s, v, r->last_affected, ignore_epoch);
        return c == HF_CMP_INVALID ? c : c <= 0;
    }
    return 1;
}

static void keep_fix(struct hf_verdict *v, const struct hf_adv_range *r)
{
    if (v->n_fixes < HF_MATCH_MAX_FIXES)
        v->fixes[v->n_fixes++] = *r;
}

/* R23, versions[].  Lists are exact strings; a short list without ranges is also held against other spellings of the same
 * version ("1.0" and "1.0.0"), since nothing else in the record would cover them. */
static bool listed(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span version, bool ignore_epoch)
{
    if (hf_adv_row_has_version(db, row, version))
        return true;
    if (row->n_ranges || row->scheme == HF_SCHEME_NONE || row->n_versions > HF_MATCH_MAX_RESPELT)
        return false;
    struct hf_span v;
    for (size_t i = 0; i < row->n_versions && hf_adv_row_version(db, row, i, &v); i++)
        if (hf_match_cmp(row->scheme, v, version, ignore_epoch) == 0)
            return true;
    return false;
}

static enum hf_verdict_kind ranges_verdict(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span version,
        bool ignore_epoch, struct hf_verdict *ret)
{
    bool in = false, never = false, fixed = false, incomparable = false;
    struct hf_span build = before_module(version);
    struct hf_adv_range r;
    incomparable = row->n_ranges > HF_MATCH_MAX_RANGES;
    for (size_t i = 0; i < HF_MIN(row->n_ranges, (size_t)HF_MATCH_MAX_RANGES) && hf_adv_row_range(db, row, i, &r); i++) {
        if (is_zero(r.fixed)) { /* R11 */
            never = true;
            continue;
        }
        int c = hf_match_in_range(row->scheme, &r, version, ignore_epoch);
        if (c == HF_CMP_INVALID) {
            incomparable = true;
            continue;
        }
        /* R17: the fix, rebuilt for another minor release, differs from ours only behind ".module". */
        if (c == 1 && r.fixed.n && build.n && hf_span_eq(build, before_module(r.fixed))) {
            c = 0;
            fixed = true;
            ret->at = r;
        }
        if (c == 1) {
            if (!in)
                ret->at = r;
            in = true;
        }
        if (r.fixed.n) {
            int f = hf_match_cmp(row->scheme, version, r.fixed, ignore_epoch);
            if (f == -1) {
                keep_fix(ret, &r);
            } else if (f != HF_CMP_INVALID && !fixed && !in) {
                fixed = true;
                ret->at = r;
            }
        } else {
            keep_fix(ret, &r); /* no fix of its own, but no other range's fix helps inside it */
        }
    }
    if (!in && row->n_versions && listed(db, row, version, ignore_epoch)) {
        in = ret->listed = true;
        ret->at = (struct hf_adv_range){.introduced = {NULL, 0}};
    }
    if (in)
        return HF_VERDICT_AFFECTED;
    if (incomparable) {
        ret->installed_invalid = !hf_version_valid(row->scheme, version);
        return HF_VERDICT_INCOMPARABLE;
    }
    if (never && !fixed)
        return HF_VERDICT_NEVER;
    return fixed ? HF_VERDICT_FIXED : HF_VERDICT_OUTSIDE;
}

void hf_verdict(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span version, bool ignore_epoch,
        struct hf_verdict *ret)
{
    ret->installed_invalid = ret->listed = false;
    ret->n_fixes = 0;
    ret->at = (struct hf_adv_range){.introduced = {NULL, 0}};
    if (row->state == HF_ADV_NOT_AFFECTED) {
        ret->kind = HF_VERDICT_NEVER;
        return;
    }
    /* R10: a state without bounds speaks of every version of the release; a record without a state that gives neither
     * ranges nor versions says nothing that can be decided (GIT ranges only). */
    if (!row->n_ranges && !row->n_versions) {
        ret->kind = row->state == HF_ADV_RANGES ? HF_VERDICT_OUTSIDE : HF_VERDICT_AFFECTED;
        return;
    }
    ret->kind = ranges_verdict(db, row, version, ignore_epoch, ret);
}

/* --- R17 --- */

bool hf_match_row_is_modular(const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct hf_adv_range r;
    if (row->module.n)
        return true;
    for (size_t i = 0; i < HF_MIN(row->n_ranges, (size_t)HF_MATCH_MAX_RANGES) && hf_adv_row_range(db, row, i, &r); i++)
        if (hf_span_search(r.fixed, HF_S(".module")) != SIZE_MAX)
            return true;
    return false;
}

/* "name:stream" of "name:stream:version:context". */
static struct hf_span stream_of(struct hf_span label)
{
    size_t a = hf_span_find(label, ':');
    if (a == SIZE_MAX)
        return label;
    size_t b = hf_span_find(hf_span_from(label, a + 1), ':');
    return b == SIZE_MAX ? label : hf_span_sub(label, 0, a + 1 + b);
}

/* AlmaLinux's records name the stream in the summary only ("nodejs:10 security update", "Important: idm:DL1 and idm:client
 * ..."): 0 it names none, 1 ours is among them, -1 only others. */
static int summary_streams(struct hf_span summary, struct hf_span stream)
{
    int found = 0;
    struct hf_span rest = summary, word;
    while (hf_span_cut(&rest, ' ', &word)) {
        while (word.n && (word.p[word.n - 1] == ',' || word.p[word.n - 1] == ';'))
            word.n--;
        size_t at = hf_span_find(word, ':');
        if (at == SIZE_MAX || at == 0 || at + 1 >= word.n)
            continue;
        if (hf_span_eq(word, stream))
            return 1;
        found = -1;
    }
    return found;
}

bool hf_match_module(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span label, struct hf_span version,
        struct hf_span summary)
{
    bool modular = hf_match_row_is_modular(db, row);
    bool installed_modular = label.n || hf_span_search(version, HF_S(".module")) != SIZE_MAX;
    if (modular != installed_modular) {
        /* A record with no fix yet is about the stream or the plain package; without bounds it cannot be told apart. */
        return false;
    }
    if (!modular || !label.n)
        return true; /* built as a module, but the label is lost: every stream's record is held against it */
    struct hf_span ours = stream_of(label);
    if (row->module.n)
        return hf_span_eq(stream_of(row->module), ours);
    return summary_streams(summary, ours) >= 0;
}
