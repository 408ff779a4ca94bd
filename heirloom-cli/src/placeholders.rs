//! `{NAME}` in a program's arguments.

#![allow(unsafe_code)]

use std::ffi::{OsStr, OsString};

/// Replaces each `{name}` by its value, and leaves all other braces as they are.
pub fn fill_in(argument: &OsStr, values: &[(String, String)]) -> OsString {
    let mut rest = argument.as_encoded_bytes();
    let mut filled = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        let found = values.iter().find_map(|(name, value)| {
            let after = after.strip_prefix(name.as_bytes())?.strip_prefix(b"}")?;
            (*first == b'{').then_some((value, after))
        });
        rest = if let Some((value, after)) = found {
            filled.extend_from_slice(value.as_bytes());
            after
        } else {
            filled.push(*first);
            after
        };
    }
    // SAFETY: These are the bytes of an `OsStr`, in which substrings from one ASCII brace to another were replaced by
    // whole UTF-8 strings.
    unsafe { OsString::from_encoded_bytes_unchecked(filled) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_replaced() {
        let values = [("text", "/dev/fd/3"), ("job", "0"), ("a}b", "odd"), ("{", "open")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (argument, filled) in [
            ("{text}", "/dev/fd/3"),
            ("in={text},out={text}", "in=/dev/fd/3,out=/dev/fd/3"),
            ("{job}{job}", "00"),
            ("{a}b}", "odd"),
            ("{{}", "open"),
            ("{{text}}", "{/dev/fd/3}"),
            ("${HOME} {} {texts} {tex {text", "${HOME} {} {texts} {tex {text"),
            ("", ""),
        ] {
            assert_eq!(fill_in(OsStr::new(argument), &values), filled, "{argument}");
        }
        let odd = crate::sys::not_unicode();
        let argument = [odd.clone(), "{text}".into(), odd.clone()].into_iter().collect::<OsString>();
        assert_eq!(
            fill_in(&argument, &values),
            [odd.clone(), "/dev/fd/3".into(), odd].into_iter().collect::<OsString>()
        );
    }
}
