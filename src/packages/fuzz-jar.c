/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: even, the rest is an archive; odd, the rest are texts (manifest, pom.properties, ... each ends with a NUL) of an archive
 * whose checksums are right, so that what reads them is reached.  No package without a name and version, bounded facts. */
#include "formats/zip/mkzip.h"
#include "packages/catalogers.h"

static void run(struct hf_span bytes)
{
    struct hf_cat_file f = {.path = HF_S("lib/some-lib-1.0.jar"), .size = bytes.n, .mode = 0100644, .ra = hf_ra_mem(bytes)};
    struct hf_cat_scratch scratch;
    struct hf_facts facts;
    struct hf_err err = HF_ERR_INIT;
    hf_buf_init(&scratch.file, 4 << 20);
    hf_buf_init(&scratch.other, 4 << 20);
    hf_facts_init(&facts, 4 << 20);
    if (hf_cataloger_java.run(&f, 1, &scratch, &facts, &err) < 0 && !err.msg[0])
        abort();
    unsigned incomplete = 0;
    for (size_t i = 0; i < facts.n; i++) {
        incomplete += facts.v[i].kind == HF_FACT_INCOMPLETE;
        if (facts.v[i].kind == HF_FACT_PACKAGE && (!facts.v[i].pkg->name.n || !facts.v[i].pkg->version.n || facts.v[i].pkg->type != HF_PKG_MAVEN))
            abort();
    }
    if (incomplete > 64)
        abort();
    hf_facts_done(&facts);
    hf_buf_done(&scratch.file);
    hf_buf_done(&scratch.other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"META-INF/MANIFEST.MF", "META-INF/maven/g/a/pom.properties", "META-INF/maven/h/b/pom.properties", "lib/x-2.0.jar", "web.war"};
    if (!size)
        return 0;
    struct hf_span rest = hf_span((const char *)data + 1, size - 1), text;
    if (!(data[0] & 1)) {
        run(rest);
        return 0;
    }
    struct mkzip z = MKZIP_INIT, outer = MKZIP_INIT;
    for (size_t i = 0; i < HF_ARRAY_LEN(names) && hf_span_cut(&rest, '\0', &text); i++)
        mkzip_add(&z, names[i], text, i & 1 ? 8 : 0, 0);
    mkzip_add(&outer, "WEB-INF/lib/inner.jar", mkzip_end(&z, z.n, HF_S("")), data[0] & 2 ? 8 : 0, 0);
    run(mkzip_end(&outer, 1, HF_S("")));
    mkzip_done(&z);
    mkzip_done(&outer);
    return 0;
}
