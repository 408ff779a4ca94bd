/* bcryptprimitives.dll, which Wine 8 lacks, with the one function that Rust's standard library imports. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T len) {
    return SystemFunction036(bytes, (ULONG)len);
}
