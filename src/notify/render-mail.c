// SPDX-License-Identifier: Apache-2.0
/* E-mail: RFC 5322 with RFC 2045-2047 parts, threaded by References (RFC 5322 3.6.4), Auto-Submitted (RFC 3834).  Text and HTML. */
#include <stdio.h>

#include "notify/digest.h"
#include "notify/render-internal.h"

/* Quoted-printable, lines of at most 76 characters (RFC 2045, 6.7). */
static void quoted(struct hf_buf *b, struct hf_span s)
{
    size_t col = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\n') {
            hf_buf_addz(b, "\r\n");
            col = 0;
            continue;
        }
        bool last = i + 1 == s.n || s.p[i + 1] == '\n', plain = (c > 0x20 && c < 0x7f && c != '=' && !(c == '.' && col == 0)) || ((c == ' ' || c == '\t') && !last);
        if (col + (plain ? 1 : 3) > 75) {
            hf_buf_addz(b, "=\r\n");
            col = 0;
            if (c == '.')
                plain = false;
        }
        if (plain)
            hf_buf_addc(b, (char)c);
        else
            hf_buf_addf(b, "=%02X", c);
        col += plain ? 1 : 3;
    }
}

/* A header's text as encoded words of at most 75 characters, cut at characters (RFC 2047). */
static void words(struct hf_buf *b, struct hf_span s)
{
    bool ascii = true;
    for (size_t i = 0; i < s.n; i++)
        ascii &= (unsigned char)s.p[i] < 0x7f && (unsigned char)s.p[i] >= 0x20;
    if (ascii && s.n <= 60 && hf_span_search(s, HF_S("=?")) == SIZE_MAX) {
        hf_buf_adds(b, s);
        return;
    }
    for (size_t at = 0; at < s.n;) {
        size_t n = HF_MIN(s.n - at, (size_t)42);
        while (at + n < s.n && n && ((unsigned char)s.p[at + n] & 0xc0) == 0x80)
            n--;
        n = n ? n : 1;
        hf_buf_addz(b, at ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
        hf_ntext_base64(b, hf_span_sub(s, at, n));
        hf_buf_addz(b, "?=");
        at += n;
    }
}

static void text_part(struct hf_nrender *r, struct hf_buf *b)
{
    hf_autobuf value = HF_BUF_INIT(64 << 10);
    const char *label;
    hf_nr_headline(r, b);
    hf_buf_addc(b, '\n');
    hf_nr_news(r, b);
    hf_buf_addz(b, "\n\n");
    hf_buf_adds(b, r->v->summary);
    hf_buf_addz(b, "\n\n");
    hf_nr_new_talk(r, &value, 32000);
    if (value.n)
        hf_buf_addf(b, "New:\n%s\n", hf_buf_z(&value));
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++)
        if (value.n)
            hf_buf_addf(b, "%-10s %.*s\n", label, HF_SPAN_ARG(hf_buf_span(&value)));
    for (size_t i = 0; i < r->v->n_advice; i++)
        hf_buf_addf(b, "%-10s %.*s\n", "Do now", HF_SPAN_ARG(r->v->advice[i]));
    hf_buf_clear(&value);
    if (hf_nr_link(r, &value))
        hf_buf_addf(b, "\n%s\n", hf_buf_z(&value));
}

static void row(struct hf_buf *b, const char *label, struct hf_span value)
{
    hf_buf_addf(b, "<tr><th align=\"left\" valign=\"top\" style=\"padding:2px 12px 2px 0\">%s</th><td>", label);
    hf_ntext_html(b, value);
    hf_buf_addz(b, "</td></tr>\n");
}

static void html_part(struct hf_nrender *r, struct hf_buf *b)
{
    hf_autobuf value = HF_BUF_INIT(64 << 10);
    const char *label;
    struct hf_span rest, line;
    hf_buf_addf(b, "<!DOCTYPE html>\n<html><body style=\"font-family:sans-serif\">\n<h2 style=\"border-left:6px solid #%06x;padding-left:8px\">", hf_nr_colour(r->v->severity));
    hf_nr_headline(r, &value);
    hf_ntext_html(b, hf_buf_span(&value));
    hf_buf_addz(b, "</h2>\n<p><b>");
    hf_buf_clear(&value);
    hf_nr_news(r, &value);
    hf_ntext_html(b, hf_buf_span(&value));
    hf_buf_addz(b, "</b></p>\n<p>");
    hf_ntext_html(b, r->v->summary);
    hf_buf_addz(b, "</p>\n");
    hf_buf_clear(&value);
    hf_nr_new_talk(r, &value, 32000);
    for (rest = hf_buf_span(&value); hf_span_line(&rest, &line);) {
        hf_buf_addz(b, "<p>");
        hf_ntext_html(b, line);
        hf_buf_addz(b, "</p>\n");
    }
    hf_buf_addz(b, "<table>\n");
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++)
        if (value.n)
            row(b, label, hf_buf_span(&value));
    for (size_t i = 0; i < r->v->n_advice; i++)
        row(b, "Do now", r->v->advice[i]);
    hf_buf_addz(b, "</table>\n");
    hf_buf_clear(&value);
    if (hf_nr_link(r, &value)) {
        hf_buf_addz(b, "<p><a href=\"");
        hf_ntext_html(b, hf_buf_span(&value));
        hf_buf_addz(b, "\">Open in Holdfast</a></p>\n");
    }
    hf_buf_addz(b, "</body></html>\n");
}

static void date(struct hf_buf *b, int64_t s)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    time_t t = (time_t)s;
    if (gmtime_r(&t, &tm))
        hf_buf_addf(b, "%s, %d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void from_to(const struct hf_nrender *r, struct hf_buf *b)
{
    hf_buf_addf(b, "From: Holdfast <%.*s>\r\nTo: ", HF_SPAN_ARG(r->ch->from));
    for (size_t i = 0; i < r->ch->to.n; i++)
        hf_buf_addf(b, "%s<%.*s>", i ? ",\r\n " : "", HF_SPAN_ARG(r->ch->to.v[i]));
}

static void heads(struct hf_nrender *r, struct hf_buf *b, const char *boundary)
{
    hf_autobuf subject = HF_BUF_INIT(16 << 10), cut = HF_BUF_INIT(16 << 10);
    struct hf_span from = r->ch->from, domain = hf_span_from(from, hf_span_find(from, '@') + 1);
    from_to(r, b);
    hf_nr_headline(r, &subject);
    hf_ntext_cut(&cut, hf_buf_span(&subject), 200);
    hf_buf_addf(&cut, " [%.*s]", HF_SPAN_ARG(r->v->id));
    hf_buf_addz(b, "\r\nSubject: ");
    if (!r->req.first)
        hf_buf_addz(b, "Re: ");
    words(b, hf_buf_span(&cut));
    hf_buf_addz(b, "\r\nDate: ");
    date(b, r->now_s);
    if (r->req.first)
        hf_buf_addf(b, "\r\nMessage-ID: <%.*s@%.*s>", HF_SPAN_ARG(r->v->id), HF_SPAN_ARG(domain));
    else
        hf_buf_addf(b, "\r\nMessage-ID: <%.*s.%llu@%.*s>\r\nIn-Reply-To: <%.*s@%.*s>\r\nReferences: <%.*s@%.*s>", HF_SPAN_ARG(r->v->id), (unsigned long long)r->v->revision, HF_SPAN_ARG(domain), HF_SPAN_ARG(r->v->id), HF_SPAN_ARG(domain),
                HF_SPAN_ARG(r->v->id), HF_SPAN_ARG(domain));
    hf_buf_addf(b, "\r\nAuto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n", boundary);
}

static void two_parts(struct hf_buf *b, const char *boundary, struct hf_span text, struct hf_span html)
{
    hf_buf_addf(b, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary);
    quoted(b, text);
    hf_buf_addf(b, "\r\n--%s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary);
    quoted(b, html);
    hf_buf_addf(b, "\r\n--%s--\r\n", boundary);
}

static int make_mail(struct hf_nrender *r)
{
    hf_autobuf text = HF_BUF_INIT(256 << 10), html = HF_BUF_INIT(256 << 10);
    struct hf_buf *b = &r->req.body;
    char boundary[64]; /* quoted-printable has no "=_" */
    snprintf(boundary, sizeof boundary, "=_holdfast-%.*s", (int)HF_MIN(r->v->id.n, (size_t)32), r->v->id.p);
    r->req.via = HF_NVIA_SMTP;
    r->req.method = "MAIL";
    hf_buf_adds(&r->req.url, hf_nchannel_url(r->ch));
    heads(r, b, boundary);
    text_part(r, &text);
    html_part(r, &html);
    two_parts(b, boundary, hf_buf_span(&text), hf_buf_span(&html));
    return hf_buf_ok(&text) && hf_buf_ok(&html) ? 1 : (b->failed = true);
}

/* ---- digests ---- */

static unsigned severity_of(hf_jnode entry)
{
    for (unsigned i = 0; i < HF_NSEVS; i++)
        if (hf_span_eqz(hf_jgetstr(entry, "severity"), hf_nseverities[i]))
            return i;
    return HF_NSEV_MEDIUM;
}

static uint64_t number_of(hf_jnode n)
{
    double d = 0;
    return hf_jnum(n, &d) && d > 0 && d < 9e15 ? (uint64_t)d : 0;
}

/* "3 incidents, 1 critical, 2 high" */
static void digest_line(hf_jnode root, struct hf_buf *b)
{
    unsigned count[HF_NSEVS] = {0}, n = 0;
    uint64_t left = number_of(hf_jget(root, "left_out"));
    HF_JFOREACH(e, hf_jget(root, "entries")) {
        count[severity_of(e)]++;
        n++;
    }
    hf_buf_addf(b, "%llu incident%s", (unsigned long long)(n + left), n + left == 1 ? "" : "s");
    for (unsigned s = HF_NSEVS; s-- > 0;)
        if (count[s])
            hf_buf_addf(b, ", %u %s", count[s], hf_nseverities[s]);
}

static void digest_text(hf_jnode e, struct hf_buf *b)
{
    struct hf_span talk = hf_jgetstr(e, "talk"), line;
    hf_buf_addf(b, "%-9.*s%-13.*s%.*s\n", HF_SPAN_ARG(hf_jgetstr(e, "severity")), HF_SPAN_ARG(hf_jgetstr(e, "state")), HF_SPAN_ARG(hf_jgetstr(e, "title")));
    hf_buf_addf(b, "%22s%.*s", "", HF_SPAN_ARG(hf_jgetstr(e, "news")));
    if (hf_jgetstr(e, "where").n)
        hf_buf_addf(b, "; %.*s", HF_SPAN_ARG(hf_jgetstr(e, "where")));
    hf_buf_addf(b, "; %llu alerts\n", (unsigned long long)number_of(hf_jget(e, "alerts")));
    while (hf_span_line(&talk, &line))
        hf_buf_addf(b, "%22s%.*s\n", "", HF_SPAN_ARG(line));
    hf_buf_addf(b, "%22s%.*s\n", "", HF_SPAN_ARG(hf_jgetstr(e, "link").n ? hf_jgetstr(e, "link") : hf_jgetstr(e, "id")));
}

static void cell(struct hf_buf *b, struct hf_span s)
{
    hf_buf_addz(b, "<td valign=\"top\" style=\"padding:4px 12px 4px 0\">");
    hf_ntext_html(b, s);
    hf_buf_addz(b, "</td>");
}

static void digest_html(hf_jnode e, struct hf_buf *b)
{
    char alerts[24];
    struct hf_span talk = hf_jgetstr(e, "talk"), line, link = hf_jgetstr(e, "link");
    snprintf(alerts, sizeof alerts, "%llu", (unsigned long long)number_of(hf_jget(e, "alerts")));
    hf_buf_addf(b, "<tr><td valign=\"top\" style=\"border-left:6px solid #%06x;padding:4px 12px 4px 8px\">", hf_nr_colour((enum hf_nseverity)severity_of(e)));
    hf_ntext_html(b, hf_jgetstr(e, "severity"));
    hf_buf_addz(b, "</td>");
    cell(b, hf_jgetstr(e, "state"));
    hf_buf_addz(b, "<td valign=\"top\" style=\"padding:4px 12px 4px 0\">");
    if (link.n) {
        hf_buf_addz(b, "<a href=\"");
        hf_ntext_html(b, link);
        hf_buf_addz(b, "\">");
    }
    hf_ntext_html(b, hf_jgetstr(e, "title"));
    hf_buf_addz(b, link.n ? "</a><br>" : "<br>");
    hf_ntext_html(b, hf_jgetstr(e, "news"));
    while (hf_span_line(&talk, &line)) {
        hf_buf_addz(b, "<br>");
        hf_ntext_html(b, line);
    }
    hf_buf_addz(b, "</td>");
    cell(b, hf_jgetstr(e, "where"));
    cell(b, hf_span_z(alerts));
    hf_buf_addz(b, "</tr>\n");
}

static void digest_heads(const struct hf_nrender *r, hf_jnode root, struct hf_buf *b, const char *boundary)
{
    hf_autobuf subject = HF_BUF_INIT(4096), since = HF_BUF_INIT(64);
    struct hf_span from = r->ch->from, domain = hf_span_from(from, hf_span_find(from, '@') + 1);
    from_to(r, b);
    hf_ntext_time(&since, (int64_t)number_of(hf_jget(root, "since")));
    hf_buf_addz(&subject, "Holdfast: ");
    digest_line(root, &subject);
    hf_buf_addf(&subject, " since %.*s", HF_SPAN_ARG(hf_buf_span(&since)));
    hf_buf_addz(b, "\r\nSubject: ");
    words(b, hf_buf_span(&subject));
    hf_buf_addz(b, "\r\nDate: ");
    date(b, r->now_s);
    hf_buf_addf(b, "\r\nMessage-ID: <digest.%.*s.%lld@%.*s>\r\nReferences: <digest.%.*s@%.*s>", HF_SPAN_ARG(r->ch->name), (long long)r->now_s, HF_SPAN_ARG(domain), HF_SPAN_ARG(r->ch->name), HF_SPAN_ARG(domain));
    hf_buf_addf(b, "\r\nAuto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n", boundary);
}

int hf_ndigest_mail(struct hf_nrender *r, struct hf_span collected, int64_t now_s, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf text = HF_BUF_INIT(512 << 10), html = HF_BUF_INIT(512 << 10);
    static const char boundary[] = "=_holdfast-digest";
    int rc = collected.n ? hf_json_parse_within(collected, 16u << 20, &doc, err) : 0;
    if (rc < 0)
        return hf_wrap(err, rc, "what is collected for the digest");
    hf_jnode root = doc ? hf_json_root(doc) : NULL, entries = hf_jget(root, "entries");
    uint64_t left = number_of(hf_jget(root, "left_out"));
    if (!hf_jfirst(entries))
        return 0;
    r->now_s = now_s;
    r->req.via = HF_NVIA_SMTP;
    r->req.method = "MAIL";
    hf_buf_clear(&r->req.url);
    hf_buf_clear(&r->req.body);
    hf_buf_adds(&r->req.url, hf_nchannel_url(r->ch));
    digest_heads(r, root, &r->req.body, boundary);
    digest_line(root, &text);
    hf_buf_addz(&text, "\n\n");
    hf_buf_addz(&html, "<!DOCTYPE html>\n<html><body style=\"font-family:sans-serif\">\n<p><b>");
    digest_line(root, &html);
    hf_buf_addz(&html, "</b></p>\n<table>\n<tr><th align=\"left\">Severity</th><th align=\"left\">State</th><th align=\"left\">What</th><th align=\"left\">Where</th><th align=\"left\">Alerts</th></tr>\n");
    for (unsigned s = HF_NSEVS; s-- > 0;) /* the worst first */
        HF_JFOREACH(e, entries)
            if (severity_of(e) == s) {
                digest_text(e, &text);
                digest_html(e, &html);
            }
    if (left) {
        hf_buf_addf(&text, "\nand %llu more\n", (unsigned long long)left);
        hf_buf_addf(&html, "<tr><td></td><td></td><td>and %llu more</td></tr>\n", (unsigned long long)left);
    }
    hf_buf_addz(&html, "</table>\n</body></html>\n");
    two_parts(&r->req.body, boundary, hf_buf_span(&text), hf_buf_span(&html));
    return hf_buf_ok(&r->req.body) && hf_buf_ok(&text) && hf_buf_ok(&html) ? 1 : hf_fail(err, HF_E_LIMIT, "the digest is over %d bytes", HF_NBODY_MAX);
}

const struct hf_nrenderer hf_nr_mail = {.make = make_mail};
