// Products of quantised weights with packed activations, W rows at a time in the lanes of a vector.
//
// Weights of 2·W rows are unpacked, a chunk of columns at a time, into bytes interleaved so that one vector holds four
// columns of W rows; each group of 16 or 32 columns becomes an integer sum per row, which is scaled and added to a
// float per row and token, groups in ascending order. That order never depends on rows, tokens or threads.
//
// The includer defines DOT(acc, w, x, wide): acc + Σ of four unsigned × signed byte products per lane.

INLINE vi broadcast_at(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return (vi)v;
}

// Adds a chunk's product to sums[token][tile][lane].
INLINE void multiply(const WEIGHT_TILE *tile, int tiles, const mk_packed *x, size_t first, size_t count, int tokens,
                     size_t group, bool offset, bool wide, float *sums) {
    vf total[6][TILES];
#pragma clang loop unroll(full)
    for (int t = 0; t < tokens; t++)
        for (int i = 0; i < tiles; i++) total[t][i] = load(sums + (t * TILES + i) * W);
    for (size_t g = 0; g < count * 32 / group; g++) {
        size_t column = first * 32 + g * group, at = column / group;
        vi acc[6][TILES];
#pragma clang loop unroll(full)
        for (int t = 0; t < tokens; t++)
            for (int i = 0; i < tiles; i++) acc[t][i] = offset ? (vi)0 : broadcast_at(x[t].s + at);
#pragma clang loop unroll(full)
        for (size_t k = 0; k < group / 4; k++) {
            vb w[TILES];
            for (int i = 0; i < tiles; i++) memcpy(&w[i], tile[i].q + (g * group / 4 + k) * 4 * W, sizeof(vb));
#pragma clang loop unroll(full)
            for (int t = 0; t < tokens; t++) {
                vi v = broadcast_at(x[t].q + column + 4 * k);
                for (int i = 0; i < tiles; i++) acc[t][i] = DOT(acc[t][i], w[i], v, wide);
            }
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < tiles; i++) {
            vf d = load(tile[i].d + g * W);
#pragma clang loop unroll(full)
            for (int t = 0; t < tokens; t++) {
                vf scale = d * x[t].d[column / 32];
                total[t][i] = fma_(__builtin_convertvector(acc[t][i], vf), scale, total[t][i]);
                if (offset) total[t][i] = fma_(load(tile[i].m + g * W), (vf)x[t].s[at], total[t][i]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int t = 0; t < tokens; t++)
        for (int i = 0; i < tiles; i++) store(sums + (t * TILES + i) * W, total[t][i]);
}

INLINE void multiply_tokens(const WEIGHT_TILE *tile, int tiles, const void *packed, size_t packed_bytes,
                            size_t columns, size_t token, size_t tokens, size_t first, size_t count, size_t group,
                            bool offset, bool wide, float *sums) {
    for (size_t t = 0; t < tokens;) {
        mk_packed x[TOKEN_STEP];
        size_t step = tokens - t < TOKEN_STEP ? tokens - t : TOKEN_STEP;
        for (size_t j = 0; j < step; j++) x[j] = mk_packed_at(packed, packed_bytes, token + t + j, columns);
        float *s = sums + t * TILES * W;
        switch (step) {
        case 1: multiply(tile, tiles, x, first, count, 1, group, offset, wide, s); break;
        case 2: multiply(tile, tiles, x, first, count, 2, group, offset, wide, s); break;
        case 3: multiply(tile, tiles, x, first, count, 3, group, offset, wide, s); break;
#if TOKEN_STEP > 4
        case 4: multiply(tile, tiles, x, first, count, 4, group, offset, wide, s); break;
        case 5: multiply(tile, tiles, x, first, count, 5, group, offset, wide, s); break;
#endif
        default: multiply(tile, tiles, x, first, count, TOKEN_STEP, group, offset, wide, s); break;
        }
        t += step;
    }
}

typedef void multiply_function(const WEIGHT_TILE *tile, int tiles, const void *packed, size_t packed_bytes,
                               size_t columns, size_t token, size_t tokens, size_t first, size_t count, float *sums);

#define MULTIPLY_FUNCTION(NAME, GROUP_SIZE, OFFSET, WIDE)                                                              \
    static void NAME(const WEIGHT_TILE *tile, int tiles, const void *packed, size_t packed_bytes, size_t columns,     \
                     size_t token, size_t tokens, size_t first, size_t count, float *sums) {                           \
        if (tiles == 1) {                                                                                              \
            multiply_tokens(tile, 1, packed, packed_bytes, columns, token, tokens, first, count, GROUP_SIZE, OFFSET,   \
                            WIDE, sums);                                                                               \
        } else {                                                                                                       \
            multiply_tokens(tile, 2, packed, packed_bytes, columns, token, tokens, first, count, GROUP_SIZE, OFFSET,   \
                            WIDE, sums);                                                                               \
        }                                                                                                              \
    }

MULTIPLY_FUNCTION(multiply_32_offset, 32, true, false)
MULTIPLY_FUNCTION(multiply_32_zero, 32, false, false)
MULTIPLY_FUNCTION(multiply_32_wide, 32, false, true)
MULTIPLY_FUNCTION(multiply_16_offset, 16, true, false)
MULTIPLY_FUNCTION(multiply_16_zero, 16, false, false)

static multiply_function *multiply_for(const mk_format *format) {
    if (format->group == 16) return format->offset ? multiply_16_offset : multiply_16_zero;
    if (format->offset) return multiply_32_offset;
    return format->zero == 128 ? multiply_32_wide : multiply_32_zero;
}

// Not a loop over single outputs: compilers make that masked loads, which are very slow where bias is NULL.
INLINE void finish_rows(const float *dots, size_t n, const float *bias, bool accumulate, float *out) {
    vf total = (vf)0;
    if (n == W) {
        if (accumulate) total = load(out);
        if (bias) total += load(bias);
        store(out, total + load(dots));
    } else {
        if (accumulate) total = load_part(out, n);
        if (bias) total += load_part(bias, n);
        store_part(out, total + load_part(dots, n), n);
    }
}

static void matmul(int32_t type, const void *weights, size_t row_bytes, size_t row_begin, size_t row_end,
                   size_t columns, const void *packed, size_t packed_bytes, size_t tokens, const float *bias,
                   bool accumulate, float *out, size_t out_stride) {
    const mk_format *format = mk_format_of(type);
    if (!format) return;
    if (!format->group) {
        matmul_exact(type, weights, row_bytes, row_begin, row_end, columns, packed, packed_bytes / 4, tokens, bias,
                     accumulate, out, out_stride);
        return;
    }
    WEIGHT_TILE tile[TILES];
    float sums[TOKEN_TILE * TILES * W];
    multiply_function *add_chunk = multiply_for(format);
    size_t blocks = columns / 32, bytes_per_32 = format->block_bytes * 32u / format->block;
    for (size_t r = row_begin; r < row_end; r += TILES * W) {
        size_t rows = row_end - r < TILES * W ? row_end - r : TILES * W;
        int tiles = rows > W ? 2 : 1;
        // A tile that would pass the end starts earlier instead: lanes are independent of one another.
        size_t start[TILES];
        for (int i = 0; i < tiles; i++) {
            start[i] = r + (size_t)i * W;
            if (start[i] + W > row_end) start[i] = row_end > W ? row_end - W : 0;
        }
        for (size_t t0 = 0; t0 < tokens; t0 += TOKEN_TILE) {
            size_t count = tokens - t0 < TOKEN_TILE ? tokens - t0 : TOKEN_TILE;
            memset(sums, 0, count * TILES * W * 4);
            for (size_t b = 0; b < blocks; b += CHUNK_BLOCKS) {
                size_t width = blocks - b < CHUNK_BLOCKS ? blocks - b : CHUNK_BLOCKS;
                for (int i = 0; i < tiles; i++) {
                    const char *w = (const char *)weights + start[i] * row_bytes;
                    // Rows go by side by side, which hardware prefetchers follow badly: fetch the tiles after next.
                    tile[i].ahead = (const uint8_t *)w + TILES * W * row_bytes + b * W * bytes_per_32;
                    if (row_end < W) {
                        unpack_few(format, type, w, row_bytes, row_end, b, width, &tile[i]);
                    } else {
                        unpack_rows(format, type, w, row_bytes, b, width, &tile[i]);
                    }
                }
                add_chunk(tile, tiles, packed, packed_bytes, columns, t0, count, b, width, sums);
            }
            for (int i = 0; i < tiles; i++) {
                size_t begin = r + (size_t)i * W, n = row_end - begin < W ? row_end - begin : W;
                const float *dots = sums + (size_t)i * W + (begin - start[i]);
                for (size_t t = 0; t < count; t++)
                    finish_rows(dots + t * TILES * W, n, bias ? bias + begin : NULL, accumulate,
                                out + (t0 + t) * out_stride + begin);
            }
        }
    }
}
