/* SPDX-License-Identifier: Apache-2.0 */
#include "event/payload.h"

#include "records.h"
#include "tap.h"

static struct rec r;
static struct hf_event e;

static unsigned decode(struct hf_span bytes, unsigned protocol, unsigned port)
{
    struct hf_span s = rec_payload(&r, rec_hdr(7, 1, 70, 9, 100, "x"), HF_PAYLOAD_OUT, protocol, "10.0.0.2", 40000, "10.0.0.1", port, bytes);
    if (hf_event_decode(s, &e, NULL) < 0)
        return 99;
    return e.app.kind;
}

/* Question and answer for example.com, the answer's name a pointer to the question's. */
#define QUESTION "\7example\3com\0\0\1\0\1"
#define ANSWER_A "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x5d\xb8\xd8\x22"
#define ANSWER_AAAA "\xc0\x0c\0\x1c\0\1\0\0\0\x3c\0\x10\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"

static void dns(void)
{
    struct hf_span q = HF_S("\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION);
    EQ_U(decode(q, IPPROTO_UDP, 53), HF_APP_DNS);
    EQ_S(e.app.name, "example.com");
    EQ_U(e.app.dns_type, 1);
    OK(!e.app.dns_response);
    EQ_U(decode(q, IPPROTO_UDP, 5353), HF_APP_OTHER); /* not DNS's port */
    struct hf_span a = HF_S("\x12\x34\x81\x80\0\1\0\2\0\0\0\0" QUESTION ANSWER_A ANSWER_AAAA);
    EQ_U(decode(a, IPPROTO_UDP, 53), HF_APP_DNS);
    OK(e.app.dns_response);
    EQ_U(e.app.dns_answers, 2);
    EQ_U(e.app.n_addrs, 2);
    hf_autobuf text = HF_BUF_INIT(64);
    hf_event_addr(e.app.addrs[0], &text);
    EQ_S(hf_buf_span(&text), "93.184.216.34");
    hf_buf_clear(&text);
    hf_event_addr(e.app.addrs[1], &text);
    EQ_S(hf_buf_span(&text), "2001:db8::1");
    struct hf_span nx = HF_S("\x12\x34\x81\x83\0\1\0\0\0\0\0\0" QUESTION);
    EQ_U(decode(nx, IPPROTO_UDP, 53), HF_APP_DNS);
    EQ_U(e.app.dns_rcode, 3);
    struct hf_span tcp = HF_S("\0\x1d\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION);
    EQ_U(decode(tcp, IPPROTO_TCP, 53), HF_APP_DNS);
    EQ_S(e.app.name, "example.com");
}

static void dns_hostile(void)
{
    /* A name that points to itself, one that points beyond the message, a label kind that does not exist, a name over 255. */
    EQ_U(decode(HF_S("\x12\x34\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"), IPPROTO_UDP, 53), HF_APP_OTHER);
    EQ_U(decode(HF_S("\x12\x34\1\0\0\1\0\0\0\0\0\0\xff\xff\0\1\0\1"), IPPROTO_UDP, 53), HF_APP_OTHER);
    EQ_U(decode(HF_S("\x12\x34\1\0\0\1\0\0\0\0\0\0\x80\1\0\1\0\1"), IPPROTO_UDP, 53), HF_APP_OTHER);
    hf_autobuf b = HF_BUF_INIT(1024);
    hf_buf_add(&b, "\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
    for (unsigned i = 0; i < 6; i++) {
        hf_buf_addc(&b, 60);
        for (unsigned j = 0; j < 60; j++)
            hf_buf_addc(&b, 'a');
    }
    hf_buf_add(&b, "\0\0\1\0\1", 5);
    EQ_U(decode(hf_buf_span(&b), IPPROTO_UDP, 53), HF_APP_OTHER);
    /* More answers said than there are. */
    EQ_U(decode(HF_S("\x12\x34\x81\x80\0\1\xff\xff\0\0\0\0" QUESTION ANSWER_A), IPPROTO_UDP, 53), HF_APP_DNS);
    EQ_U(e.app.n_addrs, 1);
    EQ_U(decode(HF_S(""), IPPROTO_UDP, 53), HF_APP_NONE);
    EQ_U(decode(HF_S("\1"), IPPROTO_TCP, 53), HF_APP_OTHER);
}

static void tls(void)
{
    hf_autobuf b = HF_BUF_INIT(1024);
    hf_buf_add(&b, "\x16\3\1\0\x4e\1\0\0\x4a\3\3", 11);
    for (unsigned i = 0; i < 32; i++)
        hf_buf_addc(&b, 'r');
    hf_buf_add(&b, "\0" "\0\2\x13\1" "\1\0" "\0\x1f" "\0\x0b\0\2\1\0" "\0\0\0\x10\0\x0e\0\0\x0b" "example.com", 1 + 4 + 2 + 2 + 6 + 9 + 11);
    EQ_U(decode(hf_buf_span(&b), IPPROTO_TCP, 443), HF_APP_TLS);
    EQ_S(e.app.name, "example.com");
    for (size_t cut = 6; cut < b.n; cut++) { /* cut anywhere it is still TLS, and the name is whole or missing */
        if (decode(hf_span_sub(hf_buf_span(&b), 0, cut), IPPROTO_TCP, 443) != HF_APP_TLS || (e.app.name.n && !hf_span_eqz(e.app.name, "example.com"))) {
            OK(!"a cut ClientHello");
            printf("# at %zu\n", cut);
            return;
        }
    }
    OK(true);
}

static void words(void)
{
    EQ_U(decode(HF_S("GET /latest/meta-data HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: curl/8\r\n\r\n"), IPPROTO_TCP, 80), HF_APP_HTTP);
    EQ_S(e.app.path, "/latest/meta-data");
    EQ_S(e.app.name, "169.254.169.254");
    EQ_S(e.app.agent, "curl/8");
    EQ_U(decode(HF_S("GET "), IPPROTO_TCP, 80), HF_APP_OTHER);
    EQ_U(decode(HF_S("SSH-2.0-OpenSSH_9.2\r\n"), IPPROTO_TCP, 2222), HF_APP_SSH);
    EQ_S(e.app.agent, "SSH-2.0-OpenSSH_9.2");
    EQ_U(decode(HF_S("NICK bot1\r\nUSER a b c :d\r\n"), IPPROTO_TCP, 443), HF_APP_IRC);
    EQ_U(decode(HF_S(":irc.example 001 bot :Welcome\r\nx"), IPPROTO_TCP, 443), HF_APP_IRC);
    EQ_U(decode(HF_S(":colon text only\r\nx"), IPPROTO_TCP, 443), HF_APP_OTHER);
    EQ_U(decode(HF_S("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n"), IPPROTO_TCP, 443), HF_APP_STRATUM);
    EQ_U(decode(HF_S("{\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{}}\n"), IPPROTO_TCP, 3333), HF_APP_STRATUM);
    EQ_U(decode(HF_S("{\"method\":\"list\"}"), IPPROTO_TCP, 80), HF_APP_OTHER);
    EQ_U(decode(HF_S("\5\1\0"), IPPROTO_TCP, 1080), HF_APP_SOCKS);
    EQ_U(decode(HF_S("\4\1\0\x50\1\2\3\4\0"), IPPROTO_TCP, 1080), HF_APP_SOCKS);
    EQ_S(e.app.agent, "4");
    EQ_U(decode(HF_S("\5\3\0"), IPPROTO_TCP, 1080), HF_APP_OTHER); /* says three methods, has one */
}

static void logins(void)
{
#define HTTP(credentials) HF_S("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " credentials "\r\n\r\n")
    EQ_U(decode(HTTP("YWRtaW46YWRtaW4="), IPPROTO_TCP, 80), HF_APP_HTTP); /* admin:admin */
    EQ_U(e.app.login, HF_LOGIN_DEFAULT);
    EQ_U(decode(HTTP("YWRtaW46azcjcFE="), IPPROTO_TCP, 80), HF_APP_HTTP); /* admin:k7#pQ */
    EQ_U(e.app.login, HF_LOGIN_PASSWORD);
    EQ_U(decode(HTTP("YWRtaW46"), IPPROTO_TCP, 80), HF_APP_HTTP); /* admin: */
    EQ_U(e.app.login, HF_LOGIN_EMPTY);
    EQ_U(decode(HTTP("!!!!"), IPPROTO_TCP, 80), HF_APP_HTTP);
    EQ_U(e.app.login, HF_LOGIN_UNKNOWN);
    EQ_U(decode(HF_S("HTTP/1.1 401 Unauthorized\r\n\r\n"), IPPROTO_TCP, 80), HF_APP_HTTP);
    EQ_U(e.app.login, HF_LOGIN_REFUSED);
    EQ_U(decode(HF_S("HTTP/1.1 200 OK\r\n\r\n"), IPPROTO_TCP, 80), HF_APP_OTHER);

    EQ_U(decode(HF_S("*2\r\n$4\r\nAUTH\r\n$8\r\nfoobared\r\n"), IPPROTO_TCP, 6379), HF_APP_REDIS);
    EQ_U(e.app.login, HF_LOGIN_DEFAULT);
    EQ_S(e.app.agent, "AUTH");
    EQ_U(decode(HF_S("*3\r\n$4\r\nauth\r\n$7\r\ndefault\r\n$5\r\nredis\r\n"), IPPROTO_TCP, 6379), HF_APP_REDIS);
    EQ_U(e.app.login, HF_LOGIN_DEFAULT);
    EQ_U(decode(HF_S("*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$5\r\nadmin\r\n$5\r\nadmin\r\n"), IPPROTO_TCP, 6379), HF_APP_REDIS);
    EQ_U(e.app.login, HF_LOGIN_DEFAULT);
    EQ_U(decode(HF_S("AUTH s3cret\r\nINCR hits\r\n"), IPPROTO_TCP, 6379), HF_APP_REDIS);
    EQ_U(e.app.login, HF_LOGIN_PASSWORD);
    EQ_U(decode(HF_S("*1\r\n$4\r\nPING\r\n"), IPPROTO_TCP, 6379), HF_APP_REDIS);
    EQ_U(e.app.login, HF_LOGIN_UNKNOWN);
    EQ_U(decode(HF_S("-WRONGPASS invalid username-password pair or user is disabled.\r\n"), IPPROTO_TCP, 6379), HF_APP_REDIS);
    EQ_U(e.app.login, HF_LOGIN_REFUSED);
    EQ_U(decode(HF_S("*2\r\n$4\r\nAUTH\r\n$99\r\nfoo"), IPPROTO_TCP, 6379), HF_APP_REDIS); /* cut: no word of a password */
    EQ_U(e.app.login, HF_LOGIN_UNKNOWN);
    EQ_U(decode(HF_S("*2\r\n$4\r\nAU"), IPPROTO_TCP, 6379), HF_APP_OTHER);
    EQ_U(decode(HF_S("*x\r\n$4\r\nPING\r\n"), IPPROTO_TCP, 6379), HF_APP_OTHER);
    EQ_U(decode(HF_S("*1\r\n$4\r\nP!NG\r\n"), IPPROTO_TCP, 6379), HF_APP_OTHER);

    EQ_U(decode(HF_S("\0\0\0\x20\0\3\0\0user\0app\0database\0shop\0\0"), IPPROTO_TCP, 5432), HF_APP_POSTGRESQL);
    EQ_S(e.app.agent, "app");
    EQ_S(e.app.name, "shop");
    EQ_U(decode(HF_S("\0\0\0\x23\0\3\0\0user\0app\0database\0shop\0\0"), IPPROTO_TCP, 5432), HF_APP_OTHER); /* another length */
    EQ_U(decode(HF_S("E\0\0\0\x1cSFATAL\0VFATAL\0C28P01\0Mno\0\0"), IPPROTO_TCP, 5432), HF_APP_POSTGRESQL);
    EQ_U(e.app.login, HF_LOGIN_REFUSED);

#define MYSQL(caps, auth) HF_S("\x26\0\0\1" caps "\0\0\0\1\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0root\0" auth)
    EQ_U(decode(MYSQL("\x05\xa2\x0f\0", "\0"), IPPROTO_TCP, 3306), HF_APP_MYSQL);
    EQ_S(e.app.agent, "root");
    EQ_U(e.app.login, HF_LOGIN_EMPTY);
    EQ_U(decode(MYSQL("\x05\xaa\x0f\0", "\0"), IPPROTO_TCP, 3306), HF_APP_OTHER); /* TLS comes first */
    EQ_U(decode(MYSQL("\x05\xa2\x0f\0", "\0\0"), IPPROTO_TCP, 3306), HF_APP_OTHER);
    for (unsigned n = 0; n < 40; n++) /* cut anywhere */
        (void)decode(hf_span_sub(MYSQL("\x05\xa2\x0f\0", "\0"), 0, n), IPPROTO_TCP, 3306);
}

int main(void)
{
    dns();
    dns_hostile();
    tls();
    words();
    logins();
    return tap_done();
}
