/* Loads and unloads NSPR at run time. */
#include "check.h"

#include <dlfcn.h>

int main(void)
{
    void *nspr;
    CHECK(PR_OpenAnonFileMap(NULL, 0, PR_PROT_READWRITE) == NULL && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    nspr = dlopen("libnspr4.so", RTLD_NOW | RTLD_GLOBAL);
    CHECK(nspr != NULL);
    CHECK(PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    CHECK(PR_OpenAnonFileMap(NULL, (PRSize)-1, PR_PROT_READWRITE) == NULL && PR_GetError() == PR_FILE_TOO_BIG_ERROR);
    CHECK(((PRErrorCode(*)(void))(intptr_t)dlsym(nspr, "PR_GetError"))() == PR_FILE_TOO_BIG_ERROR);
    CHECK(dlclose(nspr) == 0);
    CHECK(PR_GetError() == PR_FILE_TOO_BIG_ERROR);
    CHECK(PR_OpenAnonFileMap(NULL, 0, PR_PROT_READWRITE) == NULL && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    return 0;
}
