/* SPDX-License-Identifier: Apache-2.0 */
/* A Go program (first byte even) or a fragment of one that begins with its build information (odd): what is read lies in the buffers, errors
 * have words. */
#include <stdlib.h>

#include "formats/gobuild/gobuild.h"
#include "formats/gobuild/pclntab.h"

static void use(struct hf_span s)
{
    volatile char sum = 0;
    for (size_t i = 0; i < s.n; i++)
        sum = (char)(sum ^ s.p[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct hf_ra ra = hf_ra_mem(hf_span((const char *)data + 1, size - 1));
    hf_autobuf work = HF_BUF_INIT(1 << 20), tables = HF_BUF_INIT(1 << 20);
    struct hf_span version, modules, names;
    struct hf_err err = HF_ERR_INIT;
    int rc = data[0] & 1 ? hf_gobuild_fragment(&ra, &work, &version, &modules, &err) : hf_gobuild_read(&ra, &work, &tables, &version, &modules, &err);
    if (rc == 1) {
        use(version);
        use(modules);
    } else if (rc < 0 && !err.msg[0]) {
        abort();
    }
    err.msg[0] = 0;
    rc = hf_gopclntab_names(&ra, &tables, &names, &err);
    if (rc == 1)
        use(names);
    else if (rc < 0 && !err.msg[0])
        abort();
    return 0;
}
