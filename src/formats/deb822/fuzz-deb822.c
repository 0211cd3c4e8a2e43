/* SPDX-License-Identifier: Apache-2.0 */
/* Paragraphs and fields of a control file, and the same bytes as a copyright file: bounded, and names are what they are told to be. */
#include <stdlib.h>

#include "formats/deb822/deb822.h"

static int on_license(void *ctx, struct hf_span license, struct hf_err *err)
{
    unsigned *n = ctx;
    (void)err;
    if (!license.n || license.n > HF_COPYRIGHT_NAME || ++*n > HF_COPYRIGHT_LICENSES)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span rest = hf_span((const char *)data, size), para;
    struct hf_deb822_field f;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf work = HF_BUF_INIT(1 << 20);
    unsigned n = 0;
    int rc;
    while (hf_deb822_paragraph(&rest, &para))
        while ((rc = hf_deb822_field(&para, &f, NULL)) != 0)
            if (rc == 1 && (!f.name.n || hf_deb822_first_line(f.value).n > f.value.n))
                abort();
    rc = hf_copyright_licenses(hf_span((const char *)data, size), &work, on_license, &n, &err);
    if (rc < 0 && !err.msg[0])
        abort();
    return 0;
}
