// AVX-512 with VNNI: 16 lanes, byte products in one instruction.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "formats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))),   \
                             apply_to = function)

#define W 16
#define PANELS 2
#define TOKENS 4
#define MORE_PANELS 4
#define DOT(acc, w, x, wide) ((void)(wide), (vi)_mm512_dpbusd_epi32((__m512i)(acc), (__m512i)(w), (__m512i)(x)))
#define TABLE mk_table_avx512_vnni
#define TABLE_ISA MK_ISA_AVX512_VNNI

#include "vector.h"
#include "rows512.h"
#include "elementwise.h"
#include "attention.h"
#include "matmul_float.h"
#include "panels.h"
#include "matmul.h"
#include "table.h"

#pragma clang attribute pop
#endif
