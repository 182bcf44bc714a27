// NEON with the dot product of signed bytes (Armv8.2, optional; since Cortex-A76 and Neoverse N1): 4 lanes.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "formats.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#define W 4
#define PANELS 2
#define TOKENS 4
#define MORE_PANELS 4
// Bytes of 128 and more are signed once 128 is subtracted, which flips their first bit.
#define DOT_SUBTRACTS_128
#define DOT(acc, w, x, wide)                                                                                           \
    ((vi)vdotq_s32((int32x4_t)(acc), (int8x16_t)((wide) ? (w) ^ (vb)(uint8_t)128 : (w)), (int8x16_t)(x)))
#define TABLE mk_table_neon_dotprod
#define TABLE_ISA MK_ISA_NEON_DOTPROD

#include "vector.h"
#include "rows128.h"
#include "elementwise.h"
#include "attention.h"
#include "matmul_float.h"
#include "panels.h"
#include "matmul.h"
#include "table.h"

#pragma clang attribute pop
#endif
