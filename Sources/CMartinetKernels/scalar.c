// The scalar twin of every kernel: plain loops that the vector versions are tested against.
#include "formats.h"

#include <float.h>
#include <math.h>
#include <string.h>

#pragma clang fp contract(off)

enum { TOKENS = 16, CHUNK = 256 };

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
    size_t g = 0;
    for (size_t b = 0; b < n / 32; b++) {
        float largest = 0;
        bool finite = true;
        for (int j = 0; j < 32; j++) {
            float a = fabsf(x[32 * b + j]);
            finite &= a <= FLT_MAX;
            if (a > largest) largest = a;
        }
        // Too small for a reciprocal that is finite, or nothing there: zeros.
        float inverse = finite && largest >= 1e-30f ? MK_LARGEST_ACTIVATION / largest : 0;
        d[b] = !finite ? NAN : inverse == 0 ? 0 : largest / MK_LARGEST_ACTIVATION;
        int32_t a[32];
        for (int j = 0; j < 32; j++) {
            a[j] = inverse == 0 ? 0 : (int32_t)rintf(x[32 * b + j] * inverse);
            int32_t high = (a[j] + 128) >> 8;
            q[64 * b + j] = (int8_t)high;
            q[64 * b + 32 + j] = (int8_t)(a[j] - high * 256);
        }
        for (int part = 0; part < 32; part += format->group, g++) {
            int32_t sum = 0;
            for (int j = 0; j < format->group; j++) sum += a[part + j];
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

static void finish(float dot, size_t r, const float *bias, bool accumulate, float *out) {
    float start = (accumulate ? *out : 0) + (bias ? bias[r] : 0);
    *out = start + dot;
}

static void matmul_exact(int32_t type, const void *weights, size_t row_bytes, size_t row_begin, size_t row_end,
                         size_t columns, const float *x, size_t x_stride, size_t tokens, const float *bias,
                         bool accumulate, float *out, size_t out_stride) {
    float w[CHUNK];
    if (!mk_format_of(type)) return;
    for (size_t r = row_begin; r < row_end; r++) {
        const char *row = (const char *)weights + r * row_bytes;
        for (size_t t0 = 0; t0 < tokens; t0 += TOKENS) {
            size_t count = tokens - t0 < TOKENS ? tokens - t0 : TOKENS;
            double dot[TOKENS] = {0};
            for (size_t c = 0; c < columns; c += CHUNK) {
                size_t width = columns - c < CHUNK ? columns - c : CHUNK;
                mk_dequantize_part(type, row, c, width, w);
                for (size_t t = 0; t < count; t++) {
                    const float *v = x + (t0 + t) * x_stride + c;
                    for (size_t j = 0; j < width; j++) dot[t] += (double)w[j] * v[j];
                }
            }
            for (size_t t = 0; t < count; t++)
                finish((float)dot[t], r, bias, accumulate, out + (t0 + t) * out_stride + r);
        }
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
    uint8_t q[CHUNK];
    float d[CHUNK / 16], m[CHUNK / 16];
    int group = format->group;
    for (size_t r = row_begin; r < row_end; r++) {
        const char *row = (const char *)weights + r * row_bytes;
        for (size_t t0 = 0; t0 < tokens; t0 += TOKENS) {
            size_t count = tokens - t0 < TOKENS ? tokens - t0 : TOKENS;
            float dot[TOKENS] = {0};
            for (size_t c = 0; c < columns; c += CHUNK) {
                size_t width = columns - c < CHUNK ? columns - c : CHUNK;
                mk_unpack(type, row, c / 32, width / 32, q, d, m);
                for (size_t t = 0; t < count; t++) {
                    mk_packed x = mk_packed_at(packed, packed_bytes, t0 + t, columns);
                    for (size_t g = 0; g < width / group; g++) {
                        size_t column = c + g * group;
                        int32_t sum = 0;
                        if (!format->offset) memcpy(&sum, x.s + column / group, 4);
                        const int8_t *high = x.q + column / 32 * 64 + column % 32;
                        for (int j = 0; j < group; j++) sum += q[g * group + j] * (high[j] * 256 + high[j + 32]);
                        dot[t] += d[g] * x.d[column / 32] * (float)sum;
                        if (format->offset) dot[t] += m[g] * x.s[column / group];
                    }
                }
            }
            for (size_t t = 0; t < count; t++) finish(dot[t], r, bias, accumulate, out + (t0 + t) * out_stride + r);
        }
    }
}

// A panel is one row as the file has it.
static size_t panel_bytes(int32_t type, size_t columns) {
    const mk_format *format = mk_format_of(type);
    return format && format->group ? columns / format->block * format->block_bytes : 0;
}

static void make_panel(int32_t type, const void *weights, size_t row_bytes, size_t rows, size_t columns, void *panel) {
    (void)row_bytes;
    if (rows) memcpy(panel, weights, panel_bytes(type, columns));
}

static void panel_row(int32_t type, const void *panel, size_t row, float *out, size_t columns) {
    (void)row;
    mk_dequantize_row(type, panel, out, columns);
}

static void rms_norm(const float *x, const float *weight, float epsilon, float *out, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    float scale = (float)(1 / sqrt(sum / (double)n + epsilon));
    for (size_t i = 0; i < n; i++) out[i] = x[i] * scale * weight[i];
}

static void silu_mul(const float *gate, const float *up, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void gelu_mul(const float *gate, const float *up, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        // x/2 · (1 + tanh u) is x / (1 + e⁻²ᵘ), which keeps its precision where tanh u nears -1.
        float x = gate[i], u = 0.7978845608f * (x + 0.044715f * x * x * x);
        out[i] = x / (1 + expf(-2 * u)) * up[i];
    }
}

static void rope(float *x, size_t heads, size_t head_size, size_t rotary_size, const float *cos, const float *sin,
                 bool interleaved) {
    size_t half = rotary_size / 2;
    for (size_t h = 0; h < heads; h++) {
        float *head = x + h * head_size;
        for (size_t i = 0; i < half; i++) {
            float *a = interleaved ? head + 2 * i : head + i, *b = interleaved ? a + 1 : a + half;
            float u = *a, v = *b;
            *a = u * cos[i] - v * sin[i];
            *b = v * cos[i] + u * sin[i];
        }
    }
}

static void store_row(int32_t type, const float *x, void *out, size_t n) {
    if (type == MK_F32) {
        memcpy(out, x, 4 * n);
        return;
    }
    uint16_t *halves = out;
    for (size_t i = 0; i < n; i++) {
        if (type == MK_F16) {
            halves[i] = mk_f32_to_f16(x[i]);
        } else {
            uint32_t bits;
            memcpy(&bits, x + i, 4);
            // Round to nearest even; a NaN stays one.
            bool nan = (bits & 0x7fffffff) > 0x7f800000;
            halves[i] = (uint16_t)((nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        }
    }
}

#include "attention_scalar.h"

static size_t argmax(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best] || (isnan(x[best]) && !isnan(x[i]))) best = i;
    return best;
}

static float maximum(const float *x, size_t n) {
    float largest = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (x[i] > largest) largest = x[i];
    return largest;
}

static double exp_sum(const float *x, float max, float scale, float *out, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = expf((x[i] - max) * scale);
        sum += out[i];
    }
    return sum;
}

const mk_kernels mk_table_scalar = {
    .isa = MK_ISA_SCALAR,
    .activation_bytes = mk_activation_bytes,
    .pack_activations = pack_activations,
    .panel_rows = 1,
    .panel_bytes = panel_bytes,
    .make_panel = make_panel,
    .panel_row = panel_row,
    .matmul = matmul,
    .matmul_exact = matmul_exact,
    .rms_norm = rms_norm,
    .silu_mul = silu_mul,
    .gelu_mul = gelu_mul,
    .rope = rope,
    .store_row = store_row,
    .store_kv = store_kv,
    .attention = attention,
    .attention_part = attention_part,
    .attention_merge = attention_merge,
    .argmax = argmax,
    .max = maximum,
    .exp_sum = exp_sum,
};
