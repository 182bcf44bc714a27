// AVX2 with AVX-VNNI: 8 lanes, byte products in one instruction. Processors without AVX-512 that have it: Intel's since
// Alder Lake.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "formats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)

#define W 8
#define PANELS 2
#define TOKENS 2
#define MORE_PANELS 2
#define DOT(acc, w, x, wide) ((void)(wide), (vi)_mm256_dpbusd_avx_epi32((__m256i)(acc), (__m256i)(w), (__m256i)(x)))
#define TABLE mk_table_avx2_vnni
#define TABLE_ISA MK_ISA_AVX2_VNNI

#include "vector.h"
#include "rows256.h"
#include "elementwise.h"
#include "attention.h"
#include "matmul_float.h"
#include "panels.h"
#include "matmul.h"
#include "table.h"

#pragma clang attribute pop
#endif
