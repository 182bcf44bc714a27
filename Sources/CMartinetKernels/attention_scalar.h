// The scalar twin of attention: sums in double precision, one position at a time.

enum { STATE_PAD = 16 };

static float quantize_kv(const float *x, int8_t *q, size_t n) {
    float largest = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        finite &= a <= FLT_MAX;
        if (a > largest) largest = a;
    }
    // Too small for a reciprocal that is finite, or nothing there: zeros.
    float inverse = finite && largest >= 1e-30f ? 127.0f / largest : 0;
    for (size_t i = 0; i < n; i++) q[i] = inverse == 0 ? 0 : (int8_t)rintf(x[i] * inverse);
    return !finite ? NAN : inverse == 0 ? 0 : largest / 127.0f;
}

#include "store_kv.h"

static float kv_element(const mk_kv_layer *layer, const void *base, bool key, size_t slot, size_t head, size_t i) {
    size_t size = (size_t)layer->head_size, lane = slot % MK_KV_TILE;
    const char *tile = (const char *)base
                       + (slot / MK_KV_TILE * (size_t)layer->kv_heads + head) * mk_kv_tile_bytes(layer->type, size);
    size_t at = key ? i * MK_KV_TILE + lane : lane * size + i;
    float f;
    if (layer->type == MK_I8) {
        memcpy(&f, tile + MK_KV_TILE * size + 4 * lane, 4);
        return f * ((const int8_t *)tile)[at];
    }
    mk_dequantize_part(layer->type, tile, at, 1, &f);
    return f;
}

typedef struct {
    double sum, largest, acc[512];
} attention_total;

static void attention_row(const mk_attention *a, size_t row, size_t part, float *state) {
    const mk_kv_layer *layer = a->layer;
    size_t size = (size_t)layer->head_size, block = (size_t)layer->block_size;
    size_t position = a->position + row / a->group;
    const float *q = a->query + row / a->group * a->stride + row % a->group * size;
    size_t first = a->window && position + 1 > a->window ? position + 1 - a->window : 0;
    size_t begin = part * MK_ATTENTION_PART, end = begin + MK_ATTENTION_PART;
    if (begin < first) begin = first;
    if (end > position + 1) end = position + 1;
    float rotated[512];
    memcpy(rotated, q, 4 * size);
    if (layer->type == MK_I8) spread_back(rotated, size);
    attention_total total = {.largest = -INFINITY};
    for (size_t p = begin; p < end; p++) {
        size_t slot = (size_t)a->block_table[p / block] * block + p % block;
        double score = 0;
        for (size_t i = 0; i < size; i++)
            score += (double)rotated[i] * kv_element(layer, layer->keys, true, slot, a->kv_head, i);
        score *= a->scale;
        if (a->softcap > 0) score = a->softcap * tanh(score / a->softcap);
        if (score > total.largest) {
            double shrink = exp(total.largest - score);
            total.sum *= shrink;
            for (size_t i = 0; i < size; i++) total.acc[i] *= shrink;
            total.largest = score;
        }
        double weight = score == -INFINITY ? 0 : exp(score - total.largest);
        total.sum += weight;
        for (size_t i = 0; i < size; i++)
            total.acc[i] += weight * kv_element(layer, layer->values, false, slot, a->kv_head, i);
    }
    size_t floats = mk_attention_state_floats(size);
    for (size_t i = 0; i < size; i++) state[i] = (float)total.acc[i];
    state[floats - STATE_PAD] = (float)total.largest;
    state[floats - STATE_PAD + 1] = (float)total.sum;
}

static void attention_add(attention_total *total, const float *state, size_t size) {
    const float *pad = state + mk_attention_state_floats(size) - STATE_PAD;
    double score = pad[0], sum = pad[1], reference = score > total->largest ? score : total->largest;
    if (sum == 0) return;
    double keep = total->largest == -INFINITY ? 0 : exp(total->largest - reference), take = exp(score - reference);
    total->sum = total->sum * keep + take * sum;
    for (size_t i = 0; i < size; i++) total->acc[i] = total->acc[i] * keep + take * state[i];
    total->largest = reference;
}

static void attention_finish(const mk_attention *a, size_t row, const attention_total *total) {
    size_t size = (size_t)a->layer->head_size;
    float *out = a->out + row / a->group * a->stride + row % a->group * size;
    for (size_t i = 0; i < size; i++) out[i] = total->sum == 0 ? 0 : (float)(total->acc[i] / total->sum);
    if (a->layer->type == MK_I8) spread_back(out, size);
}

static void attention(const mk_attention *a) {
    float state[512 + STATE_PAD];
    for (size_t row = 0; row < a->tokens * a->group; row++) {
        size_t position = a->position + row / a->group;
        size_t first = a->window && position + 1 > a->window ? position + 1 - a->window : 0;
        attention_total total = {.largest = -INFINITY};
        for (size_t part = first / MK_ATTENTION_PART; part <= position / MK_ATTENTION_PART; part++) {
            attention_row(a, row, part, state);
            attention_add(&total, state, (size_t)a->layer->head_size);
        }
        attention_finish(a, row, &total);
    }
}

static void attention_part(const mk_attention *a, size_t part, float *states) {
    size_t floats = mk_attention_state_floats((size_t)a->layer->head_size);
    for (size_t row = 0; row < a->tokens * a->group; row++) attention_row(a, row, part, states + row * floats);
}

static void attention_merge(const mk_attention *a, size_t parts, const float *states) {
    size_t size = (size_t)a->layer->head_size, floats = mk_attention_state_floats(size), rows = a->tokens * a->group;
    for (size_t row = 0; row < rows; row++) {
        attention_total total = {.largest = -INFINITY};
        for (size_t part = 0; part < parts; part++)
            attention_add(&total, states + (part * rows + row) * floats, size);
        attention_finish(a, row, &total);
    }
}
