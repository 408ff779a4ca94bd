//! Compares the parser of `HEIRLOOM_REGIONS` with the independent one of this crate.

#![no_main]

use heirloom::ErrorKind;
use heirloom_fuzz::{encode, parse_variable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The parser only gets UTF-8.
    let value = String::from_utf8_lossy(input);
    let (accepted, error) = heirloom::fuzzing::variable(&value);

    for (index, (name, string)) in accepted.iter().enumerate() {
        assert!((1..=240).contains(&name.len()) && !name.contains('\0'), "invalid name {name:?}");
        assert!(accepted[..index].iter().all(|(other, _)| other != name), "duplicate name {name:?}");
        let entry = format!("{}={string}", encode(name));
        assert!(value.split(',').any(|given| given == entry), "{entry:?} is not in {value:?}");
    }
    let (expected, malformed) = parse_variable(&value);
    assert_eq!(accepted, expected);
    assert_eq!(error.map(|error| error.kind()), malformed.then_some(ErrorKind::Malformed));
});
