/* SPDX-License-Identifier: Apache-2.0 */
/* Every scheme against tests/versions/<scheme>.tsv (a, b, order), made by tools/gen-version-tables/gen with the reference implementation. */
#include <time.h>

#include "advisories/version/version.h"
#include "base/fs.h"
#include "tap.h"

static void table(enum hf_scheme s)
{
    hf_autobuf text = HF_BUF_INIT(4 << 20);
    hf_autobuf path = HF_BUF_INIT(4096);
    const char *root = getenv("HF_SOURCE_ROOT");
    hf_buf_addf(&path, "%s/tests/versions/%s.tsv", root ? root : ".", hf_scheme_name(s));
    if (!OK(hf_read_file(hf_buf_z(&path), &text, NULL) == 0))
        return;
    struct hf_span rest = hf_buf_span(&text), line, a, b, want;
    unsigned n = 0, wrong = 0;
    while (hf_span_line(&rest, &line)) {
        if (!line.n || line.p[0] == '#')
            continue;
        if (!hf_span_cut(&line, '\t', &a) || !hf_span_cut(&line, '\t', &b) || !hf_span_cut(&line, '\t', &want))
            continue;
        int expected = hf_span_eqz(want, "<") ? -1 : hf_span_eqz(want, ">") ? 1 : hf_span_eqz(want, "=") ? 0 : HF_CMP_INVALID;
        int got = hf_version_cmp(s, a, b), back = hf_version_cmp(s, b, a);
        n++;
        if (got != expected || back != (expected == HF_CMP_INVALID ? expected : -expected)) {
            if (wrong++ < 20)
                printf("# %s: " HF_SPAN_FMT " " HF_SPAN_FMT ": %d and back %d, expected %d\n", hf_scheme_name(s), HF_SPAN_ARG(a), HF_SPAN_ARG(b), got, back, expected);
        }
    }
    printf("# %s: %u pairs\n", hf_scheme_name(s), n);
    OK(n >= 1000);
    EQ_U(wrong, 0);
}

/* Every three versions of a table's first lines must stand in one order (Maven's own is not transitive and is followed as it is). */
static void total(enum hf_scheme s)
{
    hf_autobuf text = HF_BUF_INIT(4 << 20), path = HF_BUF_INIT(4096);
    const char *root = getenv("HF_SOURCE_ROOT");
    hf_buf_addf(&path, "%s/tests/versions/%s.tsv", root ? root : ".", hf_scheme_name(s));
    if (!OK(hf_read_file(hf_buf_z(&path), &text, NULL) == 0))
        return;
    struct hf_span rest = hf_buf_span(&text), line, v[150];
    size_t n = 0;
    while (n + 2 <= HF_ARRAY_LEN(v) && hf_span_line(&rest, &line)) {
        if (!line.n || line.p[0] == '#' || !hf_span_cut(&line, '\t', &v[n]) || !hf_span_cut(&line, '\t', &v[n + 1]))
            continue;
        if (hf_version_valid(s, v[n]) && hf_version_valid(s, v[n + 1]))
            n += 2;
    }
    unsigned wrong = 0;
    static int c[150][150];
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            c[i][k] = hf_version_cmp(s, v[i], v[k]);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            wrong += c[i][k] != -c[k][i];
            for (size_t l = 0; l < n; l++)
                wrong += c[i][k] <= 0 && c[k][l] <= 0 && (c[i][l] > 0 || (c[i][l] == 0 && (c[i][k] || c[k][l])));
        }
    OK(n >= 100);
    EQ_U(wrong, 0);
}

/* The longest spans, of the shapes that would be slow if any loop were not linear: each pair must take no visible time. */
static void long_versions(void)
{
    static const char *const shapes[] = {"1.", "0.", "1a", "1-", "a", "~", "^", "-", "1.0-a.", "9", "_p", ".dev", "+a."};
    static char x[(64 << 10) + 1], y[(64 << 10) + 1];
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    unsigned wrong = 0;
    for (unsigned s = 0; s < HF_SCHEMES; s++)
        for (size_t k = 0; k < HF_ARRAY_LEN(shapes); k++) {
            size_t len = strlen(shapes[k]);
            for (size_t i = 0; i < sizeof x; i++)
                x[i] = y[i] = shapes[k][i % len];
            x[0] = y[0] = '1';
            y[sizeof y - 2] = '7';
            struct hf_span a = hf_span(x, sizeof x - 1), b = hf_span(y, sizeof y - 1);
            int c = hf_version_cmp((enum hf_scheme)s, a, b), back = hf_version_cmp((enum hf_scheme)s, b, a);
            wrong += c == HF_CMP_INVALID ? back != c : back != -c;
            /* one byte over the limit is no version */
            wrong += hf_version_valid((enum hf_scheme)s, hf_span(x, sizeof x));
        }
    clock_gettime(CLOCK_MONOTONIC, &end);
    EQ_U(wrong, 0);
    OK(end.tv_sec - begin.tv_sec < 20); /* a few milliseconds a pair even with sanitizers; quadratic would be minutes */
    memset(x, '9', sizeof x);
    OK(hf_version_cmp(HF_SCHEME_DEB, hf_span(x, 64 << 10), hf_span(x, (64 << 10) - 1)) == 1);
    OK(hf_version_cmp(HF_SCHEME_RPM, hf_span(x, 64 << 10), hf_span(x, 64 << 10)) == 0);
    /* Maven builds a list of items: its limit is lower (maven.c) */
    OK(hf_version_valid(HF_SCHEME_MAVEN, hf_span(x, 1024)));
    OK(!hf_version_valid(HF_SCHEME_MAVEN, hf_span(x, 1025)));
}

static void cmp(enum hf_scheme s, const char *a, const char *b, int want)
{
    if (!OK(hf_version_cmp(s, hf_span_z(a), hf_span_z(b)) == want))
        printf("# %s: %s against %s\n", hf_scheme_name(s), a, b);
}

/* What the notes on matching say in words (table 2d), and bytes that have no place in a version. */
static void notes(void)
{
    cmp(HF_SCHEME_DEB, "1.0", "1.0-0", 0);
    cmp(HF_SCHEME_RPM, "1.0", "1.0.0", -1); /* grype: equal */
    cmp(HF_SCHEME_RPM, "1.0^git1-1", "1.0-1", 1);
    cmp(HF_SCHEME_APK, "1.2", "1.2-r0", -1);
    cmp(HF_SCHEME_APK, "1.2", "1.2-0", HF_CMP_INVALID);
    cmp(HF_SCHEME_PEP440, "1.0+1", "1.0+abc", 1);
    cmp(HF_SCHEME_PEP440, "2004d-legacy", "1.0", HF_CMP_INVALID);
    cmp(HF_SCHEME_GO, "v2.0.0+incompatible", "2.0.0", 0);
    cmp(HF_SCHEME_GO, "go1.22rc1", "1.22.0-rc.1", 0);
    cmp(HF_SCHEME_GO, "go1.22.3", "1.22.3", 0);
    cmp(HF_SCHEME_GO, "v1.0.1-0.20200101000000-abcdefabcdef", "v1.0.1", -1);
    cmp(HF_SCHEME_GO, "v1.0.0-rc10", "v1.0.0-rc9", -1); /* text in SemVer; only toolchain names count there */
    cmp(HF_SCHEME_PACKAGIST, "8.4", "8.4.0", 0);
    cmp(HF_SCHEME_PACKAGIST, "dev-main", "dev-main", HF_CMP_INVALID);
    cmp(HF_SCHEME_PACKAGIST, "2.x-dev", "2.99.0", 1);
    cmp(HF_SCHEME_GEM, "1.15.4-x86_64-linux", "1.15.4", 0);
    cmp(HF_SCHEME_GEM, "1.15.4-java", "1.15.4", 0);
    cmp(HF_SCHEME_GEM, "1.0-beta", "1.0", -1);
    cmp(HF_SCHEME_NUGET, "1.0-BETA", "1.0.0.0-beta+x", 0);
    cmp(HF_SCHEME_PUB, "1.0.0+2", "1.0.0+10", -1);
    cmp(HF_SCHEME_BITNAMI, "1.2.3-4", "1.2.3", 0);
    cmp(HF_SCHEME_MAVEN, "1.0.Final", "1-ga", 0);
    for (unsigned s = 0; s < HF_SCHEMES; s++) {
        OK(!hf_version_valid((enum hf_scheme)s, hf_span("", 0)));
        OK(!hf_version_valid((enum hf_scheme)s, hf_span(NULL, 0)));
        OK(!hf_version_valid((enum hf_scheme)s, hf_span("1.0\0", 4)));
        OK(!hf_version_valid((enum hf_scheme)s, HF_S("1.0 1.0")));
    }
}

int main(void)
{
    notes();
    long_versions();
    for (unsigned s = 0; s < HF_SCHEMES; s++)
        if (s != HF_SCHEME_MAVEN)
            total((enum hf_scheme)s);
    for (unsigned s = 0; s < HF_SCHEMES; s++)
        table((enum hf_scheme)s);
    OK(hf_scheme_by_name(HF_S("npm")) == HF_SCHEME_SEMVER);
    OK(hf_scheme_by_name(HF_S("nonsense")) == HF_SCHEME_NONE);
    OK(hf_version_cmp(HF_SCHEME_NONE, HF_S("1"), HF_S("1")) == HF_CMP_INVALID);
    return tap_done();
}
