// AVX2 with FMA and F16C: 8 lanes, byte products by way of 16-bit sums.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "formats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define W 8
#define PANELS 1
#define TOKENS 4
#define MORE_PANELS 4
#define PAIR_VECTOR v16s
#define PAIRS(w, x) ((v16s)_mm256_maddubs_epi16((__m256i)(w), (__m256i)(x)))
#define PAIR_SUMS(v) ((vi)_mm256_madd_epi16((__m256i)(v), _mm256_set1_epi16(1)))
#define TABLE mk_table_avx2
#define TABLE_ISA MK_ISA_AVX2

#include "vector.h"

typedef int16_t v16s __attribute__((ext_vector_type(16)));

#include "rows256.h"
#include "elementwise.h"
#include "attention.h"
#include "matmul_float.h"
#include "panels.h"
#include "matmul.h"
#include "dots_short.h"
#include "table.h"

#pragma clang attribute pop
#endif
