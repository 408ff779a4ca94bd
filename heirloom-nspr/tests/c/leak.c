/* Leaks memory, for valgrind to find. */
#include "check.h"

int main(void)
{
    char *volatile lost = malloc(100);
    CHECK(lost != NULL);
    lost = NULL;
    return 0;
}
