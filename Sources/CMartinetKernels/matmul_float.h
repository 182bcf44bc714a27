// Products in float32: W lanes over the columns, one vector of sums per row and token.
//
// Four rows are dequantised, a chunk of columns at a time, and used for up to 16 tokens.

enum { FLOAT_ROWS = 4, FLOAT_TOKENS = 16, FLOAT_CHUNK = 512 };

// Elements [first, first + count) of a row as floats, zeros up to a whole vector.
// What the rows after these will need is fetched ahead.
static const float *float_row(int32_t type, const char *row, size_t row_bytes, size_t first, size_t count, float *out) {
    size_t whole = count / W * W;
    const char *ahead = row + FLOAT_ROWS * row_bytes;
    if (type == MK_F32) {
        if (whole == count) return (const float *)row + first;
        memcpy(out, row + 4 * first, 4 * count);
    } else if (type == MK_F16) {
        for (size_t i = 0; i < whole; i += W) {
            __builtin_prefetch(ahead + 2 * (first + i), 0, 2);
            store(out + i, from_f16(row + 2 * (first + i)));
        }
        mk_dequantize_part(type, row, first + whole, count - whole, out + whole);
    } else if (type == MK_BF16) {
        for (size_t i = 0; i < whole; i += W) {
            __builtin_prefetch(ahead + 2 * (first + i), 0, 2);
            store(out + i, from_bf16(row + 2 * (first + i)));
        }
        mk_dequantize_part(type, row, first + whole, count - whole, out + whole);
    } else {
        mk_dequantize_part(type, row, first, count, out);
    }
    for (size_t i = count; i % W; i++) out[i] = 0;
    return out;
}

INLINE void multiply_floats(const float *const *w, const float *x, size_t x_stride, size_t count, int tokens,
                            vf (*sums)[FLOAT_TOKENS]) {
    vf acc[4][FLOAT_ROWS];
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < FLOAT_ROWS; r++) acc[t][r] = sums[r][t];
    size_t c = 0;
    for (; c + W <= count; c += W) {
        vf v[FLOAT_ROWS];
        for (int r = 0; r < FLOAT_ROWS; r++) v[r] = load(w[r] + c);
        for (int t = 0; t < tokens; t++) {
            vf a = load(x + (size_t)t * x_stride + c);
            for (int r = 0; r < FLOAT_ROWS; r++) acc[t][r] = fma_(v[r], a, acc[t][r]);
        }
    }
    if (c < count) {
        for (int t = 0; t < tokens; t++) {
            vf a = load_part(x + (size_t)t * x_stride + c, count - c);
            for (int r = 0; r < FLOAT_ROWS; r++) acc[t][r] = fma_(load(w[r] + c), a, acc[t][r]);
        }
    }
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < FLOAT_ROWS; r++) sums[r][t] = acc[t][r];
}

static void matmul_exact(int32_t type, const void *weights, size_t row_bytes, size_t row_begin, size_t row_end,
                         size_t columns, const float *x, size_t x_stride, size_t tokens, const float *bias,
                         bool accumulate, float *out, size_t out_stride) {
    float buffer[FLOAT_ROWS][FLOAT_CHUNK] __attribute__((aligned(64)));
    vf sums[FLOAT_ROWS][FLOAT_TOKENS];
    if (!mk_format_of(type)) return;
    for (size_t r = row_begin; r < row_end; r += FLOAT_ROWS) {
        size_t rows = row_end - r < FLOAT_ROWS ? row_end - r : FLOAT_ROWS;
        for (size_t t0 = 0; t0 < tokens; t0 += FLOAT_TOKENS) {
            size_t count = tokens - t0 < FLOAT_TOKENS ? tokens - t0 : FLOAT_TOKENS;
            memset(sums, 0, sizeof sums);
            for (size_t c = 0; c < columns; c += FLOAT_CHUNK) {
                size_t width = columns - c < FLOAT_CHUNK ? columns - c : FLOAT_CHUNK;
                const float *w[FLOAT_ROWS];
                for (size_t j = 0; j < FLOAT_ROWS; j++) {
                    // Past the last row its copy stands in; its sums are not stored.
                    w[j] = j < rows ? float_row(type, (const char *)weights + (r + j) * row_bytes, row_bytes, c, width,
                                                buffer[j])
                                    : w[rows - 1];
                }
                for (size_t t = 0; t < count;) {
                    const float *v = x + (t0 + t) * x_stride + c;
                    vf(*s)[FLOAT_TOKENS] = (vf(*)[FLOAT_TOKENS])&sums[0][t];
                    switch (count - t) {
                    case 1: multiply_floats(w, v, x_stride, width, 1, s); break;
                    case 2: multiply_floats(w, v, x_stride, width, 2, s); break;
                    case 3: multiply_floats(w, v, x_stride, width, 3, s); break;
                    default: multiply_floats(w, v, x_stride, width, 4, s); break;
                    }
                    t += 4;
                }
            }
            for (size_t t = 0; t < count; t++) {
                for (size_t j = 0; j < rows; j++) {
                    float *o = out + (t0 + t) * out_stride + r + j, start = accumulate ? *o : 0;
                    if (bias) start += bias[r + j];
                    *o = start + sum_lanes(sums[j][t]);
                }
            }
        }
    }
}
