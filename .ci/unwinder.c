/* Defines for musl the glibc symbols that gcc's unwinder needs. */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stdint.h>

/* The unwinder refers to these weakly and calls them unconditionally, so a static program must link them. */
void *const heirloom_needed[] = {(void *)pthread_once, (void *)pthread_key_create, (void *)pthread_getspecific,
                                 (void *)pthread_setspecific, (void *)pthread_mutex_lock, (void *)pthread_mutex_unlock};

struct object { unsigned long long flags; void *start, *end, *map, *eh_frame; unsigned long long reserved[7]; };
struct search { uintptr_t address; struct object *found; };

static int visit(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *search = data;
    uintptr_t eh_frame = 0, start = 0, end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, to = from + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            eh_frame = from;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && from <= search->address && search->address < to)
            start = from, end = to;
    }
    if (end == 0 || eh_frame == 0)
        return 0;
    *search->found = (struct object){.start = (void *)start, .end = (void *)end, .eh_frame = (void *)eh_frame};
    return 1;
}

int _dl_find_object(void *address, struct object *found)
{
    struct search search = {(uintptr_t)address, found};
    return dl_iterate_phdr(visit, &search) - 1;
}
