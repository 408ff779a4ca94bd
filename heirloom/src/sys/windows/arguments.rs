//! Command lines: one string, which the program that is started takes apart again.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt;

use super::launch::without_nul;
use crate::ErrorKind;
use crate::sys::{Failure, Result};

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const SPACE: u16 = b' ' as u16;
const TAB: u16 = b'\t' as u16;
const PERCENT: u16 = b'%' as u16;

/// The line for a program that takes it apart as the C runtime does.
pub(super) fn line(args: &[OsString]) -> Result<Vec<u16>> {
    let mut line = Vec::new();
    let mut args = args.iter();
    // The program's own name ends with the next quote, whatever stands before that.
    let name = wide(args.next().map_or(OsStr::new(""), OsString::as_os_str))?;
    if name.contains(&QUOTE) {
        return Err(refused("a program's own name can't hold a quote here"));
    }
    quoted(&mut line, &name);
    for arg in args {
        line.push(SPACE);
        push(&mut line, &wide(arg)?);
    }
    line.push(0);
    Ok(line)
}

/// Backslashes are themselves, but before a quote, where each stands for half a one.
fn push(line: &mut Vec<u16>, arg: &[u16]) {
    if !arg.is_empty() && !arg.iter().any(|unit| [SPACE, TAB, QUOTE].contains(unit)) {
        line.extend_from_slice(arg);
        return;
    }
    line.push(QUOTE);
    let mut backslashes = 0;
    for unit in arg {
        if *unit == QUOTE {
            // As many again, and one for the quote.
            line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
        }
        backslashes = if *unit == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(*unit);
    }
    line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
}

/// The line for the command interpreter to run a batch file, which it takes apart by rules of its own.
pub(super) fn batch_line(script: &[u16], args: &[OsString]) -> Result<Vec<u16>> {
    if script.contains(&QUOTE) || script.last() == Some(&BACKSLASH) {
        return Err(refused("a batch file's path can't hold a quote, or end with a backslash"));
    }
    // Extensions as they are by default, no variables between exclamation marks, no commands of the registry's.
    let mut line: Vec<u16> = OsStr::new(r#"cmd.exe /e:ON /v:OFF /d /c ""#).encode_wide().collect();
    quoted(&mut line, script);
    for arg in args.iter().skip(1) {
        line.push(SPACE);
        push_to_batch(&mut line, &wide(arg)?)?;
    }
    line.extend([QUOTE, 0]);
    Ok(line)
}

/// Always in quotes, so that nothing in it is an operator. There is no way to write the end of a line.
fn push_to_batch(line: &mut Vec<u16>, arg: &[u16]) -> Result<()> {
    if arg.iter().any(|unit| [u16::from(b'\r'), u16::from(b'\n')].contains(unit)) {
        return Err(refused("no argument of a batch file can hold the end of a line"));
    }
    line.push(QUOTE);
    let mut backslashes = 0;
    for unit in arg {
        match *unit {
            // For the program that the script starts with it, as above; for the interpreter, the second closes nothing.
            QUOTE => line.extend(std::iter::repeat_n(BACKSLASH, backslashes).chain([QUOTE])),
            // What follows the percent sign is a variable that stands for nothing, so that the sign begins none.
            PERCENT => line.extend(OsStr::new("%%cd:~,").encode_wide()),
            _ => {}
        }
        backslashes = if *unit == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(*unit);
    }
    line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
    Ok(())
}

fn quoted(line: &mut Vec<u16>, text: &[u16]) {
    line.push(QUOTE);
    line.extend_from_slice(text);
    line.push(QUOTE);
}

fn wide(text: &OsStr) -> Result<Vec<u16>> {
    without_nul(text.encode_wide())
}

fn refused(hint: &'static str) -> Failure {
    Failure { kind: ErrorKind::InvalidInput, os: io::ErrorKind::InvalidInput.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &[u16]) -> String {
        String::from_utf16(line).unwrap().trim_end_matches('\0').to_owned()
    }

    fn args(args: &[&str]) -> Vec<OsString> {
        args.iter().map(OsString::from).collect()
    }

    #[test]
    fn arguments_are_quoted_as_the_c_runtime_reads_them() {
        for (arg, expected) in [
            ("plain", "plain"),
            ("", r#""""#),
            ("two words", r#""two words""#),
            ("a\ttab", "\"a\ttab\""),
            (r#"a"quote"#, r#""a\"quote""#),
            (r"back\slash", r"back\slash"),
            (r"ends with \", r#""ends with \\""#),
            (r#"\"both\\""#, r#""\\\"both\\\\\"""#),
            ("100% & more", r#""100% & more""#),
        ] {
            let line = line(&args(&["name", arg])).unwrap();
            assert_eq!(text(&line), format!(r#""name" {expected}"#), "{arg:?}");
        }
    }

    #[test]
    fn a_batch_file_gets_its_arguments_in_quotes() {
        let script: Vec<u16> = OsStr::new(r"C:\a b.bat").encode_wide().collect();
        let line = batch_line(&script, &args(&["name", "one", r#"a"b"#, "%PATH%", r"c\"])).unwrap();
        let expected = r#"cmd.exe /e:ON /v:OFF /d /c ""C:\a b.bat" "one" "a""b" "%%cd:~,%PATH%%cd:~,%" "c\\"""#;
        assert_eq!(text(&line), expected);
    }

    #[test]
    fn what_no_line_can_hold_is_refused() {
        let script: Vec<u16> = OsStr::new("a.bat").encode_wide().collect();
        for refused in [
            line(&args(&["a\"b"])),
            line(&args(&["name", "a\0b"])),
            batch_line(&script, &args(&["name", "a\r"])),
            batch_line(&script, &args(&["name", "a\nb"])),
            batch_line(&[QUOTE], &args(&["name"])),
            batch_line(&[BACKSLASH], &args(&["name"])),
        ] {
            assert_eq!(refused.unwrap_err().kind, ErrorKind::InvalidInput);
        }
    }
}
