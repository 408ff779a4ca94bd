/* Loads and unloads the library again and again, and forks, at which the library is called. */
#include <heirloom_nspr.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not that of check.h, which calls the library. */
#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "check failed: %s\n", #condition); return 1; } } while (0)

int main(int argc, char **argv)
{
    int round, status;
    CHECK(argc == 2);
    for (round = 0; round < 20; round++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        PRFileMap *map;
        CHECK(library != NULL);
        map = ((PRFileMap *(*)(const char *, PRSize, PRFileMapProtect))(intptr_t)dlsym(library, "PR_OpenAnonFileMap"))(
            NULL, 4096, PR_PROT_READWRITE);
        CHECK(map != NULL);
        CHECK(((PRStatus(*)(PRFileMap *))(intptr_t)dlsym(library, "PR_CloseFileMap"))(map) == PR_SUCCESS);
        CHECK(dlclose(library) == 0);
    }
    status = 1;
    if (fork() == 0)
        _exit(0);
    CHECK(wait(&status) > 0 && status == 0);
    return 0;
}
