/* For ThreadSanitizer: threads that share nothing, or with the argument `race`, two that write the same byte. */
#include "check.h"

#include <pthread.h>

#define SIZE 4096

/* The kernel gives the same addresses to one thread after the other. */
static void *alone(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        PRFileMap *fm = create(SIZE, PR_PROT_READWRITE);
        char *bytes = map(fm, SIZE);
        memset(bytes, i, SIZE);
        CHECK(PR_MemUnmap(bytes, SIZE) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
    }
    return NULL;
}

static void *shared(void *bytes)
{
    *(char *)bytes = 1;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[3];
    PRFileMap *fm = create(SIZE, PR_PROT_READWRITE);
    int race = argc > 1 && strcmp(argv[1], "race") == 0;
    char *bytes = map(fm, SIZE);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, race ? shared : alone, bytes) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
