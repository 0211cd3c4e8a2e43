/* SPDX-License-Identifier: Apache-2.0 */
/* Java archives and the archives in them.  R28: (1) META-INF/maven/G/A/pom.properties, of which one is the archive itself and the
 * others are shaded into it; (2) MANIFEST.MF; (4) the file's name.  Step 3, a table of checksums, needs data that is not here.
 *
 * An archive in an archive is read where it lies when it is stored, else unpacked into memory; depth, bytes and members are
 * bounded for the whole file. */
#include <stdio.h>

#include "formats/zip/zip.h"
#include "packages/catalogers.h"

enum {
    MAX_DEPTH = 8,
    MAX_POM = 64 << 10,
    MAX_MANIFEST = 1 << 20,
    MAX_POMS = 4096,      /* of one archive */
    MAX_WORK = 1 << 30,   /* bytes read and unpacked for one file of the image, what overlaps counts each time ... */
    WORK_BASE = 256 << 10, /* ... and no more than this and WORK_RATIO times its size: archives in archives are compressed already, */
    WORK_RATIO = 20,      /* and a thousand small files must not take the time of large ones */
    OPEN_COST = 512,      /* of a member, besides its bytes */
    TAIL_COST = 22 + 65535, /* of an archive whose end record is looked for */
    MAX_MEMBERS = 4 << 20,
    MAX_TEXT = 256,
    MAX_TOLD = 20,
};

static const char *const suffixes[] = {".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".kar", ".far", ".lpkg", ".rar"};

struct coordinates {
    struct hf_span group, artifact, version;
};
struct job {
    struct hf_facts *out;
    struct hf_arena arena; /* texts of the archives at hand */
    size_t held_max;       /* bytes that unpacked archives may take together */
    size_t held;
    uint64_t work, max_work, members;
    unsigned told;
    bool over, starved; /* over: MAX_WORK was reached; starved: a text was lost for want of memory */
};
struct archive {
    struct hf_span name;   /* of the file, for guesses */
    struct hf_span inside; /* "WEB-INF/lib/x.jar!/lib/y.jar", empty for the file itself */
    struct coordinates *poms;
    size_t n_poms, cap_poms;
    struct hf_span manifest;
};

static int tell(struct job *j, struct hf_span where, const char *what)
{
    if (++j->told > MAX_TOLD)
        return 0;
    return hf_facts_incomplete(j->out, "java: %s" HF_SPAN_FMT "%s%s", where.n ? "in " : "", HF_SPAN_ARG(hf_span_sub(where, 0, 300)), where.n ? ": " : "", what);
}

/* Takes from the file's budget.  false: it is used up, which is said once. */
static bool spend(struct job *j, uint64_t bytes, struct hf_span where, int *ret)
{
    char what[160];
    *ret = 0;
    if (bytes <= j->max_work - j->work) {
        j->work += bytes;
        return true;
    }
    if (j->over)
        return false;
    j->over = true;
    j->told = HF_MIN(j->told, MAX_TOLD - 1u); /* said even when much else was */
    snprintf(what, sizeof what, "not read, as others from here on: the archives of this file unpack to more than %llu KiB", (unsigned long long)(j->max_work >> 10));
    *ret = tell(j, where, what);
    return false;
}

/* What reading the member costs; sizes are the archive's own words, so their sum is not trusted to fit. */
static uint64_t cost_of(const struct hf_zip_member *m)
{
    return m->size > MAX_WORK || m->packed > MAX_WORK ? UINT64_MAX : OPEN_COST + m->size + m->packed;
}

static struct hf_span suffix_of(struct hf_span name)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(suffixes); i++) {
        struct hf_span s = hf_span_z(suffixes[i]);
        if (name.n > s.n && hf_span_eq_nocase(hf_span_from(name, name.n - s.n), s))
            return s;
    }
    return hf_span("", 0);
}

/* --- what is in the files --- */

/* "key=value", "key: value"; comments and continuation lines do not occur in what Maven writes. */
static struct coordinates parse_pom(struct hf_span text)
{
    struct coordinates c = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    struct hf_span line;
    while (hf_span_line(&text, &line)) {
        line = hf_span_trim(line);
        size_t eq = HF_MIN(hf_span_find(line, '='), hf_span_find(line, ':'));
        if (!line.n || line.p[0] == '#' || eq == SIZE_MAX)
            continue;
        struct hf_span key = hf_span_trim(hf_span(line.p, eq)), value = hf_span_trim(hf_span_from(line, eq + 1));
        if (value.n > MAX_TEXT)
            continue;
        if (hf_span_eqz(key, "groupId"))
            c.group = value;
        else if (hf_span_eqz(key, "artifactId"))
            c.artifact = value;
        else if (hf_span_eqz(key, "version"))
            c.version = value;
    }
    return c;
}

/* Main section of a manifest: a line that begins with a space goes on with the one before (JAR File Specification). */
static struct hf_span manifest_get(struct hf_span text, const char *key, struct hf_buf *work)
{
    struct hf_span line;
    bool on = false;
    hf_buf_clear(work);
    while (hf_span_line(&text, &line) && line.n) {
        if (on && line.p[0] == ' ') {
            hf_buf_adds(work, hf_span_from(line, 1));
            continue;
        }
        if (on)
            break;
        size_t colon = hf_span_find(line, ':');
        if (colon != SIZE_MAX && hf_span_eq_nocase(hf_span(line.p, colon), hf_span_z(key))) {
            hf_buf_adds(work, hf_span_from(line, colon + 1));
            on = true;
        }
    }
    struct hf_span v = hf_span_trim(hf_buf_span(work));
    return hf_buf_ok(work) && v.n <= MAX_TEXT ? v : hf_span("", 0);
}

static struct hf_span manifest_first(struct job *j, struct hf_span text, const char *const *keys)
{
    hf_autobuf work = HF_BUF_INIT(16 << 10);
    for (; *keys; keys++) {
        struct hf_span v = manifest_get(text, *keys, &work), copy;
        bool kept = !v.n || hf_arena_dup(&j->arena, v, &copy) == 0;
        j->starved |= !kept || !hf_buf_ok(&work);
        if (v.n && kept)
            return copy;
    }
    return hf_span("", 0);
}

static bool is_word(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", s.p[i]) || !s.p[i])
            return false;
    return s.n > 0;
}

/* "name-1.2.3.jar": up to the first dash that a digit follows. */
static void split_name(struct hf_span stem, struct coordinates *c)
{
    for (size_t i = 1; i + 1 < stem.n; i++)
        if (stem.p[i] == '-' && stem.p[i + 1] >= '0' && stem.p[i + 1] <= '9') {
            c->artifact = hf_span_sub(stem, 0, i);
            c->version = hf_span_from(stem, i + 1);
            return;
        }
    c->artifact = stem;
}

static bool has_digit(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9')
            return true;
    return false;
}

/* Coordinates where no pom.properties gives them.  The group is only said where the manifest has one: a wrong one would match the
 * advisories of somebody else. */
static struct coordinates guess(struct job *j, const struct archive *a)
{
    static const char *const groups[] = {"Group-Id", "Implementation-Vendor-Id", NULL};
    static const char *const versions[] = {"Plugin-Version", "Implementation-Version", "Bundle-Version", "Specification-Version", NULL};
    static const char *const titles[] = {"Short-Name", "Extension-Name", "Implementation-Title", NULL};
    static const char *const bundles[] = {"Bundle-SymbolicName", "Automatic-Module-Name", NULL};
    struct coordinates c = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    struct hf_span suffix = suffix_of(a->name), bundle = manifest_first(j, a->manifest, bundles);
    split_name(hf_span_sub(a->name, 0, a->name.n - suffix.n), &c);
    bool plugin = hf_span_eqz(suffix, ".hpi") || hf_span_eqz(suffix, ".jpi");
    struct hf_span title = manifest_first(j, a->manifest, titles), version = manifest_first(j, a->manifest, versions);
    bundle = hf_span_trim(hf_span_sub(bundle, 0, hf_span_find(bundle, ';')));
    if (is_word(title) && (plugin || !c.version.n))
        c.artifact = title;
    if ((plugin || !c.version.n) && has_digit(version) && is_word(version))
        c.version = version;
    c.group = manifest_first(j, a->manifest, groups);
    if (!is_word(c.group) || hf_span_find(c.group, '.') == SIZE_MAX)
        c.group = hf_span("", 0);
    /* "org.example.lib" of lib-1.0.jar */
    if (!c.group.n && bundle.n > c.artifact.n + 1 && hf_span_ends(bundle, c.artifact) && bundle.p[bundle.n - c.artifact.n - 1] == '.')
        c.group = hf_span_sub(bundle, 0, bundle.n - c.artifact.n - 1);
    return c;
}

/* --- packages --- */

static int add(struct job *j, const struct archive *a, const struct coordinates *c, unsigned flags, struct hf_err *err)
{
    hf_autobuf name = HF_BUF_INIT(2 * MAX_TEXT + 2);
    if (!c->artifact.n || !c->version.n)
        return 0;
    hf_buf_adds(&name, c->group);
    if (c->group.n)
        hf_buf_addc(&name, ':');
    hf_buf_adds(&name, c->artifact);
    struct hf_package p = {.type = HF_PKG_MAVEN, .flags = flags, .name = hf_buf_span(&name), .version = c->version, .install_root = a->inside};
    static const char *const keys[] = {"Bundle-License", NULL};
    struct hf_span license = flags & HF_PKG_SHADED ? hf_span("", 0) : manifest_first(j, a->manifest, keys);
    /* The one address that half of the world's bundles give instead of a name. */
    if (hf_span_search(license, HF_S("apache.org/licenses/LICENSE-2.0")) != SIZE_MAX)
        license = HF_S("Apache-2.0");
    p.licenses = &license;
    p.n_licenses = license.n != 0;
    return hf_buf_ok(&name) ? hf_facts_package(j->out, &p, err) : hf_fail(err, HF_E_LIMIT, "out of memory");
}

/* Whether these coordinates are the archive's own: "artifact-version" is its name, or that with a classifier behind. */
static bool named_so(struct hf_span stem, const struct coordinates *c)
{
    if (!hf_span_starts(stem, c->artifact))
        return false;
    struct hf_span rest = hf_span_from(stem, c->artifact.n);
    if (!rest.n)
        return true;
    if (rest.p[0] != '-' || !hf_span_starts(hf_span_from(rest, 1), c->version))
        return false;
    rest = hf_span_from(rest, 1 + c->version.n);
    return !rest.n || rest.p[0] == '-';
}

static int add_all(struct job *j, const struct archive *a, struct hf_err *err)
{
    struct hf_span stem = hf_span_sub(a->name, 0, a->name.n - suffix_of(a->name).n);
    size_t self = a->n_poms == 1 ? 0 : SIZE_MAX;
    for (size_t i = 0; i < a->n_poms && self == SIZE_MAX; i++)
        if (named_so(stem, &a->poms[i]))
            self = i;
    int rc = 0;
    for (size_t i = 0; i < a->n_poms && rc >= 0; i++)
        rc = add(j, a, &a->poms[i], i == self ? 0 : HF_PKG_SHADED, err);
    if (rc < 0 || self != SIZE_MAX)
        return rc;
    struct coordinates c = guess(j, a);
    if (!a->n_poms && (!c.artifact.n || !c.version.n)) /* not even a guess: said, since what is in it is not known */
        return hf_facts_mark(j->out, HF_S("java-unnamed"), a->inside.n ? a->inside : a->name, err);
    return add(j, a, &c, HF_PKG_GUESSED, err);
}

/* --- the walk through the members --- */

static int walk(struct job *j, const struct hf_ra *ra, struct hf_span name, struct hf_span inside, unsigned depth, struct hf_err *err);

static int nested(struct job *j, const struct hf_zip *z, const struct hf_zip_member *m, struct hf_span outer, unsigned depth, struct hf_err *err)
{
    hf_autobuf content = HF_BUF_INIT(j->held_max - HF_MIN(j->held_max, j->held));
    hf_autobuf path = HF_BUF_INIT(16 << 10);
    struct hf_err why = HF_ERR_INIT;
    struct hf_span inside;
    struct hf_ra ra;
    if (outer.n) {
        hf_buf_adds(&path, outer);
        hf_buf_addz(&path, "!/");
    }
    hf_buf_adds(&path, hf_span_sub(m->name, 0, HF_ZIP_NAME_MAX));
    if (!hf_buf_ok(&path) || hf_arena_dup(&j->arena, hf_buf_span(&path), &inside) < 0)
        return hf_fail(err, HF_E_LIMIT, "names of nested archives are over the memory limit");
    if (depth >= MAX_DEPTH)
        return tell(j, inside, "archives nested more than 8 deep are not opened");
    int rc = hf_zip_stored(z, m, &ra, &why);
    if (rc == HF_E_UNSUPPORTED) {
        if (!spend(j, cost_of(m), inside, &rc))
            return rc;
        why = (struct hf_err)HF_ERR_INIT;
        rc = hf_zip_read(z, m, &content, &why);
        ra = hf_ra_mem(hf_buf_span(&content));
    }
    if (rc < 0)
        return tell(j, inside, why.msg);
    char magic[2];
    if (!hf_span_eq_nocase(suffix_of(m->name), HF_S(".jar")) && (hf_ra_read(&ra, 0, magic, HF_MIN(sizeof magic, (size_t)ra.size), &why) < 0 || ra.size < 2 || memcmp(magic, "PK", 2) != 0))
        return why.msg[0] ? tell(j, inside, why.msg) : 0; /* the suffix is used for something else, as in run() */
    if (!spend(j, OPEN_COST + HF_MIN(ra.size, (uint64_t)TAIL_COST), inside, &rc))
        return rc;
    size_t mine = content.cap;
    j->held += mine;
    rc = walk(j, &ra, hf_span_basename(inside), inside, depth + 1, &why);
    j->held -= mine;
    if (rc == HF_E_LIMIT)
        return hf_fail(err, rc, "%s", why.msg);
    return rc < 0 ? tell(j, inside, why.msg) : 0;
}

static int keep_text(struct job *j, const struct hf_zip *z, const struct hf_zip_member *m, size_t max, struct hf_span where, struct hf_span *ret)
{
    hf_autobuf text = HF_BUF_INIT(max);
    struct hf_err why = HF_ERR_INIT;
    char what[700];
    int rc;
    *ret = hf_span("", 0);
    if (!spend(j, cost_of(m), where, &rc))
        return rc;
    if (hf_zip_read(z, m, &text, &why) == 0)
        return hf_arena_dup(&j->arena, hf_buf_span(&text), ret);
    snprintf(what, sizeof what, HF_SPAN_FMT ": %s", HF_SPAN_ARG(hf_span_sub(m->name, 0, 120)), why.msg);
    return tell(j, where, what);
}

static int member(struct job *j, struct archive *a, const struct hf_zip *z, const struct hf_zip_member *m, unsigned depth, struct hf_err *err)
{
    struct hf_span text;
    if (hf_span_eq_nocase(m->name, HF_S("META-INF/MANIFEST.MF")) && !a->manifest.n)
        return keep_text(j, z, m, MAX_MANIFEST, a->inside, &a->manifest) < 0 ? hf_fail(err, HF_E_LIMIT, "manifest over the memory limit") : 0;
    if (hf_span_starts(m->name, HF_S("META-INF/maven/")) && hf_span_ends(m->name, HF_S("/pom.properties"))) {
        if (keep_text(j, z, m, MAX_POM, a->inside, &text) < 0)
            return hf_fail(err, HF_E_LIMIT, "pom.properties over the memory limit");
        struct coordinates c = parse_pom(text);
        if (!c.artifact.n || !c.group.n || !c.version.n)
            return 0;
        struct coordinates *slot = hf_grow((void **)&a->poms, &a->n_poms, &a->cap_poms, sizeof *slot, MAX_POMS);
        if (!slot)
            return tell(j, a->inside, "more than 4096 pom.properties");
        *slot = c;
        return 0;
    }
    return suffix_of(m->name).n && m->size ? nested(j, z, m, a->inside, depth, err) : 0;
}

static int walk(struct job *j, const struct hf_ra *ra, struct hf_span name, struct hf_span inside, unsigned depth, struct hf_err *err)
{
    struct archive a = {.name = name, .inside = inside};
    struct hf_zip z;
    struct hf_zip_member m;
    struct hf_err why = HF_ERR_INIT;
    int rc = hf_zip_open(&z, ra, err);
    if (rc == 0 && spend(j, z.end - z.at, inside, &rc)) {
        while ((rc = hf_zip_next(&z, &m, &why)) == 1) {
            if (++j->members > MAX_MEMBERS) {
                rc = hf_fail(&why, HF_E_FORMAT, "more than %d members in all its archives", MAX_MEMBERS);
                break;
            }
            rc = member(j, &a, &z, &m, depth, err);
            if (rc < 0)
                break;
        }
        if (rc < 0 && why.msg[0]) /* the members before it are known */
            rc = tell(j, inside, why.msg);
        if (rc >= 0)
            rc = add_all(j, &a, err);
    }
    hf_zip_done(&z);
    free(a.poms);
    return rc;
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    char magic[2] = {0, 0};
    (void)n;
    if (!files->size)
        return 0;
    int rc = hf_ra_read(&files->ra, 0, magic, HF_MIN(sizeof magic, (size_t)files->size), err);
    if (rc < 0)
        return rc;
    /* Suffixes are used for other things too (RAR archives, resource files). */
    if (!hf_span_eq_nocase(suffix_of(files->path), HF_S(".jar")) && memcmp(magic, "PK", 2) != 0)
        return 0;
    struct job j = {.out = out, .held_max = scratch->file.max};
    j.max_work = HF_MIN((uint64_t)MAX_WORK, WORK_BASE + HF_MIN(files->size, (uint64_t)MAX_WORK) * WORK_RATIO);
    hf_arena_init(&j.arena, scratch->file.max);
    rc = walk(&j, &files->ra, hf_span_basename(files->path), hf_span("", 0), 0, err);
    if (j.told > MAX_TOLD)
        hf_facts_incomplete(out, "java: %u more places could not be read", j.told - MAX_TOLD);
    if (j.starved && rc >= 0)
        rc = hf_fail(err, HF_E_LIMIT, "a manifest is over the memory limit");
    hf_arena_done(&j.arena);
    return rc;
}

#define SIZE_LIMIT (UINT64_C(4) << 30)
#define WANT(suffix) {HF_WANT_SUFFIX, suffix, NULL, SIZE_LIMIT, false, NULL, 0}
static const struct hf_want wants[] = {WANT(".jar"), WANT(".war"), WANT(".ear"), WANT(".par"), WANT(".sar"), WANT(".nar"), WANT(".jpi"), WANT(".hpi"), WANT(".kar"), WANT(".far"),
        WANT(".lpkg"), WANT(".rar")};
const struct hf_cataloger hf_cataloger_java = {"java", 3, wants, HF_ARRAY_LEN(wants), run};
