//! Tests of the errors for a command line that is wrong.

use crate::{HEIRLOOM, error_of, stdout_of};

#[test]
fn misspelt_words_are_answered_with_a_suggestion() {
    for (args, suggested) in [
        (&["rum"][..], "unrecognized subcommand 'rum'; did you mean 'run'? (see `heirloom --help`)"),
        (
            &["--frozen", "a=b", "run"],
            "unexpected argument '--frozen' found; did you mean 'run --frozen'? (see `heirloom --help`)",
        ),
        (
            &["run", "--frozn", "a=b", "--", HEIRLOOM],
            "unexpected argument '--frozn' found; did you mean '--frozen'? (see `heirloom run --help`)",
        ),
        (
            &["exec", "--freeze", "a=b", "--", HEIRLOOM],
            "unexpected argument '--freeze' found; did you mean '--frozen'? (see `heirloom exec --help`)",
        ),
        (&["ps", "--jsno"], "unexpected argument '--jsno' found; did you mean '--json'? (see `heirloom ps --help`)"),
        (&["ps", "--tree", "--json"], "the argument '--tree' cannot be used with '--json' (see `heirloom ps --help`)"),
        // Nothing is similar.
        (&["run", "--xyz"], "unexpected argument '--xyz' found (see `heirloom run --help`)"),
        (&["xyz"], "unrecognized subcommand 'xyz' (see `heirloom --help`)"),
    ] {
        assert_eq!(error_of(args, 125), format!("heirloom: {suggested}\n"));
    }
}

#[test]
fn errors_are_in_terms_of_the_command() {
    for number in ["many", "0", "-1", "1.5", "4294967296", ""] {
        let message = error_of(&["run", "--jobs", number, "--", HEIRLOOM, "list"], 125);
        assert!(message.contains("for '--jobs <N>': expected a number from 1 to 4294967295 (see"), "{message}");
    }
    for number in ["many", "-1", "1.5", "4294967296", ""] {
        let message = error_of(&["run", "--first-job", number, "--", HEIRLOOM, "list"], 125);
        assert!(message.contains("for '--first-job <N>': expected a number from 0 to 4294967295 (see"), "{message}");
    }
    assert_eq!(stdout_of(&["run", "-j", "2", "--", HEIRLOOM, "list"]).lines().count(), 2);
    let save =
        |regions: &[&str]| error_of(&[&["run", "--save", "c=-"], regions, &["--", HEIRLOOM, "list"]].concat(), 125);
    assert_eq!(save(&[]), "heirloom: cannot save \"c\": no region has this name; no region is created\n");
    assert_eq!(
        save(&["--shared", "a=1", "--shared", "b=1"]),
        "heirloom: cannot save \"c\": no region has this name; the regions are \"a\", \"b\"\n"
    );
    let message = error_of(&["run", "--shared", "a=1.5MB", "--", HEIRLOOM], 125);
    assert!(message.contains("\"1.5MB\" is not a size: for 1572864 bytes, write 1536K"), "{message}");
    // The system's text, without its number.
    let message = error_of(&["run", "--frozen", "a=/nonexistent/file", "--", HEIRLOOM], 125);
    assert!(message.starts_with("heirloom: cannot read /nonexistent/file: ") && !message.contains('('), "{message}");
}
