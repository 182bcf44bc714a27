// What a process needed to start only.
#define _GNU_SOURCE
#include "CMartinetKernels.h"

#if defined(__linux__)
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

// Whether relocation wrote to code, which must stay then.
static bool has_relocated_code(const struct dl_phdr_info *info) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++)
            if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_TEXTREL)) return true;
    }
    return false;
}

static int release_constant_pages(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    (void)context;
    if (has_relocated_code(info)) return 0;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        // Segments that can be written keep what relocation put there, even where it is protected since.
        if (info->dlpi_phdr[i].p_type != PT_LOAD || info->dlpi_phdr[i].p_flags & PF_W) continue;
        // The last page may be shared with the segment after it.
        uintptr_t start = (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + page - 1) / page * page;
        uintptr_t end = (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz) / page * page;
        if (start < end) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}
#endif

#if defined(__GLIBC__)
#include <malloc.h>
#endif

void mk_release_startup_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
#if defined(__linux__)
    dl_iterate_phdr(release_constant_pages, NULL);
#endif
}
