/* Functions that the compiler calls, and that neither the guest nor the linker has. A module gets
   those that it needs. */

#include <stdint.h>

/* Returns the product of two numbers of 128 bits, modulo 2^128. */
__int128 __multi3(__int128 a, __int128 b) {
    const uint64_t mask = UINT32_MAX;
    const uint64_t a_low = (uint64_t)a, b_low = (uint64_t)b;
    const uint64_t a_high = (uint64_t)((unsigned __int128)a >> 64);
    const uint64_t b_high = (uint64_t)((unsigned __int128)b >> 64);
    const uint64_t first = (a_low & mask) * (b_low & mask);
    const uint64_t second = (a_low >> 32) * (b_low & mask) + (first >> 32);
    const uint64_t third = (a_low & mask) * (b_low >> 32) + (second & mask);
    const uint64_t low = (third << 32) | (first & mask);
    const uint64_t carry = (a_low >> 32) * (b_low >> 32) + (second >> 32) + (third >> 32);
    const uint64_t high = carry + a_low * b_high + a_high * b_low;
    return (__int128)(((unsigned __int128)high << 64) | low);
}
