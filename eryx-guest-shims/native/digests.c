/* The block functions of hash functions that CPython has only with OpenSSL: RIPEMD-160, SM3, and
   SHA-512 with other initial values. */
#include <string.h>

#include "stream.h"

static uint32_t rotate32(uint32_t x, unsigned n) { return n ? x << n | x >> (32 - n) : x; }
static uint64_t rotate64(uint64_t x, unsigned n) { return x >> n | x << (64 - n); }

static uint32_t little32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t big32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static uint64_t big64(const uint8_t *p) { return (uint64_t)big32(p) << 32 | big32(p + 4); }

/* RIPEMD-160 (Dobbertin, Bosselaers, Preneel 1996): message word and rotation of each step of the
   left line, then of the right line. */
static const uint8_t ripemd_word[2][80] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9,
     5, 2, 14, 11, 8, 3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12, 1, 9, 11, 10, 0, 8,
     12, 4, 13, 3, 7, 15, 14, 5, 6, 2, 4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13},
    {5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12, 6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8,
     12, 4, 9, 1, 2, 15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13, 8, 6, 4, 1, 3, 11,
     15, 0, 5, 12, 2, 13, 9, 7, 10, 14, 12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11},
};
static const uint8_t ripemd_rotation[2][80] = {
    {11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8, 7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15,
     9, 11, 7, 13, 12, 11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5, 11, 12, 14, 15, 14,
     15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12, 9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6},
    {8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6, 9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12,
     7, 6, 15, 13, 11, 9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14, 13, 13, 7, 5, 15, 5, 8, 11, 14,
     14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8, 8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11},
};
static const uint32_t ripemd_constant[2][5] = {
    {0x00000000, 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xa953fd4e},
    {0x50a28be6, 0x5c4dd124, 0x6d703ef3, 0x7a6d76e9, 0x00000000},
};

static uint32_t ripemd_function(int number, uint32_t x, uint32_t y, uint32_t z) {
    switch (number) {
    case 0: return x ^ y ^ z;
    case 1: return (x & y) | (~x & z);
    case 2: return (x | ~y) ^ z;
    case 3: return (x & z) | (y & ~z);
    default: return x ^ (y | ~z);
    }
}

static void ripemd160(uint32_t *h, const uint8_t *block) {
    uint32_t words[16], lines[2][5];
    for (int i = 0; i < 16; i++)
        words[i] = little32(block + 4 * i);
    for (int line = 0; line < 2; line++) {
        uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int j = 0; j < 80; j++) {
            int round = j / 16;
            uint32_t t = a + ripemd_function(line ? 4 - round : round, b, c, d) +
                         words[ripemd_word[line][j]] + ripemd_constant[line][round];
            t = rotate32(t, ripemd_rotation[line][j]) + e;
            a = e;
            e = d;
            d = rotate32(c, 10);
            c = b;
            b = t;
        }
        uint32_t *result = lines[line];
        result[0] = a, result[1] = b, result[2] = c, result[3] = d, result[4] = e;
    }
    uint32_t t = h[1] + lines[0][2] + lines[1][3];
    h[1] = h[2] + lines[0][3] + lines[1][4];
    h[2] = h[3] + lines[0][4] + lines[1][0];
    h[3] = h[4] + lines[0][0] + lines[1][1];
    h[4] = h[0] + lines[0][1] + lines[1][2];
    h[0] = t;
}

/* SM3 (GB/T 32905-2016). */
static uint32_t sm3_p0(uint32_t x) { return x ^ rotate32(x, 9) ^ rotate32(x, 17); }
static uint32_t sm3_p1(uint32_t x) { return x ^ rotate32(x, 15) ^ rotate32(x, 23); }

static void sm3(uint32_t *h, const uint8_t *block) {
    uint32_t w[68];
    for (int i = 0; i < 16; i++)
        w[i] = big32(block + 4 * i);
    for (int i = 16; i < 68; i++)
        w[i] = sm3_p1(w[i - 16] ^ w[i - 9] ^ rotate32(w[i - 3], 15)) ^ rotate32(w[i - 13], 7) ^
               w[i - 6];
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
    for (int j = 0; j < 64; j++) {
        uint32_t constant = j < 16 ? 0x79cc4519 : 0x7a879d8a;
        uint32_t ss1 =
            rotate32(rotate32(a, 12) + e + rotate32(constant, (unsigned)j % 32), 7);
        uint32_t ss2 = ss1 ^ rotate32(a, 12);
        uint32_t ff = j < 16 ? a ^ b ^ c : (a & b) | (a & c) | (b & c);
        uint32_t gg = j < 16 ? e ^ f ^ g : (e & f) | (~e & g);
        uint32_t tt1 = ff + d + ss2 + (w[j] ^ w[j + 4]);
        uint32_t tt2 = gg + k + ss1 + w[j];
        d = c;
        c = rotate32(b, 9);
        b = a;
        a = tt1;
        k = g;
        g = rotate32(f, 19);
        f = e;
        e = sm3_p0(tt2);
    }
    h[0] ^= a, h[1] ^= b, h[2] ^= c, h[3] ^= d, h[4] ^= e, h[5] ^= f, h[6] ^= g, h[7] ^= k;
}

/* SHA-512 (FIPS 180-4). */
static const uint64_t sha512_constant[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

static void sha512(uint64_t *h, const uint8_t *block) {
    uint64_t w[80], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = big64(block + 8 * i);
    for (int i = 16; i < 80; i++) {
        uint64_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (rotate64(x, 1) ^ rotate64(x, 8) ^ x >> 7) + w[i - 7] +
               (rotate64(y, 19) ^ rotate64(y, 61) ^ y >> 6);
    }
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 80; i++) {
        uint64_t e = s[4], a = s[0];
        uint64_t t1 = s[7] + (rotate64(e, 14) ^ rotate64(e, 18) ^ rotate64(e, 41)) +
                      ((e & s[5]) ^ (~e & s[6])) + sha512_constant[i] + w[i];
        uint64_t t2 = (rotate64(a, 28) ^ rotate64(a, 34) ^ rotate64(a, 39)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

enum { RIPEMD160, SM3, SHA512, ALGORITHMS };
static const size_t state_sizes[ALGORITHMS] = {20, 32, 64};
static const size_t block_sizes[ALGORITHMS] = {64, 64, 128};

/* digest_blocks(algorithm, state, data, offset): the state after the whole blocks of `data` from
   `offset`. A state is the words of the hash in the order of the machine's bytes. */
static PyObject *digest_blocks(PyObject *module, PyObject *arguments) {
    int algorithm;
    Py_buffer state, data;
    Py_ssize_t offset;
    if (!PyArg_ParseTuple(arguments, "iy*y*n", &algorithm, &state, &data, &offset))
        return NULL;
    PyObject *result = NULL;
    if (algorithm < 0 || algorithm >= ALGORITHMS ||
        (size_t)state.len != state_sizes[algorithm] || offset < 0 || offset > data.len) {
        PyErr_SetString(PyExc_ValueError, "no state of this algorithm");
    } else {
        union {
            uint32_t words[8];
            uint64_t longs[8];
        } h;
        memcpy(&h, state.buf, (size_t)state.len);
        const uint8_t *block = (const uint8_t *)data.buf + offset;
        size_t size = block_sizes[algorithm];
        for (size_t left = (size_t)(data.len - offset); left >= size; left -= size) {
            if (algorithm == RIPEMD160)
                ripemd160(h.words, block);
            else if (algorithm == SM3)
                sm3(h.words, block);
            else
                sha512(h.longs, block);
            block += size;
        }
        result = PyBytes_FromStringAndSize((const char *)&h, state.len);
    }
    PyBuffer_Release(&state);
    PyBuffer_Release(&data);
    return result;
}

PyMethodDef digest_methods[] = {
    {"digest_blocks", digest_blocks, METH_VARARGS, NULL},
    {0},
};
