//! Tests of the warning about misspelt placeholders. The worker is the command itself, whose `list` takes no argument; its
//! own error is the second line.

use crate::{HEIRLOOM, heirloom};

/// Returns the warnings of `run` and of `exec`, which must be the same.
fn warnings(regions: &[&str], args: &[&str]) -> Vec<String> {
    let [run, exec] = ["run", "exec"].map(|task| {
        let command = [&[task][..], regions, &["--", HEIRLOOM, "list"], args].concat();
        let errors = String::from_utf8(heirloom(&command).output().unwrap().stderr).unwrap();
        errors.lines().filter(|line| line.contains("warning")).map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(run, exec);
    run
}

#[test]
fn misspelt_placeholders_are_reported_once() {
    let regions = ["--shared", "frames=4K", "--shared", "out=4K"];
    let warning = "heirloom: warning: {frame} is left as it is; did you mean {frames}?";
    assert_eq!(warnings(&regions, &["--in={frame}", "{out}"]), [warning]);
    assert_eq!(warnings(&[&regions[..], &["--env", "A=x{frame}"]].concat(), &[]), [warning]);
    for args in [
        // No name, a shell's variable, JSON, and names that resemble none.
        &["{}", "${frame}", "{frame;}", "{\"frame\":1}", "{a,frame}", "{print $1}", "{other}", "{fra"][..],
        // A script's own variable.
        &["for frame in open('{frames}'): print(f'{frame}')"],
        // Right.
        &["{frames}", "{out}"],
    ] {
        assert!(warnings(&regions, args).is_empty(), "{args:?}");
    }
    // One warning, not one for each worker; {job} and {jobs} resemble each other.
    let run = ["run", "--jobs", "3", "--", HEIRLOOM, "list", "{jbo}", "{jobs}"];
    let errors = String::from_utf8(heirloom(&run).output().unwrap().stderr).unwrap();
    assert_eq!(errors.matches("warning: {jbo} is left as it is; did you mean {job}?").count(), 1, "{errors}");
    let run = ["run", "--", HEIRLOOM, "list", "{job}"];
    let errors = String::from_utf8(heirloom(&run).output().unwrap().stderr).unwrap();
    assert!(!errors.contains("warning"), "{errors}");
}
