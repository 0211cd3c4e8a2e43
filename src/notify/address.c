// SPDX-License-Identifier: Apache-2.0
#include "notify/address.h"

bool hf_naddress_split(struct hf_span url, struct hf_span *scheme, struct hf_span *host, uint16_t *port, struct hf_span *path)
{
    size_t at = hf_span_search(url, HF_S("://"));
    uint64_t p = 0;
    if (at == SIZE_MAX || at == 0)
        return false;
    *scheme = hf_span_sub(url, 0, at);
    struct hf_span rest = hf_span_from(url, at + 3);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#')
        end++;
    *path = hf_span_from(rest, end);
    rest.n = end;
    struct hf_span number = {NULL, 0};
    if (rest.n && rest.p[0] == '[') {
        size_t close = hf_span_find(rest, ']');
        if (close == SIZE_MAX || (close + 1 < rest.n && rest.p[close + 1] != ':'))
            return false;
        *host = hf_span_sub(rest, 1, close - 1);
        number = hf_span_from(rest, close + 2);
    } else {
        size_t colon = hf_span_find(rest, ':');
        *host = hf_span_sub(rest, 0, colon);
        number = colon == SIZE_MAX ? number : hf_span_from(rest, colon + 1);
    }
    if (number.n && hf_parse_u64(number, 10, 1, 65535, &p) < 0)
        return false;
    *port = (uint16_t)p;
    return host->n > 0;
}

static bool this_machine(struct hf_span host)
{
    return hf_span_eqz(host, "127.0.0.1") || hf_span_eqz(host, "::1") || hf_span_eqz(host, "localhost");
}

int hf_naddress_check(enum hf_nkind kind, struct hf_span url, bool plain, struct hf_err *err)
{
    const char *tls = kind == HF_N_MAIL ? "smtps" : kind == HF_N_SYSLOG ? "syslog+tls" : "https", *open = kind == HF_N_MAIL ? "smtp" : kind == HF_N_SYSLOG ? "syslog+tcp" : "http";
    struct hf_span scheme, host, path;
    uint16_t port;
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= 0x20 || (unsigned char)url.p[i] >= 0x7f || strchr("\"<>\\^`{|}", url.p[i]))
            return hf_fail(err, HF_E_USAGE, "has a character that addresses do not have");
    size_t authority = hf_span_search(url, HF_S("://"));
    for (size_t i = authority == SIZE_MAX ? url.n : authority + 3; i < url.n && !strchr("/?#", url.p[i]); i++)
        if (url.p[i] == '@')
            return hf_fail(err, HF_E_USAGE, "has a name or password in it: they have keys and files of their own");
    if (!hf_naddress_split(url, &scheme, &host, &port, &path))
        return hf_fail(err, HF_E_USAGE, "must be written as %s://HOST[:PORT]", tls);
    if (hf_span_find(path, '#') != SIZE_MAX)
        return hf_fail(err, HF_E_USAGE, "has a \"#\"");
    if ((kind == HF_N_MAIL || kind == HF_N_SYSLOG) && path.n)
        return hf_fail(err, HF_E_USAGE, "has a path; %s://HOST[:PORT] is expected", tls);
    if (hf_span_eqz(scheme, tls) || (kind == HF_N_MAIL && hf_span_eqz(scheme, "smtp"))) /* smtp: STARTTLS is asked for, docs/notify.md */
        return 0;
    if (!hf_span_eqz(scheme, open))
        return hf_fail(err, HF_E_USAGE, "must begin with %s://", tls);
    if (!plain && !this_machine(host))
        return hf_fail(err, HF_E_USAGE, "must begin with %s:// (%s:// is for this machine, or with \"plain: true\")", tls, open);
    return 0;
}

bool hf_naddress_ok(struct hf_span mail)
{
    size_t at = hf_span_find(mail, '@'), dots = 0;
    if (at == SIZE_MAX || at == 0 || at > 64 || mail.n > 254 || at + 1 >= mail.n)
        return false;
    for (size_t i = 0; i < mail.n; i++) {
        unsigned char c = (unsigned char)mail.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (i != at && !word && !(i < at && c && strchr("!#$%&'*+/=?^_`{|}~", c)))
            return false;
        dots += c == '.' && (i == 0 || i == at - 1 || i == at + 1 || i + 1 == mail.n || mail.p[i + 1] == '.');
    }
    return !dots;
}
