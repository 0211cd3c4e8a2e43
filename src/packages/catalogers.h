/* SPDX-License-Identifier: Apache-2.0 */
/* catalogers.h - one declaration a cataloger; see cataloger.h for the contract. */
#pragma once
#include "packages/cataloger.h"

extern const struct hf_cataloger hf_cataloger_os_release, hf_cataloger_dpkg, hf_cataloger_apk, hf_cataloger_rpm;
extern const struct hf_cataloger hf_cataloger_python, hf_cataloger_npm, hf_cataloger_go, hf_cataloger_java;
extern const struct hf_cataloger hf_cataloger_ruby, hf_cataloger_rust;
