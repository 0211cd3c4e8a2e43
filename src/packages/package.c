/* SPDX-License-Identifier: Apache-2.0 */
#include "packages/package.h"

static const char *const names[HF_PKG_TYPES] = {
        [HF_PKG_DEB] = "deb", [HF_PKG_APK] = "apk", [HF_PKG_RPM] = "rpm", [HF_PKG_PYPI] = "pypi",
        [HF_PKG_NPM] = "npm", [HF_PKG_GO] = "golang", [HF_PKG_MAVEN] = "maven", [HF_PKG_GEM] = "gem",
        [HF_PKG_CARGO] = "cargo", [HF_PKG_NUGET] = "nuget", [HF_PKG_COMPOSER] = "composer", [HF_PKG_HEX] = "hex",
        [HF_PKG_PUB] = "pub", [HF_PKG_BITNAMI] = "bitnami", [HF_PKG_GENERIC] = "generic",
};

const char *hf_pkg_type_name(enum hf_pkg_type t)
{
    return (unsigned)t < HF_PKG_TYPES ? names[t] : "generic";
}
