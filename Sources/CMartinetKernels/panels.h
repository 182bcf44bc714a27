// Panels: weights of W rows rearranged once, so that products read them in one stream of whole vectors.
//
// A panel is the scales of its groups, then its elements. A lane of a vector belongs to a row. Scales come as halves, a
// vector d (and one m) per block of 32 columns; blocks of 256 add a byte per group and row (and another for m).
// Elements come 32 columns at a time in vectors of 4 bytes per row:
//
//   4 bits: vector k holds columns 4k... in the low nibbles and columns 16 + 4k... in the high ones;
//   5 bits: then a vector whose bit k of byte j is the fifth bit of column 4k + j;
//   6 bits: or two vectors, the first for columns 0...15; bits 2k and 2k + 1 of byte j are those of column 4k + j;
//   8 bits: vector k holds columns 4k....

enum { PANEL_VECTOR = 4 * W };

INLINE size_t elements_bytes(int bits) { return (size_t)bits * PANEL_VECTOR; }

// The elements of a block of W rows, four columns of each in a vector. 16 bytes are loaded from each row and
// transposed in units of 4, so that a lane holds what belongs to its row; nibbles and high bits are then taken apart in
// all rows at once.
//
// The includer defines LOAD_ROWS(p, stride, i): the 16 bytes at row i, i + 4, i + 8, ... one after the other, and
// LOOK_UP(table, indices): a byte of a 16-byte table for each byte.

#if W == 16
#define INTERLEAVE(a, b, H, STEP)                                                                                      \
    (STEP == 1 ? __builtin_shufflevector(a, b, H, 16 + H, 1 + H, 17 + H, 4 + H, 20 + H, 5 + H, 21 + H, 8 + H, 24 + H, \
                                         9 + H, 25 + H, 12 + H, 28 + H, 13 + H, 29 + H)                                \
               : __builtin_shufflevector(a, b, H, 1 + H, 16 + H, 17 + H, 4 + H, 5 + H, 20 + H, 21 + H, 8 + H, 9 + H,  \
                                         24 + H, 25 + H, 12 + H, 13 + H, 28 + H, 29 + H))
#elif W == 8
#define INTERLEAVE(a, b, H, STEP)                                                                                      \
    (STEP == 1 ? __builtin_shufflevector(a, b, H, 8 + H, 1 + H, 9 + H, 4 + H, 12 + H, 5 + H, 13 + H)                   \
               : __builtin_shufflevector(a, b, H, 1 + H, 8 + H, 9 + H, 4 + H, 5 + H, 12 + H, 13 + H))
#else
#define INTERLEAVE(a, b, H, STEP)                                                                                      \
    (STEP == 1 ? __builtin_shufflevector(a, b, H, 4 + H, 1 + H, 5 + H)                                                 \
               : __builtin_shufflevector(a, b, H, 1 + H, 4 + H, 5 + H))
#endif

typedef struct {
    vi v[4];
} quad;

// v[k] holds bytes 4k..4k+3 of 16 bytes in each of W rows.
INLINE quad load_rows(const uint8_t *p, size_t stride) {
    vi a = LOAD_ROWS(p, stride, 0), b = LOAD_ROWS(p, stride, 1), c = LOAD_ROWS(p, stride, 2),
       d = LOAD_ROWS(p, stride, 3);
    vi ab0 = INTERLEAVE(a, b, 0, 1), ab1 = INTERLEAVE(a, b, 2, 1), cd0 = INTERLEAVE(c, d, 0, 1),
       cd1 = INTERLEAVE(c, d, 2, 1);
    quad r = {{INTERLEAVE(ab0, cd0, 0, 2), INTERLEAVE(ab0, cd0, 2, 2), INTERLEAVE(ab1, cd1, 0, 2),
               INTERLEAVE(ab1, cd1, 2, 2)}};
    return r;
}

#define BYTES(x) ((vi)(int32_t)(0x01010101u * (x)))

INLINE vi shift_right(vi v, int by) { return (vi)((vu)v >> (uint32_t)by); }
INLINE vi nibbles_low(vi v) { return v & BYTES(15); }
INLINE vi nibbles_high(vi v) { return shift_right(v, 4) & BYTES(15); }

// Bits 4k..4k+3 of each lane, one to a byte, as the byte's fifth bit.
INLINE vi fifth_bits_at(vi bits, int k) { return ((shift_right(bits, 4 * k) & 15) * 0x00204081 & BYTES(1)) << 4; }

static void rows_of_nibbles(const uint8_t *p, size_t stride, vi *out) {
    quad q = load_rows(p, stride);
    for (int k = 0; k < 4; k++) {
        out[k] = nibbles_low(q.v[k]);
        out[4 + k] = nibbles_high(q.v[k]);
    }
}

static void rows_of_q5(const uint8_t *p, size_t stride, vi *out) {
    vi bits = load_rows(p, stride).v[0];
    rows_of_nibbles(p + 4, stride, out);
    for (int k = 0; k < 8; k++) out[k] |= fifth_bits_at(bits, k);
}

static void rows_of_q8_0(const uint8_t *p, size_t stride, vi *out) {
    for (size_t half = 0; half < 2; half++) {
        quad q = load_rows(p + 2 + 16 * half, stride);
        for (size_t k = 0; k < 4; k++) out[half * 4 + k] = q.v[k] ^ BYTES(128);
    }
}

static void rows_of_q4_k(const uint8_t *p, size_t stride, vi *out) {
    for (size_t piece = 0; piece < 8; piece++) {
        quad q = load_rows(p + 16 + 16 * piece, stride);
        size_t at = piece / 2 * 16 + piece % 2 * 4;
        for (size_t k = 0; k < 4; k++) {
            out[at + k] = nibbles_low(q.v[k]);
            out[at + 8 + k] = nibbles_high(q.v[k]);
        }
    }
}

static void rows_of_q5_k(const uint8_t *p, size_t stride, vi *out) {
    // Its nibbles lie 32 bytes later than those of Q4_K.
    rows_of_q4_k(p + 32, stride, out);
    quad high[2] = {load_rows(p + 16, stride), load_rows(p + 32, stride)};
    for (int b = 0; b < 8; b++)
        for (int k = 0; k < 8; k++) out[b * 8 + k] |= (shift_right(high[k / 4].v[k % 4], b) & BYTES(1)) << 4;
}

static void rows_of_q6_k(const uint8_t *p, size_t stride, vi *out) {
    for (size_t half = 0; half < 2; half++) {
        for (size_t part = 0; part < 2; part++) {
            // 16 columns in each quarter of the 128 share their bytes of high bits.
            quad high = load_rows(p + 128 + 32 * half + 16 * part, stride);
            for (size_t pair = 0; pair < 2; pair++) {
                quad low = load_rows(p + 64 * half + 32 * pair + 16 * part, stride);
                size_t at = (half * 4 + pair) * 8 + part * 4;
                for (size_t k = 0; k < 4; k++) {
                    vi h = shift_right(high.v[k], (int)pair * 2);
                    out[at + k] = nibbles_low(low.v[k]) | (h & BYTES(3)) << 4;
                    out[at + 16 + k] = nibbles_high(low.v[k]) | (h & BYTES(48));
                }
            }
        }
    }
}

// Two bits of each element at `p`, and for Q3_K their complement's third bit in 32 bytes at `mask`.
static void rows_of_two_bits(const uint8_t *p, const uint8_t *mask, size_t stride, vi *out) {
    quad third[2] = {0};
    for (size_t i = 0; mask && i < 2; i++) third[i] = load_rows(mask + 16 * i, stride);
    for (size_t piece = 0; piece < 4; piece++) {
        quad q = load_rows(p + 16 * piece, stride);
        for (size_t j = 0; j < 4; j++) {
            for (size_t k = 0; k < 4; k++) {
                vi high = (shift_right(third[piece % 2].v[k], (int)(piece / 2 * 4 + j)) & BYTES(1)) << 2;
                out[(piece / 2 * 4 + j) * 8 + piece % 2 * 4 + k] = (shift_right(q.v[k], (int)j * 2) & BYTES(3)) | high;
            }
        }
    }
}

// A block of W rows.
static void rows_of_block(int32_t type, const uint8_t *p, size_t stride, vi *out) {
    switch (type) {
    case MK_Q4_0:
    case MK_IQ4_NL: rows_of_nibbles(p + 2, stride, out); break;
    case MK_Q4_1: rows_of_nibbles(p + 4, stride, out); break;
    case MK_Q5_0: rows_of_q5(p + 2, stride, out); break;
    case MK_Q5_1: rows_of_q5(p + 4, stride, out); break;
    case MK_Q8_0: rows_of_q8_0(p, stride, out); break;
    case MK_Q2_K: rows_of_two_bits(p + 16, NULL, stride, out); break;
    case MK_Q3_K: rows_of_two_bits(p + 32, p, stride, out); break;
    case MK_Q4_K: rows_of_q4_k(p, stride, out); break;
    case MK_Q5_K: rows_of_q5_k(p, stride, out); break;
    case MK_Q6_K: rows_of_q6_k(p, stride, out); break;
    default:
        for (size_t g = 0; g < 8; g++) rows_of_nibbles(p + 8 + 16 * g, stride, out + 8 * g);
        break;
    }
}

// The same for fewer rows, one by one; the last stands in for those missing.
static void rows_of_few(int32_t type, const uint8_t *p, size_t stride, size_t rows, vi *out) {
    uint8_t q[256];
    for (size_t r = 0; r < W; r++) {
        mk_quants_of(type, p + (r < rows ? r : rows - 1) * stride, q);
        for (size_t k = 0; k < mk_format_of(type)->block / 4; k++)
            memcpy((char *)(out + k) + 4 * r, q + 4 * k, 4);
    }
}

// Eight vectors of bytes as a panel stores them.
INLINE void store_elements(int bits, const vi *q, vi *out) {
    if (bits == 8) {
        memcpy(out, q, 8 * sizeof(vi));
        return;
    }
    for (int k = 0; k < 4; k++) out[k] = nibbles_low(q[k]) | nibbles_low(q[4 + k]) << 4;
    if (bits == 5) {
        out[4] = (vi)0;
        for (int k = 0; k < 8; k++) out[4] |= shift_right(q[k] & BYTES(16), 4) << k;
    } else if (bits == 6) {
        out[4] = out[5] = (vi)0;
        for (int k = 0; k < 8; k++) out[4 + k / 4] |= shift_right(q[k] & BYTES(48), 4) << (2 * (k % 4));
    }
}

#include "panels_plain.h"

static size_t panel_bytes(int32_t type, size_t columns) {
    const mk_format *format = mk_format_of(type);
    if (!format) return 0;
    if (!format->group) return plain_panel_bytes(type, columns);
    return mk_round_up(mk_panel_elements(format, W, columns) + columns / 32 * elements_bytes(format->bits), 64);
}

static void make_panel(int32_t type, const void *weights, size_t row_bytes, size_t rows, size_t columns, void *panel) {
    const mk_format *format = mk_format_of(type);
    if (!format || !rows) return;
    if (!format->group) {
        make_plain_panel(type, weights, row_bytes, rows, columns, panel);
        return;
    }
    uint8_t *scales = panel, *elements = scales + mk_panel_elements(format, W, columns);
    size_t groups = 256 / format->group;
    for (size_t b = 0; b < columns / format->block; b++, scales += mk_panel_scale_bytes(format, W)) {
        const uint8_t *block = (const uint8_t *)weights + b * format->block_bytes;
        for (size_t r = 0; r < W; r++) {
            mk_scales s = mk_scales_of(type, block + (r < rows ? r : rows - 1) * row_bytes);
            memcpy(scales + 2 * r, &s.d, 2);
            if (format->offset) memcpy(scales + 2 * W + 2 * r, &s.m, 2);
            if (format->block == 32) continue;
            uint8_t *factors = scales + (format->offset ? 4 * W : 2 * W);
            for (size_t g = 0; g < groups; g++) {
                factors[g * W + r] = (uint8_t)s.scale[g];
                if (format->offset) factors[(groups + g) * W + r] = (uint8_t)s.minimum[g];
            }
        }
        vi q[64], stored[8];
        if (rows < W) {
            rows_of_few(type, block, row_bytes, rows, q);
        } else {
            rows_of_block(type, block, row_bytes, q);
        }
        for (size_t i = 0; i < format->block / 32; i++, elements += elements_bytes(format->bits)) {
            store_elements(format->bits, q + 8 * i, stored);
            memcpy(elements, stored, elements_bytes(format->bits));
        }
    }
}

static void panel_row(int32_t type, const void *panel, size_t row, float *out, size_t columns) {
    mk_panel_row(type, panel, W, row, out, columns);
}
