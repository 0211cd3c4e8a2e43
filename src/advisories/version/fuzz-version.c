/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: scheme; then three versions apart by tabs.  The order must be one: reflexive, antisymmetric, transitive, and of equal
 * versions each stands for the other.  The last two not for Maven, whose ComparableVersion is not transitive on odd input ("1-0.x") and is
 * followed as it is. */
#include "advisories/version/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    enum hf_scheme s = (enum hf_scheme)(data[0] % HF_SCHEMES);
    struct hf_span rest = hf_span((const char *)data + 1, size - 1), v[3] = {{"", 0}, {"", 0}, {"", 0}};
    for (int i = 0; i < 3; i++)
        hf_span_cut(&rest, '\t', &v[i]);
    int c[3][3];
    bool valid[3];
    for (int i = 0; i < 3; i++) {
        valid[i] = hf_version_valid(s, v[i]);
        for (int k = 0; k < 3; k++)
            c[i][k] = hf_version_cmp(s, v[i], v[k]);
    }
    for (int i = 0; i < 3; i++) {
        need(c[i][i] == (valid[i] ? 0 : HF_CMP_INVALID));
        for (int k = 0; k < 3; k++) {
            bool both = valid[i] && valid[k];
            need(both ? c[i][k] >= -1 && c[i][k] <= 1 && c[i][k] == -c[k][i] : c[i][k] == HF_CMP_INVALID);
            for (int l = 0; l < 3 && s != HF_SCHEME_MAVEN; l++) {
                if (!both || !valid[l])
                    continue;
                need(!(c[i][k] <= 0 && c[k][l] <= 0) || c[i][l] <= 0);
                need(c[i][k] != 0 || c[i][l] == c[k][l]);
            }
        }
    }
    return 0;
}
