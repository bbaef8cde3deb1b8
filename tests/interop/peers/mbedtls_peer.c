/* TLS 1.0 peer over mbedTLS 2.28.  cc -O1 mbedtls_peer.c -o mbedtls_peer -lmbedtls -lmbedx509 -lmbedcrypto
 * mbedtls_peer server PORT DIR CERT [SUITE-HEX]    mbedtls_peer client PORT DIR [SUITE-HEX]
 * Environment: AUTH=1 server demands a certificate; CERT=client client certificate; ALPN=http/1.1; RESUME=1 second connection;
 * NO_TICKET=1; RENEG=1 renegotiate before the first application data goes out; NO_EMS=1; NO_ETM=1.
 * The library does not tell whether a session was resumed: it was if the connection before had the same master secret. */
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/error.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context drbg;
static mbedtls_ssl_config conf;
static mbedtls_x509_crt ca, own;
static mbedtls_pk_context key;
static mbedtls_ssl_cache_context cache;
static mbedtls_ssl_ticket_context tickets;
static int suites[300];
/* Debian leaves 3DES out of the default list, not out of the library */
static const int more[] = { 0xc008, 0xc012, 0x16, 0x0a };
static const char *alpn[2];
static unsigned char master[48];

static int resumed(const mbedtls_ssl_context *s) {
    int same = !memcmp(s->session->master, master, sizeof master);
    memcpy(master, s->session->master, sizeof master);
    return same;
}

static int check(int r, const char *what) {
    if (r < 0) { char b[120]; mbedtls_strerror(r, b, sizeof b); fprintf(stderr, "%s: -0x%04x %s\n", what, -r, b); }
    return r;
}
static const char *path(const char *dir, const char *name, const char *ext) {
    static char b[3][400]; static int i; i = (i + 1) % 3;
    snprintf(b[i], sizeof b[i], "%s/%s%s", dir, name, ext);
    return b[i];
}
/* until the blank line (a server) or the end (a client): the other side may split what it sends, its first byte apart from the rest */
static int collect(mbedtls_ssl_context *s, unsigned char *b, int size, int server) {
    int n = 0, r;
    while (n < size && (r = mbedtls_ssl_read(s, b + n, size - n)) != 0 && r != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        if (check(r, "read") < 0) return r;
        n += r;
        if (server && n >= 4 && !memcmp(b + n - 4, "\r\n\r\n", 4)) break;
    }
    return n;
}
static int talk(mbedtls_ssl_context *s, mbedtls_net_context *fd, int server) {
    static unsigned char b[1 << 18]; int r, n;
    mbedtls_ssl_set_bio(s, fd, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
    while ((r = mbedtls_ssl_handshake(s)) == MBEDTLS_ERR_SSL_WANT_READ || r == MBEDTLS_ERR_SSL_WANT_WRITE) ;
    if (check(r, "handshake") < 0) return r;
    if (!server) {
        if (getenv("RENEG") && check(mbedtls_ssl_renegotiate(s), "renegotiate") < 0) return -1;
        if (check(mbedtls_ssl_write(s, (const unsigned char *)"GET / HTTP/1.0\r\n\r\n", 18), "write") < 0) return -1;
        if ((n = collect(s, b, sizeof b, 0)) <= 0) return -1;
        printf("%s %s resumed=%d peer=- %.*s", mbedtls_ssl_get_version(s), mbedtls_ssl_get_ciphersuite(s), resumed(s), n, b);
    } else {
        if (collect(s, b, sizeof b, 1) <= 0) return -1;
        if (getenv("RENEG")) {
            if (check(mbedtls_ssl_renegotiate(s), "renegotiate") < 0) return -1;
            mbedtls_ssl_conf_read_timeout(&conf, 500);      /* the renegotiation runs inside read, which then waits for data */
            r = mbedtls_ssl_read(s, b, sizeof b);
            mbedtls_ssl_conf_read_timeout(&conf, 0);
            if (r != MBEDTLS_ERR_SSL_TIMEOUT && check(r, "read") < 0) return -1;
        }
        n = snprintf((char *)b + 200, 800, "%s %s resumed=%d peer=%s alpn=%s\n", mbedtls_ssl_get_version(s), mbedtls_ssl_get_ciphersuite(s), resumed(s),
                     mbedtls_ssl_get_peer_cert(s) ? "yes" : "-", mbedtls_ssl_get_alpn_protocol(s) ? mbedtls_ssl_get_alpn_protocol(s) : "-");
        r = snprintf((char *)b, 200, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n", n);
        memmove(b + r, b + 200, n);
        if (check(mbedtls_ssl_write(s, b, r + n), "write") < 0) return -1;
    }
    mbedtls_ssl_close_notify(s);
    fflush(stdout);
    return 0;
}
int main(int c, char **v) {
    if (c < 4) return 2;
    int server = !strcmp(v[1], "server"), r = 0, n;
    const char *name = server ? v[4] : getenv("CERT"), *suite = server ? (c > 5 ? v[5] : NULL) : (c > 4 ? v[4] : NULL);
    mbedtls_ssl_session saved; mbedtls_ssl_session_init(&saved); signal(SIGPIPE, SIG_IGN);
    mbedtls_entropy_init(&entropy); mbedtls_ctr_drbg_init(&drbg); mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0);
    mbedtls_ssl_config_init(&conf); mbedtls_x509_crt_init(&ca); mbedtls_x509_crt_init(&own); mbedtls_pk_init(&key);
    mbedtls_ssl_config_defaults(&conf, server, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &drbg);
    mbedtls_ssl_conf_min_version(&conf, 3, 1); mbedtls_ssl_conf_max_version(&conf, 3, 1);
    mbedtls_ssl_conf_renegotiation(&conf, 1); mbedtls_ssl_conf_legacy_renegotiation(&conf, 1);
    mbedtls_ssl_conf_dhm_min_bitlen(&conf, 512);
    if (getenv("NO_EMS")) mbedtls_ssl_conf_extended_master_secret(&conf, 0);
    if (getenv("NO_ETM")) mbedtls_ssl_conf_encrypt_then_mac(&conf, 0);
    if (suite) suites[0] = strtol(suite, NULL, 16);
    else for (const int *p = mbedtls_ssl_list_ciphersuites(); *p && r < 250; p++) suites[r++] = *p;
    if (!suite) for (size_t i = 0; i < sizeof more / sizeof *more; i++) suites[r++] = more[i];
    mbedtls_ssl_conf_ciphersuites(&conf, suites);
    if (getenv("ALPN")) { alpn[0] = getenv("ALPN"); mbedtls_ssl_conf_alpn_protocols(&conf, alpn); }
    if (check(mbedtls_x509_crt_parse_file(&ca, path(v[3], "ca", ".pem")), "ca") < 0) return 1;
    mbedtls_ssl_conf_ca_chain(&conf, &ca, NULL);
    mbedtls_ssl_conf_authmode(&conf, server && !getenv("AUTH") ? MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
    if (name) {
        if (check(mbedtls_x509_crt_parse_file(&own, path(v[3], name, ".pem")), "cert") < 0 || check(mbedtls_pk_parse_keyfile(&key, path(v[3], name, ".key"), NULL), "key") < 0) return 1;
        mbedtls_ssl_conf_own_cert(&conf, &own, &key);
    }
    mbedtls_ssl_conf_session_tickets(&conf, !getenv("NO_TICKET"));
    if (server) {
        mbedtls_ssl_cache_init(&cache); mbedtls_ssl_conf_session_cache(&conf, &cache, mbedtls_ssl_cache_get, mbedtls_ssl_cache_set);
        mbedtls_ssl_ticket_init(&tickets); mbedtls_ssl_ticket_setup(&tickets, mbedtls_ctr_drbg_random, &drbg, MBEDTLS_CIPHER_AES_256_GCM, 3600);
        if (!getenv("NO_TICKET")) mbedtls_ssl_conf_session_tickets_cb(&conf, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &tickets);
        mbedtls_net_context l; mbedtls_net_init(&l);
        if (check(mbedtls_net_bind(&l, "127.0.0.1", v[2], MBEDTLS_NET_PROTO_TCP), "bind") < 0) return 1;
        puts("ready"); fflush(stdout);
        for (;;) {
            mbedtls_net_context fd; mbedtls_net_init(&fd);
            if (mbedtls_net_accept(&l, &fd, NULL, 0, NULL) < 0) continue;
            mbedtls_ssl_context s; mbedtls_ssl_init(&s); mbedtls_ssl_setup(&s, &conf);
            talk(&s, &fd, 1);
            mbedtls_ssl_free(&s); mbedtls_net_free(&fd);
        }
    }
    for (n = getenv("RESUME") ? 2 : 1, r = 0; n && !r; n--) {
        mbedtls_net_context fd; mbedtls_net_init(&fd);
        if (check(mbedtls_net_connect(&fd, "127.0.0.1", v[2], MBEDTLS_NET_PROTO_TCP), "connect") < 0) return 1;
        mbedtls_ssl_context s; mbedtls_ssl_init(&s); mbedtls_ssl_setup(&s, &conf); mbedtls_ssl_set_hostname(&s, "localhost");
        if (saved.id_len || saved.ticket_len) mbedtls_ssl_set_session(&s, &saved);
        r = talk(&s, &fd, 0);
        if (!r) mbedtls_ssl_get_session(&s, &saved);
        mbedtls_ssl_free(&s); mbedtls_net_free(&fd);
    }
    return r ? 1 : 0;
}
