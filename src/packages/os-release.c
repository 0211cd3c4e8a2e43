/* SPDX-License-Identifier: Apache-2.0 */
/* Which distribution and release the content is: os-release(5), or the one-line files of older systems. */
#include "formats/os-release/os-release.h"
#include "packages/catalogers.h"

static int modern(struct hf_span text, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_os_release os = {{NULL, 0}};
    struct hf_osrel r;
    struct hf_span key, value;
    int rc = hf_osrel_init(&r, text, &scratch->other, err);
    if (rc < 0)
        return rc;
    const struct {
        const char *key;
        struct hf_span *to;
    } fields[] = {{"ID", &os.id}, {"ID_LIKE", &os.id_like}, {"VERSION_ID", &os.version_id}, {"VERSION_CODENAME", &os.version_codename},
            {"PRETTY_NAME", &os.pretty_name}, {"VARIANT_ID", &os.variant_id}, {"CPE_NAME", &os.cpe_name}};
    while ((rc = hf_osrel_next(&r, &key, &value, err)) != 0) {
        if (rc == HF_E_DAMAGED_ENTRY)
            continue; /* shells skip such lines too */
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++)
            if (hf_span_eqz(key, fields[i].key))
                *fields[i].to = hf_span_sub(value, 0, 512);
    }
    if (!os.id.n)
        os.id = HF_S("linux"); /* os-release(5): the default of ID */
    return hf_facts_os(out, &os, err);
}

static int old(struct hf_span path, struct hf_span text, struct hf_facts *out, struct hf_err *err)
{
    struct hf_os_release os = {{NULL, 0}};
    struct hf_span line = hf_span_trim(text), name, version;
    line = hf_span_trim(hf_span_sub(line, 0, hf_span_find(line, '\n')));
    if (line.n == 0 || line.n > 256)
        return 0;
    os.pretty_name = line;
    if (hf_span_eqz(path, "etc/alpine-release")) {
        os.id = HF_S("alpine");
        os.version_id = line;
    } else if (hf_span_eqz(path, "etc/debian_version")) {
        os.id = HF_S("debian");
        if (line.p[0] >= '0' && line.p[0] <= '9')
            os.version_id = line;
        else
            os.version_codename = hf_span_sub(line, 0, hf_span_find(line, '/'));
    } else if (hf_release_line(line, &name, &version)) {
        static const struct {
            const char *word, *id;
        } ids[] = {{"Red Hat", "rhel"}, {"CentOS", "centos"}, {"AlmaLinux", "almalinux"}, {"Rocky", "rocky"}, {"Fedora", "fedora"}, {"Amazon", "amzn"}, {"Oracle", "ol"}};
        for (size_t i = 0; i < HF_ARRAY_LEN(ids); i++)
            if (hf_span_search(name, hf_span_z(ids[i].word)) != SIZE_MAX)
                os.id = hf_span_z(ids[i].id);
        os.version_id = version;
    }
    return os.id.n ? hf_facts_os(out, &os, err) : 0;
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span text;
    (void)n;
    int rc = hf_ra_all(&files->ra, &scratch->file, &text, err);
    if (rc < 0)
        return rc;
    if (hf_span_eqz(hf_span_basename(files->path), "os-release"))
        return modern(text, scratch, out, err);
    return old(files->path, text, out, err);
}

static const struct hf_want wants[] = {
        {HF_WANT_PATH, "etc/os-release", NULL, 64 << 10, false},     {HF_WANT_PATH, "usr/lib/os-release", NULL, 64 << 10, false},
        {HF_WANT_PATH, "etc/alpine-release", NULL, 4096, false},     {HF_WANT_PATH, "etc/debian_version", NULL, 4096, false},
        {HF_WANT_PATH, "etc/redhat-release", NULL, 4096, false},     {HF_WANT_PATH, "etc/centos-release", NULL, 4096, false},
        {HF_WANT_PATH, "etc/system-release", NULL, 4096, false},
};
const struct hf_cataloger hf_cataloger_os_release = {"os-release", 1, wants, HF_ARRAY_LEN(wants), run};
