/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/cvss/cvss.h"

#include <math.h>

enum { MAX_METRICS = 40, MAX_VECTOR = 512 };

struct metrics {
    struct {
        struct hf_span name, value;
    } v[MAX_METRICS];
    size_t n;
};

static int split(struct hf_span vector, struct metrics *m)
{
    struct hf_span part;
    m->n = 0;
    while (hf_span_cut(&vector, '/', &part)) {
        size_t colon = hf_span_find(part, ':');
        if (part.n == 0)
            continue;
        if (colon == SIZE_MAX || m->n == MAX_METRICS)
            return HF_E_FORMAT;
        struct hf_span name = hf_span(part.p, colon);
        for (size_t i = 0; i < m->n; i++)
            if (hf_span_eq(m->v[i].name, name))
                return HF_E_FORMAT;
        m->v[m->n].name = name;
        m->v[m->n++].value = hf_span_from(part, colon + 1);
    }
    return 0;
}

/* Index of the metric's one-letter value in `letters`, or -1. */
static int pick(const struct metrics *m, const char *name, const char *letters)
{
    for (size_t i = 0; i < m->n; i++)
        if (hf_span_eqz(m->v[i].name, name)) {
            const char *p = m->v[i].value.n == 1 ? strchr(letters, m->v[i].value.p[0]) : NULL;
            return p && *p ? (int)(p - letters) : -1;
        }
    return -1;
}

static unsigned tenths(double x)
{
    return (unsigned)lround(x * 10);
}

static int score2(const struct metrics *m, unsigned *ret)
{
    static const double av_w[] = {0.395, 0.646, 1.0}, ac_w[] = {0.35, 0.61, 0.71}, au_w[] = {0.45, 0.56, 0.704}, cia[] = {0.0, 0.275, 0.660};
    int av = pick(m, "AV", "LAN"), ac = pick(m, "AC", "HML"), au = pick(m, "Au", "MSN");
    int c = pick(m, "C", "NPC"), i = pick(m, "I", "NPC"), a = pick(m, "A", "NPC");
    if (av < 0 || ac < 0 || au < 0 || c < 0 || i < 0 || a < 0)
        return HF_E_FORMAT;
    double impact = 10.41 * (1 - (1 - cia[c]) * (1 - cia[i]) * (1 - cia[a]));
    double exploit = 20 * av_w[av] * ac_w[ac] * au_w[au];
    *ret = tenths((0.6 * impact + 0.4 * exploit - 1.5) * (impact > 0 ? 1.176 : 0));
    return 0;
}

/* v3.1 specification, appendix A: round up to one decimal without floating-point surprises. */
static unsigned roundup31(double x)
{
    long n = lround(x * 100000);
    return (unsigned)(n % 10000 == 0 ? n / 10000 : n / 10000 + 1);
}

static int score3(const struct metrics *m, bool v31, unsigned *ret)
{
    static const double av_w[] = {0.85, 0.62, 0.55, 0.2}, ac_w[] = {0.77, 0.44}, ui_w[] = {0.85, 0.62}, cia[] = {0.0, 0.22, 0.56};
    static const double pr_w[2][3] = {{0.85, 0.62, 0.27}, {0.85, 0.68, 0.5}};
    int av = pick(m, "AV", "NALP"), ac = pick(m, "AC", "LH"), pr = pick(m, "PR", "NLH"), ui = pick(m, "UI", "NR"), s = pick(m, "S", "UC");
    int c = pick(m, "C", "NLH"), i = pick(m, "I", "NLH"), a = pick(m, "A", "NLH");
    if (av < 0 || ac < 0 || pr < 0 || ui < 0 || s < 0 || c < 0 || i < 0 || a < 0)
        return HF_E_FORMAT;
    double iss = 1 - (1 - cia[c]) * (1 - cia[i]) * (1 - cia[a]);
    double impact = s ? 7.52 * (iss - 0.029) - 3.25 * pow(iss - 0.02, 15) : 6.42 * iss;
    double exploit = 8.22 * av_w[av] * ac_w[ac] * pr_w[s][pr] * ui_w[ui];
    if (impact <= 0) {
        *ret = 0;
        return 0;
    }
    double x = fmin((s ? 1.08 : 1.0) * (impact + exploit), 10);
    *ret = v31 ? roundup31(x) : (unsigned)ceil(round(x * 1e8) / 1e7);
    return 0;
}

/* v4.0 specification, section 8.2: score of each macrovector [EQ1 * 2 + EQ2][EQ3 * 6 + EQ4 * 2 + EQ6] with EQ5 = 0 (exploit maturity
 * not defined counts as attacked), times ten; -1: no such macrovector. */
static const signed char macro4[6][18] = {
        {100, 99, 100, 96, 93, 90, 98, 95, 93, 92, 88, 80, -1, 92, -1, 79, -1, 69},
        {99, 97, 95, 91, 92, 81, 95, 93, 92, 82, 84, 70, -1, 86, -1, 71, -1, 63},
        {98, 95, 94, 89, 87, 75, 94, 89, 86, 76, 72, 57, -1, 83, -1, 65, -1, 53},
        {95, 90, 90, 77, 77, 66, 89, 78, 74, 59, 61, 52, -1, 71, -1, 58, -1, 23},
        {93, 87, 86, 74, 70, 54, 85, 75, 72, 57, 53, 36, -1, 64, -1, 47, -1, 24},
        {88, 75, 73, 55, 54, 43, 75, 55, 61, 51, 46, 18, -1, 53, -1, 24, -1, 10},
};

static int macro(int e1, int e2, int e3, int e4, int e6)
{
    return e1 > 2 || e2 > 1 || e3 > 2 || e4 > 2 || e6 > 1 ? -1 : macro4[e1 * 2 + e2][e3 * 6 + e4 * 2 + e6];
}

struct mean {
    double sum;
    int n;
};

static void lower(struct mean *mean, int value, int next, int distance, int depth)
{
    if (next < 0)
        return;
    mean->sum += (value - next) * ((double)distance / depth);
    mean->n++;
}

static int score4(const struct metrics *m, unsigned *ret)
{
    int av = pick(m, "AV", "NALP"), ac = pick(m, "AC", "LH"), at = pick(m, "AT", "NP"), pr = pick(m, "PR", "NLH"), ui = pick(m, "UI", "NPA");
    int vc = pick(m, "VC", "HLN"), vi = pick(m, "VI", "HLN"), va = pick(m, "VA", "HLN");
    int sc = pick(m, "SC", "HLN"), si = pick(m, "SI", "HLN"), sa = pick(m, "SA", "HLN");
    if (av < 0 || ac < 0 || at < 0 || pr < 0 || ui < 0 || vc < 0 || vi < 0 || va < 0 || sc < 0 || si < 0 || sa < 0)
        return HF_E_FORMAT;
    if (vc == 2 && vi == 2 && va == 2 && sc == 2 && si == 2 && sa == 2) {
        *ret = 0;
        return 0;
    }
    int e1 = av == 0 && pr == 0 && ui == 0 ? 0 : av != 3 && (av == 0 || pr == 0 || ui == 0) ? 1 : 2;
    int e2 = ac == 0 && at == 0 ? 0 : 1;
    int e3 = vc == 0 && vi == 0 ? 0 : vc == 0 || vi == 0 || va == 0 ? 1 : 2;
    int e4 = sc == 0 || si == 0 || sa == 0 ? 1 : 2; /* 0 needs a modified (safety) metric */
    int e6 = vc == 0 || vi == 0 || va == 0 ? 0 : 1;
    /* Distances, in steps, from the highest vector of the macrovector that is nowhere below this one. */
    static const int highest1[3][3][3] = {{{0, 0, 0}}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, {{3, 0, 0}, {1, 1, 1}}};
    static const int n1[3] = {1, 3, 2}, depth1[] = {1, 4, 5}, depth2[] = {1, 2}, depth4[] = {6, 5, 4};
    static const int highest2[2][2][2] = {{{0, 0}}, {{1, 0}, {0, 1}}};
    static const int highest36[3][2][3] = {{{0, 0, 0}}, {{1, 0, 0}, {0, 1, 0}}, {{1, 1, 1}}};
    static const int n36[3] = {1, 2, 1}, depth36[3] = {7, 8, 10};
    int d1 = 0, d2 = 0, d36 = 0, d4;
    for (int k = 0; k < n1[e1]; k++) {
        const int *h = highest1[e1][k];
        if (av >= h[0] && pr >= h[1] && ui >= h[2]) {
            d1 = av - h[0] + pr - h[1] + ui - h[2];
            break;
        }
    }
    for (int k = 0; k <= e2; k++) {
        const int *h = highest2[e2][k];
        if (ac >= h[0] && at >= h[1]) {
            d2 = ac - h[0] + at - h[1];
            break;
        }
    }
    for (int k = 0; k < n36[e3]; k++) {
        const int *h = highest36[e3][k];
        if (vc >= h[0] && vi >= h[1] && va >= h[2]) {
            d36 = vc - h[0] + vi - h[1] + va - h[2];
            break;
        }
    }
    d4 = e4 == 1 ? sc + si + sa : sc - 1 + si - 1 + sa - 1;
    int value = macro(e1, e2, e3, e4, e6);
    struct mean mean = {0, 0};
    lower(&mean, value, macro(e1 + 1, e2, e3, e4, e6), d1, depth1[e1]);
    lower(&mean, value, macro(e1, e2 + 1, e3, e4, e6), d2, depth2[e2]);
    int next36 = e3 == 0 && e6 == 0 ? HF_MAX(macro(e1, e2, e3, e4, 1), macro(e1, e2, 1, e4, 0))
            : e3 == 1 && e6 == 0    ? macro(e1, e2, 1, e4, 1)
            : e6 == 1               ? macro(e1, e2, e3 + 1, e4, 1)
                                    : -1;
    lower(&mean, value, next36, d36, depth36[e3]);
    lower(&mean, value, macro(e1, e2, e3, e4 + 1, e6), d4, depth4[e4]);
    lower(&mean, value, 0, 0, 1); /* EQ5 always has a lower level, at distance 0 */
    double x = value - (mean.n ? mean.sum / mean.n : 0);
    *ret = (unsigned)lround(fmin(fmax(x, 0), 100) + 1e-6);
    return 0;
}

int hf_cvss_base(struct hf_span v, unsigned *ret_version10, unsigned *ret_score10)
{
    struct metrics m;
    unsigned version = 20, score = 0;
    v = hf_span_trim(v);
    if (v.n > MAX_VECTOR)
        return HF_E_FORMAT;
    if (v.n > 1 && v.p[0] == '(' && v.p[v.n - 1] == ')')
        v = hf_span_sub(v, 1, v.n - 2);
    static const struct {
        const char *head;
        unsigned version;
    } heads[] = {{"CVSS:3.0/", 30}, {"CVSS:3.1/", 31}, {"CVSS:4.0/", 40}, {"CVSS:2.0/", 20}};
    for (size_t i = 0; i < HF_ARRAY_LEN(heads); i++)
        if (hf_span_starts(v, hf_span_z(heads[i].head))) {
            version = heads[i].version;
            v = hf_span_from(v, strlen(heads[i].head));
            break;
        }
    int rc = split(v, &m);
    if (rc >= 0)
        rc = version == 20 ? score2(&m, &score) : version == 40 ? score4(&m, &score) : score3(&m, version == 31, &score);
    if (rc < 0)
        return rc;
    *ret_version10 = version;
    *ret_score10 = score;
    return 0;
}
