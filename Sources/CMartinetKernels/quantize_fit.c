#include "quantize.h"

#include <math.h>
#include <string.h>

#pragma clang fp contract(off)

// Four lanes everywhere, so that every machine comes to the same levels.
typedef float lanes __attribute__((vector_size(16)));

static inline lanes splat(float v) { return (lanes){v, v, v, v}; }

static inline lanes load(const float *p) {
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float total(lanes v) { return (v[0] + v[1]) + (v[2] + v[3]); }

// The nearest whole number, ties to even, of a number between -2²² and 2²²: adding 1.5·2²³ leaves no bits for a fraction.
static inline lanes nearest(lanes v) { return (v + splat(0x1.8p23f)) - splat(0x1.8p23f); }

static inline lanes levels(lanes x, float inverse, lanes low, lanes high) {
    lanes q = x * splat(inverse);
    return nearest(__builtin_elementwise_min(__builtin_elementwise_max(q, low), high));
}

static inline float inverse_of(float scale) { return scale == 0 ? 0 : 1 / scale; }

mk_sums mk_sum_levels(const float *x, int n, float scale, float offset, float low, float high) {
    lanes xq = splat(0), qq = splat(0), sum = splat(0), error = splat(0);
    float inverse = inverse_of(scale);
    for (int i = 0; i < n; i += 4) {
        lanes v = load(x + i) - splat(offset);
        lanes q = levels(v, inverse, splat(low), splat(high));
        lanes rest = v - splat(scale) * q;
        xq += v * q;
        qq += q * q;
        sum += q;
        error += rest * rest;
    }
    return (mk_sums){total(xq), total(qq), total(sum), total(error)};
}

float mk_scale_error(const float *x, int n, float scale, float low, float high) {
    lanes error = splat(0);
    float inverse = inverse_of(scale);
    for (int i = 0; i < n; i += 4) {
        lanes v = load(x + i);
        lanes rest = v - splat(scale) * levels(v, inverse, splat(low), splat(high));
        error += rest * rest;
    }
    return total(error);
}

int mk_level(float x, float scale, float offset, float low, float high) {
    lanes q = levels(splat(x - offset), inverse_of(scale), splat(low), splat(high));
    return (int)q[0];
}

// Without the error, whose place the gain xq² / qq takes: what the best scale for these levels saves of Σx².
static inline float gain_of_scale(const float *x, int n, float inverse, float low, float high, float *scale) {
    lanes xq = splat(0), qq = splat(0);
    for (int i = 0; i < n; i += 4) {
        lanes v = load(x + i);
        lanes q = levels(v, inverse, splat(low), splat(high));
        xq += v * q;
        qq += q * q;
    }
    float products = total(xq), squares = total(qq);
    if (squares == 0) return 0;
    *scale = products / squares;
    return products * *scale;
}

float mk_fit_scale(const float *x, int n, float low, float high) {
    float peak = 0;
    for (int i = 0; i < n; i++) {
        if (fabsf(x[i]) > fabsf(peak)) peak = x[i];
    }
    if (fabsf(peak) < MK_VANISHING) return 0;
    float best = peak / low, gain = 0;
    // The largest element goes near either end of the levels: which end decides the sign of the scale.
    for (int end = 0; end < 2; end++) {
        for (int step = -2; step <= 2; step++) {
            float level = (end ? high : low) * (1 + (float)step * 0.5f / high);
            float scale = best;
            float found = gain_of_scale(x, n, level / peak, low, high, &scale);
            if (found > gain) {
                gain = found;
                best = scale;
            }
        }
    }
    for (int round = 0; round < 4; round++) {
        float scale = best;
        float found = gain_of_scale(x, n, 1 / best, low, high, &scale);
        if (!(found > gain)) break;
        gain = found;
        best = scale;
    }
    return best;
}

typedef struct {
    float error;  // squared, less a constant of the group
    mk_line line;
} candidate;

// The best line for the levels round((x - from) * inverse + shift), relative to `from`.
static candidate line_for(const float *x, int n, float from, float inverse, float shift, float high, float sum_x,
                          float most) {
    lanes xq = splat(0), qq = splat(0), sum = splat(0);
    for (int i = 0; i < n; i += 4) {
        lanes v = load(x + i) - splat(from);
        lanes q = v * splat(inverse) + splat(shift);
        q = nearest(__builtin_elementwise_min(__builtin_elementwise_max(q, splat(0)), splat(high)));
        xq += v * q;
        qq += q * q;
        sum += q;
    }
    float count = (float)n, p = total(xq), s = total(qq), t = total(sum);
    float determinant = count * s - t * t;
    candidate none = {INFINITY, {0, 0}};
    if (!(determinant > 0)) return none;
    mk_line line = {(count * p - sum_x * t) / determinant, (s * sum_x - t * p) / determinant};
    if (line.offset > most) {
        line.offset = most;
        line.scale = (p - most * t) / s;
    }
    if (!(line.scale > 0)) return none;
    float error = line.scale * (line.scale * s - 2 * p) + line.offset * (count * line.offset - 2 * sum_x)
                  + 2 * line.scale * line.offset * t;
    return (candidate){error, line};
}

mk_line mk_fit_line(const float *x, int n, float high, bool non_positive) {
    float least = x[0], largest = x[0];
    for (int i = 1; i < n; i++) {
        least = fminf(least, x[i]);
        largest = fmaxf(largest, x[i]);
    }
    if (non_positive && least > 0) least = 0;
    float range = largest - least;
    if (range < MK_VANISHING) return (mk_line){0, non_positive ? fminf(least, 0) : least + range / 2};
    // Relative to the least, so that a common offset of all elements does not drown the differences.
    float sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] - least;
    float most = non_positive ? -least : INFINITY;
    candidate best = {INFINITY, {range / high, 0}};
    for (int step = -3; step <= 3; step++) {
        float inverse = (high + (float)step * 0.3f) / range;
        // Wider than the levels: what is cut off lies at the lower end, at both, or at the upper.
        for (int cut = 0; cut < 3; cut++) {
            float shift = (high - inverse * range) * 0.5f * (float)cut;
            candidate found = line_for(x, n, least, inverse, shift, high, sum, most);
            if (found.error < best.error) best = found;
        }
    }
    for (int round = 0; round < 4; round++) {
        float inverse = 1 / best.line.scale;
        candidate found = line_for(x, n, least, inverse, -best.line.offset * inverse, high, sum, most);
        if (!(found.error < best.error)) break;
        best = found;
    }
    return (mk_line){best.line.scale, best.line.offset + least};
}
