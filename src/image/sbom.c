/* SPDX-License-Identifier: Apache-2.0 */
#include "image/sbom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/json.h"
#include "packages/purl.h"

enum {
    MAX_COMPONENTS = 1 << 20,
    MAX_TOLD = 200,      /* components that cannot be used are listed one by one up to here */
    MAX_LICENSES = 32,
    MAX_LOCATIONS = 64,
    SNIFF = 4096,
    MAX_LINE = 16 << 10,
};

struct entry {
    struct hf_scan_package p;
    struct hf_location *locations;
    size_t n_locations;
};
struct sbom {
    struct hf_scan *scan;
    struct hf_span name;
    struct entry *v;
    size_t n, cap, untold;
    struct hf_map by_purl; /* canonical purl -> index + 1 */
};

static int full(struct hf_err *err)
{
    return hf_fail(err, HF_E_LIMIT, "the SBOM is over the memory limit; raise --max-memory");
}

static int left_out(struct sbom *b, struct hf_span what, const char *why)
{
    if (b->scan->n_incomplete >= MAX_TOLD) {
        b->untold++;
        return 0;
    }
    return hf_scan_incomplete(b->scan, b->name, UINT32_MAX, "component \"" HF_SPAN_FMT "\" is not examined: %s", HF_SPAN_ARG(hf_span_sub(what, 0, 200)), why);
}

static int add_location(struct sbom *b, struct entry *e, struct hf_span path)
{
    if (e->n_locations == MAX_LOCATIONS)
        return 0;
    for (size_t i = 0; i < e->n_locations; i++)
        if (hf_span_eq(e->locations[i].path, path))
            return 0;
    if (e->n_locations < 2) { /* nearly all have one */
        struct hf_location *more = hf_arena_calloc(&b->scan->arena, e->n_locations ? MAX_LOCATIONS : 1, sizeof *more);
        if (!more)
            return HF_E_LIMIT;
        if (e->n_locations)
            more[0] = e->locations[0];
        e->locations = more;
    }
    struct hf_location *l = &e->locations[e->n_locations];
    l->layer = UINT32_MAX;
    if (hf_arena_dup(&b->scan->arena, path, &l->path) < 0)
        return HF_E_LIMIT;
    e->n_locations++;
    return 0;
}

/* Counts a package once however often the document lists it.  1 and *ret, 0 when it was left out. */
static int add(struct sbom *b, struct hf_span purl, struct entry **ret, struct hf_err *err)
{
    struct hf_package p;
    struct hf_err why = HF_ERR_INIT;
    struct hf_span key;
    hf_autobuf canonical = HF_BUF_INIT(64 << 10);
    int rc = hf_purl_parse(purl, &b->scan->arena, &p, &why);
    if (rc == HF_E_LIMIT && purl.n <= HF_PURL_MAX)
        return full(err);
    if (rc < 0)
        return left_out(b, purl, why.msg) < 0 ? full(err) : 0;
    if (!p.version.n)
        return left_out(b, purl, "it has no version") < 0 ? full(err) : 0;
    if (hf_purl_make(&p, NULL, &canonical) < 0 || hf_arena_dup(&b->scan->arena, hf_buf_span(&canonical), &key) < 0)
        return full(err);
    uint64_t *slot = hf_map_at(&b->by_purl, key, NULL);
    if (!slot)
        return full(err);
    if (!*slot) {
        struct entry *e = hf_grow((void **)&b->v, &b->n, &b->cap, sizeof *e, MAX_COMPONENTS);
        if (!e)
            return full(err);
        e->p.p = p;
        *slot = b->n;
    }
    *ret = &b->v[*slot - 1];
    return 1;
}

/* --- CycloneDX --- */

static int licenses(struct sbom *b, hf_jnode list, struct hf_package *p)
{
    struct hf_span *v = NULL;
    size_t n = 0;
    HF_JFOREACH(l, list) {
        hf_jnode license = hf_jget(l, "license");
        struct hf_span text = hf_jgetstr(l, "expression");
        if (!text.n)
            text = hf_jgetstr(license, "id");
        if (!text.n)
            text = hf_jgetstr(license, "name");
        if (!text.n || n == MAX_LICENSES)
            continue;
        if (!v && !(v = hf_arena_calloc(&b->scan->arena, MAX_LICENSES, sizeof *v)))
            return HF_E_LIMIT;
        if (hf_arena_dup(&b->scan->arena, hf_span_sub(text, 0, 512), &v[n]) < 0)
            return HF_E_LIMIT;
        n++;
    }
    p->licenses = v;
    p->n_licenses = n;
    return 0;
}

/* Where other tools and we say a package was found. */
static bool is_path_property(struct hf_span name)
{
    return hf_span_eqz(name, "holdfast:location:path") || hf_span_eqz(name, "aquasecurity:trivy:FilePath") ||
            (hf_span_starts(name, HF_S("syft:location:")) && hf_span_ends(name, HF_S(":path")));
}

static int facts(struct sbom *b, struct entry *e, hf_jnode c)
{
    int rc = 0;
    HF_JFOREACH(property, hf_jget(c, "properties"))
        if (rc >= 0 && is_path_property(hf_jgetstr(property, "name")) && hf_jgetstr(property, "value").n) {
            struct hf_span path = hf_jgetstr(property, "value");
            while (path.n && path.p[0] == '/')
                path = hf_span_from(path, 1);
            rc = add_location(b, e, hf_span_sub(path, 0, 4096));
        }
    if (rc >= 0 && !e->p.p.n_licenses)
        rc = licenses(b, hf_jget(c, "licenses"), &e->p.p);
    struct hf_span vendor = hf_jgetstr(c, "publisher");
    if (!vendor.n)
        vendor = hf_jgetstr(hf_jget(c, "supplier"), "name");
    if (rc >= 0 && vendor.n && !e->p.p.vendor.n)
        rc = hf_arena_dup(&b->scan->arena, hf_span_sub(vendor, 0, 256), &e->p.p.vendor);
    return rc;
}

static int operating_system(struct sbom *b, hf_jnode c)
{
    struct hf_os_release *r = &b->scan->release;
    if (r->id.n)
        return left_out(b, hf_jgetstr(c, "name"), "a second operating system; one release is matched");
    if (hf_arena_dup(&b->scan->arena, hf_jgetstr(c, "name"), &r->id) < 0 || hf_arena_dup(&b->scan->arena, hf_jgetstr(c, "version"), &r->version_id) < 0)
        return HF_E_LIMIT;
    return 0;
}

/* Kinds of components that are or hold software that advisories speak of. */
static bool is_software(struct hf_span type)
{
    static const char *const kinds[] = {"library", "application", "framework", "platform", "firmware", "device-driver"};
    return HF_SPAN_IN(type, kinds) || !type.n;
}

/* Components hold components; the document's nesting is bounded, so this recursion is. */
static int components(struct sbom *b, hf_jnode list, struct hf_err *err)
{
    int rc;
    HF_JFOREACH(c, list) {
        struct hf_span purl = hf_jgetstr(c, "purl"), type = hf_jgetstr(c, "type");
        struct entry *e = NULL;
        if (hf_span_eqz(type, "operating-system")) {
            if (operating_system(b, c) < 0)
                return full(err);
        } else if (purl.n) {
            rc = add(b, purl, &e, err);
            if (rc < 0)
                return rc;
            if (rc == 1 && facts(b, e, c) < 0)
                return full(err);
        } else if (is_software(type) && left_out(b, hf_jgetstr(c, "name"), "it has no purl") < 0) {
            return full(err);
        }
        rc = components(b, hf_jget(c, "components"), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int cyclonedx(struct sbom *b, struct hf_span text, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse_within(text, b->scan->arena.max, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, HF_SPAN_FMT, HF_SPAN_ARG(b->name));
    hf_jnode root = hf_json_root(doc);
    if (hf_jis_str(hf_jget(root, "spdxVersion")) || hf_jget(root, "@graph"))
        return hf_fail(err, HF_E_UNSUPPORTED, HF_SPAN_FMT " is SPDX; CycloneDX JSON and lists of purls are read, convert it first", HF_SPAN_ARG(b->name));
    if (!hf_span_eqz(hf_jgetstr(root, "bomFormat"), "CycloneDX"))
        return hf_fail(err, HF_E_FORMAT, HF_SPAN_FMT " is JSON but no CycloneDX document: bomFormat is \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(b->name),
                HF_SPAN_ARG(hf_jgetstr(root, "bomFormat")));
    if (hf_jget(root, "components") && !hf_jis_array(hf_jget(root, "components")))
        return hf_fail(err, HF_E_FORMAT, HF_SPAN_FMT ": components is no list", HF_SPAN_ARG(b->name));
    hf_jnode subject = hf_jget(hf_jget(root, "metadata"), "component");
    if (hf_arena_dup(&b->scan->arena, hf_span_starts(hf_jgetstr(subject, "version"), HF_S("sha256:")) ? hf_jgetstr(subject, "version") : hf_span("", 0), &b->scan->digest) < 0)
        return full(err);
    rc = components(b, hf_jget(root, "components"), err);
    /* What the document is about may be a package itself: an image or a file is not. */
    struct hf_span purl = hf_jgetstr(subject, "purl");
    struct entry *e = NULL;
    if (rc >= 0 && purl.n && is_software(hf_jgetstr(subject, "type")) && !hf_span_starts(purl, HF_S("pkg:oci/")) && !hf_span_starts(purl, HF_S("pkg:docker/")) &&
            !hf_span_starts(purl, HF_S("pkg:generic/"))) {
        rc = add(b, purl, &e, err);
        if (rc == 1 && facts(b, e, subject) < 0)
            return full(err);
    }
    return rc < 0 ? rc : components(b, hf_jget(subject, "components"), err);
}

/* --- list of purls --- */

static int purl_list(struct sbom *b, struct hf_span text, struct hf_err *err)
{
    struct hf_span line;
    while (hf_span_line(&text, &line)) {
        struct entry *e;
        line = hf_span_trim(line);
        if (!line.n || line.p[0] == '#')
            continue;
        int rc = line.n > MAX_LINE ? (left_out(b, line, "the line is too long") < 0 ? full(err) : 0) : add(b, line, &e, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* --- the whole --- */

/* "debian-12", "opensuse-leap-15.5": without an operating-system component the packages say where they are from. */
static int release_of_packages(struct sbom *b)
{
    struct hf_os_release *r = &b->scan->release;
    hf_autobuf distro = HF_BUF_INIT(1024);
    for (size_t i = 0; i < b->n && !r->id.n; i++) {
        const struct hf_package *p = &b->v[i].p.p;
        if (p->type != HF_PKG_DEB && p->type != HF_PKG_APK && p->type != HF_PKG_RPM)
            continue;
        hf_buf_clear(&distro);
        struct hf_span id = p->namespace, version = {NULL, 0};
        if (hf_purl_qualifier(p, "distro", &distro)) {
            /* "3.18.4", "bookworm": some write the release alone */
            size_t dash = hf_span_rfind(hf_buf_span(&distro), '-');
            id = dash == SIZE_MAX && id.n && !hf_span_eq(id, hf_buf_span(&distro)) ? id : hf_span_sub(hf_buf_span(&distro), 0, dash);
            version = hf_span_eq(id, hf_buf_span(&distro)) ? version : hf_span_from(hf_buf_span(&distro), dash == SIZE_MAX ? 0 : dash + 1);
        }
        bool number = version.n && version.p[0] >= '0' && version.p[0] <= '9';
        if (hf_arena_dup(&b->scan->arena, id, &r->id) < 0 || hf_arena_dup(&b->scan->arena, version, number ? &r->version_id : &r->version_codename) < 0)
            return HF_E_LIMIT;
    }
    return 0;
}

static bool same_major(struct hf_span a, struct hf_span b)
{
    return hf_span_eq(hf_span_sub(a, 0, hf_span_find(a, '.')), hf_span_sub(b, 0, hf_span_find(b, '.')));
}

/* One release is matched: a package that says it is from another must not be judged by its advisories. */
static int other_releases(struct sbom *b)
{
    const struct hf_os_release *r = &b->scan->release;
    hf_autobuf distro = HF_BUF_INIT(1024);
    size_t others = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct hf_package *p = &b->v[i].p.p;
        hf_buf_clear(&distro);
        if (!hf_purl_qualifier(p, "distro", &distro))
            continue;
        size_t dash = hf_span_rfind(hf_buf_span(&distro), '-');
        struct hf_span version = dash == SIZE_MAX ? hf_span("", 0) : hf_span_from(hf_buf_span(&distro), dash + 1), id = hf_span_sub(hf_buf_span(&distro), 0, dash);
        bool number = version.n && version.p[0] >= '0' && version.p[0] <= '9';
        if ((number && r->version_id.n && !same_major(version, r->version_id)) || (number && r->id.n && !hf_span_eq(id, r->id) && !hf_span_eq(p->namespace, r->id))) {
            p->flags |= HF_PKG_NOT_MATCHED;
            p->unmatched_why = HF_S("from another release than the SBOM's operating system");
            others++;
        }
    }
    return others ? hf_scan_incomplete(b->scan, b->name, UINT32_MAX, "%zu packages are from another release than " HF_SPAN_FMT " " HF_SPAN_FMT ", which the others are from: they were not checked",
                               others, HF_SPAN_ARG(r->id), HF_SPAN_ARG(r->version_id.n ? r->version_id : r->version_codename)) : 0;
}

static int finish(struct sbom *b, struct hf_err *err)
{
    struct hf_scan *s = b->scan;
    if (release_of_packages(b) < 0 || other_releases(b) < 0)
        return full(err);
    s->packages = calloc(b->n ? b->n : 1, sizeof *s->packages); /* hf_scan_done frees it */
    if (!s->packages)
        return full(err);
    for (size_t i = 0; i < b->n; i++) {
        struct entry *e = &b->v[i];
        if (!e->n_locations && add_location(b, e, b->name) < 0)
            return full(err);
        e->p.locations = e->locations;
        e->p.n_locations = e->n_locations;
        s->packages[i] = e->p;
    }
    s->n_packages = b->n;
    if (b->untold && hf_scan_incomplete(s, b->name, UINT32_MAX, "%zu more components are not examined", b->untold) < 0)
        return full(err);
    return 0;
}

int hf_sbom_parse(struct hf_span text, struct hf_span name, struct hf_scan *scan, struct hf_err *err)
{
    struct sbom b = {.scan = scan, .name = name};
    if (hf_span_starts(text, HF_S("\xef\xbb\xbf")))
        text = hf_span_from(text, 3);
    struct hf_span head = hf_span_trim(hf_span_sub(text, 0, SNIFF));
    int rc;
    if (!head.n)
        rc = hf_fail(err, HF_E_FORMAT, HF_SPAN_FMT " is empty", HF_SPAN_ARG(name));
    else if (head.p[0] == '<')
        rc = hf_fail(err, HF_E_UNSUPPORTED, HF_SPAN_FMT " is XML; CycloneDX JSON and lists of purls are read", HF_SPAN_ARG(name));
    else
        rc = head.p[0] == '{' ? cyclonedx(&b, text, err) : purl_list(&b, text, err);
    if (rc >= 0)
        rc = finish(&b, err);
    scan->files = 1;
    scan->bytes = text.n;
    hf_map_done(&b.by_purl);
    free(b.v);
    return rc;
}

int hf_sbom_read(const char *path, struct hf_scan *scan, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(HF_JSON_DOC_MAX), target = HF_BUF_INIT(8192);
    bool standard = !strcmp(path, "-");
    struct hf_span name;
    int rc = standard ? hf_read_fd(STDIN_FILENO, &text, err) : hf_read_file(path, &text, err);
    if (rc < 0)
        return standard ? hf_wrap(err, rc, "standard input") : rc;
    hf_buf_addf(&target, "sbom:%s", path);
    if (hf_arena_dup(&scan->arena, hf_buf_span(&target), &scan->target) < 0 || hf_arena_dup(&scan->arena, standard ? HF_S("standard input") : hf_span_z(path), &name) < 0)
        return full(err);
    return hf_sbom_parse(hf_buf_span(&text), name, scan, err);
}

bool hf_sbom_is(const char *path)
{
    char head[SNIFF];
    struct stat st;
    hf_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    ssize_t n = read(fd, head, sizeof head);
    struct hf_span s = hf_span_trim(hf_span(head, n > 0 ? (size_t)n : 0)), line;
    if (hf_span_starts(s, HF_S("{")))
        return hf_span_search(s, HF_S("CycloneDX")) != SIZE_MAX || hf_span_search(s, HF_S("\"spdxVersion\"")) != SIZE_MAX;
    while (hf_span_line(&s, &line) && (!hf_span_trim(line).n || line.p[0] == '#'))
        ;
    return hf_span_starts(hf_span_trim(line), HF_S("pkg:"));
}
