/* A program of the machine that Wine runs on, by the name of this one there: the compilers and cargo, which the tests start. */
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static const char *passed_on[][2] = {
    {"cc.exe", "x86_64-w64-mingw32-gcc"},
    {"c++.exe", "x86_64-w64-mingw32-g++"},
    {"cargo.exe", "cargo"},
};

int main(int argc, char **argv) {
    int (CDECL *spawn)(char *const[], int) =
        (void *)GetProcAddress(GetModuleHandleA("ntdll.dll"), "__wine_unix_spawnvp");
    char path[MAX_PATH];
    if (!spawn) return 127;
    GetModuleFileNameA(NULL, path, sizeof path);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        if (!strcmp(strrchr(path, '\\') + 1, passed_on[i][0])) argv[0] = (char *)passed_on[i][1];
    /* Paths begin with the drive that is the machine's root, or with none. */
    for (int i = 1; i < argc; i++) {
        char *from = argv[i], *to = argv[i];
        while (*from) {
            if (!strncmp(from, "Z:\\", 3) || !strncmp(from, "Z:/", 3)) from += 2;
            *to++ = *from == '\\' ? '/' : *from;
            from++;
        }
        *to = 0;
    }
    return spawn(argv, 1);
}
