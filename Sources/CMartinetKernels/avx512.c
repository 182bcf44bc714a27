// AVX-512 without VNNI: 16 lanes, byte products by way of 16-bit sums.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "formats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq"))),              \
                             apply_to = function)

#define W 16
#define PANELS 2
#define TOKENS 4
#define MORE_PANELS 4
#define DOT(acc, w, x, wide) dot_bytes(acc, (__m512i)(w), (__m512i)(x), wide)
#define TABLE mk_table_avx512
#define TABLE_ISA MK_ISA_AVX512

#include "vector.h"

// Two products of a byte under 128 with a signed byte fit 16 bits; wider bytes go by halves.
INLINE vi dot_bytes(vi acc, __m512i w, __m512i x, bool wide) {
    __m512i nibble = _mm512_set1_epi8(15);
    __m512i low = _mm512_maddubs_epi16(wide ? _mm512_and_si512(w, nibble) : w, x);
    acc += (vi)_mm512_madd_epi16(low, _mm512_set1_epi16(1));
    if (!wide) return acc;
    __m512i high = _mm512_maddubs_epi16(_mm512_and_si512(_mm512_srli_epi16(w, 4), nibble), x);
    return acc + (vi)_mm512_madd_epi16(high, _mm512_set1_epi16(16));
}

#include "rows512.h"
#include "elementwise.h"
#include "attention.h"
#include "matmul_float.h"
#include "panels.h"
#include "matmul.h"
#include "table.h"

#pragma clang attribute pop
#endif
