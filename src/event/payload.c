// SPDX-License-Identifier: Apache-2.0
#include "event/payload.h"

#include <netinet/in.h>

#include "base/rd.h"

#define DNS_JUMPS 32u
#define DNS_NAME 255u
#define DNS_ANSWERS 32u

/* ---- DNS ---- */

/* A name at r (compressed names jump within `all`), dots between labels, into out. */
static bool dns_name(struct hf_rd *r, struct hf_span all, char out[DNS_NAME + 1], size_t *ret_n)
{
    struct hf_rd at = *r;
    bool jumped = false;
    size_t n = 0;
    for (unsigned jumps = 0; jumps < DNS_JUMPS;) {
        unsigned len = hf_rd_u8(&at);
        if (at.bad)
            return false;
        if ((len & 0xc0) == 0xc0) {
            unsigned to = (len & 0x3f) << 8 | hf_rd_u8(&at);
            if (at.bad)
                return false;
            if (!jumped)
                *r = at;
            jumped = true;
            jumps++;
            at = hf_rd(all);
            hf_rd_seek(&at, to);
            continue;
        }
        if (len & 0xc0)
            return false;
        if (len == 0) {
            if (!jumped)
                *r = at;
            *ret_n = n;
            return true;
        }
        struct hf_span label = hf_rd_span(&at, len);
        if (at.bad || n + len + 1 > DNS_NAME)
            return false;
        if (n)
            out[n++] = '.';
        memcpy(out + n, label.p, len);
        n += len;
    }
    return false;
}

static bool dns(struct hf_event *e, struct hf_span all)
{
    static _Thread_local char name[DNS_NAME + 1];
    char skipped[DNS_NAME + 1];
    struct hf_rd r = hf_rd(all);
    size_t n = 0;
    hf_rd_skip(&r, 2);
    unsigned flags = (unsigned)hf_rd_be(&r, 2), questions = (unsigned)hf_rd_be(&r, 2), answers = (unsigned)hf_rd_be(&r, 2);
    hf_rd_skip(&r, 4);
    if (r.bad || questions != 1 || (flags & 0x7800) != 0 || !dns_name(&r, all, name, &n))
        return false;
    unsigned type = (unsigned)hf_rd_be(&r, 2), class = (unsigned)hf_rd_be(&r, 2);
    if (r.bad || (class & 0x7fff) != 1)
        return false;
    e->app.kind = HF_APP_DNS;
    e->app.name = hf_span(name, n);
    e->app.dns_type = type;
    e->app.dns_response = flags & 0x8000;
    e->app.dns_rcode = flags & 0xf;
    e->app.dns_answers = answers;
    for (unsigned i = 0; e->app.dns_response && i < answers && i < DNS_ANSWERS; i++) {
        if (!dns_name(&r, all, skipped, &n))
            break;
        unsigned kind = (unsigned)hf_rd_be(&r, 2);
        hf_rd_skip(&r, 6);
        struct hf_span data = hf_rd_span(&r, (size_t)hf_rd_be(&r, 2));
        if (r.bad || e->app.n_addrs == HF_ARRAY_LEN(e->app.addrs))
            break;
        uint8_t *to = e->app.addrs[e->app.n_addrs];
        if (kind == 1 && data.n == 4) {
            memset(to, 0, 10);
            to[10] = to[11] = 0xff;
            memcpy(to + 12, data.p, 4);
            e->app.n_addrs++;
        } else if (kind == 28 && data.n == 16) {
            memcpy(to, data.p, 16);
            e->app.n_addrs++;
        }
    }
    return true;
}

/* ---- TLS ---- */

/* ClientHello: the name in the server_name extension; what is cut off is not looked for. */
static bool tls(struct hf_event *e, struct hf_span s)
{
    struct hf_rd r = hf_rd(s);
    if (hf_rd_u8(&r) != 22 || hf_rd_u8(&r) != 3)
        return false;
    hf_rd_skip(&r, 3);
    if (hf_rd_u8(&r) != 1 || r.bad)
        return false;
    e->app.kind = HF_APP_TLS;
    hf_rd_skip(&r, 3 + 2 + 32);
    hf_rd_skip(&r, hf_rd_u8(&r));             /* session id */
    hf_rd_skip(&r, (size_t)hf_rd_be(&r, 2));  /* cipher suites */
    hf_rd_skip(&r, hf_rd_u8(&r));             /* compression */
    hf_rd_skip(&r, 2);                        /* length of all extensions */
    while (!r.bad && hf_rd_left(&r) >= 4) {
        unsigned type = (unsigned)hf_rd_be(&r, 2);
        struct hf_rd x = hf_rd(hf_rd_span(&r, (size_t)hf_rd_be(&r, 2)));
        if (r.bad || type != 0)
            continue;
        hf_rd_skip(&x, 2);
        if (hf_rd_u8(&x) == 0)
            e->app.name = hf_rd_span(&x, (size_t)hf_rd_be(&x, 2));
        break;
    }
    return true;
}

/* ---- logins: what is said of them is whether the password is one that everybody knows, never the password ---- */

#define CREDENTIALS_MAX 96u

static unsigned login_of(struct hf_span user, struct hf_span password)
{
    static const char *const known[][2] = {{"admin", "admin"}, {"admin", "password"}, {"admin", "1234"}, {"admin", "12345"}, {"admin", "123456"}, {"admin", "admin123"}, {"admin", "changeme"},
            {"admin", "secret"}, {"administrator", "password"}, {"root", "root"}, {"root", "password"}, {"root", "toor"}, {"root", "admin"}, {"root", "123456"}, {"user", "user"},
            {"user", "password"}, {"test", "test"}, {"guest", "guest"}, {"demo", "demo"}, {"tomcat", "tomcat"}, {"tomcat", "s3cret"}, {"manager", "manager"}, {"elastic", "changeme"},
            {"kibana", "changeme"}, {"minioadmin", "minioadmin"}, {"jenkins", "jenkins"}, {"postgres", "postgres"}, {"pi", "raspberry"}, {"ubnt", "ubnt"}, {"support", "support"},
            {"cisco", "cisco"}, {"neo4j", "neo4j"}, {"rabbitmq", "rabbitmq"}, {"", "foobared"}, {"", "redis"}, {"", "password"}, {"", "admin"}, {"", "root"}, {"", "123456"}, {"", "default"}};
    if (!password.n)
        return HF_LOGIN_EMPTY;
    for (size_t i = 0; i < HF_ARRAY_LEN(known); i++)
        if (hf_span_eqz(user, known[i][0]) && hf_span_eqz(password, known[i][1]))
            return HF_LOGIN_DEFAULT;
    return HF_LOGIN_PASSWORD;
}

/* RFC 4648, section 4; what does not fit is left out.  Returns how many bytes there are. */
static size_t base64(struct hf_span in, char *out, size_t max)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < in.n && n < max; i++) {
        const char *at = in.p[i] ? strchr(digits, in.p[i]) : NULL;
        if (!at)
            break;
        bits = bits << 6 | (unsigned)(at - digits);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (char)(bits >> n_bits & 0xff);
        }
    }
    return n;
}

/* RFC 7617 */
static unsigned basic(struct hf_span value)
{
    char text[CREDENTIALS_MAX];
    if (!hf_span_starts(value, HF_S("Basic ")))
        return HF_LOGIN_UNKNOWN;
    struct hf_span both = hf_span(text, base64(hf_span_trim(hf_span_from(value, 6)), text, sizeof text));
    size_t colon = hf_span_find(both, ':');
    return colon == SIZE_MAX ? HF_LOGIN_UNKNOWN : login_of(hf_span_sub(both, 0, colon), hf_span_from(both, colon + 1));
}

/* The next text of a Redis request: "$length\r\ntext\r\n". */
static bool redis_word(struct hf_span *rest, struct hf_span *ret)
{
    struct hf_span line;
    uint64_t n;
    if (!hf_span_line(rest, &line) || line.n < 2 || line.p[0] != '$' || hf_parse_u64(hf_span_from(line, 1), 10, 0, 512, &n) < 0 || rest->n < n)
        return false;
    *ret = hf_span_sub(*rest, 0, (size_t)n);
    *rest = hf_span_from(*rest, (size_t)n);
    return hf_span_line(rest, &line) && line.n == 0;
}

static bool redis(struct hf_event *e, struct hf_span s)
{
    struct hf_span rest = s, line, word = {NULL, 0}, user = {NULL, 0}, password = {NULL, 0};
    uint64_t n;
    if (hf_span_starts(s, HF_S("-WRONGPASS")) || hf_span_starts(s, HF_S("-NOAUTH")) || hf_span_starts(s, HF_S("-ERR invalid password"))) {
        e->app.kind = HF_APP_REDIS;
        e->app.login = HF_LOGIN_REFUSED;
        return true;
    }
    if (hf_span_starts(s, HF_S("AUTH ")) || hf_span_starts(s, HF_S("auth "))) { /* as it is typed */
        hf_span_line(&rest, &line);
        if (!rest.p || line.n == s.n)
            return false;
        line = hf_span_from(line, 5);
        while (hf_span_cut(&line, ' ', &word)) {
            user = password;
            password = word;
        }
        word = hf_span_sub(s, 0, 4);
    } else {
        if (!hf_span_starts(s, HF_S("*")) || !hf_span_line(&rest, &line) || hf_parse_u64(hf_span_from(line, 1), 10, 1, 1024, &n) < 0 || !redis_word(&rest, &word) || !word.n)
            return false;
        for (size_t i = 0; i < word.n; i++)
            if ((word.p[i] | 0x20) < 'a' || (word.p[i] | 0x20) > 'z')
                return false;
        struct hf_span other;
        bool auth = hf_span_eq_nocase(word, HF_S("AUTH"));
        for (unsigned i = 1; i < n && i < 8 && redis_word(&rest, &other); i++) {
            if (auth) {
                user = password;
                password = other;
            }
            auth |= hf_span_eq_nocase(word, HF_S("HELLO")) && hf_span_eq_nocase(other, HF_S("AUTH"));
        }
    }
    e->app.kind = HF_APP_REDIS;
    e->app.agent = word;
    if (password.p)
        e->app.login = login_of(hf_span_eqz(user, "default") ? hf_span(NULL, 0) : user, password);
    return true;
}

/* PostgreSQL's protocol 3: a start, or the server's first answer to it. */
static bool postgresql(struct hf_event *e, struct hf_span s)
{
    struct hf_rd r = hf_rd(s);
    unsigned first = hf_rd_u8(&r);
    uint64_t len = hf_rd_be(&r, 4), code = hf_rd_be(&r, 4);
    bool from_server = (e->u.payload.direction == HF_PAYLOAD_IN) != (bool)(e->u.payload.payload_flags & HF_PAYLOAD_ACCEPTED);
    if (from_server && !r.bad && first == 'R' && len == 8 && code == 0) {
        e->app.kind = HF_APP_POSTGRESQL;
        e->app.login = HF_LOGIN_NOT_ASKED;
        return true;
    }
    if (first == 'E' && hf_span_search(s, hf_span("\0C28", 4)) != SIZE_MAX && hf_span_search(s, hf_span("SFATAL", 6)) != SIZE_MAX) {
        e->app.kind = HF_APP_POSTGRESQL;
        e->app.login = HF_LOGIN_REFUSED;
        return true;
    }
    r = hf_rd(s);
    if (hf_rd_be(&r, 4) != s.n || hf_rd_be(&r, 4) != 0x30000 || r.bad)
        return false;
    struct hf_span rest = hf_span_from(s, 8), name, value;
    e->app.kind = HF_APP_POSTGRESQL;
    while (hf_span_cut(&rest, 0, &name) && name.n && hf_span_cut(&rest, 0, &value)) {
        if (hf_span_eqz(name, "user"))
            e->app.agent = value;
        else if (hf_span_eqz(name, "database"))
            e->app.name = value;
    }
    return true;
}

/* MySQL: the client's answer to the greeting (HandshakeResponse41); with TLS it comes later and is not seen. */
static bool mysql(struct hf_event *e, struct hf_span s)
{
    struct hf_rd r = hf_rd(s);
    uint64_t len = hf_rd_le(&r, 3);
    unsigned seq = hf_rd_u8(&r), caps = (unsigned)hf_rd_le(&r, 4);
    hf_rd_skip(&r, 5);
    struct hf_span zeros = hf_rd_span(&r, 19), user;
    hf_rd_skip(&r, 4); /* MariaDB's own */
    if (r.bad || len + 4 != s.n || seq != 1 || !(caps & 0x200) || (caps & 0x800))
        return false;
    for (size_t i = 0; i < zeros.n; i++)
        if (zeros.p[i])
            return false;
    struct hf_span rest = hf_span_from(s, 36);
    if (!hf_span_cut(&rest, 0, &user) || !rest.n)
        return false;
    e->app.kind = HF_APP_MYSQL;
    e->app.agent = user;
    e->app.login = rest.p[0] == 0 ? HF_LOGIN_EMPTY : HF_LOGIN_PASSWORD;
    return true;
}

/* ---- texts ---- */

static struct hf_span header(struct hf_span lines, const char *name)
{
    struct hf_span line, n = hf_span_z(name);
    while (hf_span_line(&lines, &line) && line.n)
        if (line.n > n.n && line.p[n.n] == ':' && hf_span_eq_nocase(hf_span_sub(line, 0, n.n), n))
            return hf_span_trim(hf_span_from(line, n.n + 1));
    return hf_span(NULL, 0);
}

static bool http(struct hf_event *e, struct hf_span s)
{
    static const char *const methods[] = {"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE "};
    for (size_t i = 0; i < HF_ARRAY_LEN(methods); i++) {
        struct hf_span m = hf_span_z(methods[i]), rest = s, line, word;
        if (!hf_span_starts(s, m))
            continue;
        hf_span_line(&rest, &line);
        line = hf_span_from(line, m.n);
        if (!hf_span_cut(&line, ' ', &word))
            return false;
        e->app.kind = HF_APP_HTTP;
        e->app.path = word;
        e->app.name = header(rest, "host");
        e->app.agent = header(rest, "user-agent");
        e->app.login = basic(header(rest, "authorization"));
        return true;
    }
    if (hf_span_starts(s, HF_S("HTTP/1.")) && hf_span_eqz(hf_span_sub(s, 8, 5), " 401 ")) {
        e->app.kind = HF_APP_HTTP;
        e->app.login = HF_LOGIN_REFUSED;
        return true;
    }
    return false;
}

static bool starts_any(struct hf_span s, const char *const *heads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (hf_span_starts(s, hf_span_z(heads[i])))
            return true;
    return false;
}

static bool words(struct hf_event *e, struct hf_span s)
{
    static const char *const irc[] = {"NICK ", "USER ", "JOIN #", "PASS ", "CAP LS", "PRIVMSG ", ":"};
    static const char *const stratum[] = {"mining.subscribe", "mining.authorize", "mining.submit", "eth_submitLogin", "\"method\":\"login\"", "\"method\": \"login\""};
    struct hf_span line, rest = s;
    hf_span_line(&rest, &line);
    if (hf_span_starts(s, HF_S("SSH-"))) {
        e->app.kind = HF_APP_SSH;
        e->app.agent = line;
        return true;
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(stratum) && hf_span_starts(s, HF_S("{")); i++)
        if (hf_span_search(s, hf_span_z(stratum[i])) != SIZE_MAX) {
            e->app.kind = HF_APP_STRATUM;
            e->app.agent = hf_span_z(stratum[i]);
            return true;
        }
    bool colon = hf_span_starts(s, HF_S(":")) && hf_span_search(line, HF_S(" NOTICE ")) == SIZE_MAX && hf_span_search(line, HF_S(" 001 ")) == SIZE_MAX;
    if (!colon && starts_any(s, irc, HF_ARRAY_LEN(irc)) && rest.p) {
        e->app.kind = HF_APP_IRC;
        e->app.agent = line;
        return true;
    }
    return false;
}

static bool socks(struct hf_event *e, struct hf_span s)
{
    unsigned a = s.n > 2 ? (unsigned char)s.p[0] : 0, b = s.n > 2 ? (unsigned char)s.p[1] : 0;
    bool v5 = a == 5 && b > 0 && b < 8 && s.n == 2u + b;
    bool v4 = a == 4 && (b == 1 || b == 2) && s.n >= 9 && s.p[s.n - 1] == 0;
    if (!v4 && !v5)
        return false;
    e->app.kind = HF_APP_SOCKS;
    e->app.agent = v5 ? HF_S("5") : HF_S("4");
    return true;
}

void hf_payload_decode(struct hf_event *e)
{
    struct hf_span s = e->text;
    bool dns_port = e->u.payload.peer_port == 53 || e->u.payload.local_port == 53;
    if (dns_port) {
        bool tcp = e->u.payload.protocol == IPPROTO_TCP;
        if (dns(e, tcp ? hf_span_from(s, 2) : s))
            return;
    }
    if (tls(e, s) || http(e, s) || words(e, s) || socks(e, s) || redis(e, s) || postgresql(e, s) || mysql(e, s))
        return;
    e->app.kind = s.n ? HF_APP_OTHER : HF_APP_NONE;
}
