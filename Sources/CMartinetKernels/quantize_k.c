// Super-blocks of 256 elements whose groups' scales are small integers times a scale in 16 bits.
//
// Each group is fitted by itself; the groups' scales and minima are rounded to integers; then, in turn, each group takes
// the best integers near its own, and the super-block's two factors are solved for by least squares over all elements.
#include "quantize.h"

#include <math.h>
#include <string.h>

#pragma clang fp contract(off)

enum { ROUNDS = 2 };

static int clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

// Q4_K and Q5_K: eight groups of 32, d * scale * q - dmin * minimum.
typedef struct {
    float d, dmin;
    uint8_t scales[8], minima[8];
    float error;
} offset_block;

// The best integers near a group's own, given the factors. Returns the squared error.
static float choose(const float *x, float high, const offset_block *b, int group, uint8_t *scale, uint8_t *minimum) {
    int s = b->scales[group], m = b->minima[group];
    float least = INFINITY;
    for (int i = s - 1; i <= s + 1; i++) {
        for (int j = m - 1; j <= m + 1; j++) {
            if (i < 0 || i > 63 || j < 0 || j > 63) continue;
            float error = mk_sum_levels(x, 32, b->d * (float)i, -(b->dmin * (float)j), 0, high).error;
            if (error < least) {
                least = error;
                *scale = (uint8_t)i;
                *minimum = (uint8_t)j;
            }
        }
    }
    return least;
}

static void choose_all(const float *x, float high, offset_block *b) {
    b->error = 0;
    for (int g = 0; g < 8; g++) b->error += choose(x + 32 * g, high, b, g, &b->scales[g], &b->minima[g]);
}

// The factors d and dmin that fit best, given the integers and the levels that they lead to.
static void solve(const float *x, float high, offset_block *b) {
    double ss = 0, sm = 0, mm = 0, xs = 0, xm = 0;
    for (int g = 0; g < 8; g++) {
        float offset = -(b->dmin * (float)b->minima[g]);
        mk_sums sums = mk_sum_levels(x + 32 * g, 32, b->d * (float)b->scales[g], offset, 0, high);
        double s = b->scales[g], m = b->minima[g], sum = 0;
        for (int i = 0; i < 32; i++) sum += x[32 * g + i];
        // Products were taken of x - offset.
        ss += s * s * sums.qq;
        sm += s * m * sums.q;
        mm += 32 * m * m;
        xs += s * (sums.xq + (double)offset * sums.q);
        xm += m * sum;
    }
    // Least squares of x ≈ d·a - dmin·m with a = scale·q.
    double determinant = ss * mm - sm * sm;
    double d = ss > 0 ? xs / ss : 0, dmin = b->dmin;
    if (mm > 0 && determinant > 1e-9 * ss * mm) {
        d = (xs * mm - xm * sm) / determinant;
        dmin = (xs * sm - xm * ss) / determinant;
    }
    if (d > 0) b->d = mk_through_f16((float)d);
    if (dmin >= 0) b->dmin = mk_through_f16((float)dmin);
}

static offset_block fit_offset(const float *x, float high) {
    mk_line lines[8];
    float scale = 0, minimum = 0;
    for (int g = 0; g < 8; g++) {
        lines[g] = mk_fit_line(x + 32 * g, 32, high, true);
        scale = fmaxf(scale, lines[g].scale);
        minimum = fmaxf(minimum, -lines[g].offset);
    }
    offset_block b = {.d = mk_up_through_f16(scale / 63), .dmin = mk_up_through_f16(minimum / 63)};
    for (int g = 0; g < 8; g++) {
        b.scales[g] = (uint8_t)mk_level(lines[g].scale, b.d, 0, 0, 63);
        b.minima[g] = (uint8_t)mk_level(-lines[g].offset, b.dmin, 0, 0, 63);
    }
    choose_all(x, high, &b);
    for (int round = 0; round < ROUNDS; round++) {
        offset_block next = b;
        solve(x, high, &next);
        choose_all(x, high, &next);
        if (!(next.error < b.error)) break;
        b = next;
    }
    return b;
}

static void quantize_offset(int32_t type, const float *x, uint8_t *out) {
    float high = type == MK_Q4_K ? 15 : 31;
    offset_block b = fit_offset(x, high);
    uint8_t q[MK_SUPER_BLOCK];
    for (int g = 0; g < 8; g++) {
        float scale = b.d * (float)b.scales[g], offset = -(b.dmin * (float)b.minima[g]);
        for (int i = 32 * g; i < 32 * g + 32; i++) q[i] = (uint8_t)mk_level(x[i], scale, offset, 0, high);
    }
    mk_put_f16(out, b.d);
    mk_put_f16(out + 2, b.dmin);
    uint8_t *packed = out + 4;
    for (int g = 0; g < 4; g++) {
        packed[g] = (uint8_t)(b.scales[g] | b.scales[g + 4] >> 4 << 6);
        packed[g + 4] = (uint8_t)(b.minima[g] | b.minima[g + 4] >> 4 << 6);
        packed[g + 8] = (uint8_t)((b.scales[g + 4] & 15) | (b.minima[g + 4] & 15) << 4);
    }
    uint8_t *low = out + (type == MK_Q4_K ? 16 : 48);
    for (int i = 0; i < 128; i++) {
        int e = i / 32 * 64 + i % 32;
        low[i] = (uint8_t)((q[e] & 15) | (q[e + 32] & 15) << 4);
    }
    if (type == MK_Q4_K) return;
    for (int i = 0; i < 32; i++) {
        int bits = 0;
        for (int g = 0; g < 8; g++) bits |= (q[32 * g + i] >> 4) << g;
        out[16 + i] = (uint8_t)bits;
    }
}

// Q6_K: sixteen groups of 16, d * scale * q with -32 <= q < 32 and a signed scale.
typedef struct {
    float d;
    int8_t scales[16];
    float error;
} scaled_block;

static void choose_scales(const float *x, scaled_block *b) {
    b->error = 0;
    for (int g = 0; g < 16; g++) {
        float least = INFINITY;
        int own = b->scales[g];
        for (int s = clamp(own - 1, -128, 127); s <= clamp(own + 1, -128, 127); s++) {
            float error = mk_scale_error(x + 16 * g, 16, b->d * (float)s, -32, 31);
            if (error < least) {
                least = error;
                b->scales[g] = (int8_t)s;
            }
        }
        b->error += least;
    }
}

static scaled_block fit_scaled(const float *x) {
    float scales[16], peak = 0;
    for (int g = 0; g < 16; g++) {
        scales[g] = mk_fit_scale(x + 16 * g, 16, -32, 31);
        if (fabsf(scales[g]) > fabsf(peak)) peak = scales[g];
    }
    scaled_block b = {.d = mk_up_through_f16(peak / -128)};
    for (int g = 0; g < 16; g++) b.scales[g] = (int8_t)mk_level(scales[g], b.d, 0, -128, 127);
    choose_scales(x, &b);
    for (int round = 0; round < ROUNDS; round++) {
        double ss = 0, xs = 0;
        for (int g = 0; g < 16; g++) {
            mk_sums sums = mk_sum_levels(x + 16 * g, 16, b.d * (float)b.scales[g], 0, -32, 31);
            ss += (double)b.scales[g] * b.scales[g] * sums.qq;
            xs += (double)b.scales[g] * sums.xq;
        }
        if (ss == 0) break;
        scaled_block next = b;
        next.d = mk_through_f16((float)(xs / ss));
        choose_scales(x, &next);
        if (!(next.error < b.error)) break;
        b = next;
    }
    return b;
}

static void quantize_scaled(const float *x, uint8_t *out) {
    scaled_block b = fit_scaled(x);
    memset(out, 0, 210);
    for (int i = 0; i < MK_SUPER_BLOCK; i++) {
        int q = mk_level(x[i], b.d * (float)b.scales[i / 16], 0, -32, 31) + 32;
        int half = i / 128, e = i % 128;
        out[64 * half + e % 64] |= (uint8_t)((q & 15) << (e / 64 * 4));
        out[128 + 32 * half + e % 32] |= (uint8_t)(q >> 4 << (e / 32 * 2));
    }
    memcpy(out + 192, b.scales, 16);
    mk_put_f16(out + 208, b.d);
}

void mk_quantize_super_block(int32_t type, const float *x, uint8_t *out) {
    if (type == MK_Q6_K) {
        quantize_scaled(x, out);
    } else {
        quantize_offset(type, x, out);
    }
}
