/* SPDX-License-Identifier: Apache-2.0 */
/* RPM databases are recognised but not read yet: an image that has one must not look as if it had no packages. */
#include "packages/catalogers.h"

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    (void)files, (void)n, (void)scratch, (void)out;
    return hf_fail(err, HF_E_UNSUPPORTED, "RPM databases are not read yet, so the packages in this one were not examined");
}

static const struct hf_want wants[] = {
        {HF_WANT_TAIL, "Packages", "rpm", UINT64_MAX, false},
        {HF_WANT_TAIL, "Packages.db", "rpm", UINT64_MAX, false},
        {HF_WANT_TAIL, "rpmdb.sqlite", "rpm", UINT64_MAX, false},
        {HF_WANT_TAIL, "container-manifest-2", "rpmmanifest", UINT64_MAX, false},
};
const struct hf_cataloger hf_cataloger_rpm = {"rpm", 0, wants, HF_ARRAY_LEN(wants), run};
