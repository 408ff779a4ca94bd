//! What C sees before it runs: the header, and the names in the library.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::{CRATE, STRICT, in_front, library, there_is, told};

/// Whether that text compiles.
fn compiles(compiler: &str, args: &[&str], text: &str) -> bool {
    let mut child = Command::new(compiler)
        .args(STRICT)
        .args(["-pedantic", "-fsyntax-only", "-I", &format!("{CRATE}/include")])
        .args(args)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

const USE: &str = "
int main(void)
{
    PRFileMap *fm = PR_OpenAnonFileMap(NULL, 4096, PR_PROT_READONLY);
    PRInt64 offset = 0;
    return heirloom_freeze(fm) == PR_SUCCESS && PR_MemMap(fm, offset, 4096) != NULL && PR_GetError() == PR_OUT_OF_MEMORY_ERROR;
}
";

#[test]
fn the_header_compiles_alone_in_every_standard() {
    let text = format!("#include <heirloom_nspr.h>\n#include <heirloom_nspr.h>\n{USE}");
    for standard in ["c89", "c99", "c11", "c17"] {
        assert!(compiles("cc", &["-x", "c", &format!("-std={standard}")], &text), "{standard}");
    }
    // The control: what isn't declared doesn't compile.
    assert!(!compiles("cc", &["-x", "c", "-std=c99"], &text.replace("heirloom_freeze", "heirloom_thaw")));
    if !there_is("c++", "g++") {
        return;
    }
    for standard in ["c++98", "c++11", "c++20"] {
        assert!(compiles("c++", &["-x", "c++", &format!("-std={standard}")], &text), "{standard}");
    }
}

#[test]
fn the_header_gives_way_to_nsprs_in_whichever_order() {
    let Some(nspr) = in_front::headers().filter(|_| there_is("c++", "g++")) else { return };
    let (ours, theirs) = ("#include <heirloom_nspr.h>\n", "#include <nspr.h>\n#include <prshma.h>\n");
    for (compiler, language) in [("cc", "c"), ("c++", "c++")] {
        let args = ["-x", language, "-I", &nspr];
        assert!(compiles(compiler, &args, &format!("{ours}{theirs}{USE}")));
        assert!(compiles(compiler, &args, &format!("{theirs}{ours}{USE}")));
        // Told to, it looks for them and for nothing else.
        let told = ["-x", language, "-DHEIRLOOM_WITH_NSPR"];
        assert!(compiles(compiler, &[&told[..], &["-I", &nspr]].concat(), &format!("{ours}{theirs}{USE}")));
        // By their folder, which isn't in the search path.
        let folder = "#include <nspr/nspr.h>\n";
        assert!(compiles(compiler, &["-x", language], &format!("{folder}{ours}{USE}")));
        assert!(compiles(compiler, &told, &format!("{ours}{folder}{USE}")));
        assert!(!compiles(compiler, &["-x", language], &format!("{ours}{folder}{USE}")));
        // The control: with both, the names would clash.
        let clash = [&args[..], &["-DHEIRLOOM_WITHOUT_NSPR"]].concat();
        assert!(!compiles(compiler, &clash, &format!("{ours}{theirs}{USE}")));
    }
}

/// The functions that the header declares.
fn declared() -> Vec<String> {
    let header = std::fs::read_to_string(format!("{CRATE}/include/heirloom_nspr.h")).unwrap();
    let words = header.lines().filter(|line| line.ends_with(");")).filter_map(|line| line.split('(').next());
    let names = words.filter_map(|words| words.split([' ', '*']).next_back());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("PR_") || name.starts_with("heirloom_")).collect();
    names.sort_unstable();
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    if !there_is("nm", "binutils") {
        return;
    }
    let library = library().join("libheirloom_nspr.so");
    let symbols = told(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(library));
    let mut symbols: Vec<_> = symbols.lines().filter_map(|line| line.split_ascii_whitespace().nth(2)).collect();
    symbols.sort_unstable();
    assert_eq!(symbols, declared());
    assert_eq!(symbols.len(), 28);
}
