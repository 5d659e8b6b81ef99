/* What OpenSSL lacks in a sandbox. It is part of its library. */

#include <openssl/ssl.h>
#include <stddef.h>

/* Returns another number at each call. OpenSSL takes it for the number of the process: its
   generators of random numbers get a new seed whenever it has changed. Without this, a generator in
   the snapshot of a factory would give the same numbers, and so the same keys, in each sandbox. */
int eryx_process_number(void) {
    static int number;
    return ++number;
}

/* The functions below fail: OpenSSL has no sockets in a sandbox. Bindings in Python name them. */

int SSL_set_fd(SSL *ssl, int file) {
    (void)ssl, (void)file;
    return 0;
}

int DTLSv1_listen(SSL *ssl, BIO_ADDR *client) {
    (void)ssl, (void)client;
    return -1;
}

BIO_ADDR *BIO_ADDR_new(void) {
    return NULL;
}

void BIO_ADDR_free(BIO_ADDR *address) {
    (void)address;
}
