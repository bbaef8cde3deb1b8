/*
 * cftpkie.h: the interface of exits in C.
 *
 * An exit is a shared library that exports one function:
 *
 *     int cftpkie(struct pkicom *com);
 *
 * It is called once for each phase with one communication structure, looks at com->phase, and returns PKI_HANDLED,
 * PKI_NOT_HANDLED or PKI_ERROR. Nothing else is needed: no library of tlsexit's is linked.
 *
 *     cc -shared -fPIC -I"$(tlsexit c-exit include)" -o pki_exit.so pki_exit.c
 *     tlsexit serve --exit c:./pki_exit.so ...
 *
 * Rules:
 *
 *  - All calls are made from one thread, one after another, whatever the number of sessions.
 *  - Everything the structure points to belongs to the caller and is valid until the function returns. The exceptions
 *    are the public area, which stays where it is from StartTask to EndTask, and a session's private area, which stays
 *    from StartHandshake to the session's last phase.
 *  - Inputs (struct pki_in) are read-only. Texts are UTF-8 and followed by a NUL that `length` does not count.
 *  - Outputs (struct pki_out): write at most `capacity` bytes to `data` and set `length`. If there is more to say, set
 *    `length` to what is needed, up to PKI_MAX_OUTPUT, and return PKI_NEED_BUFFER: the same phase is called again, the
 *    areas as they were left, with more room. It may be called PKI_MAX_CALLS times in all for one phase.
 *  - The caller never follows a pointer that the exit has put into the structure, and believes no length above the
 *    capacity it gave: such an answer fails the phase.
 *  - New fields come at the end, `size` grows, `version` stays. An exit that was compiled against an older header goes
 *    on working; one that uses a new field first checks PKI_HAS(com, field).
 */
#ifndef CFTPKIE_H
#define CFTPKIE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PKI_MAGIC 0x504b4945u /* "PKIE" */
#define PKI_VERSION 1u

/* Whether the caller's structure has this field. */
#define PKI_HAS(com, field) \
    ((com)->size >= offsetof(struct pkicom, field) + sizeof(((struct pkicom *)0)->field))

/* com->phase */
enum pki_phase {
    PKI_START_TASK = 1,
    PKI_START_HANDSHAKE = 2,
    PKI_GET_CA_LIST = 3,
    PKI_GET_CERTIFICATE = 4,
    PKI_CHECK_CERTIFICATE = 5,
    PKI_CRYPT_DATA = 6,
    PKI_HANDSHAKE_ALERT = 7,
    PKI_HANDSHAKE_DONE = 8,
    PKI_END_SESSION = 9,
    PKI_END_TASK = 10,
    PKI_GET_PRE_SHARED_KEY = 11 /* beside the ten: PSK suites (RFC 4279) */
};

/* What cftpkie() returns. */
enum pki_code {
    PKI_HANDLED = 0,
    PKI_NOT_HANDLED = 1, /* the built-in PKI takes over; in StartTask: never call this exit again */
    PKI_NEED_BUFFER = 2, /* an output is too small; see above */
    PKI_ERROR = -1       /* the phase failed; iAlertReason_w may say why */
};

/* com->iAlertReason_w: 0, or the alert that ends the handshake (RFC 2246 7.2.2). Anything else counts as 80. */
enum pki_alert {
    PKI_HANDSHAKE_FAILURE = 40,
    PKI_BAD_CERTIFICATE = 42,
    PKI_UNSUPPORTED_CERTIFICATE = 43,
    PKI_CERTIFICATE_REVOKED = 44,
    PKI_CERTIFICATE_EXPIRED = 45,
    PKI_CERTIFICATE_UNKNOWN = 46,
    PKI_ILLEGAL_PARAMETER = 47,
    PKI_UNKNOWN_CA = 48,
    PKI_ACCESS_DENIED = 49,
    PKI_DECODE_ERROR = 50,
    PKI_DECRYPT_ERROR = 51,
    PKI_EXPORT_RESTRICTION = 60,
    PKI_INSUFFICIENT_SECURITY = 71,
    PKI_INTERNAL_ERROR = 80,
    PKI_USER_CANCELED = 90,
    PKI_BAD_CERTIFICATE_STATUS_RESPONSE = 113, /* CheckCertificate only (RFC 6066) */
    PKI_UNKNOWN_PSK_IDENTITY = 115             /* GetPreSharedKey only (RFC 4279) */
};

enum pki_role { PKI_CLIENT = 1, PKI_SERVER = 2 };
enum pki_verify { PKI_VERIFY_NONE = 0, PKI_VERIFY_OPTIONAL = 1, PKI_VERIFY_REQUIRED = 2, PKI_VERIFY_ENFORCED = 3 };
enum pki_operation { PKI_SIGN = 1, PKI_DECRYPT = 2 };
enum pki_algorithm { PKI_RSA = 1, PKI_DSA = 2, PKI_ECDSA = 3 };
enum pki_form { PKI_RESULT = 0, PKI_PRIVATE_KEY = 1 };

/* com->profile.changed */
enum pki_change {
    PKI_CHANGE_CIPHER_SUITES = 1,
    PKI_CHANGE_VERIFY = 2,
    PKI_CHANGE_USER_CERTIFICATE_ID = 4,
    PKI_CHANGE_ROOT_CA_IDS = 8,
    PKI_CHANGE_DEPTH = 16,
    PKI_CHANGE_DN_USER = 32,
    PKI_CHANGE_DN_ISSUER = 64,
    PKI_CHANGE_PARM = 128
};

#define PKI_PUBLIC_AREA_SIZE 4096u
#define PKI_GLOBAL_AREA_SIZE 64u
#define PKI_MAX_PRIVATE_AREA_SIZE 1048576u
#define PKI_MAX_OUTPUT 16777218u /* the longest chain: 2^24-1 bytes and the three of their length */
#define PKI_MAX_CALLS 4u

/* Bytes that are given. `data` is NULL if there are none. */
struct pki_in {
    const uint8_t *data;
    uint64_t length;
};

/* Room for bytes to return; `length` is 0, or what is there already. */
struct pki_out {
    uint8_t *data;
    uint64_t capacity;
    uint64_t length;
};

/*
 * The security profile of the session. StartHandshake may change the elements that have a PKI_CHANGE_... bit: write the
 * new value over the old one and set the bit in `changed`. Lists of texts hold each text with a NUL after it.
 */
struct pki_profile {
    struct pki_in id;                   /* at most 32 characters */
    struct pki_out cipher_suites;       /* two bytes each, in order of preference, as in ClientHello */
    struct pki_out user_certificate_id; /* text; empty for none */
    struct pki_out root_ca_ids;         /* list of texts */
    struct pki_out dn_user;             /* list of texts */
    struct pki_out dn_issuer;           /* list of texts */
    struct pki_out parm;                /* text of at most 64 characters */
    uint32_t verify;                    /* enum pki_verify */
    uint32_t depth;                     /* 0 to 10 */
    uint32_t changed;                   /* set: enum pki_change bits */
    uint32_t reserved;
};

struct pkicom {
    uint32_t magic;   /* PKI_MAGIC */
    uint32_t version; /* PKI_VERSION */
    uint32_t size;    /* bytes of this structure as the caller knows it */
    uint32_t phase;   /* enum pki_phase */

    /* References: the first of each pair is the caller's and unique; the second is the exit's own. */
    uint64_t task_reference;
    uint64_t task_exit_reference; /* set in StartTask, given in every later phase */
    uint64_t session_reference;   /* 0 in StartTask and EndTask; unique within the task */
    uint64_t session_exit_reference; /* set in StartHandshake, given in the session's later phases */

    /* Areas. */
    uint8_t *public_area; /* one per task, shared by its sessions; the caller never touches it */
    uint64_t public_area_length;
    uint8_t *private_area; /* one per session, zero-filled at first; NULL in StartTask and EndTask */
    uint64_t private_area_length;
    uint64_t private_area_size; /* set in StartTask: bytes each session shall have */
    uint8_t global_area[PKI_GLOBAL_AREA_SIZE]; /* set in HandshakeDone */

    /*
     * The phase's own bytes.
     *                  input                                   output
     *  StartTask       configuration, "name=value\n" each      (see password)
     *  GetCAList       -                                       CertificateRequest body (RFC 2246 7.4.4)
     *  GetCertificate  client: the server's CA list            Certificate body (7.4.2), leaf first
     *  CheckCertificate  the peer's chain, as in GetCertificate  -
     *  CryptData       RSA signature: 36 bytes MD5 || SHA-1    the result (DSA, ECDSA: in DER); or the private key in
     *                  DSA, ECDSA: 20 bytes SHA-1              DER (PKCS #8 or traditional) and output_form
     *                  decryption: the ciphertext              PKI_PRIVATE_KEY, and the caller does the operation
     *  GetPreSharedKey  server: the client's identity          the key; a client sets psk_identity too
     *                  client: the server's hint
     */
    struct pki_in input;
    struct pki_out output;
    struct pki_out password; /* StartTask: of the local key store */
    uint32_t output_form;    /* set in CryptData: enum pki_form */
    int32_t iAlertReason_w;  /* set on refusal: enum pki_alert */

    /* The session context. Values that are not known yet are 0 or empty. */
    struct pki_profile profile;
    uint32_t role; /* enum pki_role */
    uint32_t handshake_count; /* 1, and one more for each renegotiation */
    struct pki_in remote_address;
    struct pki_in local_address;
    uint32_t remote_port;
    uint32_t local_port;
    struct pki_in server_name; /* the host name: asked for by the client */
    struct pki_in peer_ca_list;
    struct pki_in peer_chain;
    struct pki_in own_chain;
    struct pki_in session_id;
    uint32_t cipher_suite;
    uint32_t authentication; /* 0, 'A' anonymous, 'S' server, 'B' both */
    uint32_t resumed;
    uint32_t peer_trusted; /* whether the peer's certificate was accepted */

    /* CryptData */
    uint32_t operation; /* enum pki_operation */
    uint32_t algorithm; /* enum pki_algorithm */

    /* HandshakeAlert */
    uint32_t alert_level;       /* 1 warning, 2 fatal */
    uint32_t alert_description; /* AlertDescription of RFC 2246 7.2 */
    uint32_t alert_remote;      /* 1: the peer sent it */

    /* CheckCertificate of a server with verify "optional": set to go on without calling the client authenticated. */
    uint32_t untrusted;

    /* GetCertificate of a server: the suites both sides have, two bytes each; may be set: the one this chain is for */
    struct pki_in candidate_suites;
    uint32_t chosen_suite;
    uint32_t reserved;

    /* OCSP (RFC 6066): given in CheckCertificate of a client; may be set in GetCertificate of a server. DER. */
    struct pki_in ocsp_response;
    struct pki_out staple;

    struct pki_out psk_identity; /* GetPreSharedKey: given to a server, set by a client */
};

/* The one function of an exit. */
#if defined(_WIN32)
__declspec(dllexport)
#elif defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int cftpkie(struct pkicom *com);

/* The layout that the caller expects where pointers have 64 bits. */
#if UINTPTR_MAX == 0xffffffffffffffffu
#if defined(__cplusplus)
#define PKI_ASSERT(condition) static_assert(condition, #condition)
#else
#define PKI_ASSERT(condition) _Static_assert(condition, #condition)
#endif
PKI_ASSERT(sizeof(struct pki_in) == 16);
PKI_ASSERT(sizeof(struct pki_out) == 24);
PKI_ASSERT(sizeof(struct pki_profile) == 176);
PKI_ASSERT(sizeof(struct pkicom) == 656);
PKI_ASSERT(offsetof(struct pki_profile, verify) == 160);
PKI_ASSERT(offsetof(struct pkicom, phase) == 12);
PKI_ASSERT(offsetof(struct pkicom, task_reference) == 16);
PKI_ASSERT(offsetof(struct pkicom, public_area) == 48);
PKI_ASSERT(offsetof(struct pkicom, global_area) == 88);
PKI_ASSERT(offsetof(struct pkicom, input) == 152);
PKI_ASSERT(offsetof(struct pkicom, output_form) == 216);
PKI_ASSERT(offsetof(struct pkicom, profile) == 224);
PKI_ASSERT(offsetof(struct pkicom, role) == 400);
PKI_ASSERT(offsetof(struct pkicom, remote_address) == 408);
PKI_ASSERT(offsetof(struct pkicom, server_name) == 448);
PKI_ASSERT(offsetof(struct pkicom, cipher_suite) == 528);
PKI_ASSERT(offsetof(struct pkicom, operation) == 544);
PKI_ASSERT(offsetof(struct pkicom, candidate_suites) == 568);
PKI_ASSERT(offsetof(struct pkicom, ocsp_response) == 592);
PKI_ASSERT(offsetof(struct pkicom, psk_identity) == 632);
#undef PKI_ASSERT
#endif

#ifdef __cplusplus
}
#endif

#endif
