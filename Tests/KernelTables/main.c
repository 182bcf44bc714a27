// Compares every kernel table of the machine it runs on with the scalar one, within the bounds of
// docs/reference/kernels.md: random and adversarial input, and the same bits for a token and a row whatever is computed
// beside them. scripts/test-neon.sh builds it for aarch64 and runs it under an emulator.
//
// Arguments: the names of the tables that must be there. Prints the number of checks; exits with 1 if one failed.
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../Sources/CMartinetKernels/formats.h"

static const mk_kernels *scalar, *table;
static const char *table_name;
static long checks, failures;

static void check(bool holds, const char *format, ...) {
    checks++;
    if (holds) return;
    failures++;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", table_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

// A small generator with a fixed sequence, so that failures repeat.
static uint64_t state;

static uint64_t next(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static float between(float low, float high) { return low + (high - low) * (float)(next() >> 40) * 0x1p-24f; }

static void fill(float *x, size_t n, float magnitude) {
    for (size_t i = 0; i < n; i++) x[i] = between(-magnitude, magnitude);
}

static void *buffer(size_t bytes) {
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p) abort();
    return p;
}

// The largest difference relative to the root mean square of what is expected; infinite where one is NaN and the other
// not, or where infinities differ.
static double error_of(const float *actual, const float *expected, size_t n) {
    double power = 0, worst = 0;
    size_t finite = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(expected[i])) continue;
        power += (double)expected[i] * expected[i];
        finite++;
    }
    double scale = fmax(sqrt(power / (double)(finite ? finite : 1)), 1e-30);
    for (size_t i = 0; i < n; i++) {
        if (actual[i] == expected[i] || (isnan(actual[i]) && isnan(expected[i]))) continue;
        double difference = fabs((double)actual[i] - expected[i]) / scale;
        worst = fmax(worst, isnan(difference) ? INFINITY : difference);
    }
    return worst;
}

// The largest relative difference of two elements; results under twice the smallest normal float are the same.
static double worst_of(const float *actual, const float *expected, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        float a = actual[i], e = expected[i];
        if (a == e || (isnan(a) && isnan(e)) || fmaxf(fabsf(a), fabsf(e)) < 2 * FLT_MIN) continue;
        double difference = fabs((double)a - e) / fabs((double)e);
        worst = fmax(worst, isnan(difference) ? INFINITY : difference);
    }
    return worst;
}

static bool same_bits(const float *a, const float *b, size_t n) { return !memcmp(a, b, 4 * n); }

// MARK: Products

enum { ROWS = 21, TOKENS = 9 };

typedef struct {
    int32_t type;
    size_t columns, row_bytes, packed_bytes, stride;
    uint8_t *bytes, *panels;
    float *x;
    uint8_t *packed;
} sample;

static void put_half(uint8_t *p, float f) {
    uint16_t h = mk_f32_to_f16(f);
    memcpy(p, &h, 2);
}

// Random blocks whose scales are drawn from `scales`, or small at random.
static uint8_t *weights_of(int32_t type, size_t columns, const float *scales, size_t count) {
    const mk_format *format = mk_format_of(type);
    size_t bytes = ROWS * columns / format->block * format->block_bytes;
    uint8_t *w = buffer(bytes);
    for (size_t i = 0; i < bytes; i++) w[i] = (uint8_t)(next() >> 32);
    for (size_t at = 0; at < bytes; at += format->block_bytes) {
        for (int i = 0; i < (format->offset ? 2 : 1); i++) {
            float f = count ? scales[next() % count] : between(-0.02f, 0.02f);
            size_t offset = 2 * (size_t)i;
            if (type == MK_Q2_K) offset += 80;
            if (type == MK_Q3_K) offset = 108;
            if (type == MK_Q6_K) offset = 208;
            if (type == MK_F32) {
                memcpy(w + at, &f, 4);
            } else if (type == MK_BF16) {
                memcpy(w + at, (char *)&f + 2, 2);
            } else {
                put_half(w + at + offset, f);
            }
        }
    }
    return w;
}

static void pack(sample *s) {
    s->packed_bytes = table->activation_bytes(s->type, s->columns);
    s->packed = buffer(TOKENS * s->packed_bytes);
    for (size_t t = 0; t < TOKENS; t++)
        table->pack_activations(s->type, s->x + t * s->columns, s->packed + t * s->packed_bytes, s->columns);
}

static sample make_sample(int32_t type, const float *scales, size_t count, float magnitude) {
    const mk_format *format = mk_format_of(type);
    sample s = {.type = type, .columns = format->block == 1 ? 301 : 512};
    s.row_bytes = s.columns / format->block * format->block_bytes;
    s.bytes = weights_of(type, s.columns, scales, count);
    s.x = buffer(4 * TOKENS * s.columns);
    fill(s.x, TOKENS * s.columns, magnitude);
    pack(&s);
    s.stride = table->panel_bytes(type, s.columns);
    size_t height = table->panel_rows, panels = (ROWS + height - 1) / height;
    s.panels = buffer(panels * s.stride);
    for (size_t p = 0; s.stride && p < panels; p++) {
        size_t rows = ROWS - p * height < height ? ROWS - p * height : height;
        table->make_panel(type, s.bytes + p * height * s.row_bytes, s.row_bytes, rows, s.columns,
                          s.panels + p * s.stride);
    }
    return s;
}

static void drop(sample *s) {
    free(s->bytes);
    free(s->panels);
    free(s->x);
    free(s->packed);
}

static void multiply(const sample *s, size_t row, size_t end, size_t token, size_t tokens, float *out) {
    table->matmul(s->type, s->stride ? s->panels : s->bytes, s->stride ? s->stride : s->row_bytes, row, end, s->columns,
                  s->packed + token * s->packed_bytes, s->packed_bytes, tokens, NULL, false, out, ROWS);
}

static void multiply_exactly(const mk_kernels *k, const sample *s, size_t row, size_t end, size_t token, size_t tokens,
                             float *out) {
    k->matmul_exact(s->type, s->bytes, s->row_bytes, row, end, s->columns, s->x + token * s->columns, s->columns,
                    tokens, NULL, false, out, ROWS);
}

// What the scalar table makes of the same weights and activations.
static void expected_product(const sample *s, float *out) {
    scalar->matmul(s->type, s->bytes, s->row_bytes, 0, ROWS, s->columns, s->packed, s->packed_bytes, TOKENS, NULL,
                   false, out, ROWS);
}

static void test_packing(int32_t type) {
    enum { N = 256 };
    static const float specials[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 1e-38f, 1e-45f, -0.0f};
    float x[N];
    size_t bytes = scalar->activation_bytes(type, N);
    check(table->activation_bytes(type, N) == bytes, "type %d: packed rows differ in size", type);
    uint8_t *a = buffer(bytes), *e = buffer(bytes);
    for (int round = 0; round < 24; round++) {
        fill(x, N, round % 3 == 0 ? 6e37f : round % 3 == 1 ? 5 : 1e-37f);
        if (round >= 8 && round < 16) x[next() % N] = specials[round - 8];
        for (int i = 0; round >= 16 && i < N; i++) {
            // Subnormals, zeros, and halves that round both ways.
            uint32_t bits = (uint32_t)i;
            if (round < 18) memcpy(x + i, &bits, 4);
            else if (round < 20) x[i] = 0;
            else x[i] = (float)(i % 128) + 0.5f;
        }
        table->pack_activations(type, x, a, N);
        scalar->pack_activations(type, x, e, N);
        bool same = true;
        for (size_t i = 0; i < bytes; i += 4) {
            float f, g;
            memcpy(&f, a + i, 4);
            memcpy(&g, e + i, 4);
            same &= !memcmp(a + i, e + i, 4) || (isnan(f) && isnan(g));
        }
        check(same, "type %d: packed rows differ in round %d", type, round);
    }
    free(a);
    free(e);
}

// Rows read back from panels, bit for bit.
static void test_panel_rows(int32_t type) {
    sample s = make_sample(type, NULL, 0, 2);
    float *expected = buffer(4 * s.columns), *actual = buffer(4 * s.columns);
    bool same = true;
    for (size_t r = 0; s.stride && r < ROWS; r++) {
        size_t height = table->panel_rows;
        mk_dequantize_row(type, s.bytes + r * s.row_bytes, expected, s.columns);
        table->panel_row(type, s.panels + r / height * s.stride, r % height, actual, s.columns);
        same &= !memcmp(expected, actual, 4 * s.columns);
    }
    check(same, "type %d: rows read back from panels differ", type);
    free(expected);
    free(actual);
    drop(&s);
}

static void test_products(int32_t type) {
    float whole[TOKENS * ROWS], exact[TOKENS * ROWS], expected[TOKENS * ROWS], part[TOKENS * ROWS];
    sample s = make_sample(type, NULL, 0, 3);
    multiply(&s, 0, ROWS, 0, TOKENS, whole);
    expected_product(&s, expected);
    double error = error_of(whole, expected, TOKENS * ROWS);
    check(error < 2e-6, "type %d: matmul is off by %g", type, error);

    multiply_exactly(table, &s, 0, ROWS, 0, TOKENS, exact);
    multiply_exactly(scalar, &s, 0, ROWS, 0, TOKENS, expected);
    error = error_of(exact, expected, TOKENS * ROWS);
    check(error < 2e-6, "type %d: matmul_exact is off by %g", type, error);
    double noise = 0, power = 0;
    for (int i = 0; i < TOKENS * ROWS; i++) {
        noise += pow((double)whole[i] - expected[i], 2);
        power += pow(expected[i], 2);
    }
    check(sqrt(noise / power) < 2e-5, "type %d: matmul and matmul_exact differ by %g", type, sqrt(noise / power));

    for (size_t count = 1; count <= TOKENS; count++) {
        for (size_t t = 0; t + count <= TOKENS; t++) {
            multiply(&s, 0, ROWS, t, count, part);
            check(same_bits(part, whole + t * ROWS, count * ROWS), "type %d: tokens %zu + %zu alone", type, t, count);
            if (t % 3) continue;
            multiply_exactly(table, &s, 0, ROWS, t, count, part);
            check(same_bits(part, exact + t * ROWS, count * ROWS), "type %d: exact tokens %zu + %zu", type, t, count);
        }
    }
    for (size_t row = 0; row < ROWS; row += 3) {
        for (size_t end = row + 1; end <= ROWS; end += row % 2 ? 5 : 1) {
            for (int i = 0; i < TOKENS * ROWS; i++) part[i] = 77;
            multiply(&s, row, end, 0, TOKENS, part);
            bool holds = true;
            for (size_t i = 0; i < TOKENS * ROWS; i++) {
                float e = i % ROWS >= row && i % ROWS < end ? whole[i] : 77;
                holds &= !memcmp(part + i, &e, 4);
            }
            check(holds, "type %d: rows %zu..<%zu alone", type, row, end);
        }
    }

    float bias[ROWS], before[TOKENS * ROWS];
    fill(bias, ROWS, 10);
    fill(before, TOKENS * ROWS, 10);
    memcpy(part, before, sizeof part);
    table->matmul(type, s.stride ? s.panels : s.bytes, s.stride ? s.stride : s.row_bytes, 0, ROWS, s.columns, s.packed,
                  s.packed_bytes, TOKENS, bias, true, part, ROWS);
    for (int i = 0; i < TOKENS * ROWS; i++) before[i] = (before[i] + bias[i % ROWS]) + whole[i];
    check(same_bits(part, before, TOKENS * ROWS), "type %d: bias and what was there", type);

    // A token that is not finite spoils its own outputs only.
    s.x[s.columns + 7] = NAN;
    s.x[2 * s.columns + 9] = INFINITY;
    free(s.packed);
    pack(&s);
    multiply(&s, 0, ROWS, 0, TOKENS, part);
    bool spoilt = true;
    for (int i = ROWS; i < 3 * ROWS; i++) spoilt &= !isfinite(part[i]);
    check(spoilt, "type %d: NaN and infinity vanished", type);
    check(same_bits(part, whole, ROWS) && same_bits(part + 3 * ROWS, whole + 3 * ROWS, (TOKENS - 3) * ROWS),
          "type %d: NaN and infinity spread", type);
    drop(&s);
}

// Scales that are zero, subnormal, the largest half, infinite or NaN; activations at their extremes.
static void test_extremes(int32_t type) {
    static const float scales[][4] = {
        {0, 6e-8f, -6e-8f, 1e-6f}, {65504, -65504, 65504, 1}, {INFINITY, 1, 1, 1},
        {NAN, 0.5f, 0.5f, 1},      {0, -0.0f, 0, 0},
    };
    float actual[TOKENS * ROWS], expected[TOKENS * ROWS];
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        for (int round = 0; round < 3; round++) {
            sample s = make_sample(type, scales[i], 4, round == 1 ? 1e25f : round == 2 ? 1e-36f : 2);
            // All activations at the largest, so that integer sums are.
            for (size_t j = 0; round == 0 && j < s.columns; j++) s.x[j] = -2;
            for (size_t j = 0; round == 0 && j < s.columns; j++) s.x[s.columns + j] = 2;
            free(s.packed);
            pack(&s);
            multiply(&s, 0, ROWS, 0, TOKENS, actual);
            expected_product(&s, expected);
            double error = error_of(actual, expected, TOKENS * ROWS);
            check(error < 1e-5, "type %d: scales %zu, round %d: off by %g", type, i, round, error);
            drop(&s);
        }
    }
    // Every element at its largest.
    sample s = make_sample(type, NULL, 0, 2);
    const mk_format *format = mk_format_of(type);
    if (format->group) {
        for (size_t at = 0; at < ROWS * s.row_bytes; at += format->block_bytes) {
            memset(s.bytes + at, type == MK_Q8_0 ? 0x7f : 0xff, format->block_bytes);
            size_t offset = type == MK_Q2_K ? 80 : type == MK_Q3_K ? 108 : type == MK_Q6_K ? 208 : 0;
            put_half(s.bytes + at + offset, 0.01f);
            if (format->offset) put_half(s.bytes + at + offset + 2, 0.01f);
        }
        for (size_t p = 0; p * table->panel_rows < ROWS; p++) {
            size_t row = p * table->panel_rows, rows = ROWS - row < table->panel_rows ? ROWS - row : table->panel_rows;
            table->make_panel(type, s.bytes + row * s.row_bytes, s.row_bytes, rows, s.columns, s.panels + p * s.stride);
        }
        for (size_t j = 0; j < TOKENS * s.columns; j++) s.x[j] = j / s.columns % 2 ? 2 : -2;
        free(s.packed);
        pack(&s);
        multiply(&s, 0, ROWS, 0, TOKENS, actual);
        expected_product(&s, expected);
        double error = error_of(actual, expected, TOKENS * ROWS);
        check(error < 2e-6, "type %d: largest elements: off by %g", type, error);
    }
    drop(&s);
}

// MARK: Attention

typedef struct {
    int32_t type;
    size_t heads, kv_heads, size, block, position, tokens, window;
    float softcap, magnitude;
} shape;

// What `k` attends to in a cache that it has written itself, token after token in calls of `width` tokens; with no width,
// each part of the context by itself.
static void attend(const mk_kernels *k, const shape *s, const int32_t *blocks, const float *rows, const float *query,
                   size_t width, float *out) {
    size_t length = s->position + s->tokens, row = s->kv_heads * s->size, count = (length + s->block - 1) / s->block + 2;
    size_t bytes = mk_round_up(count * s->block, MK_KV_TILE) / MK_KV_TILE * s->kv_heads
                   * mk_kv_tile_bytes(s->type, s->size);
    mk_kv_layer kv = {malloc(bytes), malloc(bytes), s->type, (int32_t)s->block, (int32_t)s->kv_heads, (int32_t)s->size};
    if (!kv.keys || !kv.values) abort();
    // What was never written must not count.
    memset(kv.keys, 0xff, bytes), memset(kv.values, 0xff, bytes);
    for (size_t p = 0; p < length; p++)
        k->store_kv(&kv, (size_t)blocks[p / s->block] * s->block + p % s->block, rows + 2 * p * row,
                    rows + (2 * p + 1) * row);
    size_t group = s->heads / s->kv_heads, stride = s->heads * s->size;
    for (size_t head = 0; head < s->kv_heads; head++) {
        for (size_t t = 0; t < s->tokens; t += width ? width : s->tokens) {
            size_t tokens = !width || width > s->tokens - t ? s->tokens - t : width;
            size_t at = t * stride + head * group * s->size;
            mk_attention a = {&kv,  blocks, s->position + t, tokens, s->window, head, group, query + at,
                              out + at, stride, 0.125f, s->softcap};
            if (width) {
                k->attention(&a);
                continue;
            }
            size_t first = s->window > s->position ? 0 : s->window ? s->position + 1 - s->window : 0;
            size_t begin = first / MK_ATTENTION_PART, end = (length - 1) / MK_ATTENTION_PART + 1;
            size_t floats = tokens * group * mk_attention_state_floats(s->size);
            float *states = buffer(4 * (end - begin) * floats);
            for (size_t part = begin; part < end; part++)
                k->attention_part(&a, part, states + (part - begin) * floats);
            k->attention_merge(&a, end - begin, states);
            free(states);
        }
    }
    free(kv.keys), free(kv.values);
}

static void test_attention(const shape *s) {
    size_t length = s->position + s->tokens, blocks = (length + s->block - 1) / s->block + 2;
    size_t elements = 2 * length * s->kv_heads * s->size, outputs = s->tokens * s->heads * s->size;
    float *rows = buffer(4 * elements), *query = buffer(4 * outputs), *whole = buffer(4 * outputs);
    float *expected = buffer(4 * outputs), *part = buffer(4 * outputs);
    int32_t *blocks_of = buffer(4 * blocks);
    for (size_t i = 0; i < blocks; i++) blocks_of[i] = (int32_t)(blocks - 1 - i);
    fill(rows, elements, 1);
    fill(query, outputs, s->magnitude);
    attend(table, s, blocks_of, rows, query, s->tokens, whole);
    attend(scalar, s, blocks_of, rows, query, s->tokens, expected);
    double error = error_of(whole, expected, outputs);
    // A score keeps an absolute error of its last bits, which the exponential passes on; a capped one of the cap's.
    bool large = s->softcap > 0 || s->magnitude > 10;
    check(error < (large ? 2e-5 : 5e-6), "attention of type %d, %zu/%zu heads of %zu, %zu + %zu: off by %g", s->type,
          s->heads, s->kv_heads, s->size, s->position, s->tokens, error);
    for (size_t width = 0; width <= s->tokens; width = width ? width * 3 : 1) {
        attend(table, s, blocks_of, rows, query, width, part);
        check(same_bits(part, whole, outputs), "attention of type %d, heads of %zu, %zu + %zu by %zu tokens", s->type,
              s->size, s->position, s->tokens, width);
    }
    free(rows), free(query), free(whole), free(expected), free(part), free(blocks_of);
}

static void test_attentions(void) {
    static const shape shapes[] = {
        {0, 9, 3, 64, 16, 66, 1, 0, 0, 2},   {0, 8, 1, 256, 16, 39, 1, 0, 0, 2},  {0, 4, 2, 128, 5, 66, 2, 0, 0, 60},
        {0, 6, 2, 72, 1, 40, 9, 0, 30, 2},   {0, 14, 2, 20, 32, 60, 10, 50, 0, 2}, {0, 2, 2, 512, 16, 66, 3, 1, 0, 2},
        {0, 1, 1, 4, 16, 0, 1, 0, 0, 2},     {0, 4, 1, 36, 16, 3, 70, 33, 0, 2},  {0, 3, 1, 24, 7, 1010, 20, 700, 0, 2},
    };
    static const int32_t types[] = {MK_F32, MK_F16, MK_BF16, MK_I8};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (int t = 0; t < 4; t++) {
            shape s = shapes[i];
            s.type = types[t];
            test_attention(&s);
        }
    }
}

// Tables write the same bytes into the cache, whatever the values.
static void test_stores(void) {
    static const float specials[] = {1e-40f, 3e-38f, 1e-31f, 7e4f, 1e30f, INFINITY, -INFINITY, NAN};
    static const int32_t types[] = {MK_F32, MK_F16, MK_BF16, MK_I8};
    static const size_t sizes[] = {4, 20, 36, 64};
    enum { HEADS = 3, SLOTS = 2 * MK_KV_TILE };
    float key[HEADS * 64], value[HEADS * 64];
    for (int i = 0; i < 16; i++) {
        int32_t type = types[i / 4];
        size_t size = sizes[i % 4], bytes = SLOTS / MK_KV_TILE * HEADS * mk_kv_tile_bytes(type, size);
        mk_kv_layer a = {buffer(bytes), buffer(bytes), type, 16, HEADS, (int32_t)size};
        mk_kv_layer e = {buffer(bytes), buffer(bytes), type, 16, HEADS, (int32_t)size};
        for (size_t slot = 0; slot < SLOTS; slot++) {
            fill(key, HEADS * size, slot == 20 ? 1e-35f : slot == 21 ? 0 : 3);
            fill(value, HEADS * size, 1);
            if (slot < 8) key[slot % 4] = value[size + slot % 4] = specials[slot];
            table->store_kv(&a, slot, key, value), scalar->store_kv(&e, slot, key, value);
        }
        check(!memcmp(a.keys, e.keys, bytes), "store_kv of keys, type %d, heads of %zu", type, size);
        check(!memcmp(a.values, e.values, bytes), "store_kv of values, type %d, heads of %zu", type, size);
        free(a.keys), free(a.values), free(e.keys), free(e.values);
    }
}

// MARK: Element by element

static void test_elementwise(void) {
    static const size_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 64, 100, 576};
    static const float specials[] = {
        0,     -0.0f, 1e-45f,  -1e-45f, FLT_MIN, 1e-30f,  -1e-30f, 1,       -1,       10,        -10,  80,
        -80,   87.5f, -87.5f,  88.8f,   -88.8f,  100,     -100,    103.5f,  -103.5f,  1000,      -1000, 1e10f,
        -1e10f, 1e30f, -1e30f, FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, NAN,
    };
    enum { SPECIALS = sizeof specials / sizeof *specials };
    float x[577], y[577], a[577], e[577];
    uint16_t stored_a[577], stored_e[577];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i];
        fill(x, n, 12);
        fill(y, n, 1);
        a[n] = e[n] = 9;
        table->silu_mul(x, y, a, n), scalar->silu_mul(x, y, e, n);
        check(worst_of(a, e, n) < 1e-6, "silu_mul of %zu", n);
        table->gelu_mul(x, y, a, n), scalar->gelu_mul(x, y, e, n);
        check(worst_of(a, e, n) < 2e-6, "gelu_mul of %zu", n);
        for (float scale = 1e-12f; scale < 1e13f; scale *= 1e12f) {
            float z[576];
            for (size_t j = 0; j < n; j++) z[j] = x[j] * scale;
            table->rms_norm(z, y, 1e-5f, a, n), scalar->rms_norm(z, y, 1e-5f, e, n);
            check(worst_of(a, e, n) < 2e-6, "rms_norm of %zu at %g", n, (double)scale);
        }
        double sum = table->exp_sum(x, 12, 0.7f, a, n), expected = scalar->exp_sum(x, 12, 0.7f, e, n);
        check(worst_of(a, e, n) < 1e-6 && fabs(sum - expected) <= 1e-6 * expected, "exp_sum of %zu", n);
        check(a[n] == 9, "wrote past %zu", n);
        for (int round = 0; round < 4; round++) {
            if (round == 1) x[next() % n] = INFINITY;
            if (round >= 2) x[next() % n] = NAN;
            if (n > 4) x[n / 2] = x[n - 1];
            check(table->argmax(x, n) == scalar->argmax(x, n), "argmax of %zu", n);
            check(table->max(x, n) == scalar->max(x, n), "max of %zu", n);
        }
        for (int j = 0; j < 3; j++) {
            static const int32_t types[] = {MK_F16, MK_BF16, MK_F32};
            float *fa = a, *fe = e;
            void *pa = types[j] == MK_F32 ? (void *)fa : stored_a, *pe = types[j] == MK_F32 ? (void *)fe : stored_e;
            for (size_t k = 0; k < n; k++) {
                uint32_t bits = (uint32_t)(next() >> 32);
                memcpy(y + k, &bits, 4);
                if (k % 2) y[k] = between(-1e-4f, 1e-4f) * (k % 4 == 1 ? 1 : 1e-3f);
            }
            table->store_row(types[j], y, pa, n), scalar->store_row(types[j], y, pe, n);
            check(!memcmp(pa, pe, n * (types[j] == MK_F32 ? 4 : 2)), "store_row of %zu as type %d", n, types[j]);
        }
    }
    float up[SPECIALS];
    for (int i = 0; i < SPECIALS; i++) up[i] = 0.75f;
    table->silu_mul(specials, up, a, SPECIALS), scalar->silu_mul(specials, up, e, SPECIALS);
    check(worst_of(a, e, SPECIALS) < 1e-5, "silu_mul of special values");
    table->gelu_mul(specials, up, a, SPECIALS), scalar->gelu_mul(specials, up, e, SPECIALS);
    check(worst_of(a, e, SPECIALS) < 1e-5, "gelu_mul of special values");

    static const size_t ropes[][3] = {{1, 4, 4}, {3, 64, 64}, {2, 80, 32}, {5, 104, 104}, {2, 72, 72}, {1, 8, 0}};
    for (int i = 0; i < 12; i++) {
        const size_t *r = ropes[i / 2];
        float cosines[64], sines[64];
        fill(cosines, 64, 1), fill(sines, 64, 1), fill(a, r[0] * r[1], 1);
        memcpy(e, a, sizeof e);
        table->rope(a, r[0], r[1], r[2], cosines, sines, i % 2);
        scalar->rope(e, r[0], r[1], r[2], cosines, sines, i % 2);
        check(error_of(a, e, r[0] * r[1]) < 1e-6, "rope of %zu heads of %zu", r[0], r[1]);
    }
}

int main(int count, char **names) {
    static const int32_t types[] = {MK_F32,  MK_F16,  MK_BF16, MK_Q4_0, MK_Q4_1, MK_Q5_0,   MK_Q5_1,   MK_Q8_0,
                                    MK_Q2_K, MK_Q3_K, MK_Q4_K, MK_Q5_K, MK_Q6_K, MK_IQ4_NL, MK_IQ4_XS};
    scalar = mk_kernels_for(MK_ISA_SCALAR);
    int found = 0;
    for (int32_t isa = MK_ISA_SCALAR + 1; isa < MK_ISA_COUNT; isa++) {
        table = mk_kernels_for(isa);
        if (!table) continue;
        table_name = mk_isa_name(isa);
        for (int i = 1; i < count; i++) found += !strcmp(names[i], table_name);
        long before = checks;
        state = 1;
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            test_packing(types[i]);
            test_products(types[i]);
            test_extremes(types[i]);
        }
        test_attentions();
        test_stores();
        test_elementwise();
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) test_panel_rows(types[i]);
        printf("%s: %ld checks\n", table_name, checks - before);
    }
    if (found != count - 1) {
        fprintf(stderr, "tables are missing on this machine\n");
        return 1;
    }
    printf("Kernel tables: %ld checks passed, %ld failed\n", checks - failures, failures);
    return failures > 0;
}
