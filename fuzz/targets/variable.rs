//! The parser of `HEIRLOOM_REGIONS`, beside one that was written from `docs/format.md`.

#![no_main]

use heirloom::ErrorKind;
use heirloom_fuzz::{encode, pairs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // What is not UTF-8 never comes to the parser.
    let value = String::from_utf8_lossy(input);
    let (accepted, error) = heirloom::fuzzing::variable(&value);

    for (index, (name, string)) in accepted.iter().enumerate() {
        assert!((1..=240).contains(&name.len()) && !name.contains('\0'), "{name:?}");
        assert!(accepted[..index].iter().all(|(other, _)| other != name), "{name:?} twice");
        let pair = format!("{}={string}", encode(name));
        assert!(value.split(',').any(|given| given == pair), "{pair:?} is not in {value:?}");
    }
    let (well_formed, bad) = pairs(&value);
    assert_eq!(accepted, well_formed);
    assert_eq!(error.map(|error| error.kind()), bad.then_some(ErrorKind::Malformed));
});
