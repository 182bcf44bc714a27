// The block formats of GGUF files, and the one intermediate form that every product is computed from.
//
// Each quantised format is a row of groups of 16 or 32 elements whose value is `d * (q - zero) + m`: `q` an unsigned
// byte, `d` and `m` floats of the group, `zero` a constant of the format. Products d·q are exact in float32 for all
// formats here, so the intermediate form loses nothing.
#ifndef MARTINET_FORMATS_H
#define MARTINET_FORMATS_H

#include "CMartinetKernels.h"

typedef struct {
    uint16_t block;       // elements in a block; 1 for the plain types
    uint16_t block_bytes;
    uint8_t group;        // elements that share a scale: 16 or 32; 0 for the plain types
    uint8_t zero;         // the zero point of q
    uint8_t bits;         // bits that panels spend on q, or on the index of its code
    bool offset;          // whether groups carry an offset m
    bool code;            // whether q is an entry of mk_code_book
} mk_format;

// The IQ4 code book, 128 added.
extern const uint8_t mk_code_book[16];

// The scales of one block as the file has them: halves, and for blocks of 256 a factor for each group. A group's d is
// `d * scale`, its m is `m`, or `-(m * minimum)` in blocks of 256.
typedef struct {
    uint16_t d, m;
    int8_t scale[16], minimum[16];
} mk_scales;

mk_scales mk_scales_of(int32_t type, const uint8_t *block);

// The quantised elements of one block, code book indices for the types that have one.
void mk_quants_of(int32_t type, const uint8_t *block, uint8_t *q);

// The description of a type, or NULL where it is not known.
const mk_format *mk_format_of(int32_t type);

// The quantised elements [32 * first, 32 * (first + count)) of a row as bytes `q`, with the scale and offset of each
// group in `d` and `m` (`m` is left alone for formats without). first and count are multiples of block / 32.
void mk_unpack(int32_t type, const void *row, size_t first, size_t count, uint8_t *q, float *d, float *m);

// `count` elements, whole groups, from the quantised ones and their groups' scales and offsets.
void mk_dequantize_groups(const mk_format *format, const uint8_t *q, const float *d, const float *m, float *out,
                          size_t count);

// Elements [first, first + count) of a row as floats; both are multiples of the type's block, or of 32.
void mk_dequantize_part(int32_t type, const void *row, size_t first, size_t count, float *out);

// A packed activation row: integers of 16 bits as two planes of signed bytes, `256 * high + low`, 32 high bytes before
// the 32 low ones; then a scale per 32 elements, then a term per group of the weights' format. The term is the integer
// -zero * Σa for formats with a zero point, the float scale * Σa for those with an offset.
typedef struct {
    const int8_t *q;
    const float *d;
    const float *s;
} mk_packed;

enum { MK_LARGEST_ACTIVATION = 32512 };  // 127 * 256: the high byte of what rounds up from below stays in range

static inline mk_packed mk_packed_at(const void *packed, size_t packed_bytes, size_t t, size_t n) {
    const char *base = (const char *)packed + packed_bytes * t;
    mk_packed p = {(const int8_t *)base, (const float *)(base + 2 * n), (const float *)(base + 2 * n + n / 32 * 4)};
    return p;
}

static inline size_t mk_round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// In a panel of some rows: bytes of the scales of a block of columns, and where the elements begin.
static inline size_t mk_panel_scale_bytes(const mk_format *format, size_t rows) {
    size_t halves = format->offset ? 4 * rows : 2 * rows;
    return format->block == 32 ? halves : halves + (size_t)(256 / format->group) * (format->offset ? 2 * rows : rows);
}

static inline size_t mk_panel_elements(const mk_format *format, size_t rows, size_t columns) {
    return mk_round_up(columns / format->block * mk_panel_scale_bytes(format, rows), 64);
}

// Row `row` of a panel of `rows` rows, as panels.h makes them, as floats.
void mk_panel_row(int32_t type, const void *panel, size_t rows, size_t row, float *out, size_t columns);

size_t mk_activation_bytes(int32_t weight_type, size_t n);

// Tables by instruction set; those of other architectures are not built.
extern const mk_kernels mk_table_scalar;
#if defined(__x86_64__)
extern const mk_kernels mk_table_avx2;
extern const mk_kernels mk_table_avx512;
extern const mk_kernels mk_table_avx512_vnni;
extern const mk_kernels mk_table_avx2_vnni;
#elif defined(__aarch64__)
extern const mk_kernels mk_table_neon_dotprod;
extern const mk_kernels mk_table_neon_i8mm;
#endif

#endif
