/*
 * sample_exit.c: an exit in C that shows every phase. It needs nothing but a C compiler:
 *
 *     cc -shared -fPIC -I"$(tlsexit c-exit include)" -o sample_exit.so "$(tlsexit c-exit sample)"
 *
 * The environment tells it what to do; a phase for which nothing is set is left to the built-in PKI.
 *
 *     PKIE_LOG        file to which one line a phase is appended
 *     PKIE_PASSWORD   file whose first line is the password of the local key store   (StartTask)
 *     PKIE_PARM       text to put into the profile's parm                            (StartHandshake)
 *     PKIE_CA         PEM file: authorities whose clients are accepted               (GetCAList)
 *     PKIE_CHAIN      PEM file: own certificate chain, leaf first                    (GetCertificate)
 *     PKIE_REVOKED    file: serial numbers in hexadecimal, one a line              (CheckCertificate)
 *     PKIE_KEY        PEM file: own private key, not encrypted                       (CryptData)
 *
 * Its CheckCertificate refuses what is in PKIE_REVOKED with certificate_revoked and leaves everybody else to the
 * built-in PKI, which looks at signatures, dates and names. An exit that returned PKI_HANDLED there would trust anyone.
 */
#include "cftpkie.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is kept in the areas: how many sessions the task has seen, and which phases the session has gone through. */
struct public_area {
    uint64_t sessions;
};

struct private_area {
    uint32_t calls;
};

/* Bytes in memory of our own. */
struct bytes {
    uint8_t *data;
    size_t length;
};

/* -------------------------------------------------------------------------------------------------- files and PEM */

static int read_file(const char *path, struct bytes *file)
{
    FILE *stream = fopen(path, "rb");
    long size;

    file->data = NULL;
    file->length = 0;
    if (stream == NULL)
        return 0;
    if (fseek(stream, 0, SEEK_END) == 0 && (size = ftell(stream)) >= 0 && fseek(stream, 0, SEEK_SET) == 0 &&
        (file->data = malloc((size_t)size + 1)) != NULL) {
        file->length = fread(file->data, 1, (size_t)size, stream);
        file->data[file->length] = '\0';
    }
    fclose(stream);
    return file->data != NULL;
}

static int base64_digit(int c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/*
 * Decode the next PEM block whose label ends in `label`. The DER goes to `der`, which has room for it, since base64 is
 * longer. Returns where the search for the next block begins, or NULL if there is none.
 */
static const char *next_pem(const char *text, const char *label, uint8_t *der, size_t *length)
{
    const char *begin, *end;
    uint32_t bits = 0;
    int count = 0;

    while ((begin = strstr(text, "-----BEGIN ")) != NULL) {
        const char *name = begin + 11, *dashes = strstr(name, "-----");

        if (dashes == NULL || (end = strstr(dashes, "-----END ")) == NULL)
            return NULL;
        text = end + 9;
        if ((size_t)(dashes - name) < strlen(label) || strncmp(dashes - strlen(label), label, strlen(label)) != 0)
            continue;
        *length = 0;
        for (begin = dashes + 5; begin < end; begin++) {
            int digit = base64_digit((unsigned char)*begin);

            if (digit < 0)
                continue;
            bits = bits << 6 | (uint32_t)digit;
            if ((count += 6) >= 8) {
                count -= 8;
                der[(*length)++] = (uint8_t)(bits >> count);
            }
        }
        return text;
    }
    return NULL;
}

/* -------------------------------------------------------------------------------------------------- DER, a little */

/* Step over one element at *at, not beyond `end`; its contents are in [*from, *to). Returns its tag, or -1. */
static int der_element(const uint8_t **at, const uint8_t *end, const uint8_t **from, const uint8_t **to)
{
    const uint8_t *p = *at;
    size_t length;
    int tag, octets;

    if (end - p < 2)
        return -1;
    tag = *p++;
    length = *p++;
    if (length & 0x80) {
        octets = (int)(length & 0x7f);
        if (octets < 1 || octets > 4 || end - p < octets)
            return -1;
        for (length = 0; octets > 0; octets--)
            length = length << 8 | *p++;
    }
    if ((size_t)(end - p) < length)
        return -1;
    *from = p;
    *at = *to = p + length;
    return tag;
}

/* Find the serial number and the subject of a certificate: TBSCertificate, RFC 5280 4.1. Returns 0 if it is none. */
static int certificate_fields(const uint8_t *der, size_t length, struct bytes *serial, struct bytes *subject)
{
    const uint8_t *at = der, *end = der + length, *from, *to, *start;

    if (der_element(&at, end, &from, &to) != 0x30) /* Certificate */
        return 0;
    at = from;
    if (der_element(&at, to, &from, &to) != 0x30) /* tbsCertificate */
        return 0;
    at = from;
    end = to;
    if (at < end && *at == 0xa0) /* version */
        der_element(&at, end, &from, &to);
    if (der_element(&at, end, &from, &to) != 0x02) /* serialNumber */
        return 0;
    serial->data = (uint8_t *)from;
    serial->length = (size_t)(to - from);
    if (der_element(&at, end, &from, &to) != 0x30 || /* signature */
        der_element(&at, end, &from, &to) != 0x30 || /* issuer */
        der_element(&at, end, &from, &to) != 0x30)   /* validity */
        return 0;
    start = at;
    if (der_element(&at, end, &from, &to) != 0x30) /* subject */
        return 0;
    subject->data = (uint8_t *)start;
    subject->length = (size_t)(at - start);
    return 1;
}

/* --------------------------------------------------------------------------------------------------------- outputs */

static void put_number(uint8_t *at, size_t value, int bytes)
{
    while (bytes-- > 0) {
        at[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

/* Hand over what has been made, or ask for the room it needs. */
static int give(struct pki_out *out, const uint8_t *data, size_t length)
{
    out->length = length;
    if (length > out->capacity)
        return PKI_NEED_BUFFER;
    memcpy(out->data, data, length);
    return PKI_HANDLED;
}

/* ---------------------------------------------------------------------------------------------------------- phases */

static int start_task(struct pkicom *com)
{
    const char *path = getenv("PKIE_PASSWORD");
    struct bytes file;
    int code;

    com->task_exit_reference = 0x5441534bu;               /* comes back in every later phase */
    com->private_area_size = sizeof(struct private_area); /* for each session */
    if (path == NULL)
        return PKI_HANDLED; /* which switches the exit on */
    if (!read_file(path, &file))
        return PKI_ERROR;
    code = give(&com->password, file.data, strcspn((char *)file.data, "\r\n"));
    memset(file.data, 0, file.length);
    free(file.data);
    return code;
}

static int start_handshake(struct pkicom *com)
{
    struct public_area *shared = (struct public_area *)com->public_area;
    const char *parm = getenv("PKIE_PARM");
    int code = PKI_HANDLED;

    if (parm != NULL) {
        code = give(&com->profile.parm, (const uint8_t *)parm, strlen(parm));
        com->profile.changed |= PKI_CHANGE_PARM;
    }
    if (code == PKI_HANDLED && com->handshake_count == 1)
        shared->sessions++; /* not before: a call that asks for more room is repeated */
    com->session_exit_reference = shared->sessions;
    return code;
}

/*
 * One byte with the number of types, the types, two bytes with the length of all names, and each name behind two bytes
 * with its own length.
 */
static int get_ca_list(struct pkicom *com)
{
    static const uint8_t types[] = {3, 1, 2, 64}; /* rsa_sign, dss_sign, ecdsa_sign */
    const char *path = getenv("PKIE_CA"), *text;
    struct bytes file, serial, subject;
    uint8_t *list, *der;
    size_t length, at = sizeof types + 2;
    int code = PKI_ERROR;

    if (path == NULL)
        return PKI_NOT_HANDLED;
    if (!read_file(path, &file))
        return PKI_ERROR;
    list = malloc(at + file.length + 1); /* names are shorter than the certificates around them */
    der = malloc(file.length + 1);
    if (list != NULL && der != NULL) {
        text = (char *)file.data;
        while ((text = next_pem(text, "CERTIFICATE", der, &length)) != NULL)
            if (certificate_fields(der, length, &serial, &subject)) {
                put_number(list + at, subject.length, 2);
                memcpy(list + at + 2, subject.data, subject.length);
                at += 2 + subject.length;
            }
        memcpy(list, types, sizeof types);
        put_number(list + sizeof types, at - sizeof types - 2, 2);
        code = give(&com->output, list, at);
    }
    free(list);
    free(der);
    free(file.data);
    return code;
}

/* Three bytes with the length of everything, and each certificate behind three bytes with its own length. */
static int get_certificate(struct pkicom *com)
{
    const char *path = getenv("PKIE_CHAIN"), *text;
    struct bytes file;
    uint8_t *chain;
    size_t length, at = 3;
    int code = PKI_ERROR;

    if (path == NULL)
        return PKI_NOT_HANDLED;
    if (!read_file(path, &file))
        return PKI_ERROR;
    chain = malloc(file.length + 16);
    if (chain != NULL) {
        text = (char *)file.data;
        while ((text = next_pem(text, "CERTIFICATE", chain + at + 3, &length)) != NULL) {
            put_number(chain + at, length, 3);
            at += 3 + length;
        }
        put_number(chain, at - 3, 3);
        code = give(&com->output, chain, at);
    }
    free(chain);
    free(file.data);
    return code;
}

/* Whether two texts are the same hexadecimal number: zeros in front and the case of letters do not count. */
static int same_number(const char *one, const char *other)
{
    one += strspn(one, "0");
    other += strspn(other, "0");
    while (*one != '\0' && tolower((unsigned char)*one) == tolower((unsigned char)*other)) {
        one++;
        other++;
    }
    return *one == *other;
}

static int check_certificate(struct pkicom *com)
{
    const char *path = getenv("PKIE_REVOKED");
    struct bytes file, serial, subject;
    char *line, hex[2 * 64 + 1];
    size_t length, i;
    int code = PKI_NOT_HANDLED; /* who is not refused here is looked at by the built-in PKI */

    if (path == NULL)
        return PKI_NOT_HANDLED;
    if (com->input.length < 6) /* a client without a certificate */
        return PKI_NOT_HANDLED;
    length = (size_t)com->input.data[3] << 16 | (size_t)com->input.data[4] << 8 | com->input.data[5];
    if (!certificate_fields(com->input.data + 6, length, &serial, &subject) || serial.length > 64) {
        com->iAlertReason_w = PKI_BAD_CERTIFICATE;
        return PKI_ERROR;
    }
    for (i = 0; i < serial.length; i++)
        snprintf(hex + 2 * i, 3, "%02x", serial.data[i]);
    if (!read_file(path, &file))
        return PKI_ERROR; /* nobody comes in if the list cannot be read */
    for (line = strtok((char *)file.data, " \r\n"); line != NULL; line = strtok(NULL, " \r\n"))
        if (same_number(line, hex)) {
            com->iAlertReason_w = PKI_CERTIFICATE_REVOKED;
            code = PKI_ERROR;
        }
    free(file.data);
    return code;
}

/*
 * An exit with a cryptographic library or a hardware module computes the result itself, whose form the header tells:
 * the key then never leaves it. This one returns the private key and lets the caller do the operation.
 */
static int crypt_data(struct pkicom *com)
{
    const char *path = getenv("PKIE_KEY");
    struct bytes file;
    uint8_t *der;
    size_t length;
    int code = PKI_ERROR;

    if (path == NULL)
        return PKI_NOT_HANDLED;
    if (!read_file(path, &file))
        return PKI_ERROR;
    der = malloc(file.length + 1);
    if (der != NULL && next_pem((char *)file.data, "PRIVATE KEY", der, &length) != NULL) {
        com->output_form = PKI_PRIVATE_KEY;
        code = give(&com->output, der, length);
        memset(der, 0, length);
    }
    memset(file.data, 0, file.length);
    free(der);
    free(file.data);
    return code;
}

/* The global area goes to the application's own exits. */
static int handshake_done(struct pkicom *com)
{
    snprintf((char *)com->global_area, sizeof com->global_area, "session %llu, suite %04x, authentication %c",
             (unsigned long long)com->session_exit_reference, (unsigned)com->cipher_suite,
             com->authentication ? (char)com->authentication : '-');
    return PKI_HANDLED;
}

/* ------------------------------------------------------------------------------------------------------------- log */

static const char *phase_name(uint32_t phase)
{
    static const char *const names[] = {"?", "StartTask", "StartHandshake", "GetCAList", "GetCertificate",
                                        "CheckCertificate", "CryptData", "HandshakeAlert", "HandshakeDone",
                                        "EndSession", "EndTask", "GetPreSharedKey"};

    return phase < sizeof names / sizeof names[0] ? names[phase] : names[0];
}

static void write_log(const struct pkicom *com, int code)
{
    const char *path = getenv("PKIE_LOG");
    FILE *stream;

    if (path == NULL || (stream = fopen(path, "a")) == NULL)
        return;
    fprintf(stream, "%s task=%llu", phase_name(com->phase), (unsigned long long)com->task_reference);
    if (com->session_reference != 0)
        fprintf(stream, " session=%llu role=%c", (unsigned long long)com->session_reference,
                com->role == PKI_CLIENT ? 'C' : 'S');
    if (com->private_area != NULL) {
        struct private_area *own = (struct private_area *)com->private_area;

        fprintf(stream, " call=%u", (unsigned)++own->calls);
    }
    if (com->phase == PKI_CRYPT_DATA)
        fprintf(stream, " %s %llu bytes", com->operation == PKI_SIGN ? "sign" : "decrypt",
                (unsigned long long)com->input.length);
    if (com->phase == PKI_HANDSHAKE_ALERT)
        fprintf(stream, " alert=%u %s", (unsigned)com->alert_description, com->alert_remote ? "remote" : "local");
    fprintf(stream, " -> %d\n", code);
    fclose(stream);
}

/* ------------------------------------------------------------------------------------------------- the one function */

int cftpkie(struct pkicom *com)
{
    int code = PKI_NOT_HANDLED;

    if (com->magic != PKI_MAGIC || com->version != PKI_VERSION)
        return PKI_ERROR; /* not the caller this was written for */
    switch (com->phase) {
    case PKI_START_TASK:
        code = start_task(com);
        break;
    case PKI_START_HANDSHAKE:
        code = start_handshake(com);
        break;
    case PKI_GET_CA_LIST:
        code = get_ca_list(com);
        break;
    case PKI_GET_CERTIFICATE:
        code = get_certificate(com);
        break;
    case PKI_CHECK_CERTIFICATE:
        code = check_certificate(com);
        break;
    case PKI_CRYPT_DATA:
        code = crypt_data(com);
        break;
    case PKI_HANDSHAKE_DONE:
        code = handshake_done(com);
        break;
    default: /* HandshakeAlert, EndSession and EndTask only tell; GetPreSharedKey is left to the built-in PKI */
        break;
    }
    write_log(com, code);
    return code;
}
