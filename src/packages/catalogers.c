/* SPDX-License-Identifier: Apache-2.0 */
/* The table of catalogers: a new one is one file in this folder and one row here. */
#include "packages/catalogers.h"

const struct hf_cataloger *const hf_catalogers[] = {
        &hf_cataloger_os_release,
        &hf_cataloger_dpkg,
        &hf_cataloger_apk,
        &hf_cataloger_rpm,
        &hf_cataloger_python,
        &hf_cataloger_npm,
        &hf_cataloger_go,
        &hf_cataloger_java,
        &hf_cataloger_ruby,
        &hf_cataloger_rust,
        NULL,
};
