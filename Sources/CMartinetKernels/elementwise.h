// Norms, activations, rotary positions, cache stores and sampling helpers over vectors of W floats.

INLINE vf silu_lanes(vf gate, vf up) { return gate / (1.0f + exp_(-gate)) * up; }

INLINE vf gelu_lanes(vf gate, vf up) {
    // x/2 · (1 + tanh u) is x / (1 + e⁻²ᵘ), which keeps its precision where tanh u nears -1.
    vf u = 0.7978845608f * (gate + 0.044715f * gate * gate * gate);
    return gate / (1.0f + exp_(-2.0f * u)) * up;
}

static void silu_mul(const float *gate, const float *up, float *out, size_t n) {
    size_t i = 0;
    for (; i + W <= n; i += W) store(out + i, silu_lanes(load(gate + i), load(up + i)));
    if (i < n) store_part(out + i, silu_lanes(load_part(gate + i, n - i), load_part(up + i, n - i)), n - i);
}

static void gelu_mul(const float *gate, const float *up, float *out, size_t n) {
    size_t i = 0;
    for (; i + W <= n; i += W) store(out + i, gelu_lanes(load(gate + i), load(up + i)));
    if (i < n) store_part(out + i, gelu_lanes(load_part(gate + i, n - i), load_part(up + i, n - i)), n - i);
}

static void rms_norm(const float *x, const float *weight, float epsilon, float *out, size_t n) {
    vf sums[4] = {0};
    size_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
        for (int k = 0; k < 4; k++) {
            vf v = load(x + i + k * W);
            sums[k] = fma_(v, v, sums[k]);
        }
    }
    for (; i < n; i += W) {
        vf v = i + W <= n ? load(x + i) : load_part(x + i, n - i);
        sums[0] = fma_(v, v, sums[0]);
    }
    float sum = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
    float scale = 1.0f / sqrtf(sum / (float)n + epsilon);
    for (i = 0; i + W <= n; i += W) store(out + i, load(x + i) * scale * load(weight + i));
    for (; i < n; i++) out[i] = x[i] * scale * weight[i];
}

static void rope(float *x, size_t heads, size_t head_size, size_t rotary_size, const float *cos, const float *sin,
                 bool interleaved) {
    size_t half = rotary_size / 2;
    for (size_t h = 0; h < heads; h++) {
        float *head = x + h * head_size;
        size_t i = 0;
        if (!interleaved) {
            for (; i + W <= half; i += W) {
                vf a = load(head + i), b = load(head + half + i), c = load(cos + i), s = load(sin + i);
                store(head + i, a * c - b * s);
                store(head + half + i, b * c + a * s);
            }
        }
        for (; i < half; i++) {
            float *a = interleaved ? head + 2 * i : head + i, *b = interleaved ? a + 1 : a + half;
            float u = *a, v = *b;
            *a = u * cos[i] - v * sin[i];
            *b = v * cos[i] + u * sin[i];
        }
    }
}

INLINE vh to_bf16(vf v) {
    vu bits = (vu)v;
    vu nan = (vu)((bits & 0x7fffffffu) > 0x7f800000u);
    vu rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    return __builtin_convertvector(((nan & (bits | 0x400000u)) | (~nan & rounded)) >> 16, vh);
}

static void store_row(int32_t type, const float *x, void *out, size_t n) {
    if (type == MK_F32) {
        memcpy(out, x, 4 * n);
        return;
    }
    uint16_t *halves = out;
    for (size_t i = 0; i < n; i += W) {
        size_t count = n - i < W ? n - i : W;
        vf v = count == W ? load(x + i) : load_part(x + i, count);
        vh h = type == MK_F16 ? (vh)__builtin_convertvector(v, vf16) : to_bf16(v);
        memcpy(halves + i, &h, 2 * count);
    }
}

// Signed bytes, ±127 at the largest; the scale is NaN where an element is not finite.
static float quantize_kv(const float *x, int8_t *q, size_t n) {
    vf most = (vf)0;
    vi strange = (vi)0;
    for (size_t i = 0; i < n; i += W) {
        vf v = i + W <= n ? load(x + i) : load_part(x + i, n - i);
        vf a = of_bits(bits_of(v) & 0x7fffffff);
        strange |= bits_of(a) >= 0x7f800000;
        most = a > most ? a : most;
    }
    float largest = max_of_numbers(most);
    bool finite = max_lanes(of_bits(strange & 0x3f800000)) == 0;
    // Too small for a reciprocal that is finite, or nothing there: zeros.
    float inverse = finite && largest >= 1e-30f ? 127.0f / largest : 0;
    for (size_t i = 0; i < n; i += W) {
        size_t count = n - i < W ? n - i : W;
        vf v = count == W ? load(x + i) : load_part(x + i, count);
        v = inverse == 0 ? (vf)0 : v * inverse;
        // Adding 1.5·2²³ rounds to the nearest even integer and leaves it in the low bits.
        vi rounded = bits_of(v + 12582912.0f) - 0x4b400000;
        int8_t __attribute__((ext_vector_type(W))) bytes =
            __builtin_convertvector(rounded, int8_t __attribute__((ext_vector_type(W))));
        memcpy(q + i, &bytes, count);
    }
    return !finite ? NAN : inverse == 0 ? 0 : largest / 127.0f;
}

#include "store_kv.h"

static float maximum(const float *x, size_t n) {
    // A comparison with NaN is false, so NaN never enters.
    vf best[4] = {(vf)-INFINITY, (vf)-INFINITY, (vf)-INFINITY, (vf)-INFINITY};
    size_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
        for (int k = 0; k < 4; k++) {
            vf v = load(x + i + k * W);
            best[k] = choose(v > best[k], v, best[k]);
        }
    }
    best[0] = choose(best[1] > best[0], best[1], best[0]);
    best[2] = choose(best[3] > best[2], best[3], best[2]);
    float largest = max_lanes(choose(best[2] > best[0], best[2], best[0]));
    for (; i < n; i++) largest = x[i] > largest ? x[i] : largest;
    return largest;
}

static size_t argmax(const float *x, size_t n) {
    float largest = maximum(x, n);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vi equal = load(x + i) == largest;
        if (__builtin_reduce_or(equal)) break;
    }
    for (; i < n; i++)
        if (x[i] == largest) return i;
    return 0;
}

typedef double vd __attribute__((ext_vector_type(W)));

static double exp_sum(const float *x, float max, float scale, float *out, size_t n) {
    vd sums = (vd)0.0;
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vf e = exp_((load(x + i) - max) * scale);
        store(out + i, e);
        sums += __builtin_convertvector(e, vd);
    }
    double sum = 0;
    for (int k = 0; k < W; k++) sum += sums[k];
    if (i < n) {
        vf e = exp_((load_part(x + i, n - i) - max) * scale);
        store_part(out + i, e, n - i);
        for (size_t k = 0; k < n - i; k++) sum += (double)e[k];
    }
    return sum;
}

static void pack_activations(int32_t weight_type, const float *x, void *packed, size_t n) {
    const mk_format *format = mk_format_of(weight_type);
    if (!format) return;
    if (!format->group) {
        memcpy(packed, x, 4 * n);
        return;
    }
    int8_t *q = packed;
    float *d = (float *)((char *)packed + 2 * n);
    char *s = (char *)packed + 2 * n + n / 32 * 4;
    typedef int8_t vq __attribute__((ext_vector_type(W)));
    for (size_t b = 0; b < n / 32; b++) {
        vf v[32 / W], largest_lanes = (vf)0;
        vi bad = (vi)0;
        for (int k = 0; k < 32 / W; k++) {
            v[k] = load(x + 32 * b + k * W);
            vf a = of_bits(bits_of(v[k]) & 0x7fffffff);
            bad |= bits_of(a) >= 0x7f800000;
            largest_lanes = choose(a > largest_lanes, a, largest_lanes);
        }
        float largest = max_of_numbers(largest_lanes);
        bool finite = !__builtin_reduce_or(bad);
        // Too small for a reciprocal that is finite, or nothing there: zeros.
        float inverse = finite && largest >= 1e-30f ? MK_LARGEST_ACTIVATION / largest : 0;
        d[b] = !finite ? NAN : inverse == 0 ? 0 : largest / MK_LARGEST_ACTIVATION;
        vi sums[2] = {0, 0};
        for (int k = 0; k < 32 / W; k++) {
            // Adding 1.5·2²³ rounds to the nearest even integer, and leaves it in the low bits.
            vi rounded = inverse == 0 ? (vi)0 : bits_of(v[k] * inverse + 12582912.0f) - 0x4b400000;
            vi high = (rounded + 128) >> 8;
            vq bytes = __builtin_convertvector(high, vq);
            memcpy(q + 64 * b + k * W, &bytes, W);
            bytes = __builtin_convertvector(rounded - (high << 8), vq);
            memcpy(q + 64 * b + 32 + k * W, &bytes, W);
            sums[k * W / 16] += rounded;
        }
        int parts = 32 / format->group;
        if (parts == 1) sums[0] += sums[1];
        for (int part = 0; part < parts; part++) {
            size_t g = b * (size_t)parts + (size_t)part;
            int32_t sum = __builtin_reduce_add(sums[part]);
            if (format->offset) {
                float term = d[b] * (float)sum;
                memcpy(s + 4 * g, &term, 4);
            } else {
                int32_t term = -(int32_t)format->zero * sum;
                memcpy(s + 4 * g, &term, 4);
            }
        }
    }
}
