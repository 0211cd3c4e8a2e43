/* SPDX-License-Identifier: Apache-2.0 */
#include "packages/eol.h"

/* Debian: LTS ends; Ubuntu: standard support; Alpine: branch end; RHEL family: maintenance ends.
 * Sources: wiki.debian.org/LTS, ubuntu.com/about/release-cycle, alpinelinux.org/releases, access.redhat.com/support/policy/updates/errata. */
static const struct {
    const char *id, *version;
    uint16_t year;
    uint8_t month, day;
} ends[] = {
        {"debian", "7", 2018, 5, 31}, {"debian", "8", 2020, 6, 30}, {"debian", "9", 2022, 6, 30}, {"debian", "10", 2024, 6, 30}, {"debian", "11", 2026, 8, 31},
        {"debian", "12", 2028, 6, 30}, {"debian", "13", 2030, 6, 30}, {"ubuntu", "14.04", 2019, 4, 25}, {"ubuntu", "16.04", 2021, 4, 30}, {"ubuntu", "18.04", 2023, 5, 31},
        {"ubuntu", "20.04", 2025, 5, 31}, {"ubuntu", "22.04", 2027, 4, 30}, {"ubuntu", "24.04", 2029, 5, 31}, {"ubuntu", "23.10", 2024, 7, 11}, {"ubuntu", "24.10", 2025, 7, 10},
        {"alpine", "3.10", 2021, 5, 1}, {"alpine", "3.11", 2021, 11, 1}, {"alpine", "3.12", 2022, 5, 1}, {"alpine", "3.13", 2022, 11, 1}, {"alpine", "3.14", 2023, 5, 1},
        {"alpine", "3.15", 2023, 11, 1}, {"alpine", "3.16", 2024, 5, 23}, {"alpine", "3.17", 2024, 11, 22}, {"alpine", "3.18", 2025, 5, 9}, {"alpine", "3.19", 2025, 11, 1},
        {"alpine", "3.20", 2026, 4, 1}, {"alpine", "3.21", 2026, 11, 1}, {"alpine", "3.22", 2027, 5, 1}, {"centos", "6", 2020, 11, 30}, {"centos", "7", 2024, 6, 30},
        {"centos", "8", 2021, 12, 31}, {"rhel", "6", 2020, 11, 30}, {"rhel", "7", 2024, 6, 30}, {"rhel", "8", 2029, 5, 31}, {"rhel", "9", 2032, 5, 31}, {"rhel", "10", 2035, 5, 31},
        {"almalinux", "8", 2029, 3, 1}, {"almalinux", "9", 2032, 5, 31}, {"almalinux", "10", 2035, 5, 31}, {"rocky", "8", 2029, 5, 31}, {"rocky", "9", 2032, 5, 31},
        {"rocky", "10", 2035, 5, 31}, {"amzn", "1", 2023, 12, 31}, {"amzn", "2", 2026, 6, 30}, {"amzn", "2023", 2029, 6, 30}, {"ol", "7", 2024, 12, 31}, {"ol", "8", 2029, 7, 31},
        {"ol", "9", 2032, 6, 30}, {"fedora", "39", 2024, 11, 26}, {"fedora", "40", 2025, 5, 13}, {"fedora", "41", 2025, 11, 19}, {"fedora", "42", 2026, 5, 13},
        {"opensuse-leap", "15.5", 2024, 12, 31}, {"opensuse-leap", "15.6", 2026, 4, 30}, {"photon", "4", 2026, 3, 1},
        {"sles", "12.5", 2024, 10, 31}, {"sles", "15.4", 2023, 12, 31}, {"sles", "15.5", 2024, 12, 31}, {"sles", "15.6", 2025, 12, 31}, {"sles", "15.7", 2031, 7, 31},
        {"mariner", "1.0", 2023, 7, 31}, {"mariner", "2.0", 2025, 7, 31}, {"centos", "9", 2027, 5, 31}, {"centos", "10", 2030, 1, 1}, {"ubuntu", "25.04", 2026, 1, 15},
        {"alpine", "3.23", 2027, 11, 1},
};

static uint64_t days(unsigned y, unsigned m, unsigned d)
{
    y -= m <= 2;
    unsigned era = y / 400, yoe = y - era * 400, doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return (uint64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

uint64_t hf_os_eol(const struct hf_os_release *os)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(ends); i++) {
        struct hf_span v = hf_span_z(ends[i].version);
        /* "3.18" means 3.18.4 too, "9" means 9.3, but not 3.180 or 90 */
        if (hf_span_eqz(os->id, ends[i].id) && hf_span_starts(os->version_id, v) && (os->version_id.n == v.n || os->version_id.p[v.n] == '.'))
            return (days(ends[i].year, ends[i].month, ends[i].day) + 1) * 86400;
    }
    return 0;
}
