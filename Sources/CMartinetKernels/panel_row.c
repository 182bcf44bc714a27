// A row read back from a panel: what panels.h puts there, for any number of rows in a panel.
#include "formats.h"

// The 32 elements of a row that begin at `lane`, its four bytes in the first of vectors `vector` bytes apart.
static void quants_of_lane(int bits, const uint8_t *lane, size_t vector, uint8_t *q) {
    for (int j = 0; bits == 8 && j < 32; j++) q[j] = lane[(size_t)(j / 4) * vector + (size_t)(j % 4)];
    if (bits == 8) return;
    for (int j = 0; j < 16; j++) {
        uint8_t both = lane[(size_t)(j / 4) * vector + (size_t)(j % 4)];
        q[j] = both & 15;
        q[j + 16] = both >> 4;
    }
    const uint8_t *high = lane + 4 * vector;
    for (int j = 0; bits > 4 && j < 32; j++) {
        int high_bits = bits == 5 ? high[j % 4] >> (j / 4) & 1
                                  : high[(size_t)(j / 16) * vector + (size_t)(j % 4)] >> (j / 4 % 4 * 2) & 3;
        q[j] |= (uint8_t)(high_bits << 4);
    }
}

static float half_at(const uint8_t *p) { return mk_f16_to_f32((uint16_t)(p[0] | p[1] << 8)); }

void mk_panel_row(int32_t type, const void *panel, size_t rows, size_t row, float *out, size_t columns) {
    const mk_format *format = mk_format_of(type);
    if (!format) return;
    if (!format->group) {
        const uint8_t *column = (const uint8_t *)panel + row * format->block_bytes;
        for (size_t c = 0; c < columns; c++, column += rows * format->block_bytes)
            mk_dequantize_part(type, column, 0, 1, out + c);
        return;
    }
    size_t groups = format->block / format->group, vector = 4 * rows;
    const uint8_t *scales = panel, *lane = scales + mk_panel_elements(format, rows, columns) + 4 * row;
    for (size_t i = 0; i < columns; i += format->block, scales += mk_panel_scale_bytes(format, rows)) {
        uint8_t q[256];
        for (size_t e = 0; e < format->block; e += 32, lane += format->bits * vector)
            quants_of_lane(format->bits, lane, vector, q + e);
        for (size_t e = 0; format->code && e < format->block; e++) q[e] = mk_code_book[q[e]];
        float d[16], m[16] = {0};
        float scale = half_at(scales + 2 * row);
        float minimum = format->offset ? half_at(scales + 2 * rows + 2 * row) : 0;
        const int8_t *factors = (const int8_t *)scales + (format->offset ? 4 : 2) * rows + row;
        for (size_t g = 0; g < groups; g++) {
            d[g] = format->block == 32 ? scale : scale * (float)factors[g * rows];
            if (format->offset)
                m[g] = format->block == 32 ? minimum : -(minimum * (float)factors[(groups + g) * rows]);
        }
        mk_dequantize_groups(format, q, d, m, out + i, format->block);
    }
}
