/* SPDX-License-Identifier: Apache-2.0 */
/* Licences of usr/share/doc/PACKAGE/copyright: machine-readable (copyright-format 1.0, DEP-5) or prose. */
#include "formats/deb822/deb822.h"

struct seen {
    struct hf_span v[HF_COPYRIGHT_LICENSES];
    size_t n;
    hf_copyright_cb cb;
    void *ctx;
};

static int tell(struct seen *s, struct hf_span name, struct hf_err *err)
{
    if (name.n == 0 || name.n > HF_COPYRIGHT_NAME)
        return 0;
    for (size_t i = 0; i < s->n; i++)
        if (hf_span_eq(s->v[i], name))
            return 0;
    if (s->n == HF_COPYRIGHT_LICENSES)
        return hf_fail(err, HF_E_LIMIT, "copyright file names more than %d licences", HF_COPYRIGHT_LICENSES);
    s->v[s->n++] = name;
    return s->cb(s->ctx, name, err);
}

/* The header paragraph has a Format field (older drafts: Format-Specification) with the address of the specification. */
static bool is_machine_readable(struct hf_span text)
{
    struct hf_span para;
    if (!hf_deb822_paragraph(&text, &para))
        return false;
    struct hf_deb822_field f;
    int rc;
    while ((rc = hf_deb822_field(&para, &f, NULL)) != 0) {
        if (rc < 0)
            continue;
        if (hf_span_eq_nocase(f.name, HF_S("Format")) || hf_span_eq_nocase(f.name, HF_S("Format-Specification")))
            return hf_span_search(f.value, HF_S("copyright-format")) != SIZE_MAX ||
                    hf_span_search(f.value, HF_S("dep5")) != SIZE_MAX ||
                    hf_span_search(f.value, HF_S("dep.debian.net")) != SIZE_MAX ||
                    hf_span_search(f.value, HF_S("CopyrightFormat")) != SIZE_MAX;
    }
    return false;
}

static int machine_readable(struct hf_span text, struct seen *s, struct hf_err *err)
{
    struct hf_span para;
    while (hf_deb822_paragraph(&text, &para)) {
        struct hf_deb822_field f;
        int rc;
        while ((rc = hf_deb822_field(&para, &f, NULL)) != 0) {
            if (rc < 0 || !hf_span_eq_nocase(f.name, HF_S("License")))
                continue;
            /* "License:" with the text on the next lines has no short name: value is trimmed, so ask where it began. */
            struct hf_span first = hf_deb822_first_line(f.value);
            const char *p = first.p;
            bool same_line = true;
            while (first.n && p > f.name.p + f.name.n)
                if (*--p == '\n')
                    same_line = false;
            if (same_line && (rc = tell(s, first, err)) < 0)
                return rc;
        }
    }
    return 0;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '+';
}

/* Lower case, runs of white space and comment decoration as one space: phrases are wrapped anywhere. */
static void flatten(struct hf_span text, struct hf_buf *out)
{
    hf_buf_clear(out);
    if (!hf_buf_reserve(out, text.n)) {
        out->failed = true;
        return;
    }
    bool space = true;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '*' || c == '"' || c == '\'') {
            if (!space)
                out->p[out->n++] = ' ';
            space = true;
        } else {
            out->p[out->n++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
            space = false;
        }
    }
}

static const struct {
    struct hf_span phrase, name;
} phrases[] = {
        {{"permission is hereby granted, free of charge, to any person obtaining", 69}, {"MIT", 3}},
        {{"redistribution and use in source and binary forms", 49}, {"BSD", 3}},
        {{"permission to use, copy, modify, and/or distribute this software for any", 72}, {"ISC", 3}},
        {{"apache license, version 2.0", 27}, {"Apache-2.0", 10}},
        {{"mozilla public license, v. 2.0", 30}, {"MPL-2.0", 7}},
        {{"mozilla public license version 2.0", 34}, {"MPL-2.0", 7}},
        {{"sil open font license", 21}, {"OFL-1.1", 7}},
        {{"boost software license", 22}, {"BSL-1.0", 7}},
        {{"the artistic license", 20}, {"Artistic", 8}},
        {{"same terms as perl itself", 25}, {"Artistic or GPL-1+", 18}},
        {{"in the public domain", 20}, {"public-domain", 13}},
        {{"python software foundation license", 34}, {"PSF", 3}},
};

static int prose(struct hf_span text, struct hf_buf *work, struct seen *s, struct hf_err *err)
{
    static const struct hf_span dir = {"/usr/share/common-licenses/", 27};
    struct hf_span rest = text;
    size_t at;
    int rc;
    while ((at = hf_span_search(rest, dir)) != SIZE_MAX) {
        rest = hf_span_from(rest, at + dir.n);
        size_t n = 0;
        while (n < rest.n && is_name_char(rest.p[n]))
            n++;
        struct hf_span name = hf_span_sub(rest, 0, n);
        while (name.n && (name.p[name.n - 1] == '.' || name.p[name.n - 1] == '-'))
            name.n--; /* end of a sentence */
        if ((rc = tell(s, name, err)) < 0)
            return rc;
    }
    flatten(text, work);
    if (!hf_buf_ok(work))
        return hf_fail(err, HF_E_LIMIT, "copyright file of %zu bytes is over the memory limit", text.n);
    for (size_t i = 0; i < HF_ARRAY_LEN(phrases); i++)
        if (hf_span_search(hf_buf_span(work), phrases[i].phrase) != SIZE_MAX && (rc = tell(s, phrases[i].name, err)) < 0)
            return rc;
    return 0;
}

int hf_copyright_licenses(struct hf_span text, struct hf_buf *work, hf_copyright_cb cb, void *ctx, struct hf_err *err)
{
    struct seen s = {.n = 0, .cb = cb, .ctx = ctx};
    return is_machine_readable(text) ? machine_readable(text, &s, err) : prose(text, work, &s, err);
}
