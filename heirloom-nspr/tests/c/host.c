/* Is not linked with NSPR, and loads a library that is, with RTLD_LOCAL. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    void *library = dlopen(getenv("PLUGIN"), RTLD_NOW | RTLD_LOCAL);
    int (*front)(int, char **);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    if (dlsym(RTLD_DEFAULT, "PR_Init") != NULL) {
        fprintf(stderr, "NSPR is loaded globally\n");
        return 1;
    }
    *(void **)&front = dlsym(library, "front");
    return front(argc, argv);
}
