/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: scheme; then three versions apart by tabs.  The order must be one: reflexive, antisymmetric, transitive;
 * the last not for Maven and Composer, whose reference implementations are not transitive on odd input and are followed as they are. */
#include "advisories/version/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    enum hf_scheme s = (enum hf_scheme)(data[0] % HF_SCHEMES);
    struct hf_span rest = hf_span((const char *)data + 1, size - 1), v[3] = {{"", 0}, {"", 0}, {"", 0}};
    for (int i = 0; i < 3; i++)
        hf_span_cut(&rest, '\t', &v[i]);
    int c[3][3];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            c[i][k] = hf_version_cmp(s, v[i], v[k]);
    for (int i = 0; i < 3; i++) {
        bool valid = hf_version_valid(s, v[i]);
        if (c[i][i] != (valid ? 0 : HF_CMP_INVALID))
            abort();
        for (int k = 0; k < 3; k++) {
            bool both = valid && hf_version_valid(s, v[k]);
            if ((c[i][k] == HF_CMP_INVALID) == both || (both && c[i][k] != -c[k][i]))
                abort();
            for (int l = 0; l < 3; l++)
                if (s != HF_SCHEME_MAVEN && s != HF_SCHEME_PACKAGIST && both && hf_version_valid(s, v[l]) && c[i][k] <= 0 && c[k][l] <= 0 && c[i][l] > 0)
                    abort();
        }
    }
    return 0;
}
