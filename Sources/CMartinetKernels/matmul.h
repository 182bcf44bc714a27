// Products of panels with packed activations: W rows in the lanes of a vector, some panels and tokens at a time.
//
// Each group of 16 or 32 columns becomes an integer sum per row and token, the sum over high bytes times 256 and that
// over low ones, which is scaled and added to a float, groups in ascending order. That order never depends on rows,
// tokens or threads.
//
// The includer defines DOT(acc, w, x, wide): acc + Σ of four unsigned × signed byte products per lane, or else the
// function group_dots; and how many panels and tokens it has registers for: PANELS × TOKENS, and MORE_PANELS for a
// single token. With DOT_SUBTRACTS_128 its products are of wide bytes less 128, the zero point of all of them.

// Sums that are computed side by side.
#define MOST_SUMS (TOKENS * PANELS > MORE_PANELS ? TOKENS * PANELS : MORE_PANELS)

INLINE vi broadcast_at(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return (vi)v;
}

INLINE vi vector_at(const uint8_t *p, int index) {
    vi v;
    memcpy(&v, p + index * PANEL_VECTOR, sizeof v);
    return v;
}

// Columns 4k..4k+3 of 32.
INLINE vi elements_at(const uint8_t *p, int k, int bits, bool code) {
    if (bits == 8) return vector_at(p, k);
    vi v = k < 4 ? nibbles_low(vector_at(p, k)) : nibbles_high(vector_at(p, k - 4));
    if (code) return LOOK_UP(mk_code_book, v);
    if (bits == 5) {
        vi high = vector_at(p, 4);
        v |= (k < 4 ? high << (4 - k) : shift_right(high, k - 4)) & BYTES(16);
    } else if (bits == 6) {
        vi high = vector_at(p, 4 + k / 4);
        v |= (k % 4 < 2 ? high << (4 - k % 4 * 2) : shift_right(high, k % 4 * 2 - 4)) & BYTES(48);
    }
    return v;
}

INLINE vf factors_at(const uint8_t *p) {
    typedef int8_t vq __attribute__((ext_vector_type(W)));
    vq v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(__builtin_convertvector(v, vi), vf);
}

// What a product needs to know of its format while it is compiled.
typedef struct {
    int bits, group;
    bool offset, factors, code;
} SHAPE;

// Whether elements may be 128 or more.
INLINE bool is_wide(SHAPE f) { return f.bits == 8 || f.code; }

#ifdef DOT_SUBTRACTS_128
INLINE bool zero_in_dots(SHAPE f) { return is_wide(f); }
#else
INLINE bool zero_in_dots(SHAPE f) { return (void)f, false; }
#endif

// The scale and offset of group `g` of the panel.
INLINE vf group_scale(SHAPE f, const uint8_t *scales, size_t g, vf *m) {
    size_t halves = f.offset ? 4 * W : 2 * W, groups = 256u / (unsigned)f.group;
    if (!f.factors) {
        const uint8_t *p = scales + g * halves;
        if (f.offset) *m = from_f16(p + 2 * W);
        return from_f16(p);
    }
    const uint8_t *p = scales + g / groups * (halves + groups * (f.offset ? 2 * W : W));
    const uint8_t *q = p + halves + g % groups * W;
    if (f.offset) *m = -(from_f16(p + 2 * W) * factors_at(q + groups * W));
    return from_f16(p) * factors_at(q);
}

// Adds to the sums of each panel and token the products of one group: part `part` of the 32 columns `b`.
// Those of the high bytes go to `high`, those of the low ones to `low`.
INLINE void group_dots(SHAPE f, int panels, int tokens, const uint8_t *const *elements, const mk_packed *x, size_t b,
                       int part, vi *high, vi *low);

#ifdef DOT
INLINE void group_dots(SHAPE f, int panels, int tokens, const uint8_t *const *elements, const mk_packed *x, size_t b,
                       int part, vi *high, vi *low) {
    int steps = f.group / 4;
#pragma clang loop unroll(full)
    for (int k = part * steps; k < (part + 1) * steps; k++) {
        vb w[PANELS > MORE_PANELS ? PANELS : MORE_PANELS];
#pragma clang loop unroll(full)
        for (int i = 0; i < panels; i++)
            w[i] = (vb)elements_at(elements[i] + b * elements_bytes(f.bits), k, f.bits, f.code);
#pragma clang loop unroll(full)
        for (int t = 0; t < tokens; t++) {
            vi h = broadcast_at(x[t].q + b * 64 + 4 * k), l = broadcast_at(x[t].q + b * 64 + 32 + 4 * k);
#pragma clang loop unroll(full)
            for (int i = 0; i < panels; i++) {
                high[t * panels + i] = DOT(high[t * panels + i], w[i], h, is_wide(f));
                low[t * panels + i] = DOT(low[t * panels + i], w[i], l, is_wide(f));
            }
        }
    }
}
#endif

INLINE void multiply(SHAPE f, int panels, int tokens, const uint8_t *const *scales, const uint8_t *const *elements,
                     const mk_packed *x, size_t blocks, size_t ahead, vf *total) {
    vf sum[MOST_SUMS];
#pragma clang loop unroll(full)
    for (int i = 0; i < panels * tokens; i++) sum[i] = (vf)0;
    for (size_t b = 0; b < blocks; b++) {
        if (ahead) {
            for (int i = 0; i < panels; i++) {
#pragma clang loop unroll(full)
                for (size_t line = 0; line < elements_bytes(f.bits); line += 64)
                    __builtin_prefetch(elements[i] + b * elements_bytes(f.bits) + ahead + line, 0, 2);
                __builtin_prefetch(scales[i] + b * (f.offset ? 4 * W : 2 * W) + ahead, 0, 2);
            }
        }
#pragma clang loop unroll(full)
        for (int part = 0; part < 32 / f.group; part++) {
            size_t g = b * (size_t)(32 / f.group) + (size_t)part;
            vi high[MOST_SUMS], low[MOST_SUMS];
#pragma clang loop unroll(full)
            for (int t = 0; t < tokens; t++) {
                for (int i = 0; i < panels; i++) {
                    high[t * panels + i] = (vi)0;
                    low[t * panels + i] = f.offset || zero_in_dots(f) ? (vi)0 : broadcast_at(x[t].s + g);
                }
            }
            group_dots(f, panels, tokens, elements, x, b, part, high, low);
#pragma clang loop unroll(full)
            for (int i = 0; i < panels; i++) {
                vf m, d = group_scale(f, scales[i], g, &m);
#pragma clang loop unroll(full)
                for (int t = 0; t < tokens; t++) {
                    int at = t * panels + i;
                    vf dot = __builtin_convertvector((high[at] << 8) + low[at], vf);
                    sum[at] = fma_(dot, d * x[t].d[b], sum[at]);
                    if (f.offset) sum[at] = fma_(m, (vf)x[t].s[g], sum[at]);
                }
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < panels * tokens; i++) total[i] = sum[i];
}

typedef void multiply_function(int panels, int tokens, const uint8_t *const *scales, const uint8_t *const *elements,
                               const mk_packed *x, size_t blocks, size_t ahead, vf *total);

#define MULTIPLY_FUNCTION(NAME, ...)                                                                                   \
    static void NAME(int panels, int tokens, const uint8_t *const *scales, const uint8_t *const *elements,             \
                     const mk_packed *x, size_t blocks, size_t ahead, vf *total) {                                     \
        static const SHAPE shape = {__VA_ARGS__};                                                                      \
        if (panels == MORE_PANELS && tokens == 1) {                                                                    \
            multiply(shape, MORE_PANELS, 1, scales, elements, x, blocks, ahead, total);                                       \
        } else if (panels == PANELS) {                                                                                 \
            switch (tokens) {                                                                                          \
            case 1: multiply(shape, PANELS, 1, scales, elements, x, blocks, ahead, total); break;                             \
            case 2: multiply(shape, PANELS, 2, scales, elements, x, blocks, ahead, total); break;                             \
            MULTIPLY_MORE_TOKENS(PANELS)                                                                               \
            }                                                                                                          \
        } else {                                                                                                       \
            switch (tokens) {                                                                                          \
            case 1: multiply(shape, 1, 1, scales, elements, x, blocks, ahead, total); break;                                  \
            case 2: multiply(shape, 1, 2, scales, elements, x, blocks, ahead, total); break;                                  \
            MULTIPLY_MORE_TOKENS(1)                                                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }
#if TOKENS == 4
#define MULTIPLY_MORE_TOKENS(PANELS)                                                                                   \
    case 3: multiply(shape, PANELS, 3, scales, elements, x, blocks, ahead, total); break;                                     \
    default: multiply(shape, PANELS, 4, scales, elements, x, blocks, ahead, total); break;
#else
#define MULTIPLY_MORE_TOKENS(PANELS)
#endif

MULTIPLY_FUNCTION(multiply_4_zero, 4, 32, false, false, false)
MULTIPLY_FUNCTION(multiply_4_offset, 4, 32, true, false, false)
MULTIPLY_FUNCTION(multiply_5_zero, 5, 32, false, false, false)
MULTIPLY_FUNCTION(multiply_5_offset, 5, 32, true, false, false)
MULTIPLY_FUNCTION(multiply_8, 8, 32, false, false, false)
MULTIPLY_FUNCTION(multiply_q2_k, 4, 16, true, true, false)
MULTIPLY_FUNCTION(multiply_q3_k, 4, 16, false, true, false)
MULTIPLY_FUNCTION(multiply_q4_k, 4, 32, true, true, false)
MULTIPLY_FUNCTION(multiply_q5_k, 5, 32, true, true, false)
MULTIPLY_FUNCTION(multiply_q6_k, 6, 16, false, true, false)
MULTIPLY_FUNCTION(multiply_iq4_nl, 4, 32, false, false, true)
MULTIPLY_FUNCTION(multiply_iq4_xs, 4, 32, false, true, true)

static multiply_function *multiply_for(int32_t type) {
    switch (type) {
    case MK_Q4_0: return multiply_4_zero;
    case MK_Q4_1: return multiply_4_offset;
    case MK_Q5_0: return multiply_5_zero;
    case MK_Q5_1: return multiply_5_offset;
    case MK_Q8_0: return multiply_8;
    case MK_Q2_K: return multiply_q2_k;
    case MK_Q3_K: return multiply_q3_k;
    case MK_Q4_K: return multiply_q4_k;
    case MK_Q5_K: return multiply_q5_k;
    case MK_Q6_K: return multiply_q6_k;
    case MK_IQ4_NL: return multiply_iq4_nl;
    default: return multiply_iq4_xs;
    }
}

// Lanes [first, end) of a vector of sums; `out` and `bias` are those of the first.
// Not a loop over single outputs: compilers make that masked loads, which are very slow where bias is NULL.
INLINE void finish_rows(vf dots, size_t first, size_t end, const float *bias, bool accumulate, float *out) {
    vf total = (vf)0;
    if (end - first == W) {
        if (accumulate) total = load(out);
        if (bias) total += load(bias);
        store(out, total + dots);
        return;
    }
    float lanes[W];
    store(lanes, dots);
    if (accumulate) total = load_part(out, end - first);
    if (bias) total += load_part(bias, end - first);
    store_part(out, total + load_part(lanes + first, end - first), end - first);
}

// The sums of `panels` panels from `p` on for `count` tokens, as far as they belong to the rows wanted.
INLINE void finish_panels(const vf *total, size_t p, size_t panels, size_t count, size_t row_begin, size_t row_end,
                          const float *bias, bool accumulate, float *out, size_t out_stride) {
    for (size_t i = 0; i < panels; i++) {
        size_t row = (p + i) * W, first = row < row_begin ? row_begin - row : 0;
        size_t last = row_end - row < W ? row_end - row : W;
        for (size_t j = 0; j < count; j++)
            finish_rows(total[j * panels + i], first, last, bias ? bias + row + first : NULL, accumulate,
                        out + j * out_stride + row + first);
    }
}

#include "matmul_plain.h"

static void matmul(int32_t type, const void *weights, size_t stride, size_t row_begin, size_t row_end, size_t columns,
                   const void *packed, size_t packed_bytes, size_t tokens, const float *bias, bool accumulate,
                   float *out, size_t out_stride) {
    const mk_format *format = mk_format_of(type);
    if (!format) return;
    if (!format->group) {
        matmul_plain(type, weights, stride, row_begin, row_end, columns, packed, packed_bytes / 4, tokens, bias,
                     accumulate, out, out_stride);
        return;
    }
    multiply_function *multiply_panels = multiply_for(type);
    size_t offset = mk_panel_elements(format, W, columns), end = (row_end + W - 1) / W;
    for (size_t p = row_begin / W; p < end;) {
        size_t most = tokens == 1 ? MORE_PANELS : PANELS;
        size_t panels = end - p >= most ? most : end - p >= PANELS ? PANELS : 1;
        const uint8_t *scales[MORE_PANELS], *elements[MORE_PANELS];
        for (size_t i = 0; i < panels; i++) {
            scales[i] = (const uint8_t *)weights + (p + i) * stride;
            elements[i] = scales[i] + offset;
        }
        for (size_t t = 0; t < tokens; t += TOKENS) {
            size_t count = tokens - t < TOKENS ? tokens - t : TOKENS;
            mk_packed x[TOKENS];
            vf total[MOST_SUMS];
            for (size_t j = 0; j < count; j++) x[j] = mk_packed_at(packed, packed_bytes, t + j, columns);
            multiply_panels((int)panels, (int)count, scales, elements, x, columns / 32, t ? 0 : panels * stride, total);
            finish_panels(total, p, panels, count, row_begin, row_end, bias, accumulate, out + t * out_stride,
                          out_stride);
        }
        p += panels;
    }
}
