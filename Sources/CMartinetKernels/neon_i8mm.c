// NEON with products of byte matrices (Armv8.6; since Neoverse V1 and N2): 4 lanes.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "formats.h"

#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)

#define W 4
#define PANELS 2
#define TOKENS 4
#define MORE_PANELS 4
#define TABLE mk_table_neon_i8mm
#define TABLE_ISA MK_ISA_NEON_I8MM

#include "vector.h"
#include "rows128.h"
#include "elementwise.h"
#include "attention.h"
#include "matmul_float.h"
#include "panels.h"
#include "matmul.h"

// `vusmmlaq` multiplies two rows of 8 bytes with two columns of 8 bytes: here two rows of weights with the two planes
// of a token's activations, so it does what two dot products would, in one instruction.
INLINE void group_dots(SHAPE f, int panels, int tokens, const uint8_t *const *elements, const mk_packed *x, size_t b,
                       int part, vi *high, vi *low) {
    int steps = f.group / 4;
    // Rows 0 and 1, then 2 and 3: each row's sums over high bytes and low bytes side by side.
    int32x4_t sums[PANELS * TOKENS > MORE_PANELS ? PANELS * TOKENS : MORE_PANELS][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < panels * tokens; i++) sums[i][0] = sums[i][1] = vdupq_n_s32(0);
#pragma clang loop unroll(full)
    for (int k = part * steps; k < (part + 1) * steps; k += 2) {
        uint8x16_t w[PANELS > MORE_PANELS ? PANELS : MORE_PANELS][2];
#pragma clang loop unroll(full)
        for (int i = 0; i < panels; i++) {
            const uint8_t *p = elements[i] + b * elements_bytes(f.bits);
            uint32x4_t first = (uint32x4_t)elements_at(p, k, f.bits, f.code);
            uint32x4_t second = (uint32x4_t)elements_at(p, k + 1, f.bits, f.code);
            w[i][0] = vreinterpretq_u8_u32(vzip1q_u32(first, second));
            w[i][1] = vreinterpretq_u8_u32(vzip2q_u32(first, second));
        }
#pragma clang loop unroll(full)
        for (int t = 0; t < tokens; t++) {
            const int8_t *q = x[t].q + b * 64 + 4 * k;
            int8x16_t planes = vcombine_s8(vld1_s8(q), vld1_s8(q + 32));
#pragma clang loop unroll(full)
            for (int i = 0; i < panels; i++) {
                int32x4_t *s = sums[t * panels + i];
                s[0] = vusmmlaq_s32(s[0], w[i][0], planes);
                s[1] = vusmmlaq_s32(s[1], w[i][1], planes);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < panels * tokens; i++) {
        high[i] += (vi)vuzp1q_s32(sums[i][0], sums[i][1]);
        low[i] += (vi)vuzp2q_s32(sums[i][0], sums[i][1]);
    }
}

#include "table.h"

#pragma clang attribute pop
#endif
