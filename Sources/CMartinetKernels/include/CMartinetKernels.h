// The arithmetic of inference on a CPU. No function here allocates, starts a thread or keeps state: the caller splits
// work between threads by row, token or head ranges and owns every buffer.
//
// Batch invariance: each output element is computed with the same operations in the same order whatever the number of
// tokens, the row range or the thread, so a token's result never depends on what else is in the batch.
#ifndef C_MARTINET_KERNELS_H
#define C_MARTINET_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Element types, numbered as in GGUF files.
enum {
    MK_F32 = 0,
    MK_F16 = 1,
    MK_Q4_0 = 2,
    MK_Q4_1 = 3,
    MK_Q5_0 = 6,
    MK_Q5_1 = 7,
    MK_Q8_0 = 8,
    MK_Q2_K = 10,
    MK_Q3_K = 11,
    MK_Q4_K = 12,
    MK_Q5_K = 13,
    MK_Q6_K = 14,
    MK_IQ4_NL = 20,
    MK_IQ4_XS = 23,
    MK_I8 = 24,
    MK_BF16 = 30,
};

// Instruction sets a kernel table can be made for.
enum {
    MK_ISA_SCALAR = 0,
    MK_ISA_AVX2 = 1,
    MK_ISA_AVX512 = 2,
    MK_ISA_AVX512_VNNI = 3,
    MK_ISA_AVX2_VNNI = 4,
    MK_ISA_NEON_DOTPROD = 16,
    MK_ISA_NEON_I8MM = 17,
    MK_ISA_COUNT = 18,            // numbers beyond are not in use
};

// One layer of paged keys and values. The slot of position p is block_table[p / block_size] * block_size
// + p % block_size. Slots lie in tiles of MK_KV_TILE, one tile for each kv head: that of a slot and a head is number
// slot / MK_KV_TILE * kv_heads + head. A tile of keys is [head_size][MK_KV_TILE], so that a vector holds one element of
// many keys; a tile of values is [MK_KV_TILE][head_size]. With MK_I8 a float scale for each slot follows,
// and heads are stored rotated by a Hadamard matrix, which attention undoes.
// Any block size works; multiples of MK_KV_TILE are fast.
enum { MK_KV_TILE = 16 };
typedef struct {
    void *keys;
    void *values;
    int32_t type;                // MK_F32, MK_F16, MK_BF16 or MK_I8
    int32_t block_size;          // tokens per block
    int32_t kv_heads;
    int32_t head_size;           // a multiple of 4, at most 512
} mk_kv_layer;

// Bytes of an element of the cache.
static inline size_t mk_kv_element_bytes(int32_t type) { return type == MK_F32 ? 4 : type == MK_I8 ? 1 : 2; }
static inline size_t mk_kv_tile_bytes(int32_t type, size_t head_size) {
    return MK_KV_TILE * (mk_kv_element_bytes(type) * head_size + (type == MK_I8 ? 4 : 0));
}

// The attention of consecutive tokens of one sequence, for the query heads that share one kv head.
typedef struct {
    const mk_kv_layer *layer;
    const int32_t *block_table;
    size_t position;             // of the first token
    size_t tokens;               // at least 1
    size_t window;               // positions that a token sees, itself included; 0 for all
    size_t kv_head;
    size_t group;                // query heads that share the kv head
    const float *query;          // the first token's first such head; [group][head_size] for each token
    float *out;                  // as query
    size_t stride;               // floats from one token to the next, in query and out
    float scale;                 // of the scores
    float softcap;               // 0 means none
} mk_attention;

// Query heads, of one token or of several, that attention computes side by side.
static inline size_t mk_attention_rows(size_t head_size) {
    size_t rows = 8192 / ((head_size + 15) / 16 * 16);
    return rows < 48 ? rows : 48;
}

// Positions of a part: sums over parts are made apart from one another and then merged in ascending order.
enum { MK_ATTENTION_PART = 512 };
// Floats of one query head's state over a part: its sums, the largest score and the sum of weights.
static inline size_t mk_attention_state_floats(size_t head_size) { return (head_size + 15) / 16 * 16 + 16; }

typedef struct {
    int32_t isa;

    // Activations. The packed form of a float row for multiplication with weights of `weight_type`.
    // Bytes of a packed row of n elements; n is a multiple of the weight type's block.
    size_t (*activation_bytes)(int32_t weight_type, size_t n);
    void (*pack_activations)(int32_t weight_type, const float *x, void *packed, size_t n);

    // Weights. Products read quantised weights as panels: `panel_rows` rows at a time, rearranged for this table. A
    // panel takes panel_bytes(type, columns); 0 means that the type's rows are read as the file has them.
    // make_panel takes 1...panel_rows rows; what it puts in place of missing ones is never stored.
    size_t panel_rows;
    size_t (*panel_bytes)(int32_t weight_type, size_t columns);
    void (*make_panel)(int32_t weight_type, const void *weights, size_t row_bytes, size_t rows, size_t columns,
                       void *panel);
    // Row `row` of a panel as floats: the bits that mk_dequantize_row gives.
    void (*panel_row)(int32_t weight_type, const void *panel, size_t row, float *out, size_t columns);

    // out[t * out_stride + r] = (accumulate ? out : 0) + (bias ? bias[r] : 0) + weights[r] · activations[t]
    // for r in row_begin..<row_end, t in 0..<tokens. `weights` points at row 0: of panels `stride` bytes apart, or,
    // where the type has none, of rows `stride` bytes apart.
    void (*matmul)(int32_t weight_type, const void *weights, size_t stride, size_t row_begin, size_t row_end,
                   size_t columns, const void *packed, size_t packed_bytes, size_t tokens, const float *bias,
                   bool accumulate, float *out, size_t out_stride);

    // The same in float32 throughout: weights are dequantised, activations are plain floats `x_stride` apart.
    void (*matmul_exact)(int32_t weight_type, const void *weights, size_t row_bytes, size_t row_begin, size_t row_end,
                         size_t columns, const float *x, size_t x_stride, size_t tokens, const float *bias,
                         bool accumulate, float *out, size_t out_stride);

    // out[i] = x[i] / sqrt(mean(x²) + epsilon) * weight[i]. out may be x.
    void (*rms_norm)(const float *x, const float *weight, float epsilon, float *out, size_t n);

    // out[i] = silu(gate[i]) * up[i]; gelu_mul uses the tanh approximation. out may be gate or up.
    void (*silu_mul)(const float *gate, const float *up, float *out, size_t n);
    void (*gelu_mul)(const float *gate, const float *up, float *out, size_t n);

    // Rotates `heads` heads of `head_size` in place; cos and sin hold rotary_size / 2 values for this position.
    // interleaved: pairs (2i, 2i+1); otherwise pairs (i, i + rotary_size/2). Elements past rotary_size stay.
    void (*rope)(float *x, size_t heads, size_t head_size, size_t rotary_size, const float *cos, const float *sin,
                 bool interleaved);

    // Stores floats as the cache's type.
    void (*store_row)(int32_t type, const float *x, void *out, size_t n);

    // Stores one token's keys and values, [kv_heads][head_size] each, in a slot. MK_I8 takes a scale per head.
    void (*store_kv)(const mk_kv_layer *layer, size_t slot, const float *key, const float *value);

    // Causal attention with an online softmax (Milakov and Gimelshein, 2018) over blocks of 64 positions that are
    // aligned from position 0. A token's result does not depend on the other tokens of the call.
    void (*attention)(const mk_attention *attention);
    // The same in steps that may run on different threads: the states of all query heads over positions
    // part * MK_ATTENTION_PART and up, [tokens * group][mk_attention_state_floats]; then, with `parts` such
    // arrays one after the other, what attention() gives.
    void (*attention_part)(const mk_attention *attention, size_t part, float *states);
    void (*attention_merge)(const mk_attention *attention, size_t parts, const float *states);

    // Sampling helpers over a row of logits.
    size_t (*argmax)(const float *x, size_t n);                       // the first of equals; NaN never wins
    float (*max)(const float *x, size_t n);
    double (*exp_sum)(const float *x, float max, float scale, float *out, size_t n);  // out[i] = exp((x[i]-max)*scale)
} mk_kernels;

// The table for an instruction set, or NULL where this machine or build lacks it.
const mk_kernels *mk_kernels_for(int32_t isa);
// The best table of this machine.
const mk_kernels *mk_kernels_best(void);
// The name of an instruction set, such as "avx512-vnni".
const char *mk_isa_name(int32_t isa);

// Rows of any type, exact: the scalar reference of every format. n is a multiple of the type's block.
// Returns false for a type that is not known.
bool mk_dequantize_row(int32_t type, const void *row, float *out, size_t n);

// A row in a type's form, with the least squared error that a short search finds; n is a multiple of the type's block.
// Types: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K. Returns false for others, and for a value that is
// not finite or above the largest that the type holds: 65504 for F16 and the block types. The same on every machine.
bool mk_quantize_row(int32_t type, const float *x, void *row, size_t n);

// Tells the core that it is waiting in a loop.
static inline void mk_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

float mk_f16_to_f32(uint16_t h);
uint16_t mk_f32_to_f16(float f);

// Gives back what the process needed to start only: free heap pages, and the pages of programs and libraries, of which
// those that are still in use come back from the page cache one by one.
void mk_release_startup_memory(void);

#ifdef __cplusplus
}
#endif

#endif
