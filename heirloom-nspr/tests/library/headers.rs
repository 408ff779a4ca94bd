//! The header.

use std::process::{Command, Stdio};

use crate::{CRATE, FOR_THIS_SYSTEM, STRICT, is_installed};

/// Whether a text compiles.
pub(crate) fn compiles(compiler: &str, args: &[&str], text: &str) -> bool {
    let source = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(&source, text).unwrap();
    let mut command = Command::new(compiler);
    command
        .args(STRICT)
        .args(FOR_THIS_SYSTEM)
        .args(["-pedantic", "-fsyntax-only", "-I", &format!("{CRATE}/include")])
        .args(args);
    command.arg(source.path()).stderr(Stdio::null()).status().unwrap().success()
}

/// A program that uses the header.
pub(crate) const USE: &str = "
int main(void)
{
    PRFileMap *fm = PR_OpenAnonFileMap(NULL, 4096, PR_PROT_READONLY);
    PRInt64 offset = 0;
    return heirloom_freeze(fm) == PR_SUCCESS && PR_MemMap(fm, offset, 4096) != NULL && PR_GetError() == PR_OUT_OF_MEMORY_ERROR;
}
";

/// A program that uses the header of those who don't need NSPR.
const USE_WITHOUT_NSPR: &str = "
int main(void)
{
    heirloom_region *region = heirloom_region_create(4096, NULL, HEIRLOOM_POPULATE);
    const void *data = heirloom_view_data(heirloom_map_view(region, 0, 0));
    return data != NULL && heirloom_lock(heirloom_map(region, 0, 0), 0, HEIRLOOM_FOREVER) == HEIRLOOM_LOCKED;
}
";

#[test]
fn header_without_nspr_compiles_in_every_standard() {
    let text = format!("#include <heirloom.h>\n#include <heirloom.h>\n{USE_WITHOUT_NSPR}");
    for standard in ["c99", "c11", "c17"] {
        assert!(compiles("cc", &["-x", "c", &format!("-std={standard}")], &text), "{standard}");
    }
    // Beside the other header.
    assert!(compiles("cc", &["-x", "c", "-std=c99"], &format!("#include <heirloom_nspr.h>\n{text}")));
    // Controls: what can't be written is const, and an undeclared name does not compile.
    assert!(!compiles("cc", &["-x", "c", "-std=c99"], &text.replace("const void", "void")));
    assert!(!compiles("cc", &["-x", "c", "-std=c99"], &text.replace("heirloom_lock", "heirloom_look")));
    if !is_installed("c++", "g++") {
        return;
    }
    for standard in ["c++11", "c++17", "c++20"] {
        let text = text.replace("heirloom.h>", "heirloom.hpp>");
        assert!(compiles("c++", &["-x", "c++", &format!("-std={standard}")], &text), "{standard}");
    }
}

#[test]
fn header_compiles_in_every_standard() {
    let text = format!("#include <heirloom_nspr.h>\n#include <heirloom_nspr.h>\n{USE}");
    for standard in ["c89", "c99", "c11", "c17"] {
        assert!(compiles("cc", &["-x", "c", &format!("-std={standard}")], &text), "{standard}");
    }
    // Control: an undeclared name does not compile.
    assert!(!compiles("cc", &["-x", "c", "-std=c99"], &text.replace("heirloom_freeze", "heirloom_thaw")));
    if !is_installed("c++", "g++") {
        return;
    }
    for standard in ["c++98", "c++11", "c++20"] {
        assert!(compiles("c++", &["-x", "c++", &format!("-std={standard}")], &text), "{standard}");
    }
}
