#include "formats.h"

#if defined(__aarch64__)
#include <sys/auxv.h>

// The kernel's bits; its headers do not name them on every system that this builds on.
static bool has_dotprod(void) { return getauxval(AT_HWCAP) >> 20 & 1; }
static bool has_i8mm(void) { return getauxval(AT_HWCAP2) >> 13 & 1; }
#endif

const mk_kernels *mk_kernels_for(int32_t isa) {
    switch (isa) {
    case MK_ISA_SCALAR: return &mk_table_scalar;
#if defined(__x86_64__)
    case MK_ISA_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")
                   ? &mk_table_avx2
                   : NULL;
    case MK_ISA_AVX2_VNNI:
        return mk_kernels_for(MK_ISA_AVX2) && __builtin_cpu_supports("avxvnni") ? &mk_table_avx2_vnni : NULL;
    case MK_ISA_AVX512:
        return mk_kernels_for(MK_ISA_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                       && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
                   ? &mk_table_avx512
                   : NULL;
    case MK_ISA_AVX512_VNNI:
        return mk_kernels_for(MK_ISA_AVX512) && __builtin_cpu_supports("avx512vnni") ? &mk_table_avx512_vnni : NULL;
#elif defined(__aarch64__)
    case MK_ISA_NEON_DOTPROD: return has_dotprod() ? &mk_table_neon_dotprod : NULL;
    case MK_ISA_NEON_I8MM: return has_dotprod() && has_i8mm() ? &mk_table_neon_i8mm : NULL;
#endif
    default: return NULL;
    }
}

const mk_kernels *mk_kernels_best(void) {
    static const int32_t order[] = {MK_ISA_AVX512_VNNI, MK_ISA_AVX512,    MK_ISA_AVX2_VNNI,
                                    MK_ISA_AVX2,        MK_ISA_NEON_I8MM, MK_ISA_NEON_DOTPROD};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const mk_kernels *table = mk_kernels_for(order[i]);
        if (table) return table;
    }
    return &mk_table_scalar;
}

const char *mk_isa_name(int32_t isa) {
    switch (isa) {
    case MK_ISA_SCALAR: return "scalar";
    case MK_ISA_AVX2: return "avx2";
    case MK_ISA_AVX2_VNNI: return "avx2-vnni";
    case MK_ISA_AVX512: return "avx512";
    case MK_ISA_AVX512_VNNI: return "avx512-vnni";
    case MK_ISA_NEON_DOTPROD: return "neon-dotprod";
    case MK_ISA_NEON_I8MM: return "neon-i8mm";
    default: return "unknown";
    }
}
