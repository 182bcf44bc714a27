// Products of panels of F32, F16 and BF16 weights with float32 activations: W rows in the lanes of a vector, some
// panels and tokens at a time.
//
// A lane's sum is made of sums over 64 columns, in ascending order; long sums of small terms lose fewer bits that way.

enum { PLAIN_PANELS = 2, MORE_PLAIN_PANELS = 4, PLAIN_TOKENS = W == 8 ? 6 : 8, PLAIN_COLUMNS = 64 };

INLINE vf plain_at(int32_t type, const uint8_t *panel, size_t column) {
    if (type == MK_F32) return load((const float *)panel + column * W);
    return type == MK_F16 ? from_f16(panel + column * 2 * W) : from_bf16(panel + column * 2 * W);
}

// `ahead` is how far ahead memory is asked for.
INLINE void multiply_plain(int32_t type, int panels, int tokens, const uint8_t *const *w, const float *x,
                           size_t x_stride, size_t columns, size_t ahead, vf *total) {
    size_t bytes = type == MK_F32 ? 4 * W : 2 * W;
    for (int i = 0; i < panels * tokens; i++) total[i] = (vf)0;
    for (size_t c = 0; c < columns;) {
        size_t end = columns - c < PLAIN_COLUMNS ? columns : c + PLAIN_COLUMNS;
        vf sum[PLAIN_PANELS * PLAIN_TOKENS];
#pragma clang loop unroll(full)
        for (int i = 0; i < panels * tokens; i++) sum[i] = (vf)0;
        for (; c < end; c++) {
            vf v[MORE_PLAIN_PANELS];
#pragma clang loop unroll(full)
            for (int i = 0; i < panels; i++) {
                __builtin_prefetch(w[i] + c * bytes + ahead, 0, 2);
                v[i] = plain_at(type, w[i], c);
            }
#pragma clang loop unroll(full)
            for (int t = 0; t < tokens; t++) {
                vf a = (vf)x[(size_t)t * x_stride + c];
#pragma clang loop unroll(full)
                for (int i = 0; i < panels; i++) sum[t * panels + i] = fma_(v[i], a, sum[t * panels + i]);
            }
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < panels * tokens; i++) total[i] += sum[i];
    }
}

typedef void plain_function(size_t panels, size_t tokens, const uint8_t *const *w, const float *x, size_t x_stride,
                            size_t columns, size_t ahead, vf *total);

#define PLAIN_FUNCTION(NAME, TYPE)                                                                                     \
    static void NAME(size_t panels, size_t tokens, const uint8_t *const *w, const float *x, size_t x_stride,           \
                     size_t columns, size_t ahead, vf *total) {                                                        \
        switch (panels * 16 + tokens) {                                                                                \
        case MORE_PLAIN_PANELS * 16 + 1: PLAIN(TYPE, MORE_PLAIN_PANELS, 1); break;                                     \
        case PLAIN_PANELS * 16 + 1: PLAIN(TYPE, PLAIN_PANELS, 1); break;                                               \
        case PLAIN_PANELS * 16 + 2: PLAIN(TYPE, PLAIN_PANELS, 2); break;                                               \
        case PLAIN_PANELS * 16 + 4: PLAIN(TYPE, PLAIN_PANELS, 4); break;                                               \
        case PLAIN_PANELS * 16 + PLAIN_TOKENS: PLAIN(TYPE, PLAIN_PANELS, PLAIN_TOKENS); break;                         \
        case 16 + 1: PLAIN(TYPE, 1, 1); break;                                                                         \
        case 16 + 2: PLAIN(TYPE, 1, 2); break;                                                                         \
        case 16 + 4: PLAIN(TYPE, 1, 4); break;                                                                         \
        default: PLAIN(TYPE, 1, PLAIN_TOKENS); break;                                                                  \
        }                                                                                                              \
    }
#define PLAIN(TYPE, PANELS, TOKENS) multiply_plain(TYPE, PANELS, TOKENS, w, x, x_stride, columns, ahead, total)
PLAIN_FUNCTION(multiply_f32, MK_F32)
PLAIN_FUNCTION(multiply_f16, MK_F16)
PLAIN_FUNCTION(multiply_bf16, MK_BF16)
#undef PLAIN

static void matmul_plain(int32_t type, const uint8_t *weights, size_t stride, size_t row_begin, size_t row_end,
                         size_t columns, const float *x, size_t x_stride, size_t tokens, const float *bias,
                         bool accumulate, float *out, size_t out_stride) {
    plain_function *multiply_panels = type == MK_F32 ? multiply_f32 : type == MK_F16 ? multiply_f16 : multiply_bf16;
    size_t most = tokens == 1 ? MORE_PLAIN_PANELS : PLAIN_PANELS, end = (row_end + W - 1) / W;
    for (size_t p = row_begin / W; p < end;) {
        size_t panels = end - p >= most ? most : end - p >= PLAIN_PANELS ? PLAIN_PANELS : 1;
        const uint8_t *w[MORE_PLAIN_PANELS];
        for (size_t i = 0; i < panels; i++) w[i] = weights + (p + i) * stride;
        for (size_t t = 0; t < tokens;) {
            size_t left = tokens - t, count = left >= PLAIN_TOKENS ? PLAIN_TOKENS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            vf total[PLAIN_PANELS * PLAIN_TOKENS];
            multiply_panels(panels, count, w, x + t * x_stride, x_stride, columns, t ? 0 : panels * stride, total);
            finish_panels(total, p, panels, count, row_begin, row_end, bias, accumulate, out + t * out_stride,
                          out_stride);
            t += count;
        }
        p += panels;
    }
}
