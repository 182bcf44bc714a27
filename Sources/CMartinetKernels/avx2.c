// AVX2 with FMA and F16C: 8 lanes, byte products by way of 16-bit sums.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "formats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define W 8
#define PANELS 2
#define TOKENS 2
#define MORE_PANELS 2
#define DOT(acc, w, x, wide) dot_bytes(acc, (__m256i)(w), (__m256i)(x), wide)
#define TABLE mk_table_avx2
#define TABLE_ISA MK_ISA_AVX2

#include "vector.h"

// Two products of a byte under 128 with a signed byte fit 16 bits; wider bytes go by halves.
INLINE vi dot_bytes(vi acc, __m256i w, __m256i x, bool wide) {
    __m256i nibble = _mm256_set1_epi8(15);
    __m256i low = _mm256_maddubs_epi16(wide ? _mm256_and_si256(w, nibble) : w, x);
    acc += (vi)_mm256_madd_epi16(low, _mm256_set1_epi16(1));
    if (!wide) return acc;
    __m256i high = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(w, 4), nibble), x);
    return acc + (vi)_mm256_madd_epi16(high, _mm256_set1_epi16(16));
}

#include "rows256.h"
#include "elementwise.h"
#include "attention.h"
#include "matmul_float.h"
#include "panels.h"
#include "matmul.h"
#include "table.h"

#pragma clang attribute pop
#endif
