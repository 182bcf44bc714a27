// Attention over paged keys and values, for runs of query tokens.
//
// Positions go by in blocks of 64, aligned from position 0, with an online softmax (Milakov and Gimelshein, 2018) that
// starts anew every MK_ATTENTION_PART positions. A row is one query head of one token. Where there are more rows than
// registers take at once, a block's keys and values are converted to floats once for all of them.

#include "attention_products.h"

enum { MAX_HEAD = 512, MAX_ROWS = 48, MAX_ROW_FLOATS = 8192, STATE_PAD = 16 };

typedef struct {
    float query[MAX_ROW_FLOATS], sums[MAX_ROW_FLOATS];
    float scores[MAX_ROWS * KEY_BLOCK];
    float converted[KEY_BLOCK * MAX_HEAD];
    float key_scales[KEY_BLOCK], value_scales[KEY_BLOCK];
    vf weight_sums[MAX_ROWS];
    float largest[MAX_ROWS + W];    // score so far
    float reference[MAX_ROWS + W];  // score that weights are relative to
    float shrink[MAX_ROWS + W];     // of earlier sums, where the reference has grown
    const char *keys[KEY_TILES], *values[KEY_TILES];
    // The rows: `group` heads of each of `tokens` tokens.
    size_t position, tokens, group;
    size_t size, stride;  // of a head, and rounded up to whole vectors
    float unit;           // from scores to powers of two of weight
    bool direct;          // products read the cache's own type
} ATTENTION_STATE;

INLINE vf greater(vf a, vf b) { return a > b ? a : b; }

// 2ˣ to 2 ulp for x up to 0; 0 below 2⁻¹²⁶. NaN stays NaN.
INLINE vf exp2_(vf x) {
    x = x < -127.0f ? (vf)-127.0f : x;
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits.
    vf shifted = x + 12582912.0f;
    vi n = bits_of(shifted) - 0x4b400000;
    vf r = x - (shifted - 12582912.0f);
    vf p = fma_(r, (vf)1.3264581791919206e-3f, (vf)9.671470150351524e-3f);
    p = fma_(p, r, (vf)5.550733581185341e-2f);
    p = fma_(p, r, (vf)2.4022242426872253e-1f);
    p = fma_(p, r, (vf)6.931470036506653e-1f);
    p = fma_(p, r, (vf)1.0f);
    return p * of_bits((n + 127) << 23);
}

// The positions within block..<block + KEY_BLOCK that a token sees.
typedef struct {
    size_t begin, end;
} span;

INLINE size_t first_seen(size_t position, size_t window) {
    return window && position + 1 > window ? position + 1 - window : 0;
}

INLINE span span_in(size_t position, size_t window, size_t block) {
    size_t first = first_seen(position, window);
    span s = {first > block ? first - block : 0, position + 1 > block ? position + 1 - block : 0};
    if (s.begin > KEY_BLOCK) s.begin = KEY_BLOCK;
    if (s.end > KEY_BLOCK) s.end = KEY_BLOCK;
    return s;
}

INLINE const char *tile_at(const mk_kv_layer *kv, const void *base, size_t slot, size_t kv_head) {
    size_t tile = slot / KEY_TILE * (size_t)kv->kv_heads + kv_head;
    return (const char *)base + tile * mk_kv_tile_bytes(kv->type, (size_t)kv->head_size);
}

INLINE size_t slot_of(const mk_attention *a, size_t position) {
    size_t size = (size_t)a->layer->block_size;
    return (size_t)a->block_table[position / size] * size + position % size;
}

// Where the keys or values of a block's positions lie; those of other tiles are not read, or what is read is not used.
static void find_tiles(const mk_attention *a, size_t block, span seen, const void *base, const char **tiles) {
    size_t begin = seen.begin / KEY_TILE, end = (seen.end + KEY_TILE - 1) / KEY_TILE;
    for (size_t t = 0; t < KEY_TILES; t++) {
        size_t used = t < begin ? begin : t < end ? t : end - 1;
        tiles[t] = tile_at(a->layer, base, slot_of(a, block + used * KEY_TILE), a->kv_head);
    }
}

// Asks for the tiles of a block that positions below `end` have, before they are needed.
static void prefetch_tiles(const mk_attention *a, size_t block, size_t end, const void *base) {
    size_t bytes = mk_kv_tile_bytes(a->layer->type, (size_t)a->layer->head_size);
    for (size_t p = block; p < block + KEY_BLOCK && p < end; p += KEY_TILE) {
        const char *tile = tile_at(a->layer, base, slot_of(a, p), a->kv_head);
        for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(tile + i);
    }
}

static void find_scales(const mk_attention *a, size_t block, span seen, const void *base, float *scales) {
    size_t step = a->layer->block_size % KEY_TILE == 0 ? KEY_TILE : 1;
    for (size_t p = seen.begin / step * step; p < seen.end; p += step) {
        size_t slot = slot_of(a, block + p);
        const char *tile = tile_at(a->layer, base, slot, a->kv_head);
        memcpy(scales + p, tile + KEY_TILE * (size_t)a->layer->head_size + 4 * (slot % KEY_TILE), 4 * step);
    }
}

INLINE void convert_by(int32_t type, const char *tile, size_t count, float *out) {
    for (size_t i = 0; i < count; i += W) store(out + i, load_kv(type, tile, i));
}

static void convert(int32_t type, const char *tile, size_t count, float *out) {
    switch (type) {
    case MK_F16: convert_by(MK_F16, tile, count, out); break;
    case MK_BF16: convert_by(MK_BF16, tile, count, out); break;
    case MK_I8: convert_by(MK_I8, tile, count, out); break;
    default: convert_by(MK_F32, tile, count, out); break;
    }
}

INLINE float element_of(int32_t type, const char *tile, size_t i) {
    if (type == MK_I8) return ((const int8_t *)tile)[i];
    float f;
    mk_dequantize_part(type, tile, i, 1, &f);
    return f;
}

// A block's keys as floats, tile after tile as in the cache. Where blocks of the pool are no whole tiles, each
// position is looked up.
static void convert_keys(const mk_attention *a, ATTENTION_STATE *s, size_t block, span seen) {
    const mk_kv_layer *kv = a->layer;
    size_t begin = seen.begin / KEY_TILE * KEY_TILE, end = mk_round_up(seen.end, KEY_TILE);
    if (kv->block_size % KEY_TILE == 0) {
        find_tiles(a, block, seen, kv->keys, s->keys);
        for (size_t t = begin / KEY_TILE; t < end / KEY_TILE; t++)
            convert(kv->type, s->keys[t], KEY_TILE * s->size, s->converted + t * KEY_TILE * s->size);
    } else {
        for (size_t p = seen.begin; p < seen.end; p++) {
            size_t slot = slot_of(a, block + p);
            const char *tile = tile_at(kv, kv->keys, slot, a->kv_head);
            float *out = s->converted + p / KEY_TILE * KEY_TILE * s->size + p % KEY_TILE;
            for (size_t i = 0; i < s->size; i++)
                out[i * KEY_TILE] = element_of(kv->type, tile, i * KEY_TILE + slot % KEY_TILE);
        }
    }
    for (size_t t = 0; t < KEY_TILES; t++) s->keys[t] = (const char *)(s->converted + t * KEY_TILE * s->size);
}

// A block's values as floats, `stride` from one to the next.
static void convert_values(const mk_attention *a, ATTENTION_STATE *s, size_t block, span seen) {
    const mk_kv_layer *kv = a->layer;
    for (size_t p = seen.begin; p < seen.end;) {
        size_t slot = slot_of(a, block + p), count = 1;
        const char *tile = tile_at(kv, kv->values, slot, a->kv_head);
        const char *value = tile + slot % KEY_TILE * s->size * mk_kv_element_bytes(kv->type);
        float *out = s->converted + p * s->stride;
        if (s->size == s->stride && kv->block_size % KEY_TILE == 0) {
            count = KEY_TILE - p % KEY_TILE < seen.end - p ? KEY_TILE - p % KEY_TILE : seen.end - p;
            convert(kv->type, value, count * s->size, out);
        } else {
            for (size_t i = 0; i < s->stride; i++) out[i] = i < s->size ? element_of(kv->type, value, i) : 0;
        }
        p += count;
    }
    for (size_t t = 0; t < KEY_TILES; t++) s->values[t] = (const char *)(s->converted + t * KEY_TILE * s->stride);
}

// Lane i of the result is the largest lane of v[i], none of which is NaN; W vectors in.
INLINE vf transpose_max(vf *v) {
#pragma clang loop unroll(full)
    for (int step = W / 2; step > 0; step /= 2) {
#pragma clang loop unroll(full)
        for (int i = 0; i < step; i++)
            v[i] = greater(even_lanes(v[2 * i], v[2 * i + 1]), odd_lanes(v[2 * i], v[2 * i + 1]));
    }
    return v[0];
}

// The scores of a row as they count, up to the unit; returns the largest by lane.
INLINE vf adjust_scores(const mk_attention *a, const ATTENTION_STATE *s, float *scores, span seen, bool scaled,
                        bool capped) {
    bool cut = seen.begin > 0 || seen.end < KEY_BLOCK;
    vi lane;
    for (int i = 0; i < W; i++) lane[i] = i;
    // A comparison with NaN is false: it does not become the largest, but reaches the sum of weights.
    vf best = (vf)-INFINITY;
    for (int v = 0; v < KEY_BLOCK; v += W) {
        vf x = load(scores + v);
        if (scaled) x *= load(s->key_scales + v);
        if (capped) {
            // tanh u = 1 - 2 / (e²ᵘ + 1)
            x = a->softcap * (1.0f - 2.0f / (exp_(x * a->scale / a->softcap * 2.0f) + 1.0f));
        }
        if (cut) {
            vi kept = (lane + v >= (int)seen.begin) & (lane + v < (int)seen.end);
            x = kept ? x : (vf)-INFINITY;
        }
        if (scaled || capped || cut) store(scores + v, x);
        best = greater(x, best);
    }
    return best;
}

// Scores become weights relative to the largest so far; what was summed before is to shrink when that grows.
static void weigh(const mk_attention *a, ATTENTION_STATE *s, size_t block, size_t token, size_t token_end) {
    bool scaled = a->layer->type == MK_I8, capped = a->softcap > 0;
    size_t row = token * s->group, row_end = token_end * s->group, head = 0;
    span seen = span_in(s->position + token, a->window, block);
    for (; row < row_end; row += W) {
        vf best[W];
        size_t count = row_end - row < W ? row_end - row : W;
        for (size_t i = 0; i < W; i++) {
            if (i >= count) {
                best[i] = (vf)-INFINITY;
                continue;
            }
            float *scores = s->scores + (row + i) * KEY_BLOCK;
            best[i] = scaled || capped ? adjust_scores(a, s, scores, seen, scaled, capped)
                                       : adjust_scores(a, s, scores, seen, false, false);
            if (++head == s->group) {
                head = 0;
                seen = span_in(s->position + ++token, a->window, block);
            }
        }
        vf before = load(s->largest + row), largest = greater(transpose_max(best), before);
        // With nothing but -inf so far, weights must be 0 rather than 2 to the power NaN.
        vf reference = largest == -INFINITY ? (vf)0 : largest;
        store(s->shrink + row, exp2_((before - reference) * s->unit));
        store(s->largest + row, largest);
        store(s->reference + row, reference);
        for (size_t i = 0; i < count; i++) {
            float *scores = s->scores + (row + i) * KEY_BLOCK;
            vf by = (vf)s->reference[row + i], total[4] = {0};
            for (int v = 0; v < KEY_BLOCK; v += W) {
                vf weight = exp2_((load(scores + v) - by) * s->unit);
                total[v / W % 4] += weight;
                if (scaled) weight *= load(s->value_scales + v);
                store(scores + v, weight);
            }
            s->weight_sums[row + i] =
                fma_(s->weight_sums[row + i], (vf)s->shrink[row + i], (total[0] + total[1]) + (total[2] + total[3]));
        }
    }
}

static void attend_block(const mk_attention *a, ATTENTION_STATE *s, size_t block) {
    // Tokens that see something of the block, the first of which sees furthest back.
    size_t token = block > s->position ? block - s->position : 0, token_end = s->tokens;
    while (token_end > token && span_in(s->position + token_end - 1, a->window, block).begin == KEY_BLOCK) token_end--;
    if (token == token_end) return;
    span seen = {span_in(s->position + token, a->window, block).begin,
                 span_in(s->position + token_end - 1, a->window, block).end};
    size_t end = s->position + s->tokens;
    prefetch_tiles(a, block, end, a->layer->values);
    const products *of = products_of(s->direct ? a->layer->type : MK_F32);
    if (s->direct) {
        find_tiles(a, block, seen, a->layer->keys, s->keys);
    } else {
        convert_keys(a, s, block, seen);
    }
    size_t row_end = token_end * s->group;
    for (size_t row = token * s->group; row < row_end; row += REGISTER_ROWS) {
        size_t count = row_end - row < REGISTER_ROWS ? row_end - row : REGISTER_ROWS;
        of[count - 1].keys(s->keys, s->size, s->query + row * s->size, s->scores + row * KEY_BLOCK);
    }
    prefetch_tiles(a, block + KEY_BLOCK, end, a->layer->keys);
    if (a->layer->type == MK_I8) {
        find_scales(a, block, seen, a->layer->keys, s->key_scales);
        find_scales(a, block, seen, a->layer->values, s->value_scales);
    }
    weigh(a, s, block, token, token_end);
    if (s->direct) {
        find_tiles(a, block, seen, a->layer->values, s->values);
    } else {
        convert_values(a, s, block, seen);
    }
    // Rows go together where they see the same; a weight of 0 for what a row does not see would let in infinities.
    for (size_t t = token; t < token_end;) {
        span part = span_in(s->position + t, a->window, block), next = part;
        size_t row = t * s->group;
        while (++t < token_end) {
            next = span_in(s->position + t, a->window, block);
            if (next.begin != part.begin || next.end != part.end) break;
        }
        for (size_t stop = t * s->group; row < stop; row += REGISTER_ROWS) {
            size_t count = stop - row < REGISTER_ROWS ? stop - row : REGISTER_ROWS;
            of[count - 1].values(s->values, s->stride, part.begin, part.end, s->scores + row * KEY_BLOCK,
                                 s->shrink + row, s->sums + row * s->stride);
        }
    }
}

// The sums of all rows over one part, from nothing.
static void attend_part(const mk_attention *a, ATTENTION_STATE *s, size_t part) {
    size_t rows = s->tokens * s->group;
    memset(s->sums, 0, 4 * rows * s->stride);
    for (size_t row = 0; row < rows; row++) {
        s->weight_sums[row] = (vf)0;
        s->largest[row] = -INFINITY;
    }
    size_t begin = part * MK_ATTENTION_PART, end = begin + MK_ATTENTION_PART;
    size_t first = first_seen(s->position, a->window) / KEY_BLOCK * KEY_BLOCK;
    if (begin < first) begin = first;
    if (end > s->position + s->tokens) end = s->position + s->tokens;
    for (size_t block = begin; block < end; block += KEY_BLOCK) attend_block(a, s, block);
}

// Adds a part's sums to those of the parts before it.
INLINE void merge(float *total, float *total_reference, float *total_weight, const float *sums, float reference,
                  float weight, float unit, size_t stride) {
    if (weight == 0) return;
    float largest = reference > *total_reference ? reference : *total_reference;
    vf keep = exp2_((vf)((*total_reference - largest) * unit)), take = exp2_((vf)((reference - largest) * unit));
    for (size_t i = 0; i < stride; i += W) store(total + i, fma_(load(sums + i), take, load(total + i) * keep));
    *total_weight = *total_weight * keep[0] + weight * take[0];
    *total_reference = largest;
}

INLINE void finish_row(int32_t type, const float *total, float weight, size_t size, float *out) {
    float inverse = weight == 0 ? 0 : 1.0f / weight;
    size_t i = 0;
    for (; i + W <= size; i += W) store(out + i, load(total + i) * inverse);
    if (i < size) store_part(out + i, load(total + i) * inverse, size - i);
    if (type == MK_I8) spread_back(out, size);
}

INLINE float unit_of(const mk_attention *a) { return 1.44269504089f * (a->softcap > 0 ? 1 : fabsf(a->scale)); }

// Takes as many tokens and heads from (token, head) on as fit.
static void start_rows(const mk_attention *a, ATTENTION_STATE *s, size_t token, size_t head) {
    size_t size = (size_t)a->layer->head_size;
    s->size = size;
    s->stride = mk_round_up(size, W);
    size_t rows = mk_attention_rows(size);
    s->group = a->group - head < rows ? a->group - head : rows;
    s->tokens = s->group < a->group ? 1 : rows / s->group;
    if (s->tokens > a->tokens - token) s->tokens = a->tokens - token;
    s->position = a->position + token;
    s->direct = s->tokens * s->group <= REGISTER_ROWS && size == s->stride && a->layer->block_size % KEY_TILE == 0;
    // A negative scale must not turn the largest score into the smallest.
    float sign = a->scale < 0 && !(a->softcap > 0) ? -1 : 1;
    s->unit = unit_of(a);
    for (size_t t = 0; t < s->tokens; t++) {
        for (size_t h = 0; h < s->group; h++) {
            const float *from = a->query + (token + t) * a->stride + (head + h) * size;
            float *to = s->query + (t * s->group + h) * size;
            for (size_t i = 0; i < size; i++) to[i] = from[i] * sign;
            if (a->layer->type == MK_I8) spread_back(to, size);
        }
    }
}

static void attention(const mk_attention *a) {
    ATTENTION_STATE s;
    float totals[MAX_ROW_FLOATS], references[MAX_ROWS], weights[MAX_ROWS];
    size_t size = (size_t)a->layer->head_size;
    if (size > MAX_HEAD) return;
    for (size_t token = 0, head = 0; token < a->tokens;) {
        start_rows(a, &s, token, head);
        size_t rows = s.tokens * s.group;
        memset(totals, 0, 4 * rows * s.stride);
        for (size_t row = 0; row < rows; row++) {
            references[row] = -INFINITY;
            weights[row] = 0;
        }
        size_t part = first_seen(s.position, a->window) / MK_ATTENTION_PART;
        for (; part <= (s.position + s.tokens - 1) / MK_ATTENTION_PART; part++) {
            attend_part(a, &s, part);
            for (size_t row = 0; row < rows; row++) {
                merge(totals + row * s.stride, references + row, weights + row, s.sums + row * s.stride,
                      s.reference[row], sum_lanes(s.weight_sums[row]), s.unit, s.stride);
            }
        }
        for (size_t row = 0; row < rows; row++) {
            float *out = a->out + (token + row / s.group) * a->stride + (head + row % s.group) * size;
            finish_row(a->layer->type, totals + row * s.stride, weights[row], size, out);
        }
        head += s.group;
        if (head == a->group) {
            head = 0;
            token += s.tokens;
        }
    }
}

static void attention_part(const mk_attention *a, size_t part, float *states) {
    ATTENTION_STATE s;
    size_t size = (size_t)a->layer->head_size, floats = mk_attention_state_floats(size);
    if (size > MAX_HEAD) return;
    for (size_t token = 0, head = 0; token < a->tokens;) {
        start_rows(a, &s, token, head);
        attend_part(a, &s, part);
        for (size_t row = 0; row < s.tokens * s.group; row++) {
            float *state = states + ((token + row / s.group) * a->group + head + row % s.group) * floats;
            memcpy(state, s.sums + row * s.stride, 4 * s.stride);
            state[floats - STATE_PAD] = s.reference[row];
            state[floats - STATE_PAD + 1] = sum_lanes(s.weight_sums[row]);
        }
        head += s.group;
        if (head == a->group) {
            head = 0;
            token += s.tokens;
        }
    }
}

static void attention_merge(const mk_attention *a, size_t parts, const float *states) {
    size_t size = (size_t)a->layer->head_size, stride = mk_round_up(size, W), rows = a->tokens * a->group;
    size_t floats = mk_attention_state_floats(size);
    if (size > MAX_HEAD) return;
    for (size_t row = 0; row < rows; row++) {
        float total[MAX_HEAD] = {0}, reference = -INFINITY, weight = 0;
        for (size_t part = 0; part < parts; part++) {
            const float *state = states + (part * rows + row) * floats;
            const float *pad = state + floats - STATE_PAD;
            merge(total, &reference, &weight, state, pad[0], pad[1], unit_of(a), stride);
        }
        finish_row(a->layer->type, total, weight, size, a->out + row / a->group * a->stride + row % a->group * size);
    }
}
