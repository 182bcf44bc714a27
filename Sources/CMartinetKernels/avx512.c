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
#define PAIR_VECTOR v32s
#define PAIRS(w, x) ((v32s)_mm512_maddubs_epi16((__m512i)(w), (__m512i)(x)))
#define PAIR_SUMS(v) ((vi)_mm512_madd_epi16((__m512i)(v), _mm512_set1_epi16(1)))
#define TABLE mk_table_avx512
#define TABLE_ISA MK_ISA_AVX512

#include "vector.h"

typedef int16_t v32s __attribute__((ext_vector_type(32)));


#include "rows512.h"
#include "elementwise.h"
#include "attention.h"
#include "matmul_float.h"
#include "panels.h"
#include "matmul.h"
#include "dots_short.h"
#include "table.h"

#pragma clang attribute pop
#endif
