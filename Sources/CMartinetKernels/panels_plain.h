// Panels of F32, F16 and BF16 weights: column after column, W rows each.

static size_t plain_panel_bytes(int32_t type, size_t columns) {
    return mk_round_up(columns * W * mk_format_of(type)->block_bytes, 64);
}

static void make_plain_panel(int32_t type, const uint8_t *weights, size_t row_bytes, size_t rows, size_t columns,
                             uint8_t *panel) {
    size_t bytes = mk_format_of(type)->block_bytes, c = 0;
    for (; rows == W && c + 16 / bytes <= columns; c += 16 / bytes) {
        quad q = load_rows(weights + c * bytes, row_bytes);
        uint8_t *out = panel + c * W * bytes;
        for (int k = 0; k < 4; k++) {
            if (bytes == 4) {
                memcpy(out + k * (int)sizeof(vi), q.v + k, sizeof(vi));
                continue;
            }
            vh even = __builtin_convertvector((vu)q.v[k], vh), odd = __builtin_convertvector((vu)q.v[k] >> 16, vh);
            memcpy(out + k * (int)sizeof(vi), &even, sizeof even);
            memcpy(out + k * (int)sizeof(vi) + sizeof even, &odd, sizeof odd);
        }
    }
    for (; c < columns; c++)
        for (size_t r = 0; r < W; r++)
            memcpy(panel + (c * W + r) * bytes, weights + (r < rows ? r : rows - 1) * row_bytes + c * bytes, bytes);
}
