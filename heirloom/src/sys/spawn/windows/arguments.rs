//! Command lines: one string, which the started program splits into arguments.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt;

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::windows::wide::without_nul;

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const SPACE: u16 = b' ' as u16;
const TAB: u16 = b'\t' as u16;
const PERCENT: u16 = b'%' as u16;

/// Returns the line for a program that splits it as the C runtime does.
pub(super) fn line(args: &[OsString]) -> Result<Vec<u16>> {
    let mut line = Vec::new();
    let mut args = args.iter();
    // The program's own name ends at the next quote, even after a backslash.
    let name = wide(args.next().map_or(OsStr::new(""), OsString::as_os_str))?;
    if name.contains(&QUOTE) {
        return Err(refused(Reason::QuoteInProgramName));
    }
    quoted(&mut line, &name);
    for arg in args {
        line.push(SPACE);
        push(&mut line, &wide(arg)?);
    }
    line.push(0);
    Ok(line)
}

/// Appends an argument. Backslashes before a quote are doubled; elsewhere they stand for themselves.
fn push(line: &mut Vec<u16>, arg: &[u16]) {
    if !arg.is_empty() && !arg.iter().any(|unit| [SPACE, TAB, QUOTE].contains(unit)) {
        line.extend_from_slice(arg);
        return;
    }
    line.push(QUOTE);
    let mut backslashes = 0;
    for unit in arg {
        if *unit == QUOTE {
            // Double them, and add one for the quote.
            line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
        }
        backslashes = if *unit == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(*unit);
    }
    line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
}

/// Returns the line for the command interpreter to run a batch file; the interpreter has other rules.
pub(super) fn batch_line(script: &[u16], args: &[OsString]) -> Result<Vec<u16>> {
    if script.contains(&QUOTE) || script.last() == Some(&BACKSLASH) {
        return Err(refused(Reason::BatchFilePath));
    }
    // With command extensions (the default), without variables in exclamation marks, without AutoRun commands of the
    // registry.
    let mut line: Vec<u16> = OsStr::new(r#"cmd.exe /e:ON /v:OFF /d /c ""#).encode_wide().collect();
    quoted(&mut line, script);
    for arg in args.iter().skip(1) {
        line.push(SPACE);
        push_to_batch(&mut line, &wide(arg)?)?;
    }
    line.extend([QUOTE, 0]);
    Ok(line)
}

/// Appends an argument, always in quotes, so that no character is an operator. A line break can't be expressed.
fn push_to_batch(line: &mut Vec<u16>, arg: &[u16]) -> Result<()> {
    if arg.iter().any(|unit| [u16::from(b'\r'), u16::from(b'\n')].contains(unit)) {
        return Err(refused(Reason::LineEndInBatchArgument));
    }
    line.push(QUOTE);
    let mut backslashes = 0;
    for unit in arg {
        match *unit {
            // Doubled for a program that the script starts, as above; the interpreter ignores the second quote.
            QUOTE => line.extend(std::iter::repeat_n(BACKSLASH, backslashes).chain([QUOTE])),
            // Appends a variable that expands to nothing, so that the percent sign starts no other.
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

fn refused(reason: Reason) -> Failure {
    Failure::new(reason, io::ErrorKind::InvalidInput)
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
    fn arguments_are_quoted_for_the_c_runtime() {
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
    fn batch_file_arguments_are_quoted() {
        let script: Vec<u16> = OsStr::new(r"C:\a b.bat").encode_wide().collect();
        let line = batch_line(&script, &args(&["name", "one", r#"a"b"#, "%PATH%", r"c\"])).unwrap();
        let expected = r#"cmd.exe /e:ON /v:OFF /d /c ""C:\a b.bat" "one" "a""b" "%%cd:~,%PATH%%cd:~,%" "c\\"""#;
        assert_eq!(text(&line), expected);
    }

    #[test]
    fn inexpressible_arguments_are_refused() {
        let script: Vec<u16> = OsStr::new("a.bat").encode_wide().collect();
        for (refused, reason) in [
            (line(&args(&["a\"b"])), Reason::QuoteInProgramName),
            (line(&args(&["name", "a\0b"])), Reason::InteriorNul),
            (batch_line(&script, &args(&["name", "a\r"])), Reason::LineEndInBatchArgument),
            (batch_line(&script, &args(&["name", "a\nb"])), Reason::LineEndInBatchArgument),
            (batch_line(&[QUOTE], &args(&["name"])), Reason::BatchFilePath),
            (batch_line(&[BACKSLASH], &args(&["name"])), Reason::BatchFilePath),
        ] {
            assert_eq!(refused.unwrap_err().reason, reason);
        }
    }
}
