// Rows of floats to every format that models are written in. Layouts as in formats.c, which reads them.
#include "quantize.h"

#include <math.h>
#include <string.h>

#include "formats.h"

#pragma clang fp contract(off)

static void store_nibbles(uint8_t *out, const uint8_t *q) {
    for (int j = 0; j < 16; j++) out[j] = (uint8_t)((q[j] & 15) | q[j + 16] << 4);
}

static void store_fifth_bits(uint8_t *out, const uint8_t *q) {
    uint32_t bits = 0;
    for (int j = 0; j < 32; j++) bits |= (uint32_t)(q[j] >> 4 & 1) << j;
    for (int j = 0; j < 4; j++) out[j] = (uint8_t)(bits >> (8 * j));
}

// The scale in 16 bits for d * q that leaves the least error: the plain one, or one near the best fit.
static float stored_scale(const float *x, float plain, float low, float high) {
    float best = mk_through_f16(plain);
    float error = mk_scale_error(x, 32, best, low, high);
    float scale = mk_fit_scale(x, 32, low, high);
    for (int round = 0; round < 3; round++) {
        float stored = mk_through_f16(scale);
        mk_sums sums = mk_sum_levels(x, 32, stored, 0, low, high);
        if (sums.error < error) {
            error = sums.error;
            best = stored;
        }
        if (sums.qq == 0) break;
        scale = sums.xq / sums.qq;
    }
    return best;
}

// The same for Q8_0, whose levels are so many that every scale rounds 32 elements anew: the luckiest of some.
static float luckiest_scale(const float *x, float peak) {
    float best = 0, error = INFINITY;
    for (int step = 0; step < 64; step++) {
        float stored = mk_through_f16(peak / (127.25f - 0.25f * (float)step));
        float found = mk_scale_error(x, 32, stored, -127, 127);
        if (found < error) {
            error = found;
            best = stored;
        }
    }
    return best;
}

static void quantize_scaled(int32_t type, const float *x, uint8_t *out) {
    float peak = 0;
    for (int j = 0; j < 32; j++) {
        if (fabsf(x[j]) > fabsf(peak)) peak = x[j];
    }
    float low = type == MK_Q4_0 ? -8 : type == MK_Q5_0 ? -16 : -127, high = type == MK_Q8_0 ? 127 : -low - 1;
    float d = 0;
    if (fabsf(peak) >= MK_VANISHING)
        d = type == MK_Q8_0 ? luckiest_scale(x, fabsf(peak)) : stored_scale(x, peak / low, low, high);
    mk_put_f16(out, d);
    if (type == MK_Q8_0) {
        for (int j = 0; j < 32; j++) out[2 + j] = (uint8_t)(int8_t)mk_level(x[j], d, 0, low, high);
        return;
    }
    uint8_t q[32];
    for (int j = 0; j < 32; j++) q[j] = (uint8_t)(mk_level(x[j], d, 0, low, high) - (int)low);
    if (type == MK_Q5_0) store_fifth_bits(out + 2, q);
    store_nibbles(out + (type == MK_Q5_0 ? 6 : 2), q);
}

// The scale and offset in 16 bits each for d * q + m.
static mk_line stored_line(const float *x, float high) {
    float least = x[0], largest = x[0];
    for (int j = 1; j < 32; j++) {
        least = fminf(least, x[j]);
        largest = fmaxf(largest, x[j]);
    }
    // Nothing at all is better than an offset that 16 bits round too far.
    mk_line best = {0, 0}, plain = {mk_through_f16((largest - least) / high), mk_through_f16(least)};
    float nothing = mk_sum_levels(x, 32, 0, 0, 0, high).error;
    float error = mk_sum_levels(x, 32, plain.scale, plain.offset, 0, high).error;
    if (error < nothing) best = plain;
    error = fminf(error, nothing);
    mk_line line = mk_fit_line(x, 32, high, false);
    for (int round = 0; round < 4; round++) {
        mk_line stored = {mk_through_f16(line.scale), mk_through_f16(line.offset)};
        mk_sums sums = mk_sum_levels(x, 32, stored.scale, stored.offset, 0, high);
        if (sums.error < error) {
            error = sums.error;
            best = stored;
        }
        if (sums.qq == 0) break;
        // The offset has been rounded; the scale that goes with it.
        line = (mk_line){sums.xq / sums.qq, stored.offset};
    }
    return best;
}

static void quantize_offset(int32_t type, const float *x, uint8_t *out) {
    float high = type == MK_Q4_1 ? 15 : 31;
    mk_line line = stored_line(x, high);
    mk_put_f16(out, line.scale);
    mk_put_f16(out + 2, line.offset);
    uint8_t q[32];
    for (int j = 0; j < 32; j++) q[j] = (uint8_t)mk_level(x[j], line.scale, line.offset, 0, high);
    if (type == MK_Q5_1) store_fifth_bits(out + 4, q);
    store_nibbles(out + (type == MK_Q5_1 ? 8 : 4), q);
}

static uint16_t to_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static bool quantize_plain(int32_t type, const float *x, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint16_t half = type == MK_BF16 ? to_bf16(x[i]) : mk_f32_to_f16(x[i]);
        uint16_t exponent = type == MK_BF16 ? 0x7f80 : 0x7c00;
        if ((half & exponent) == exponent) return false;
        out[2 * i] = (uint8_t)half;
        out[2 * i + 1] = (uint8_t)(half >> 8);
    }
    return true;
}

static bool is_written(int32_t type) {
    switch (type) {
    case MK_F32: case MK_F16: case MK_BF16: case MK_Q4_0: case MK_Q4_1: case MK_Q5_0: case MK_Q5_1: case MK_Q8_0:
    case MK_Q4_K: case MK_Q5_K: case MK_Q6_K:
        return true;
    default:
        return false;
    }
}

bool mk_quantize_row(int32_t type, const float *x, void *row, size_t n) {
    const mk_format *format = mk_format_of(type);
    if (!format || !is_written(type) || n % format->block) return false;
    // Block formats keep scales and offsets in 16 bits.
    float largest = format->group ? 65504 : 3.402823466e38f;
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(x[i]) <= largest)) return false;
    }
    if (type == MK_F32) {
        memcpy(row, x, 4 * n);
        return true;
    }
    if (!format->group) return quantize_plain(type, x, row, n);
    uint8_t *out = row;
    for (size_t i = 0; i < n; i += format->block, out += format->block_bytes) {
        switch (type) {
        case MK_Q4_1:
        case MK_Q5_1: quantize_offset(type, x + i, out); break;
        case MK_Q4_K:
        case MK_Q5_K:
        case MK_Q6_K: mk_quantize_super_block(type, x + i, out); break;
        default: quantize_scaled(type, x + i, out); break;
        }
    }
    return true;
}
